/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/i8042.h"

#define STATUS_OUTPUT_FULL 0x01U
#define STATUS_SYSTEM      0x04U
#define STATUS_COMMAND     0x08U
#define STATUS_UNLOCKED    0x10U
#define STATUS_AUX         0x20U
#define STATUS_TIMEOUT     0x40U

#define MODE_INTERRUPT     0x01U
#define MODE_AUX_INTERRUPT 0x02U
#define MODE_SYSTEM        0x04U
#define MODE_KEYBOARD_OFF  0x10U
#define MODE_AUX_OFF       0x20U
#define MODE_TRANSLATE     0x40U

#define PORT_NOT_RESET 0x01U
#define PORT_A20       0x02U
#define PORT_IDLE      0xccU /* keyboard clock and data high, unused bits high */

#define COMMAND_READ_RAM       0x20U
#define COMMAND_WRITE_RAM      0x60U
#define COMMAND_AUX_OFF        0xa7U
#define COMMAND_AUX_ON         0xa8U
#define COMMAND_AUX_TEST       0xa9U
#define COMMAND_SELF_TEST      0xaaU
#define COMMAND_KEYBOARD_TEST  0xabU
#define COMMAND_KEYBOARD_OFF   0xadU
#define COMMAND_KEYBOARD_ON    0xaeU
#define COMMAND_READ_INPUTS    0xc0U
#define COMMAND_READ_OUTPUTS   0xd0U
#define COMMAND_WRITE_OUTPUTS  0xd1U
#define COMMAND_WRITE_KEYBOARD 0xd2U
#define COMMAND_WRITE_AUX      0xd3U
#define COMMAND_TO_AUX         0xd4U
#define COMMAND_A20_OFF        0xddU
#define COMMAND_A20_ON         0xdfU
#define COMMAND_TEST_INPUTS    0xe0U
#define COMMAND_PULSE          0xf0U

#define SELF_TEST_PASSED 0x55U
#define AUX_CLOCK_LOW    0x01U /* the auxiliary port's clock line is stuck: nothing there */
#define INPUT_PORT       0x80U /* keyboard not locked */
#define RESEND           0xfeU
#define BREAK            0xf0U /* of scan codes set 2 */

/* Rows of fields that lie elsewhere than in version 1, and of those that came with version 2. */
#define KEPT(old, member, limit)                                       \
    {                                                                  \
        .name = #old, .width = 1, .since = 1, .count = 1,              \
        .offset = offsetof(struct i8042_state, member), .max = (limit) \
    }
#define NEW(member, limit)       FIELD_SINCE(struct i8042_state, member, limit, 2)
#define NEW_ARRAY(member, limit) FIELD_ARRAY_SINCE(struct i8042_state, member, limit, 2)

static const struct field i8042_fields[] = {
    FIELD_ARRAY(struct i8042_state, queue, 0xff),
    FIELD(struct i8042_state, first, I8042_QUEUE - 1),
    FIELD(struct i8042_state, count, I8042_QUEUE),
    FIELD(struct i8042_state, last_data, 0xff),
    FIELD(struct i8042_state, pending, 0xff),
    KEPT(keyboard_pending, keyboard.pending, 0xff),
    KEPT(scan_code_set, keyboard.set, 3),
    FIELD(struct i8042_state, output_port, 0xff),
    FIELD(struct i8042_state, last_was_command, 1),
    FIELD(struct i8042_state, timeout, 1),
    FIELD(struct i8042_state, refilled, 1),
    FIELD_ARRAY(struct i8042_state, ram, 0xff),
    NEW(from_aux, 0xff),
    NEW(source, I8042_FROM_MOUSE),
    NEW(breaks, 1),
    NEW(keyboard.quiet, 1),
    NEW_ARRAY(keyboard.out.byte, 0xff),
    NEW(keyboard.out.first, PS2_QUEUE - 1),
    NEW(keyboard.out.count, PS2_QUEUE),
    NEW_ARRAY(mouse.out.byte, 0xff),
    NEW(mouse.out.first, PS2_QUEUE - 1),
    NEW(mouse.out.count, PS2_QUEUE),
    NEW(mouse.pending, 0xff),
    NEW(mouse.mode, PS2_WRAP),
    NEW(mouse.unwrapped, PS2_REMOTE),
    NEW(mouse.reporting, 1),
    NEW(mouse.twice, 1),
    NEW(mouse.resolution, 3),
    NEW(mouse.rate, 0xff),
    NEW(mouse.knocks, 2),
    NEW(mouse.wheel, 1),
    NEW(mouse.moved, 1),
    NEW(mouse.buttons, 7),
    NEW_ARRAY(mouse.delta, 0xffff),
};

