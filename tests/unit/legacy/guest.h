/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest with VFs: accesses as the VM layer passes them on. */
#ifndef PORTOLAN_TESTS_UNIT_LEGACY_GUEST_H
#define PORTOLAN_TESTS_UNIT_LEGACY_GUEST_H

#include "tests/unit/legacy/fake_vf.h"
#include "tests/unit/pc/unit.h"

#define IO(n)   (LEGACY_IO_BASE + (n)*LEGACY_IO_STEP)
#define MMIO(n) (LEGACY_MMIO_BASE + (n)*LEGACY_MMIO_SIZE)

#define MSIX_ON   0x8000U
#define MSIX_MASK 0x4000U

extern struct legacy_set guest;
extern struct legacy_function guest_function[FAKE_VFS];
extern enum legacy_transport guest_transport; /* for the VFs to come */

/* A VM with COUNT VFs of TYPE, nothing logged. */
void guest_start(uint16_t type, unsigned count);

/* Nothing was done that the contract forbids; the lines are as the state has it. */
void guest_check(void);

/* Ports: a write of 2 bytes tries the notify path first. Nobody there: all ones, dropped. */
uint32_t in(unsigned port, unsigned width);
void out(unsigned port, unsigned width, uint32_t value);

/* Configuration space and device memory of VF N. */
uint32_t config_in(unsigned n, unsigned offset, unsigned width);
void config_out(unsigned n, unsigned offset, unsigned width, uint32_t value);
uint32_t mmio_in(unsigned n, unsigned offset);
void mmio_out(unsigned n, unsigned offset, uint32_t value);

/* What an MSI-X driver does: program ENTRY to send VECTOR, unmasked. */
void guest_msix_entry(unsigned n, unsigned entry, uint8_t vector);
void guest_msix(unsigned n, uint32_t control);

/* The VF's ring of QUEUE, by the driver's writes. */
void guest_queue(unsigned n, unsigned queue, uint32_t pfn);

/* The messages so far with VECTOR. */
unsigned guest_messages(uint8_t vector);

#endif
