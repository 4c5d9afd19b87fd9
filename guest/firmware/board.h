/* SPDX-License-Identifier: BSD-2-Clause */
/* The board's devices but the APICs: what they hold, and how to leave them otherwise. */
#ifndef PORTOLAN_GUEST_FIRMWARE_BOARD_H
#define PORTOLAN_GUEST_FIRMWARE_BOARD_H

#include <stdint.h>

/* Print "state NAME VALUE"; NAME.NUMBER in hexadecimal. */
void say(const char *name, uint64_t value);
void say_numbered(const char *name, unsigned number, uint64_t value);

uint8_t cmos_read(uint8_t index);
void cmos_write(uint8_t index, uint8_t value);

/* Print all that can be read. */
void board_dump(void);

/* Print the vectors at which the 8259s deliver, by an interrupt of each. Last: it changes masks. */
void board_dump_vectors(void);

/* Leave registers as no firmware does. */
void board_disturb(void);

#endif
