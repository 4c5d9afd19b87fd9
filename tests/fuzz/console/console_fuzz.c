/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any keys and any output of VMs. Each VM has two printable characters of its own that nobody else
 * uses, so that what stands on the line can be told apart:
 *
 * - while the prompt is in the foreground the line holds whole lines, each ended by CR LF, with no
 *   control characters but those of the prompt itself, and a VM's characters stand in lines with
 *   its name only;
 * - nothing that a VM says is lost or changes its order, as long as the line takes characters;
 * - a VM gets what was typed, in order, nothing twice.
 */
#include "tests/unit/fakes/console.h"
#include "vmm/base/log.h"
#include "vmm/console/console.h"
#include "vmm/console/filter.h"
#include "vmm/console/line.h"
#include "vmm/console/parts.h"
#include "vmm/vm/vm_edge.h"

#include <stdlib.h>
#include <string.h>

#define SAID_MAX  65536U
#define REPEATED  700U
#define PROMPT    "vmm> "
#define ERASE     "\r\x1b[K"
#define TOGETHER  16U /* of the bytes that one operation takes */
#define WAITED_NS 1100000000ULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char own[FAKE_VMS][3] = {"{}", "|~", "`\\"};
static const char *const prefix[FAKE_VMS] = {"[web]", "[db]", "[old-mail-server]"};

/* What VMs said and should be read, and what was typed. */
static struct {
    size_t length;
    char text[SAID_MAX];
} said[FAKE_VMS], typed;
static struct filter filters[FAKE_VMS];
static size_t checked; /* bytes of the line */

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The VM that C belongs to, FAKE_VMS: none. */
static unsigned owner(char c)
{
    unsigned vm = 0;

    while (vm < FAKE_VMS && !(c != '\0' && strchr(own[vm], c))) {
        vm++;
    }
    return vm;
}

static void say(unsigned vm, uint8_t byte)
{
    if (said[vm].length == SAID_MAX) {
        return;
    }
    bool front = terminal_foreground() == vm;
    char text = (char)byte;

    if (byte >= ' ' && byte < 0x7f && byte != '[' && byte != ']') {
        byte = (uint8_t)own[vm][byte & 1];
    }
    enum filter_result result = filter_feed(&filters[vm], byte, &text);

    if ((result == FILTER_TEXT || front) && owner((char)byte) == vm) {
        said[vm].text[said[vm].length++] = (char)byte;
    }
    while (!vm_edge_has_room(vm)) {
        (void)console_poll(fake_now_ns);
    }
    (void)vm_edge_output(vm, byte);
    vm_edge_bring(vm);
}

static void type(uint8_t byte)
{
    char c = (char)byte;

    if (owner(c) < FAKE_VMS) {
        c = 'x';
    }
    require(typed.length < SAID_MAX);
    typed.text[typed.length++] = c;
    fake_type(&c, 1);
}

/* A line of VM's, or what goes on with one. */
static bool is_of(unsigned vm, const char *text)
{
    size_t length = strlen(prefix[vm]);

    return strncmp(text, prefix[vm], length) == 0 && (text[length] == ' ' || text[length] == '+');
}

static void check_line(const char *text, size_t length)
{
    size_t erase = strlen(ERASE);

    while (length >= erase && memcmp(text, ERASE, erase) == 0) {
        text += erase;
        length -= erase;
    }
    require(length <= LINE_WHOLE_MAX);
    for (size_t i = 0; i < length; i++) {
        unsigned vm = owner(text[i]);

        require(vm == FAKE_VMS || is_of(vm, text));
        require(text[i] >= ' ' || text[i] == '\t');
        require(text[i] != 0x7f);
    }
}

/* What the operator does to his line stays behind the prompt. */
static size_t skip_echo(const char *text, size_t length)
{
    size_t at = 0;

    while (at < length &&
           ((text[at] >= ' ' && text[at] < 0x7f) || text[at] == '\b' || text[at] == '\a')) {
        require(owner(text[at]) == FAKE_VMS);
        at++;
    }
    return at;
}

static size_t skip_prompt(const char *text, size_t length)
{
    size_t at = strlen(PROMPT);

    return length >= at && memcmp(text, PROMPT, at) == 0 ? skip_echo(text, length) : 0;
}

