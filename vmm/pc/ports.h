/* SPDX-License-Identifier: BSD-2-Clause */
/* Which device answers to which I/O port. */
#ifndef PORTOLAN_VMM_PC_PORTS_H
#define PORTOLAN_VMM_PC_PORTS_H

#include "vmm/base/types.h"

/* QEMU's debug console: one byte a write. */
#define PORTS_DEBUG_OUTPUT 0x402U

struct pc;

/* Does any byte of the access belong to a device? No lock; WIDTH 1, 2 or 4. */
bool ports_claim(const struct pc *pc, uint16_t port, unsigned width);

/*
 * An access of WIDTH 1, 2 or 4 bytes. Needs the pc lock; pc->now is the time. What a
 * device does not take at that width is split into bytes at successive ports, as an ISA bus does.
 */
uint32_t ports_read(struct pc *pc, uint16_t port, unsigned width);
void ports_write(struct pc *pc, uint16_t port, unsigned width, uint32_t value);

/* Place the blocks whose base is a register or comes from the configuration. Needs the lock. */
void ports_place_windows(struct pc *pc);

#endif
