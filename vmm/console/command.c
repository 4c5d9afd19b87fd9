/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the VMM's prompt: a table, and what each entry does. */
#include "vmm/base/format.h"
#include "vmm/console/command_table.h"
#include "vmm/console/console_edge.h"
#include "vmm/console/keymap.h"
#include "vmm/console/parts.h"
#include "vmm/console/view.h"

#include <string.h>

#define WORD_MAX        CONSOLE_WORD_MAX /* a longer word is none that anybody knows */
#define LOG_DEFAULT     40U
#define LOG_MAX         1000U
#define CHECKPOINTS_MAX 9999U
#define STROKES_MAX     224U /* in one command */
#define MOVE_MAX        999U
#define BUTTONS_MAX     7U

struct words {
    uint32_t count; /* may be more than COMMAND_WORDS_MAX: too many */
    char word[COMMAND_WORDS_MAX][WORD_MAX];
};

/* How many characters TEXT begins with that are blanks, or are none. */
static size_t run(const char *text, bool blanks)
{
    size_t length = 0;

    while (text[length] && (text[length] == ' ' || text[length] == '\t') == blanks) {
        length++;
    }
    return length;
}

static void split(const char *text, struct words *words)
{
    memset(words, 0, sizeof(*words));
    while (*text) {
        size_t blanks = run(text, true), length = run(text + blanks, false);

        if (length > 0) {
            if (words->count < COMMAND_WORDS_MAX) {
                char *word = words->word[words->count];

                /* One that is cut keeps WORD_MAX - 1 characters: longer than any name. */
                memcpy(word, text + blanks, length < WORD_MAX ? length : WORD_MAX - 1);
            }
            words->count++;
        }
        text += blanks + length;
    }
}

static unsigned words_of(const struct command *command)
{
    return command->second ? 2 : 1;
}

static bool matches(const struct command *command, const struct words *words, uint32_t from)
{
    return words->count > from && strcmp(words->word[from], command->word) == 0 &&
           (!command->second ||
            (words->count > from + 1 && strcmp(words->word[from + 1], command->second) == 0));
}

