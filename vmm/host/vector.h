/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt vectors for devices: each CPU has a set of its own. */
#ifndef PORTOLAN_VMM_HOST_VECTOR_H
#define PORTOLAN_VMM_HOST_VECTOR_H

#include "vmm/base/status.h"
#include "vmm/host/percpu.h"

/* Below are exceptions and the 8259s' old vectors, above are the VMM's own (trap.h). */
#define VECTOR_DEVICE_FIRST 0x30U
#define VECTOR_DEVICE_LAST  0xefU
#define VECTOR_DEVICES      (VECTOR_DEVICE_LAST - VECTOR_DEVICE_FIRST + 1)

/*
 * Called for each interrupt, on its CPU, with interrupts off, and before the EOI: an edge that
 * comes meanwhile is taken afterwards.
 */
typedef void (*vector_handler)(void *argument, unsigned number);

/*
 * Let HANDLER(ARGUMENT, NUMBER) see to a vector of CPU that nobody has, and put it into *VECTOR.
 * The one that was free longest is taken, so that a late interrupt of its last owner does not go to
 * the new one. NO_MEMORY: all are taken. Any CPU; takes the vectors' lock.
 */
enum status vector_allocate(struct cpu *cpu, vector_handler handler, void *argument,
                            unsigned number, uint8_t *vector);

/*
 * VECTOR of CPU is nobody's. When this returns its handler does not run any more. The device must
 * not send it any more; the caller holds no lock that the handler takes. Any CPU.
 */
void vector_free(struct cpu *cpu, uint8_t vector);

/* An interrupt has come on this CPU. False: the vector is not a device's, and never was. From
 * trap_handle(), with interrupts off. */
bool vector_handle(uint64_t vector);

/* How many are taken, and how many interrupts came after their vector was freed; all CPUs. */
uint32_t vector_count(void);
uint64_t vector_strays(void);

#endif