/* What is in the output buffer comes from a queue that has something. */
static bool check_state(const void *state)
{
    const struct i8042_state *s = state;
    const uint8_t count[] = {1, s->count, s->keyboard.out.count, s->mouse.out.count};

    return count[s->source] != 0;
}

const struct section i8042_section =
    SECTION(struct i8042_state, "i8042", 2, i8042_fields, check_state);

static void put_from(struct i8042 *kbc, uint8_t byte, bool aux)
{
    if (kbc->state.count < I8042_QUEUE) {
        unsigned at = (kbc->state.first + kbc->state.count) % I8042_QUEUE;

        kbc->state.queue[at] = byte;
        kbc->state.from_aux = (uint8_t)((kbc->state.from_aux & ~(1U << at)) | (unsigned)aux << at);
        kbc->state.count++;
    }
}

static void put(struct i8042 *kbc, uint8_t byte)
{
    put_from(kbc, byte, false);
}

/* If the output buffer is empty, let a byte into it: the controller's own go first. A device whose
 * clock is held low keeps its own. */
void i8042_derive(struct i8042 *kbc)
{
    struct i8042_state *s = &kbc->state;

    while (s->source == I8042_EMPTY) {
        if (s->count != 0) {
            s->source = I8042_FROM_SELF;
        } else if (s->keyboard.out.count != 0 && (s->ram[0] & MODE_KEYBOARD_OFF) == 0) {
            s->source = I8042_FROM_KEYBOARD;
            if ((s->ram[0] & MODE_TRANSLATE) != 0 && ps2_peek(&s->keyboard.out) == BREAK) {
                (void)ps2_take(&s->keyboard.out); /* becomes bit 7 of the code behind it */
                s->breaks = true;
                s->source = I8042_EMPTY;
            }
        } else if (s->mouse.out.count != 0 && (s->ram[0] & MODE_AUX_OFF) == 0) {
            s->source = I8042_FROM_MOUSE;
        } else {
            return;
        }
    }
}

static bool is_aux(const struct i8042 *kbc)
{
    return kbc->state.source == I8042_FROM_MOUSE ||
           (kbc->state.source == I8042_FROM_SELF &&
            (kbc->state.from_aux >> kbc->state.first & 1U) != 0);
}

/* Take the byte out of the output buffer. */
static void take(struct i8042 *kbc)
{
    struct i8042_state *s = &kbc->state;

    switch (s->source) {
    case I8042_FROM_SELF:
        s->last_data = s->queue[s->first];
        s->first = (uint8_t)((s->first + 1) % I8042_QUEUE);
        s->count--;
        break;
    case I8042_FROM_KEYBOARD:
        s->last_data = ps2_take(&s->keyboard.out);
        if ((s->ram[0] & MODE_TRANSLATE) != 0) {
            s->last_data = (uint8_t)(ps2_translate(s->last_data) | (s->breaks ? 0x80U : 0));
        }
        s->breaks = false;
        break;
    case I8042_FROM_MOUSE:
        s->last_data = ps2_take(&s->mouse.out);
        ps2_mouse_report(&s->mouse);
        break;
    default:
        return;
    }
    s->source = I8042_EMPTY;
    s->timeout = false;
    i8042_derive(kbc);
    s->refilled = s->source != I8042_EMPTY;
}