/* The entry that the words from FROM on name, NULL: none. */
static const struct command *find(const struct words *words, uint32_t from)
{
    for (unsigned i = 0; i < command_count; i++) {
        if (matches(&commands[i], words, from)) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_usage(const struct command *command)
{
    console_print("usage: %s%s%s %s - %s", command->word, command->second ? " " : "",
                  command->second ? command->second : "", command->argument, command->help);
}

/* Print the entries whose first word is WORD (NULL: all); returns how many there are. */
static unsigned print_entries(const char *word)
{
    unsigned printed = 0;

    for (unsigned i = 0; i < command_count; i++) {
        const struct command *command = &commands[i];

        if (!word || strcmp(word, command->word) == 0) {
            console_print("  %-5s %-10s %-12s %s", command->word,
                          command->second ? command->second : "", command->argument, command->help);
            printed++;
        }
    }
    return printed;
}

static void say_unknown(const struct words *words, uint32_t from)
{
    const char *word = words->word[from];

    if (strcmp(word, "vm") == 0 || strcmp(word, "vf") == 0) {
        console_print("'%s' needs one of these behind it:", word);
        (void)print_entries(word);
    } else {
        console_print("unknown command '%s'; these are known:", word);
        (void)print_entries(NULL);
    }
}

static bool parse_number(const char *text, unsigned max, unsigned *number)
{
    unsigned value = 0;

    if (*text == '\0' || strlen(text) > 4) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(*text - '0');
    }
    *number = value;
    return value >= 1 && value <= max;
}

/* A VM by its name, or by the number that 'vm list' shows. */
static bool find_vm(const char *text, unsigned *vm)
{
    for (unsigned i = 0; i < terminal_count(); i++) {
        if (strcmp(console_edge_vm_name(i), text) == 0) {
            *vm = i;
            return true;
        }
    }
    if (parse_number(text, terminal_count(), vm)) {
        (*vm)--;
        return true;
    }
    if (terminal_count() == 0) {
        console_print("there is no VM '%s': the configuration has none", text);
    } else {
        console_print("there is no VM '%s'; 'vm list' shows the %u that there are", text,
                      terminal_count());
    }
    return false;
}

static void list_vms(void)
{
    if (terminal_count() == 0) {
        console_print("there are no VMs: the configuration has none");
    }
    for (unsigned vm = 0; vm < terminal_count(); vm++) {
        char lost[48] = "";

        if (keys_lost(vm) > 0) {
            (void)format(lost, sizeof(lost), ", %lu typed bytes not read", keys_lost(vm));
        }
        console_print("%c%2u  %-15s %s%s", vm == terminal_foreground() ? '*' : ' ', vm + 1,
                      console_edge_vm_name(vm), console_edge_vm_state(vm), lost);
    }
}

static void help(const struct words *words)
{
    const struct command *command = find(words, 1);

    if (words->count == 1) {
        (void)print_entries(NULL);
        console_print("NAME is a VM's name or its number. Ctrl-A h lists the keys.");
    } else if (command) {
        print_usage(command);
    } else if (print_entries(words->word[1]) == 0) {
        say_unknown(words, 1);
    }
}

static void show_log(const struct command *command, const char *lines)
{
    unsigned number = LOG_DEFAULT;

    if (*lines && !parse_number(lines, LOG_MAX, &number)) {
        console_print("'%s' is not a number of lines from 1 to %u", lines, LOG_MAX);
        print_usage(command);
        return;
    }
    dump_start(CONSOLE_VMM, number);
}

static void stats(const char *name)
{
    unsigned vm;

    if (*name) {
        if (find_vm(name, &vm)) {
            console_edge_vm_stats(vm);
        }
        return;
    }
    for (vm = 0; vm < terminal_count(); vm++) {
        console_edge_vm_stats(vm);
    }
    if (terminal_count() == 0) {
        list_vms();
    }
    console_edge_stats();
}

/* Nothing to say of OK. */
static void say_refusal(const struct command *command, unsigned vm, enum status status)
{
    if (status == STATUS_STATE) {
        console_print("vm %s %s: not now, the VM is '%s'", command->second,
                      console_edge_vm_name(vm), console_edge_vm_state(vm));
    } else if (status != STATUS_OK) {
        console_print("vm %s %s: %s; 'log' may say more", command->second, console_edge_vm_name(vm),
                      status_name(status));
    }
}

static void do_action(const struct command *command, unsigned vm)
{
    enum status status = console_edge_vm_do(vm, command->action);

    if (status == STATUS_OK) {
        console_print("vm %s %s: %s", command->second, console_edge_vm_name(vm),
                      command->action == CONSOLE_START || command->action == CONSOLE_INCOMING
                          ? "begun"
                          : "done");
    } else {
        say_refusal(command, vm, status);
    }
}

static void do_checkpoint(const struct command *command, unsigned vm, const char *times)
{
    unsigned count = 1;

    if (*times && !parse_number(times, CHECKPOINTS_MAX, &count)) {
        console_print("'%s' is not a number of checkpoints from 1 to %u", times, CHECKPOINTS_MAX);
        return;
    }
    enum status status = console_edge_vm_checkpoint(vm, count);

    if (status == STATUS_OK) {
        console_print("vm checkpoint %s: begun", console_edge_vm_name(vm));
    } else {
        say_refusal(command, vm, status);
    }
}

static void strike(const struct words *words, unsigned vm)
{
    uint16_t strokes[STROKES_MAX];
    unsigned count = 0;

    for (uint32_t i = 3; i < words->count; i++) {
        const char *word = words->word[i];
        unsigned more = strlen(word) < WORD_MAX - 1
                            ? keymap_word(word, strokes + count, STROKES_MAX - count)
                            : 0; /* perhaps it was cut */

        if (more == 0) {
            console_print("'%s' is no key, or too long: a character; ' and characters; or, with "
                          "ctrl-, alt- and shift- before it, enter, esc, tab, space, backspace, "
                          "up, down, left, right, home, end, pgup, pgdn, ins, del, f1 .. f12",
                          word);
            return;
        }
        count += more;
    }
    if (!keys_strike(vm, strokes, count)) {
        console_print("vm key %s: not now, the VM is '%s', or has not taken the keys before",
                      console_edge_vm_name(vm), console_edge_vm_state(vm));
    }
}

static bool parse_move(const char *text, int16_t *move)
{
    bool back = *text == '-';
    unsigned value = 0;

    if (strcmp(text, "0") != 0 && !parse_number(text + back, MOVE_MAX, &value)) {
        console_print("'%s' is no number from -%u to %u", text, MOVE_MAX, MOVE_MAX);
        return false;
    }
    *move = (int16_t)(back ? -(int)value : (int)value);
    return true;
}

static void move_mouse(const struct command *command, const struct words *words, unsigned vm)
{
    const char *held = words->count < 6 ? "0" : words->word[5];
    unsigned buttons = (unsigned)(held[0] - '0');
    int16_t delta[3] = {0};

    if (buttons > BUTTONS_MAX || held[1]) {
        console_print("'%s' are no buttons: 1, 2, 4 or a sum of them", held);
    } else if (parse_move(words->word[3], &delta[0]) && parse_move(words->word[4], &delta[1])) {
        say_refusal(command, vm, keys_move(vm, delta, (uint8_t)buttons));
    }
}

static void do_input(const struct command *command, const struct words *words)
{
    unsigned vm;

    if (!find_vm(words->word[2], &vm)) {
        return;
    }
    if (command->kind == COMMAND_VM_KEY) {
        strike(words, vm);
    } else {
        move_mouse(command, words, vm);
    }
}

/* What becomes of it is said by the edge, but for refusals. */
static void do_migrate(const struct command *command, const struct words *words)
{
    const char *to = words->word[3], *more = words->count > 4 ? words->word[4] : "";
    bool resolve = strcmp(to, "resolve") == 0;
    bool here = strcmp(more, "here") == 0;
    unsigned vm;

    if (resolve ? !here && strcmp(more, "there") != 0 : more[0] != '\0') {
        print_usage(command);
    } else if (strlen(to) == WORD_MAX - 1) {
        console_print("'%s...' is too long for a host's name here: give its address", to);
    } else if (find_vm(words->word[2], &vm)) {
        say_refusal(command, vm,
                    resolve ? console_edge_vm_resolve(vm, here) : console_edge_vm_migrate(vm, to));
    }
}

static void do_vm(const struct command *command, const char *name, const char *more)
{
    enum status status = STATUS_OK;
    unsigned vm;

    if (!find_vm(name, &vm)) {
        return;
    }
    if (command->kind == COMMAND_VM_CONSOLE) {
        console_select(vm);
    } else if (command->kind == COMMAND_VM_LOG) {
        dump_start(vm, LOG_MAX);
    } else if (command->kind == COMMAND_VM_SCREEN) {
        status = view_print(vm) ? STATUS_OK : STATUS_NOT_FOUND;
    } else if (command->kind == COMMAND_VM_DIRTY) {
        console_edge_vm_dirty(vm);
    } else if (command->kind == COMMAND_VM_CHECKPOINT) {
        do_checkpoint(command, vm, more);
    } else if (command->kind == COMMAND_VM_STATE) {
        status = console_edge_vm_print(vm, more);
    } else if (command->kind == COMMAND_VM_TRACE) {
        status = console_edge_vm_trace(vm, more);
    } else {
        do_action(command, vm);
    }
    say_refusal(command, vm, status);
}

void command_run(const char *text)
{
    struct words words;

    split(text, &words);
    if (words.count == 0) {
        return;
    }
    const struct command *command = find(&words, 0);

    if (!command) {
        say_unknown(&words, 0);
        return;
    }
    uint32_t first = words_of(command), given = words.count - first;
    const char *argument = words.word[first], *more = words.word[first + 1]; /* "": not given */

    if (given < command->least || given > command->most ||
        (command->action == CONSOLE_VF_MOVE && given % 2 != 0)) {
        print_usage(command);
        return;
    }
    switch (command->kind) {
    case COMMAND_HELP:
        help(&words);
        break;
    case COMMAND_LOG:
        show_log(command, argument);
        break;
    case COMMAND_STATS:
        stats(argument);
        break;
    case COMMAND_VM_LIST:
        list_vms();
        break;
    case COMMAND_VF_LIST:
        console_edge_vf_list();
        break;
    case COMMAND_VF_DO:
        console_edge_vf_do(command->action, words.word + first, given);
        break;
    case COMMAND_VM_KEY:
    case COMMAND_VM_MOUSE:
        do_input(command, &words);
        break;
    case COMMAND_VM_MIGRATE:
        do_migrate(command, &words);
        break;
    case COMMAND_VM_CONSOLE:
    case COMMAND_VM_LOG:
    case COMMAND_VM_SCREEN:
    case COMMAND_VM_DIRTY:
    case COMMAND_VM_DO:
    case COMMAND_VM_CHECKPOINT:
    case COMMAND_VM_STATE:
    case COMMAND_VM_TRACE:
        do_vm(command, argument, more);
        break;
    }
}
