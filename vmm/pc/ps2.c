/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/ps2.h"

#include "vmm/base/types.h"

#define ACKNOWLEDGE 0xfaU
#define RESEND      0xfeU
#define PASSED      0xaaU
#define BREAK       0xf0U
#define EXTENDED    0xe0U

#define KEY_CTRL  0x1dU
#define KEY_SHIFT 0x2aU
#define KEY_ALT   0x38U

#define FIRST_COMMAND 0xedU /* of the keyboard: below are parameters */

#define RATE_DEFAULT       100U
#define RESOLUTION_DEFAULT 2U
#define STATUS_REMOTE      0x40U
#define STATUS_REPORTING   0x20U
#define STATUS_TWICE       0x10U
#define PACKET_ALWAYS      0x08U

/* Set 2 to set 1, below 80h; from there on codes stay, but for two. */
static const uint8_t translation[] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

/* Set 1 to set 3, of keys without E0h; 0: there is no such key. */
static const uint8_t third[0x59] = {
    0x00, 0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66,
    0x0d, 0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11,
    0x1c, 0x1b, 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a,
    0x22, 0x21, 0x2a, 0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07,
    0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84,
    0x6b, 0x73, 0x74, 0x7c, 0x69, 0x72, 0x7a, 0x70, 0x71, 0x57, 0x00, 0x13, 0x56, 0x5e,
};

/* The same of those with it. */
static const uint8_t third_extended[] = {
    [0x1c] = 0x79, [0x1d] = 0x58, [0x35] = 0x77, [0x37] = 0x57, [0x38] = 0x39, [0x47] = 0x6e,
    [0x48] = 0x63, [0x49] = 0x6f, [0x4b] = 0x61, [0x4d] = 0x6a, [0x4f] = 0x65, [0x50] = 0x60,
    [0x51] = 0x6d, [0x52] = 0x67, [0x53] = 0x64, [0x5b] = 0x8b, [0x5c] = 0x8c, [0x5d] = 0x8d,
};

/* What the keyboard answers to each command; of RESET and the others it does what they say. */
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
    {0xff, 0, 2, {ACKNOWLEDGE, PASSED},     "reset and self test"          },
};

#define COMMAND_SET     0xf0U
#define COMMAND_ENABLE  0xf4U
#define COMMAND_DISABLE 0xf5U
#define COMMAND_DEFAULT 0xf6U
#define COMMAND_RESET   0xffU

/* ---- Queues ---- */

uint8_t ps2_peek(const struct ps2_queue *queue)
{
    return queue->byte[queue->first];
}

uint8_t ps2_take(struct ps2_queue *queue)
{
    uint8_t byte = ps2_peek(queue);

    queue->first = (uint8_t)((queue->first + 1) % PS2_QUEUE);
    queue->count--;
    return byte;
}

static void put(struct ps2_queue *queue, unsigned byte)
{
    if (queue->count < PS2_QUEUE) {
        queue->byte[(queue->first + queue->count) % PS2_QUEUE] = (uint8_t)byte;
        queue->count++;
    }
}

static void clear(struct ps2_queue *queue)
{
    queue->first = queue->count = 0;
}

/* ---- The keyboard ---- */

uint8_t ps2_translate(uint8_t code)
{
    return code < ARRAY_SIZE(translation) ? translation[code]
           : code == 0x83                 ? 0x41
           : code == 0x84                 ? 0x54
                                          : code;
}

void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
    *keyboard = (struct ps2_keyboard){.set = 2};
}

/* In set 2, and in set 3; 0: there is no such key. */
static uint8_t second_code(uint8_t key)
{
    uint8_t code = 0x84;

    while (code > 0 && ps2_translate(code) != (key & ~PS2_EXTENDED)) {
        code--;
    }
    return code;
}

static uint8_t third_code(uint8_t key)
{
    unsigned at = key & ~PS2_EXTENDED;

    if (at == key) {
        return at < ARRAY_SIZE(third) ? third[at] : 0;
    }
    return at < ARRAY_SIZE(third_extended) ? third_extended[at] : 0;
}

static void send_key(struct ps2_keyboard *keyboard, uint8_t key, bool up)
{
    uint8_t code = keyboard->set == 1   ? key & (uint8_t)~PS2_EXTENDED
                   : keyboard->set == 2 ? second_code(key)
                                        : third_code(key);

    if (code == 0) {
        return;
    }
    if ((key & PS2_EXTENDED) != 0 && keyboard->set != 3) {
        put(&keyboard->out, EXTENDED);
    }
    if (up && keyboard->set != 1) {
        put(&keyboard->out, BREAK);
    }
    put(&keyboard->out, code | (up && keyboard->set == 1 ? 0x80U : 0));
}

