/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The i8042 keyboard controller on ports 60h and 64h, with a keyboard that answers every command
 * but has no keys, or with none. No auxiliary port: its test fails, so drivers look no further. IBM
 * PS/2 Technical Reference, keyboard and auxiliary device controller.
 *
 * The A20 gate is a bit that reads back and masks nothing: guests of this VMM have all their
 * memory. Every function needs the platform lock.
 */
#ifndef PORTOLAN_VMM_PC_I8042_H
#define PORTOLAN_VMM_PC_I8042_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define I8042_PORT_STATUS 0x64U
#define I8042_IRQ         1U
#define I8042_QUEUE       8U
#define I8042_RAM         32U

struct i8042_state {
    uint8_t queue[I8042_QUEUE]; /* bytes for the output buffer; [first] is in it */
    uint8_t first;
    uint8_t count;
    uint8_t last_data;        /* what the output buffer holds after it was read */
    uint8_t pending;          /* command that waits for a byte at port 60h; 0: none */
    uint8_t keyboard_pending; /* keyboard command that waits for its parameter */
    uint8_t scan_code_set;
    uint8_t output_port;
    bool last_was_command;
    bool timeout;           /* a byte to a device that is not there */
    bool refilled;          /* the next byte moved into the output buffer: a new edge on IRQ 1 */
    uint8_t ram[I8042_RAM]; /* [0]: the command byte */
};

struct i8042 {
    struct i8042_state state;
    bool keyboard; /* configuration: there is one */
};

extern const struct section i8042_section; /* struct i8042_state */

enum i8042_request { I8042_NOTHING, I8042_RESET };

void i8042_reset(struct i8042 *kbc, bool keyboard_present);

uint8_t i8042_read(struct i8042 *kbc, uint16_t port);
enum i8042_request i8042_write(struct i8042 *kbc, uint16_t port, uint8_t value);

/* The level of IRQ 1. */
bool i8042_irq(const struct i8042 *kbc);

/* Did the output buffer take a new byte right after the last was read? Then IRQ 1 fell in between.
 */
bool i8042_take_refill(struct i8042 *kbc);

/* Set the A20 bit of the output port, for port 92h, which shares it. */
void i8042_set_a20(struct i8042 *kbc, bool on);
bool i8042_a20(const struct i8042 *kbc);

#endif
