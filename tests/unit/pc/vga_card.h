/* SPDX-License-Identifier: BSD-2-Clause */
/* A VGA of its own, and a guest's accesses to its registers. */
#ifndef PORTOLAN_TESTS_UNIT_PC_VGA_CARD_H
#define PORTOLAN_TESTS_UNIT_PC_VGA_CARD_H

#include "tests/unit/pc/unit.h"
#include "vmm/pc/vga.h"

extern struct vga card;

/* Setup of a test, and teardown of them all. */
int card_set_up(void **state);
int card_tear_down(void **state);

uint8_t card_in(uint16_t port);
void card_out(uint16_t port, uint8_t value);

/* Register INDEX of those behind PORT. */
void card_put(uint16_t port, uint8_t index, uint8_t value);
uint8_t card_get(uint16_t port, uint8_t index);

/* Register INDEX of VBE; memory that a mode wants clear is cleared. */
void card_vbe_put(uint16_t index, uint16_t value);
uint16_t card_vbe_get(uint16_t index);

#endif