/* The longest, with three others held, is 14 bytes. */
bool ps2_keyboard_stroke(struct ps2_keyboard *keyboard, uint16_t stroke)
{
    static const struct {
        uint16_t bit;
        uint8_t key;
    } held[] = {
        {PS2_CTRL,  KEY_CTRL },
        {PS2_ALT,   KEY_ALT  },
        {PS2_SHIFT, KEY_SHIFT}
    };

    if (keyboard->quiet) {
        return true;
    }
    if (keyboard->out.count > 0) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
        if ((stroke & held[i].bit) != 0) {
            send_key(keyboard, held[i].key, false);
        }
    }
    send_key(keyboard, (uint8_t)stroke, false);
    send_key(keyboard, (uint8_t)stroke, true);
    for (unsigned i = ARRAY_SIZE(held); i-- > 0;) {
        if ((stroke & held[i].bit) != 0) {
            send_key(keyboard, held[i].key, true);
        }
    }
    return true;
}

static void keyboard_parameter(struct ps2_keyboard *keyboard, uint8_t value)
{
    bool scan_codes = keyboard->pending == COMMAND_SET;

    keyboard->pending = 0;
    put(&keyboard->out, ACKNOWLEDGE);
    if (scan_codes && value == 0) {
        put(&keyboard->out, keyboard->set);
    } else if (scan_codes && value <= 3) {
        keyboard->set = value;
    }
}

static void keyboard_do(struct ps2_keyboard *keyboard, uint8_t command)
{
    if (command == COMMAND_RESET || command == COMMAND_DEFAULT || command == COMMAND_DISABLE) {
        ps2_keyboard_reset(keyboard);
        keyboard->quiet = command == COMMAND_DISABLE;
    } else if (command == COMMAND_ENABLE) {
        clear(&keyboard->out);
        keyboard->quiet = false;
    }
}

void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t value)
{
    if (keyboard->pending != 0 && value < FIRST_COMMAND) {
        keyboard_parameter(keyboard, value);
        return;
    }
    keyboard->pending = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(keyboard_commands); i++) {
        if (keyboard_commands[i].command == value) {
            keyboard_do(keyboard, value);
            for (unsigned n = 0; n < keyboard_commands[i].length; n++) {
                put(&keyboard->out, keyboard_commands[i].answer[n]);
            }
            keyboard->pending = keyboard_commands[i].parameters != 0 ? value : 0;
            return;
        }
    }
    put(&keyboard->out, RESEND);
}

/* ---- The mouse ---- */

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
    *mouse = (struct ps2_mouse){.resolution = RESOLUTION_DEFAULT, .rate = RATE_DEFAULT};
}

/* As much of a movement as a packet can say, which is then reported. */
static unsigned take_delta(struct ps2_mouse *mouse, unsigned axis, int most)
{
    int delta = (int16_t)mouse->delta[axis];

    delta = delta > most ? most : delta < -most ? -most : delta;
    mouse->delta[axis] = (uint16_t)(mouse->delta[axis] - delta);
    return (unsigned)delta;
}

static void send_packet(struct ps2_mouse *mouse)
{
    unsigned x = take_delta(mouse, 0, 255), y = take_delta(mouse, 1, 255);

    put(&mouse->out, PACKET_ALWAYS | mouse->buttons | (x >> 4 & 0x10U) | (y >> 3 & 0x20U));
    put(&mouse->out, x & 0xffU);
    put(&mouse->out, y & 0xffU);
    unsigned wheel = take_delta(mouse, 2, 7);

    if (mouse->wheel) {
        put(&mouse->out, wheel & 0xffU);
    }
    mouse->moved = (mouse->delta[0] | mouse->delta[1] | mouse->delta[2]) != 0;
}

void ps2_mouse_report(struct ps2_mouse *mouse)
{
    if (mouse->reporting && mouse->mode == PS2_STREAM && mouse->moved && mouse->out.count == 0) {
        send_packet(mouse);
    }
}

