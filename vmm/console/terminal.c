/* SPDX-License-Identifier: BSD-2-Clause */
/* What the VMs say. Everything that changes is under the line's lock. */
#include "vmm/console/console_edge.h"
#include "vmm/console/line.h"
#include "vmm/console/parts.h"

#include "vmm/base/format.h"
#include "vmm/console/filter.h"

#include <string.h>

#define TEXT_MAX    256U
#define HISTORY_MAX 4096U
#define QUIET_NS    1000000000ULL
#define PREFIX_MAX  (CONSOLE_NAME_MAX + 4)

_Static_assert(TEXT_MAX + PREFIX_MAX <= LINE_WHOLE_MAX, "a background line is one whole line");

struct terminal {
    struct filter filter;
    bool returned; /* a carriage return came, and nothing behind it */
    bool begun;    /* a part of this line has been printed and is not in 'text' any more */
    bool touched;  /* something came since the last look for quiet VMs */
    bool escaped;  /* it sent an escape sequence while in the foreground */
    uint32_t used, printed;
    char text[TEXT_MAX]; /* the unfinished line; up to 'printed' the operator has seen it */
    uint64_t written;    /* to the history, bytes ever */
    char history[HISTORY_MAX];
};

static struct terminal terminals[CONSOLE_VMS_MAX];
/* These two are written once, before any VM runs. */
static unsigned count;
static char prefixes[CONSOLE_VMS_MAX][PREFIX_MAX];
static unsigned foreground = CONSOLE_VMM;
static uint64_t quiet_at;

void terminal_init(unsigned vm_count)
{
    memset(terminals, 0, sizeof(terminals));
    count = vm_count < CONSOLE_VMS_MAX ? vm_count : CONSOLE_VMS_MAX;
    foreground = CONSOLE_VMM;
    quiet_at = 0;
    for (unsigned vm = 0; vm < count; vm++) {
        (void)format(prefixes[vm], PREFIX_MAX, "[%.*s] ", (int)CONSOLE_NAME_MAX,
                     console_edge_vm_name(vm));
    }
}

unsigned terminal_count(void)
{
    return count;
}

unsigned terminal_foreground(void)
{
    return foreground; /* written by the CPU that reads it here */
}

static void remember(struct terminal *terminal, char c)
{
    terminal->history[terminal->written++ % HISTORY_MAX] = c;
}

/* Print what of the line has not been seen; nothing in the foreground, where it was seen raw. */
static void print_rest(struct terminal *terminal, unsigned vm)
{
    if (vm != foreground) {
        line_whole(prefixes[vm], terminal->text + terminal->printed,
                   terminal->used - terminal->printed);
    }
    terminal->printed = terminal->used;
}

/* BLANK: an empty line is one too. */
static void end_line(struct terminal *terminal, unsigned vm, bool blank)
{
    bool empty = terminal->used == 0 && !terminal->begun;

    terminal->returned = false;
    if (!empty || blank) {
        remember(terminal, '\n');
    }
    if (terminal->used > terminal->printed || (empty && blank)) {
        print_rest(terminal, vm);
    }
    terminal->used = terminal->printed = 0;
    terminal->begun = false;
}

static void append(struct terminal *terminal, unsigned vm, char c)
{
    if (terminal->returned) {
        end_line(terminal, vm, false); /* the next line overwrites this one: print both */
    }
    if (terminal->used == TEXT_MAX) {
        if (terminal->printed < terminal->used) {
            print_rest(terminal, vm);
        }
        terminal->used = terminal->printed = 0;
        terminal->begun = true;
    }
    terminal->text[terminal->used++] = c;
    remember(terminal, c);
}

static void take_byte(struct terminal *terminal, unsigned vm, uint8_t byte)
{
    char text;

    terminal->touched = true;
    switch (filter_feed(&terminal->filter, byte, &text)) {
    case FILTER_NOTHING:
        break;
    case FILTER_TEXT:
        append(terminal, vm, text);
        break;
    case FILTER_NEWLINE:
        end_line(terminal, vm, true);
        break;
    case FILTER_RETURN:
        terminal->returned = true;
        break;
    }
}

void console_vm_output(unsigned vm, uint8_t byte)
{
    if (vm >= count || line_in_emergency()) {
        return;
    }
    struct terminal *terminal = &terminals[vm];
    uint64_t flags = line_enter(LINE_WHOLE_NEED(LINE_WHOLE_MAX));

    take_byte(terminal, vm, byte);
    if (vm == foreground) {
        bool in_sequence = filter_in_sequence(&terminal->filter);

        terminal->escaped |= in_sequence;
        terminal->printed = terminal->used;
        line_raw((const char *)&byte, 1, in_sequence);
    }
    line_leave(flags);
}

/* Returns the length. */
static size_t make_header(unsigned vm, char *text, size_t size)
{
    int length = vm == CONSOLE_VMM
                     ? format(text, size, "[VMM: 'help' lists the commands, Ctrl-A h the keys]")
                     : format(text, size, "[VM %u, %s: %.40s; Ctrl-A 0 leads back to the VMM]",
                              vm + 1, console_edge_vm_name(vm), console_edge_vm_state(vm));

    return length > 0 ? strnlen(text, size) : 0;
}

void terminal_select(unsigned vm)
{
    if (vm >= count && vm != CONSOLE_VMM) {
        return;
    }
    char header[128];
    size_t length = make_header(vm, header, sizeof(header));
    uint64_t flags = line_enter((size_t)LINE_WHOLE_NEED(LINE_WHOLE_MAX) + TEXT_MAX);

    if (foreground < count && terminals[foreground].escaped) {
        line_reset_attributes();
        terminals[foreground].escaped = false;
    }
    foreground = vm;
    line_whole("", header, length);
    if (vm != CONSOLE_VMM) { /* where the guest's cursor stands, as behind "login: " */
        line_raw(terminals[vm].text, terminals[vm].used, false);
        terminals[vm].printed = terminals[vm].used;
    }
    line_leave(flags);
}

void terminal_flush_quiet(uint64_t now_ns)
{
    if (now_ns < quiet_at) {
        return;
    }
    quiet_at = now_ns + QUIET_NS;
    for (unsigned vm = 0; vm < count; vm++) {
        struct terminal *terminal = &terminals[vm];
        uint64_t flags = line_enter(LINE_WHOLE_NEED(LINE_WHOLE_MAX));

        if (!terminal->touched && terminal->printed < terminal->used) {
            print_rest(terminal, vm);
        }
        terminal->touched = false;
        line_leave(flags);
    }
}

size_t terminal_read(unsigned vm, uint64_t *from, char *buffer, size_t size)
{
    const struct terminal *terminal = &terminals[vm];
    uint64_t flags = line_enter(0);
    size_t copied = 0;

    if (terminal->written - *from > HISTORY_MAX) {
        *from = terminal->written - HISTORY_MAX;
    }
    while (copied < size && *from < terminal->written) {
        buffer[copied++] = terminal->history[(*from)++ % HISTORY_MAX];
    }
    line_leave(flags);
    return copied;
}

uint64_t terminal_written(unsigned vm)
{
    uint64_t flags = line_enter(0);
    uint64_t written = terminals[vm].written;

    line_leave(flags);
    return written;
}
