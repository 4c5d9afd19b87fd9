/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of this guest share. */
#ifndef PORTOLAN_GUEST_VBENCH_H
#define PORTOLAN_GUEST_VBENCH_H

#include <stdbool.h>
#include <stdint.h>

enum { VECTOR_BASE = 0x50, VECTOR_INTX, VECTOR_DISK, VECTOR_NET, VECTOR_KEY };

/* The first INTx line of the IOAPIC, as the PC's firmware tables have it. */
#define PIRQ_PIN    16
#define LEVEL       (1U << 15)
#define POLLS       400000000U
#define PAGE        4096U
#define BLOCK_BYTES 4096U

/* What one access costs: registers of the disk, notifications, interrupts (registers.c). */
void measure_accesses(void);

/*
 * Read COUNT blocks of 4 KiB with DEPTH requests under way (1 to 32), by MSI-X; HLT while there is
 * nothing to do. *BUSY, if it is not NULL: spin instead, and tell the ticks that were not spent
 * spinning.
 */
void block_start(void);
void block_read(unsigned count, unsigned depth, uint64_t *busy);

/* Ask the gateway COUNT times for an echo and wait for each answer. */
void net_start(void);
void net_ping(unsigned count);

#endif