/* What came on the line, behind a prompt, with nothing else in the foreground. */
static void check_whole_lines(const char *text, size_t length)
{
    size_t echo = skip_echo(text, length);

    text += echo;
    length -= echo;
    while (length > 0) {
        size_t erase = strlen(ERASE), prompt = skip_prompt(text, length);

        if (prompt > 0) {
            text += prompt;
            length -= prompt;
        }
        if (length >= erase && memcmp(text, ERASE, erase) == 0) {
            text += erase;
            length -= erase;
            continue;
        }
        const char *end = memchr(text, '\n', length);

        if (!end) {
            require(length == 0);
            return;
        }
        size_t whole = (size_t)(end - text);

        require(whole > 0 && text[whole - 1] == '\r');
        check_line(text, whole - 1);
        text += whole + 1;
        length -= whole + 1;
    }
}

static void settle(void)
{
    for (unsigned i = 0; i < 4; i++) {
        while (console_poll(fake_now_ns)) {
        }
        fake_now_ns += WAITED_NS;
    }
}

/* Poll; when the prompt was in the foreground all the time, its lines are checked. */
static void poll_checked(bool check)
{
    bool before = terminal_foreground() == CONSOLE_VMM;

    settle();
    size_t length = fake_line_length();

    /* A VM may have been there in between: its header says so. */
    if (check && before && !strstr(fake_line_text() + checked, "[VM ")) {
        check_whole_lines(fake_line_text() + checked, length - checked);
    }
    checked = length;
}

static bool is_subsequence(const char *part, size_t part_length, const char *all, size_t length)
{
    size_t found = 0;

    for (size_t i = 0; i < length && found < part_length; i++) {
        found += all[i] == part[found] ? 1 : 0;
    }
    return found == part_length;
}

static void check_end(bool check)
{
    for (unsigned vm = 0; vm < FAKE_VMS; vm++) {
        require(!check || is_subsequence(said[vm].text, said[vm].length, fake_line_text(),
                                         fake_line_length()));
        require(is_subsequence((const char *)fake_vms[vm].input, fake_vms[vm].got, typed.text,
                               typed.length));
    }
}

/* Does one operation with up to SIZE bytes of data behind it; returns how many it took. */
static size_t operate(uint8_t what, const uint8_t *data, size_t size)
{
    size_t taken = size < TOGETHER ? size : TOGETHER;

    switch (what % 8) {
    case 0:
    case 1:
        for (size_t i = 0; i < taken; i++) {
            type(data[i]);
        }
        return taken;
    case 2:
    case 3:
    case 4:
        for (size_t i = 0; i < taken; i++) {
            say(what % 8 - 2, data[i]);
        }
        return taken;
    case 5:
        log_info("a line of the log");
        return 0;
    case 6:
        fake_line_takes = 1 + (what >> 3) % 16;
        fake_vms[(what >> 3) % FAKE_VMS].deaf ^= true;
        return 0;
    default:
        if (taken == 0 || what < 0x20) {
            fake_vms[(what >> 3) % FAKE_VMS].off ^= true;
            return 0;
        }
        for (unsigned i = 0; i < REPEATED; i++) { /* longer than lines and queues */
            say((what >> 3) % FAKE_VMS, data[i % taken]);
        }
        return taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    bool breaks = data[0] & 1; /* the line stops now and then: what is lost is not looked at */

    memset(said, 0, sizeof(said));
    memset(filters, 0, sizeof(filters));
    typed.length = 0;
    fake_console_reset();
    settle();
    fake_line_clear();
    checked = 0;
    /* Start where the prompt's line is known. */
    log_info("a line of the log");
    poll_checked(false);
    for (size_t at = 1; at < size;) {
        uint8_t what = data[at++];

        if (breaks && what >= 0xe0) {
            fake_line_stuck = !fake_line_stuck;
        } else {
            at += operate(what, data + at, size - at);
        }
        if (!fake_line_stuck && !(what & 0x40)) {
            poll_checked(!breaks);
        }
    }
    fake_line_stuck = false;
    poll_checked(!breaks);
    check_end(!breaks && !fake_line_was_stalled);
    return 0;
}
