/* SPDX-License-Identifier: BSD-2-Clause */
/* What the operator types. All state here belongs to the CPU that polls. */
#include "vmm/base/log.h"
#include "vmm/console/console_edge.h"
#include "vmm/console/edit.h"
#include "vmm/console/keymap.h"
#include "vmm/console/line.h"
#include "vmm/console/parts.h"
#include "vmm/pc/ps2.h"

#include <string.h>

#define QUEUE_MAX  256U
#define STROKE     0x8000U    /* in the queue: a stroke, and not a byte for the UART */
#define ESCAPE_NS  100000000U /* so long a sequence may take from byte to byte */
#define STROKE_NS  10000000U  /* a person is slower, and a BIOS keeps 15 of them */
#define TAKE_MAX   64U
#define CTRL_A     0x01U
#define CTRL_C     0x03U
#define CTRL_CLOSE 0x1dU /* Ctrl-] */

/* What a VM's mouse is to do as soon as the VM's time goes on. */
struct motion {
    bool waits;
    int16_t delta[3];
    uint8_t buttons;
};

/* What was typed for a VM and it had no room for. */
struct queue {
    uint32_t first, count;
    uint64_t stroke_ns; /* the next stroke comes no earlier */
    uint64_t lost;
    bool told; /* that it overflowed, or that the VM does not run */
    struct motion motion;
    uint16_t item[QUEUE_MAX];
};

static struct queue queues[CONSOLE_VMS_MAX];
static struct edit edit;
static struct keymap keymap; /* what is typed to the screen of the VM in the foreground */
static uint64_t keymap_ns;   /* when its last byte came */
static uint8_t escape;       /* the escape key that was pressed, 0: none */
static const char *const key_help[] = {
    "Ctrl-A or Ctrl-], and then:",
    "  0 v     the VMM's prompt",
    "  1 .. 9  VM 1 .. 9 ('vm console NAME' for the others)",
    "  n p     the next, the previous",
    "  l       list the VMs",
    "  s       a VM's screen, or its serial port",
    "  d       Ctrl-Alt-Del, for a VM with a screen",
    "  h ?     this help",
    "  the same key again: that key itself, for the guest",
};

void keys_init(void)
{
    memset(queues, 0, sizeof(queues));
    memset(&edit, 0, sizeof(edit));
    memset(&keymap, 0, sizeof(keymap));
    escape = 0;
}

uint64_t keys_lost(unsigned vm)
{
    return queues[vm].lost;
}

/* True: ITEM of the queue is the VM's. */
static bool give(unsigned vm, uint16_t item, uint64_t now_ns)
{
    if ((item & STROKE) == 0) {
        return console_edge_vm_input(vm, (uint8_t)item);
    }
    if (now_ns < queues[vm].stroke_ns || !console_edge_vm_key(vm, item & ~STROKE)) {
        return false;
    }
    queues[vm].stroke_ns = now_ns + STROKE_NS;
    return true;
}

static void offer_motion(unsigned vm)
{
    struct motion *motion = &queues[vm].motion;

    /* STATE: its time stands still */
    motion->waits = motion->waits && console_edge_vm_runs(vm) &&
                    console_edge_vm_mouse(vm, motion->delta, motion->buttons) == STATUS_STATE;
}

static void offer(unsigned vm, uint64_t now_ns)
{
    struct queue *queue = &queues[vm];

    offer_motion(vm);
    if (queue->count > 0 && !console_edge_vm_runs(vm)) {
        queue->lost += queue->count;
        queue->count = 0;
    }
    while (queue->count > 0 && give(vm, queue->item[queue->first], now_ns)) {
        queue->first = (queue->first + 1) % QUEUE_MAX;
        queue->count--;
        queue->told = false;
    }
}

static void type_to_vm(unsigned vm, uint16_t item)
{
    struct queue *queue = &queues[vm];
    bool runs = console_edge_vm_runs(vm);

    if (runs && queue->count == QUEUE_MAX) {
        offer(vm, 0);
    }
    if (runs && queue->count < QUEUE_MAX) {
        queue->item[(queue->first + queue->count++) % QUEUE_MAX] = item;
        return;
    }
    queue->lost++;
    if (queue->told) {
        return;
    }
    queue->told = true;
    if (runs) {
        log_warn("console: VM %s does not read what is typed: from here on it is lost, until it "
                 "reads again",
                 console_edge_vm_name(vm));
    } else {
        console_print("[%s does not run (%s), nobody reads this; Ctrl-A 0, then 'vm start %s']",
                      console_edge_vm_name(vm), console_edge_vm_state(vm),
                      console_edge_vm_name(vm));
    }
}

bool keys_strike(unsigned vm, const uint16_t *strokes, unsigned count)
{
    if (!console_edge_vm_runs(vm) || QUEUE_MAX - queues[vm].count < count) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        type_to_vm(vm, strokes[i] | STROKE);
    }
    return true;
}

enum status keys_move(unsigned vm, const int16_t delta[3], uint8_t buttons)
{
    struct motion *motion = &queues[vm].motion;

    if (motion->waits) {
        return STATUS_STATE;
    }
    enum status status = console_edge_vm_mouse(vm, delta, buttons);

