/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PS/2 keyboard of 104 keys (without Pause) in scan code sets 1 to 3, and a PS/2 mouse with a
 * wheel (IntelliMouse). IBM PS/2 Technical Reference, keyboard and mouse; Microsoft's
 * IntelliMouse. They put bytes into queues, from which the controller takes them (i8042.h). In set
 * 3 each key sends make and break codes. Pure; the caller has the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_PS2_H
#define PORTOLAN_VMM_PC_PS2_H

#include "vmm/base/types.h"

#define PS2_QUEUE 32U /* bytes; keys and movements leave the second half to answers */

/*
 * A stroke: a key goes down and up, with others held. The low byte is the key: its code in set 1,
 * with PS2_EXTENDED if that has E0h before it.
 */
#define PS2_EXTENDED 0x0080U
#define PS2_SHIFT    0x0100U
#define PS2_CTRL     0x0200U
#define PS2_ALT      0x0400U

struct ps2_queue {
    uint8_t byte[PS2_QUEUE];
    uint8_t first;
    uint8_t count;
};

struct ps2_keyboard {
    struct ps2_queue out;
    uint8_t pending; /* the command that waits for its parameter; 0: none */
    uint8_t set;     /* of scan codes: 1..3 */
    bool quiet;      /* it was told not to scan */
};

enum ps2_mode { PS2_STREAM, PS2_REMOTE, PS2_WRAP };

struct ps2_mouse {
    struct ps2_queue out;
    uint8_t pending;
    uint8_t mode;      /* enum ps2_mode */
    uint8_t unwrapped; /* the mode before the wrap mode */
    bool reporting;
    bool twice; /* scaling 2:1 */
    uint8_t resolution;
    uint8_t rate;
    uint8_t knocks; /* how much of the IntelliMouse's sequence of rates has come */
    bool wheel;     /* all of it: packets have four bytes */
    bool moved;     /* there is something to report */
    uint8_t buttons;
    uint16_t delta[3]; /* not reported yet: right, up, wheel down; two's complement */
};

uint8_t ps2_peek(const struct ps2_queue *queue);
uint8_t ps2_take(struct ps2_queue *queue); /* count > 0 */

void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
void ps2_mouse_reset(struct ps2_mouse *mouse);

/* A byte from the controller. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t value);
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t value);

/* False: there is no room now; nothing was done. A keyboard that does not scan loses it. */
bool ps2_keyboard_stroke(struct ps2_keyboard *keyboard, uint16_t stroke);

/* It moves by DELTA, as above, with BUTTONS held (bits: left, right, middle). */
void ps2_mouse_move(struct ps2_mouse *mouse, const int16_t delta[3], uint8_t buttons);

/* What was put off for want of room. */
void ps2_mouse_report(struct ps2_mouse *mouse);

/* The code in set 1 that a controller makes of one in set 2. */
uint8_t ps2_translate(uint8_t code);

#endif