void ps2_mouse_move(struct ps2_mouse *mouse, const int16_t delta[3], uint8_t buttons)
{
    for (unsigned axis = 0; axis < ARRAY_SIZE(mouse->delta); axis++) {
        int sum = (int16_t)mouse->delta[axis] + delta[axis];

        sum = sum > INT16_MAX ? INT16_MAX : sum < -INT16_MAX ? -INT16_MAX : sum;
        mouse->delta[axis] = (uint16_t)sum;
        mouse->moved |= delta[axis] != 0;
    }
    mouse->moved |= mouse->buttons != (buttons & 7U);
    mouse->buttons = buttons & 7U;
    ps2_mouse_report(mouse);
}

static void set_rate(struct ps2_mouse *mouse, uint8_t rate)
{
    static const uint8_t knock[] = {200, 100, 80};

    mouse->rate = rate;
    mouse->knocks = rate == knock[mouse->knocks] ? mouse->knocks + 1 : rate == knock[0];
    if (mouse->knocks == ARRAY_SIZE(knock)) {
        mouse->wheel = true;
        mouse->knocks = 0;
    }
}

static void mouse_parameter(struct ps2_mouse *mouse, uint8_t value)
{
    if (mouse->pending == 0xf3) {
        set_rate(mouse, value);
    } else {
        mouse->resolution = value & 3U;
    }
    mouse->pending = 0;
    put(&mouse->out, ACKNOWLEDGE);
}

static void send_status(struct ps2_mouse *mouse)
{
    uint8_t b = mouse->buttons;

    put(&mouse->out, (mouse->mode == PS2_REMOTE ? STATUS_REMOTE : 0) |
                         (mouse->reporting ? STATUS_REPORTING : 0) |
                         (mouse->twice ? STATUS_TWICE : 0) | (b & 1U) << 2 | (b >> 1 & 1U) |
                         (b >> 2 & 1U) << 1);
    put(&mouse->out, mouse->resolution);
    put(&mouse->out, mouse->rate);
}

/* The commands that change what it does. A counted movement is forgotten with each of them. */
static void mouse_mode(struct ps2_mouse *mouse, uint8_t command)
{
    switch (command) {
    case 0xe6:
    case 0xe7:
        mouse->twice = command == 0xe7;
        return;
    case 0xea:
        mouse->mode = PS2_STREAM;
        break;
    case 0xec:
        mouse->mode = mouse->mode == PS2_WRAP ? mouse->unwrapped : mouse->mode;
        break;
    case 0xee:
        mouse->unwrapped = mouse->mode == PS2_WRAP ? mouse->unwrapped : mouse->mode;
        mouse->mode = PS2_WRAP;
        break;
    case 0xf0:
        mouse->mode = PS2_REMOTE;
        break;
    case 0xf4:
    case 0xf5:
        mouse->reporting = command == 0xf4;
        break;
    case 0xf6:
        *mouse = (struct ps2_mouse){.out = mouse->out,
                                    .wheel = mouse->wheel,
                                    .buttons = mouse->buttons,
                                    .resolution = RESOLUTION_DEFAULT,
                                    .rate = RATE_DEFAULT};
        break;
    default:
        return;
    }
    mouse->delta[0] = mouse->delta[1] = mouse->delta[2] = 0;
    mouse->moved = false;
}

static void mouse_do(struct ps2_mouse *mouse, uint8_t command)
{
    static const uint8_t known[] = {0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xee,
                                    0xf0, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xff};
    unsigned i = 0;

    while (i < ARRAY_SIZE(known) && known[i] != command) {
        i++;
    }
    if (i == ARRAY_SIZE(known)) {
        put(&mouse->out, RESEND);
        return;
    }
    if (command == 0xff) {
        ps2_mouse_reset(mouse);
    }
    put(&mouse->out, ACKNOWLEDGE);
    switch (command) {
    case 0xe8: /* resolution */
    case 0xf3: /* rate */
        mouse->pending = command;
        break;
    case 0xe9:
        send_status(mouse);
        break;
    case 0xeb:
        send_packet(mouse);
        break;
    case 0xf2:
        put(&mouse->out, mouse->wheel ? 3 : 0);
        break;
    case 0xff:
        put(&mouse->out, PASSED);
        put(&mouse->out, 0);
        break;
    default:
        mouse_mode(mouse, command);
        break;
    }
}

void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t value)
{
    if (mouse->mode == PS2_WRAP && value != 0xec && value != 0xff) {
        put(&mouse->out, value);
        return;
    }
    clear(&mouse->out); /* a command ends what was being sent */
    if (mouse->pending != 0) {
        mouse_parameter(mouse, value);
    } else {
        mouse_do(mouse, value);
    }
}
