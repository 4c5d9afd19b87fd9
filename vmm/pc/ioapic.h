/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC: 82093AA (290566) with the EOI register of version 20h.
 *
 * A pin's input is "asserted" or not: polarity bits are kept but say nothing here. An edge on a
 * masked pin is lost, as the data sheet says; a level is delivered once it is unmasked. A level
 * that no local APIC accepts stays pending and is offered again by ioapic_retry(). Every function
 * needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_IOAPIC_H
#define PORTOLAN_VMM_PC_IOAPIC_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define IOAPIC_BASE 0xfec00000U
#define IOAPIC_SIZE 0x1000U
#define IOAPIC_PINS 24U

#define IOAPIC_ENTRY_LEVEL      (1ULL << 15)
#define IOAPIC_ENTRY_REMOTE_IRR (1ULL << 14)
#define IOAPIC_ENTRY_MASKED     (1ULL << 16)

struct pc;

struct ioapic_state {
    uint64_t entry[IOAPIC_PINS]; /* redirection table */
    uint32_t id;                 /* register 0 */
    uint8_t select;
};

struct ioapic {
    struct ioapic_state state;
    uint32_t lines;   /* derived: asserted inputs, as the board drives them */
    uint32_t waiting; /* derived: pins whose level was accepted and is not ended: remote IRR */
};

extern const struct section ioapic_section; /* struct ioapic_state */

/* All entries masked; the inputs keep their levels. */
void ioapic_reset(struct ioapic *io);

/* The state was loaded, and the inputs of LINES are asserted. */
void ioapic_derive(struct ioapic *io, uint32_t lines);

/* 32-bit access at OFFSET of the 4 KiB page: 00h select, 10h window, 40h EOI; others read 0. */
uint32_t ioapic_read(const struct ioapic *io, uint32_t offset);
void ioapic_write(struct pc *pc, struct ioapic *io, uint32_t offset, uint32_t value);

/* Set the input PIN < IOAPIC_PINS. */
void ioapic_set_line(struct pc *pc, struct ioapic *io, unsigned pin, bool level);

/* A local APIC ended VECTOR: forget its remote IRRs, deliver again what is still asserted. */
void ioapic_end_of_interrupt(struct pc *pc, struct ioapic *io, uint8_t vector);

/* Local APICs changed: offer again the levels that nobody had accepted. */
void ioapic_retry(struct pc *pc, struct ioapic *io);

#endif
