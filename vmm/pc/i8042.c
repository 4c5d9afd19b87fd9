/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/i8042.h"

#define STATUS_OUTPUT_FULL 0x01U
#define STATUS_SYSTEM      0x04U
#define STATUS_COMMAND     0x08U
#define STATUS_UNLOCKED    0x10U
#define STATUS_TIMEOUT     0x40U

#define MODE_INTERRUPT    0x01U
#define MODE_SYSTEM       0x04U
#define MODE_KEYBOARD_OFF 0x10U
#define MODE_AUX_OFF      0x20U
#define MODE_TRANSLATE    0x40U

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
#define ACKNOWLEDGE      0xfaU
#define RESEND           0xfeU

static const struct field i8042_fields[] = {
    FIELD_ARRAY(struct i8042_state, queue, 0xff),
    FIELD(struct i8042_state, first, I8042_QUEUE - 1),
    FIELD(struct i8042_state, count, I8042_QUEUE),
    FIELD(struct i8042_state, last_data, 0xff),
    FIELD(struct i8042_state, pending, 0xff),
    FIELD(struct i8042_state, keyboard_pending, 0xff),
    FIELD(struct i8042_state, scan_code_set, 3),
    FIELD(struct i8042_state, output_port, 0xff),
    FIELD(struct i8042_state, last_was_command, 1),
    FIELD(struct i8042_state, timeout, 1),
    FIELD(struct i8042_state, refilled, 1),
    FIELD_ARRAY(struct i8042_state, ram, 0xff),
};

const struct section i8042_section = SECTION(struct i8042_state, "i8042", 1, i8042_fields, NULL);

/* What the keyboard answers to each command; all but the first two bytes are optional. */
static const struct {
    uint8_t command;
    uint8_t parameters; /* bytes that follow the command; each is acknowledged */
    uint8_t length;
    uint8_t answer[3];
    const char *name;
} keyboard_commands[] = {
    {0xed, 1, 1, {ACKNOWLEDGE},             "set lamps"                    },
    {0xee, 0, 1, {0xee},                    "echo"                         },
    {0xf0, 1, 1, {ACKNOWLEDGE},             "scan code set"                },
    {0xf2, 0, 3, {ACKNOWLEDGE, 0xab, 0x83}, "identify"                     },
    {0xf3, 1, 1, {ACKNOWLEDGE},             "typematic rate"               },
    {0xf4, 0, 1, {ACKNOWLEDGE},             "enable scanning"              },
    {0xf5, 0, 1, {ACKNOWLEDGE},             "disable scanning"             },
    {0xf6, 0, 1, {ACKNOWLEDGE},             "set defaults"                 },
    {0xf7, 0, 1, {ACKNOWLEDGE},             "all keys typematic"           },
    {0xf8, 0, 1, {ACKNOWLEDGE},             "all keys make/break"          },
    {0xf9, 0, 1, {ACKNOWLEDGE},             "all keys make"                },
    {0xfa, 0, 1, {ACKNOWLEDGE},             "all keys typematic/make/break"},
    {0xff, 0, 2, {ACKNOWLEDGE, 0xaa},       "reset and self test"          },
};

static void put(struct i8042 *kbc, uint8_t byte)
{
    if (kbc->state.count < I8042_QUEUE) {
        kbc->state.queue[(kbc->state.first + kbc->state.count) % I8042_QUEUE] = byte;
        kbc->state.count++;
    }
}

void i8042_reset(struct i8042 *kbc, bool keyboard_present)
{
    kbc->keyboard = keyboard_present;
    kbc->state = (struct i8042_state){
        .scan_code_set = 2,
        .output_port = PORT_IDLE | PORT_NOT_RESET | PORT_A20,
        .ram = {MODE_INTERRUPT | MODE_SYSTEM | MODE_TRANSLATE | MODE_AUX_OFF},
    };
}

bool i8042_irq(const struct i8042 *kbc)
{
    return kbc->state.count != 0 && (kbc->state.ram[0] & MODE_INTERRUPT) != 0;
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

static void keyboard_parameter(struct i8042 *kbc, uint8_t value)
{
    bool scan_codes = kbc->state.keyboard_pending == 0xf0;

    kbc->state.keyboard_pending = 0;
    put(kbc, ACKNOWLEDGE);
    if (scan_codes && value == 0) {
        put(kbc, kbc->state.scan_code_set);
    } else if (scan_codes && value <= 3) {
        kbc->state.scan_code_set = value;
    }
}

static void to_keyboard(struct i8042 *kbc, uint8_t value)
{
    kbc->state.ram[0] &= (uint8_t)~MODE_KEYBOARD_OFF; /* sending releases the keyboard's clock */
    if (!kbc->keyboard) {
        kbc->state.timeout = true;
        put(kbc, RESEND);
        return;
    }
    if (kbc->state.keyboard_pending != 0 && value < 0xed) {
        keyboard_parameter(kbc, value);
        return;
    }
    kbc->state.keyboard_pending = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(keyboard_commands); i++) {
        if (keyboard_commands[i].command == value) {
            for (unsigned n = 0; n < keyboard_commands[i].length; n++) {
                put(kbc, keyboard_commands[i].answer[n]);
            }
            kbc->state.keyboard_pending = keyboard_commands[i].parameters != 0 ? value : 0;
            return;
        }
    }
    put(kbc, RESEND);
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
        put(kbc, value);
        break;
    case COMMAND_TO_AUX:
        kbc->state.timeout = true;
        put(kbc, RESEND);
        break;
    default:
        to_keyboard(kbc, value);
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
    i8042_reset(kbc, kbc->keyboard);
    kbc->state.last_was_command = true;
    kbc->state.ram[0] |= MODE_KEYBOARD_OFF;
    put(kbc, SELF_TEST_PASSED);
}

static void simple_command(struct i8042 *kbc, uint8_t value)
{
    switch (value) {
    case COMMAND_AUX_OFF:
    case COMMAND_AUX_ON:
        set_mode(kbc, MODE_AUX_OFF, value == COMMAND_AUX_OFF);
        break;
    case COMMAND_AUX_TEST:
        put(kbc, AUX_CLOCK_LOW);
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
        put(kbc, (uint8_t)(kbc->state.output_port | (kbc->state.count != 0 ? 0x10 : 0)));
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
        return (uint8_t)((kbc->state.count != 0 ? STATUS_OUTPUT_FULL : 0) |
                         ((kbc->state.ram[0] & MODE_SYSTEM) != 0 ? STATUS_SYSTEM : 0) |
                         (kbc->state.last_was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED |
                         (kbc->state.timeout ? STATUS_TIMEOUT : 0));
    }
    if (kbc->state.count != 0) {
        kbc->state.last_data = kbc->state.queue[kbc->state.first];
        kbc->state.first = (uint8_t)((kbc->state.first + 1) % I8042_QUEUE);
        kbc->state.count--;
        kbc->state.refilled = kbc->state.count != 0;
        kbc->state.timeout = false;
    }
    return kbc->state.last_data;
}

enum i8042_request i8042_write(struct i8042 *kbc, uint16_t port, uint8_t value)
{
    kbc->state.last_was_command = port == I8042_PORT_STATUS;
    return kbc->state.last_was_command ? write_command(kbc, value) : write_data(kbc, value);
}