    if (status == STATUS_STATE && console_edge_vm_runs(vm)) {
        motion->waits = true;
        memcpy(motion->delta, delta, sizeof(motion->delta));
        motion->buttons = buttons;
        return STATUS_OK;
    }
    return status;
}

static void echo(const char *text)
{
    uint64_t flags = line_enter(EDIT_ECHO_MAX);

    line_echo(text, strlen(text));
    line_leave(flags);
}

static void end_prompt(const char *text)
{
    uint64_t flags = line_enter(LINE_WHOLE_NEED(EDIT_ECHO_MAX));

    line_echo(text, strlen(text));
    line_end_prompt();
    line_leave(flags);
}

static void redraw(void)
{
    uint64_t flags = line_enter(LINE_WHOLE_NEED(LINE_WHOLE_MAX));

    line_prompt(edit.text, edit.length);
    line_leave(flags);
}

void keys_show_prompt(void)
{
    if (terminal_foreground() != CONSOLE_VMM || dump_running()) {
        return;
    }
    uint64_t flags = line_enter(0);

    if (line_prompt_is_away()) {
        line_prompt(edit.text, edit.length);
    }
    line_leave(flags);
}

static void type_to_vmm(uint8_t byte)
{
    char text[EDIT_MAX + 1];

    if (byte == CTRL_C && dump_running()) {
        dump_stop();
        return;
    }
    switch (edit_feed(&edit, byte)) {
    case EDIT_NOTHING:
        break;
    case EDIT_ECHO:
        echo(edit.echo);
        break;
    case EDIT_REDRAW:
        if (!dump_running()) {
            redraw();
        }
        break;
    case EDIT_CANCEL:
        end_prompt("^C");
        keys_show_prompt();
        break;
    case EDIT_LINE:
        edit_take(&edit, text);
        end_prompt("");
        command_run(text);
        keys_show_prompt(); /* what is typed ahead is to be seen behind it */
        break;
    }
}

static void type_strokes(unsigned vm, const uint16_t *strokes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        type_to_vm(vm, strokes[i] | STROKE);
    }
}

static void type(uint8_t byte, uint64_t now_ns)
{
    unsigned vm = terminal_foreground();
    uint16_t strokes[KEYMAP_MAX];

    if (vm == CONSOLE_VMM) {
        type_to_vmm(byte);
    } else if (terminal_views()) {
        keymap_ns = now_ns;
        type_strokes(vm, strokes, keymap_feed(&keymap, byte, strokes));
    } else {
        type_to_vm(vm, byte);
    }
}

/* Round the circle of the prompt and the VMs, as 0 .. count. */
static void step(unsigned by)
{
    unsigned places = terminal_count() + 1;
    unsigned vm = terminal_foreground();
    unsigned next = ((vm == CONSOLE_VMM ? 0 : vm + 1) + by) % places;

    console_select(next == 0 ? CONSOLE_VMM : next - 1);
}

static void choose(unsigned number)
{
    if (number > terminal_count()) {
        console_print("[there is no VM %u; Ctrl-A l lists the %u VMs]", number, terminal_count());
    } else {
        console_select(number - 1);
    }
}

static void print_keys(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(key_help); i++) {
        console_print("%s", key_help[i]);
    }
}

/* The key behind the escape key. */
static void escaped_key(uint8_t byte)
{
    switch (byte) {
    case '0':
    case 'v':
        console_select(CONSOLE_VMM);
        break;
    case 'n':
        step(1);
        break;
    case 'p':
        step(terminal_count());
        break;
    case 'l':
        command_run("vm list");
        break;
    case 's':
        terminal_switch();
        break;
    case 'd':
        if (terminal_views()) {
            type_to_vm(terminal_foreground(), KEYMAP_CTRL_ALT_DEL | STROKE);
        }
        break;
    case 'h':
    case '?':
        print_keys();
        break;
    default:
        if (byte >= '1' && byte <= '9') {
            choose(byte - '0');
        } else {
            console_print("[that key does nothing behind Ctrl-A; Ctrl-A h lists those that do]");
        }
        break;
    }
}

static void key(uint8_t byte, uint64_t now_ns)
{
    bool is_escape = byte == CTRL_A || byte == CTRL_CLOSE;

    if (escape == 0 && is_escape) {
        escape = byte;
    } else if (escape == 0 || byte == escape) {
        escape = 0;
        type(byte, now_ns);
    } else if (is_escape) {
        escape = byte;
    } else {
        escape = 0;
        escaped_key(byte);
    }
}

void keys_poll(uint64_t now_ns)
{
    char typed[TAKE_MAX];
    size_t taken = line_read(typed, sizeof(typed));

    for (size_t i = 0; i < taken; i++) {
        key((uint8_t)typed[i], now_ns);
    }
    if (keymap.count > 0 && (now_ns >= keymap_ns + ESCAPE_NS || !terminal_views())) {
        uint16_t strokes[KEYMAP_MAX];
        unsigned count = keymap_flush(&keymap, strokes);

        if (terminal_views()) {
            type_strokes(terminal_foreground(), strokes, count);
        }
    }
    for (unsigned vm = 0; vm < terminal_count(); vm++) {
        offer(vm, now_ns);
    }
}
