/* SPDX-License-Identifier: BSD-2-Clause */
/* All CPUs: their areas, their start, and work for them. */
#ifndef PORTOLAN_VMM_HOST_SMP_H
#define PORTOLAN_VMM_HOST_SMP_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/percpu.h"

/* Give CPU 0, which runs this, its area, its stacks, GDT, TSS and IDT. Its APIC id comes later. */
enum status cpu_setup_boot(void);

/* Leave the loader's stack: run FUNCTION on CPU 0's main stack. Never returns. */
void cpu_enter_main_stack(void (*function)(void)) __attribute__((noreturn));

/*
 * Start the CPUs with these APIC ids (the boot CPU's own may be among them; COUNT may be 0) and
 * give them the indices 1, 2, ... in this order. One that does not answer keeps its index and is
 * reported; the others are used. No more than MAX CPUs in all (0: no limit). Boot CPU, once, after
 * time_init() and apic_enable_cpu().
 */
enum status smp_start(const uint32_t *apic_ids, size_t count, uint32_t max);

/*
 * Let CPU (not this one, started) run FUNCTION(ARGUMENT) as soon as it idles; does not wait for it.
 * STATE: it has other work still.
 */
enum status smp_call(struct cpu *cpu, cpu_function function, void *argument);

/* Sleep, and do what smp_call() brings, for ever. Every CPU ends here. */
void smp_idle(void) __attribute__((noreturn));

/* ---- percpu.c: the CPUs' areas, for smp.c ---- */

/* The address above the stack of CPU INDEX. */
uint64_t cpu_stack_top(uint32_t index, enum stack_slot slot);

/* Make the area and the stacks of the next CPU. NO_MEMORY: there are CPUS_MAX already, or no pages.
 */
enum status cpu_create(uint32_t apic_id, struct cpu **created);

/* Load CPU's GDT, TSS, GS base, IDT and control registers. On the CPU itself. */
void cpu_load(struct cpu *cpu);

/*
 * ---- skew.c: do two CPUs' TSCs agree? They take turns to read theirs, so that each reading of the
 * one lies between two of the other ----
 */

struct skew {
    uint32_t asked, answered; /* the rounds; atomic */
    uint64_t there;           /* the answer of this round */
};

/*
 * On the CPU that is compared, while the other is in skew_measure(): answer it. Ends by itself when
 * no questions come.
 */
void skew_answer(struct skew *skew);

/*
 * *TICKS: by how much the other CPU's TSC is at least ahead of ours (negative: behind); 0 where
 * nothing shows. DEVICE: it does not answer.
 */
enum status skew_measure(struct skew *skew, int64_t *ticks);

/* Pure: what one reading THERE says, which was taken between BEFORE and AFTER here. */
int64_t skew_of(uint64_t before, uint64_t there, uint64_t after);

#endif
