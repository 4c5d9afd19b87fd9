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

/* ---- sample.c ---- */

/* The last interrupt: when its handler began, and when it was through with it; and how many. */
extern struct interrupt {
    volatile uint64_t arrived, ended;
    volatile unsigned taken;
} interrupt;

/* The smallest of many calls of TIME. */
uint64_t sample(uint64_t (*time)(void));
/* Print the smallest and the median of many calls of TIME, both less BASE. */
void report(const char *name, uint64_t (*time)(void), uint64_t base);

/* Print, and return, what a 2-byte OUT of 0 to PORT costs: the difference of two loops. */
uint64_t measure_notify(uint16_t port);

/*
 * Print what it takes from ASK, whose own cost is ASK_COST, to the handler's first instruction
 * (named ENTRY), and until the handler is through (WHOLE). ASK makes the device interrupt, waits
 * for the handler, and returns the time just before it asked.
 */
void measure_interrupt(const char *entry, const char *whole, uint64_t (*ask)(void),
                       uint64_t ask_cost);

/* ---- the others ---- */

/* What one access costs: registers of the disk, notifications, interrupts (registers.c). */
void measure_accesses(bool interrupts);
/* Notifications and interrupts under another hypervisor (peer.c). */
void measure_peer(void);

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