/* What a reset and the self test set up; the devices know nothing of the latter. */
static void reset_controller(struct i8042 *kbc)
{
    kbc->state = (struct i8042_state){
        .output_port = PORT_IDLE | PORT_NOT_RESET | PORT_A20,
        .ram = {MODE_INTERRUPT | MODE_SYSTEM | MODE_TRANSLATE | MODE_AUX_OFF},
        .keyboard = kbc->state.keyboard,
        .mouse = kbc->state.mouse,
    };
}

void i8042_reset(struct i8042 *kbc, bool keyboard, bool mouse)
{
    kbc->has_keyboard = keyboard;
    kbc->has_mouse = mouse;
    ps2_keyboard_reset(&kbc->state.keyboard);
    ps2_mouse_reset(&kbc->state.mouse);
    reset_controller(kbc);
}

bool i8042_irq(const struct i8042 *kbc, bool aux)
{
    return kbc->state.source != I8042_EMPTY && is_aux(kbc) == aux &&
           (kbc->state.ram[0] & (aux ? MODE_AUX_INTERRUPT : MODE_INTERRUPT)) != 0;
}

bool i8042_stroke(struct i8042 *kbc, uint16_t stroke)
{
    bool taken = !kbc->has_keyboard || ps2_keyboard_stroke(&kbc->state.keyboard, stroke);

    i8042_derive(kbc);
    return taken;
}

void i8042_move(struct i8042 *kbc, const int16_t delta[3], uint8_t buttons)
{
    if (kbc->has_mouse) {
        ps2_mouse_move(&kbc->state.mouse, delta, buttons);
        i8042_derive(kbc);
    }
}

bool i8042_take_refill(struct i8042 *kbc)
{
    bool refilled = kbc->state.refilled;

    kbc->state.refilled = false;
    return refilled;
}

void i8042_set_a20(struct i8042 *kbc, bool on)
{
    kbc->state.output_port =
        (uint8_t)(on ? kbc->state.output_port | PORT_A20 : kbc->state.output_port & ~PORT_A20);
}

bool i8042_a20(const struct i8042 *kbc)
{
    return (kbc->state.output_port & PORT_A20) != 0;
}

/* To a device that is there: it is told; to another the byte does not get away. */
static void send(struct i8042 *kbc, bool aux, uint8_t value)
{
    if (!(aux ? kbc->has_mouse : kbc->has_keyboard)) {
        kbc->state.timeout = true;
        put_from(kbc, RESEND, aux && kbc->has_mouse);
    } else if (aux) {
        ps2_mouse_write(&kbc->state.mouse, value);
    } else {
        ps2_keyboard_write(&kbc->state.keyboard, value);
    }
}

static enum i8042_request write_outputs(struct i8042 *kbc, uint8_t value)
{
    kbc->state.output_port = value;
    return (value & PORT_NOT_RESET) == 0 ? I8042_RESET : I8042_NOTHING;
}

static enum i8042_request write_data(struct i8042 *kbc, uint8_t value)
{
    uint8_t command = kbc->state.pending;

    kbc->state.pending = 0;
    kbc->state.timeout = false;
    if (command >= COMMAND_WRITE_RAM && command < COMMAND_WRITE_RAM + I8042_RAM) {
        kbc->state.ram[command - COMMAND_WRITE_RAM] = value;
        return I8042_NOTHING;
    }
    switch (command) {
    case COMMAND_WRITE_OUTPUTS:
        return write_outputs(kbc, value);
    case COMMAND_WRITE_KEYBOARD:
    case COMMAND_WRITE_AUX: /* without an auxiliary port it comes back as the keyboard's */
        put_from(kbc, value, command == COMMAND_WRITE_AUX && kbc->has_mouse);
        break;
    case COMMAND_TO_AUX:
        send(kbc, true, value);
        break;
    default:
        kbc->state.ram[0] &= (uint8_t)~MODE_KEYBOARD_OFF; /* sending releases its clock */
        send(kbc, false, value);
        break;
    }
    return I8042_NOTHING;
}

