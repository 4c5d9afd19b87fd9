/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The i8042 keyboard controller on ports 60h and 64h, with a PS/2 keyboard or none, and with a
 * mouse at its auxiliary port or none: then the port's test fails, so drivers look no further. IBM
 * PS/2 Technical Reference, keyboard and auxiliary device controller.
 *
 * The A20 gate is a bit that reads back; what it does is in pc_low_kinds(). Every function needs
 * the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_I8042_H
#define PORTOLAN_VMM_PC_I8042_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"
#include "vmm/pc/ps2.h"

#define I8042_PORT_STATUS 0x64U
#define I8042_IRQ         1U
#define I8042_AUX_IRQ     12U
#define I8042_QUEUE       8U
#define I8042_RAM         32U

/* Whose byte the output buffer holds: it is the first of that one's queue. */
enum i8042_source { I8042_EMPTY, I8042_FROM_SELF, I8042_FROM_KEYBOARD, I8042_FROM_MOUSE };

struct i8042_state {
    uint8_t queue[I8042_QUEUE]; /* the controller's own bytes */
    uint8_t first;
    uint8_t count;
    uint8_t from_aux;  /* bit n: queue[n] is to look as the mouse's */
    uint8_t source;    /* enum i8042_source */
    uint8_t last_data; /* what the output buffer holds after it was read */
    uint8_t pending;   /* command that waits for a byte at port 60h; 0: none */
    uint8_t output_port;
    bool last_was_command;
    bool timeout;           /* a byte to a device that is not there */
    bool refilled;          /* the next byte moved into the output buffer: a new edge */
    bool breaks;            /* translating: the keyboard's next code is that of a key going up */
    uint8_t ram[I8042_RAM]; /* [0]: the command byte */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
};

struct i8042 {
    struct i8042_state state;
    bool has_keyboard; /* configuration */
    bool has_mouse;
};

extern const struct section i8042_section; /* struct i8042_state */

enum i8042_request { I8042_NOTHING, I8042_RESET };

void i8042_reset(struct i8042 *kbc, bool keyboard, bool mouse);

/* State was loaded: let a byte into the output buffer if there is one. */
void i8042_derive(struct i8042 *kbc);

uint8_t i8042_read(struct i8042 *kbc, uint16_t port);
enum i8042_request i8042_write(struct i8042 *kbc, uint16_t port, uint8_t value);

/* As ps2_keyboard_stroke() and ps2_mouse_move(); without the device it is lost. */
bool i8042_stroke(struct i8042 *kbc, uint16_t stroke);
void i8042_move(struct i8042 *kbc, const int16_t delta[3], uint8_t buttons);

/* The level of IRQ 1, or with AUX of IRQ 12. */
bool i8042_irq(const struct i8042 *kbc, bool aux);

/* Did the output buffer take a new byte right after the last was read? Then both fell in between.
 */
bool i8042_take_refill(struct i8042 *kbc);

/* Set the A20 bit of the output port, for port 92h, which shares it. */
void i8042_set_a20(struct i8042 *kbc, bool on);
bool i8042_a20(const struct i8042 *kbc);

#endif
