/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the VMs say. A byte goes into its VM's buffer, under the VM's pc lock, and from there
 * to the line, in turns, without it. Everything else that changes is under the line's lock.
 */
#include "vmm/console/console_edge.h"
#include "vmm/console/line.h"
#include "vmm/console/parts.h"

#include "vmm/base/format.h"
#include "vmm/console/filter.h"
#include "vmm/console/sinks.h"
#include "vmm/console/view.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

#define TEXT_MAX    256U
#define HISTORY_MAX 4096U
#define QUIET_NS    1000000000ULL
#define PREFIX_MAX  (CONSOLE_NAME_MAX + 4)

#define OUTPUT_MAX   1024U /* a power of two: put and taken wrap */
#define OUTPUT_SPARE 64U   /* for vCPUs that see room at the same time */
#define OUTPUT_FIFO  16U   /* what a UART's driver sends once it may */
#define PIECE_MAX    64U   /* bytes of a VM's turn */

/* Plain colours, the cursor, and the last line that the terminal has. */
#define BELOW "\x1b[0m\x1b[?25h\x1b[999;1H\r\n"

/* What VMs leave of the line's ring to the log and the operator; and where they are in no haste. */
#define LINE_KEPT (LINE_WHOLE_NEED(LINE_WHOLE_MAX) + 1024U)
#define LINE_HALF (LINE_RING / 2)

_Static_assert(TEXT_MAX + PREFIX_MAX <= LINE_WHOLE_MAX, "a background line is one whole line");

struct terminal {
    /* What the UART has sent and the line not taken yet. These three are atomic. */
    uint32_t put;   /* bytes ever; by one CPU at a time, with the VM's pc lock held */
    uint32_t taken; /* of them, under the line's lock */
    bool waits;     /* the UART waits until there is room again */
    uint8_t output[OUTPUT_MAX];

    struct filter filter;
    bool returned; /* a carriage return came, and nothing behind it */
    bool begun;    /* a part of this line has been printed and is not in 'text' any more */
    bool touched;  /* something came since the last look for quiet VMs */
    bool escaped;  /* it sent an escape sequence while in the foreground */
    uint32_t used, printed;
    char text[TEXT_MAX]; /* the unfinished line; up to 'printed' the operator has seen it */
    struct ring ring;    /* the last that it said, in 'history' */
    char history[HISTORY_MAX];
};

static struct terminal terminals[CONSOLE_VMS_MAX];
/* These two are written once, before any VM runs. */
static unsigned count;
static char prefixes[2][CONSOLE_VMS_MAX][PREFIX_MAX]; /* of lines, and of what goes on with one */
static unsigned foreground = CONSOLE_VMM;
static bool viewing; /* of the VM in the foreground, its screen; changes under the line's lock */
static bool serial[CONSOLE_VMS_MAX]; /* of a VM with a screen, the operator wants the serial port */
static uint64_t quiet_at;
static unsigned turn; /* the VM that comes first */

