/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the CPUs' areas; for smp.c. */
#ifndef PORTOLAN_VMM_HOST_PERCPU_SETUP_H
#define PORTOLAN_VMM_HOST_PERCPU_SETUP_H

#include "vmm/base/status.h"
#include "vmm/host/percpu.h"

/* The address above the stack of CPU INDEX. */
uint64_t cpu_stack_top(uint32_t index, enum stack_slot slot);

/* Make the area and the stacks of the next CPU. NO_MEMORY: there are CPUS_MAX already, or no pages.
 */
enum status cpu_create(uint32_t apic_id, struct cpu **created);

/* Load CPU's GDT, TSS, GS base, IDT and control registers. On the CPU itself. */
void cpu_load(struct cpu *cpu);

#endif