static void set_mode(struct i8042 *kbc, uint8_t bit, bool on)
{
    kbc->state.ram[0] = (uint8_t)(on ? kbc->state.ram[0] | bit : kbc->state.ram[0] & ~bit);
}

static void self_test(struct i8042 *kbc)
{
    reset_controller(kbc);
    kbc->state.last_was_command = true;
    kbc->state.ram[0] |= MODE_KEYBOARD_OFF;
    put(kbc, SELF_TEST_PASSED);
}

/* The output port's bits that show what waits in the output buffer: the interrupts' lines. */
static uint8_t full(const struct i8042 *kbc)
{
    return kbc->state.source == I8042_EMPTY ? 0 : is_aux(kbc) ? 0x20 : 0x10;
}

static void simple_command(struct i8042 *kbc, uint8_t value)
{
    switch (value) {
    case COMMAND_AUX_OFF:
    case COMMAND_AUX_ON:
        set_mode(kbc, MODE_AUX_OFF, value == COMMAND_AUX_OFF);
        break;
    case COMMAND_AUX_TEST:
        put(kbc, kbc->has_mouse ? 0 : AUX_CLOCK_LOW);
        break;
    case COMMAND_SELF_TEST:
        self_test(kbc);
        break;
    case COMMAND_KEYBOARD_TEST:
        put(kbc, 0);
        break;
    case COMMAND_KEYBOARD_OFF:
    case COMMAND_KEYBOARD_ON:
        set_mode(kbc, MODE_KEYBOARD_OFF, value == COMMAND_KEYBOARD_OFF);
        break;
    case COMMAND_READ_INPUTS:
        put(kbc, INPUT_PORT);
        break;
    case COMMAND_READ_OUTPUTS:
        put(kbc, (uint8_t)(kbc->state.output_port | full(kbc)));
        break;
    case COMMAND_A20_OFF:
    case COMMAND_A20_ON:
        i8042_set_a20(kbc, value == COMMAND_A20_ON);
        break;
    case COMMAND_TEST_INPUTS:
        put(kbc, 0);
        break;
    default: /* unknown: real controllers ignore it too */
        break;
    }
}

static enum i8042_request write_command(struct i8042 *kbc, uint8_t value)
{
    kbc->state.pending = 0;
    kbc->state.timeout = false;
    if (value >= COMMAND_PULSE) { /* a zero bit pulses its output low; bit 0 is the CPU's reset */
        return (value & PORT_NOT_RESET) == 0 ? I8042_RESET : I8042_NOTHING;
    }
    if (value >= COMMAND_READ_RAM && value < COMMAND_READ_RAM + I8042_RAM) {
        put(kbc, kbc->state.ram[value - COMMAND_READ_RAM]);
    } else if ((value >= COMMAND_WRITE_RAM && value < COMMAND_WRITE_RAM + I8042_RAM) ||
               (value >= COMMAND_WRITE_OUTPUTS && value <= COMMAND_TO_AUX)) {
        kbc->state.pending = value;
    } else {
        simple_command(kbc, value);
    }
    return I8042_NOTHING;
}

uint8_t i8042_read(struct i8042 *kbc, uint16_t port)
{
    if (port == I8042_PORT_STATUS) {
        return (uint8_t)((kbc->state.source != I8042_EMPTY ? STATUS_OUTPUT_FULL : 0) |
                         ((kbc->state.ram[0] & MODE_SYSTEM) != 0 ? STATUS_SYSTEM : 0) |
                         (kbc->state.last_was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED |
                         (is_aux(kbc) ? STATUS_AUX : 0) |
                         (kbc->state.timeout ? STATUS_TIMEOUT : 0));
    }
    take(kbc);
    return kbc->state.last_data;
}

enum i8042_request i8042_write(struct i8042 *kbc, uint16_t port, uint8_t value)
{
    kbc->state.last_was_command = port == I8042_PORT_STATUS;
    enum i8042_request request =
        kbc->state.last_was_command ? write_command(kbc, value) : write_data(kbc, value);

    i8042_derive(kbc);
    return request;
}