void terminal_init(unsigned vm_count)
{
    memset(terminals, 0, sizeof(terminals));
    count = vm_count < CONSOLE_VMS_MAX ? vm_count : CONSOLE_VMS_MAX;
    foreground = CONSOLE_VMM;
    viewing = false;
    view_begin(CONSOLE_VMM);
    memset(serial, 0, sizeof(serial));
    quiet_at = turn = 0;
    for (unsigned vm = 0; vm < count; vm++) {
        terminals[vm].ring = (struct ring){terminals[vm].history, HISTORY_MAX, 0};
        for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
            (void)format(prefixes[i][vm], PREFIX_MAX, "[%.*s]%c", (int)CONSOLE_NAME_MAX,
                         console_edge_vm_name(vm), " +"[i]);
        }
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

bool terminal_views(void)
{
    return viewing;
}

/*
 * Print what of the line has not been seen; nothing in the foreground, where it was seen raw, nor
 * on top of a screen, which has the terminal for itself.
 * "[vm]+" goes on with the line that was begun before: who reads can put them together.
 */
static void print_rest(struct terminal *terminal, unsigned vm)
{
    bool goes_on = terminal->begun || terminal->printed > 0;

    if (vm != foreground && !viewing) {
        line_whole(prefixes[goes_on][vm], terminal->text + terminal->printed,
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
        ring_put(&terminal->ring, "\n", 1);
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
    ring_put(&terminal->ring, &c, 1);
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

static uint32_t waiting(const struct terminal *terminal)
{
    return __atomic_load_n(&terminal->put, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&terminal->taken, __ATOMIC_ACQUIRE);
}

bool vm_edge_has_room(unsigned vm)
{
    return vm >= count || waiting(&terminals[vm]) <= OUTPUT_MAX - OUTPUT_SPARE;
}

bool vm_edge_output(unsigned vm, uint8_t byte)
{
    if (vm >= count || line_in_emergency()) {
        return true;
    }
    struct terminal *terminal = &terminals[vm];
    uint32_t used = waiting(terminal);

    if (used < OUTPUT_MAX) {
        terminal->output[terminal->put % OUTPUT_MAX] = byte;
        __atomic_store_n(&terminal->put, terminal->put + 1, __ATOMIC_RELEASE);
        used++;
    }
    if (used <= OUTPUT_MAX - OUTPUT_SPARE - OUTPUT_FIFO) {
        return true;
    }
    __atomic_store_n(&terminal->waits, true, __ATOMIC_SEQ_CST);
    return false;
}

/* Up to a piece to the line, as long as it has room for NEED bytes. The line's lock is held. */
static uint32_t bring_piece(unsigned vm, size_t need)
{
    struct terminal *terminal = &terminals[vm];
    uint32_t brought = 0;

    while (brought < PIECE_MAX && waiting(terminal) > 0 && line_has_room(need)) {
        uint8_t byte = terminal->output[terminal->taken % OUTPUT_MAX];

        __atomic_store_n(&terminal->taken, terminal->taken + 1, __ATOMIC_RELEASE);
        brought++;
        take_byte(terminal, vm, byte);
        if (vm == foreground) {
            bool in_sequence = filter_in_sequence(&terminal->filter);

            terminal->printed = terminal->used;
            if (!viewing) {
                terminal->escaped |= in_sequence;
                line_raw((const char *)&byte, 1, in_sequence);
            }
        }
    }
    return brought;
}

/* The same without a lock; a UART that waits may go on when half of what it had sent is out. */
static uint32_t bring(unsigned vm, size_t need)
{
    struct terminal *terminal = &terminals[vm];
    uint64_t flags = line_enter(0);
    uint32_t brought = bring_piece(vm, need);

    line_leave(flags);
    if (__atomic_load_n(&terminal->waits, __ATOMIC_RELAXED) &&
        waiting(terminal) <= OUTPUT_MAX / 2 &&
        __atomic_exchange_n(&terminal->waits, false, __ATOMIC_SEQ_CST)) {
        console_edge_vm_ready(vm);
    }
    return brought;
}

void vm_edge_bring(unsigned vm)
{
    if (vm < count && !line_in_emergency()) {
        (void)bring(vm, LINE_HALF);
    }
}

void vm_edge_flush(unsigned vm)
{
    while (vm < count && !line_in_emergency() && waiting(&terminals[vm]) > 0) {
        uint64_t flags = line_enter(LINE_KEPT);

        (void)bring_piece(vm, LINE_WHOLE_NEED(LINE_WHOLE_MAX));
        line_leave(flags);
    }
    if (vm < count) {
        uint64_t flags = line_enter(LINE_WHOLE_NEED(LINE_WHOLE_MAX));

        end_line(&terminals[vm], vm, false);
        line_leave(flags);
    }
}

void terminal_poll(void)
{
    uint32_t brought = 1;

    for (unsigned round = 0; brought > 0 && round < OUTPUT_MAX / PIECE_MAX; round++) {
        brought = 0;
        for (unsigned i = 0; i < count; i++) {
            brought += bring((turn + i) % count, LINE_KEPT);
        }
    }
    turn++;
}

/* Returns the length. */
static size_t make_header(unsigned vm, char *text, size_t size)
{
    int length = vm == CONSOLE_VMM
                     ? format(text, size, "[VMM: 'help' lists the commands, Ctrl-A h the keys]")
                     : format(text, size, "[VM %u, %s: %.40s%s; Ctrl-A 0 leads back to the VMM]",
                              vm + 1, console_edge_vm_name(vm), console_edge_vm_state(vm),
                              !console_edge_vm_has_screen(vm) ? ""
                              : serial[vm]                    ? "; Ctrl-A s: its screen"
                                           : ", its screen; Ctrl-A s: its serial port");

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
    if (viewing) {
        line_raw(BELOW, strlen(BELOW), false);
    }
    foreground = vm;
    viewing = vm < count && console_edge_vm_has_screen(vm) && !serial[vm];
    line_whole("", header, length);
    if (vm != CONSOLE_VMM && !viewing) { /* where the guest's cursor stands, as behind "login: " */
        line_raw(terminals[vm].text, terminals[vm].used, false);
        terminals[vm].printed = terminals[vm].used;
    }
    line_leave(flags);
    view_begin(viewing ? vm : CONSOLE_VMM);
}

void terminal_switch(void)
{
    if (foreground < count && console_edge_vm_has_screen(foreground)) {
        serial[foreground] = !serial[foreground];
        terminal_select(foreground);
    } else {
        console_print("[there is no VM with a screen in the foreground]");
    }
}

void terminal_flush_quiet(uint64_t now_ns)
{
    if (now_ns < quiet_at) {
        return;
    }
    quiet_at = now_ns + QUIET_NS;
    for (unsigned vm = 0; vm < count; vm++) {
        struct terminal *terminal = &terminals[vm];
        uint64_t flags = line_enter(0);

        if (!terminal->touched && terminal->printed < terminal->used &&
            line_has_room(LINE_WHOLE_NEED(LINE_WHOLE_MAX))) {
            print_rest(terminal, vm);
        }
        terminal->touched = false;
        line_leave(flags);
    }
}

size_t terminal_read(unsigned vm, uint64_t *from, char *buffer, size_t size)
{
    uint64_t flags = line_enter(0);
    size_t copied = ring_read(&terminals[vm].ring, from, buffer, size);

    line_leave(flags);
    return copied;
}

uint64_t terminal_written(unsigned vm)
{
    uint64_t flags = line_enter(0);
    uint64_t written = terminals[vm].ring.written;

    line_leave(flags);
    return written;
}
