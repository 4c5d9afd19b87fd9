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

#endif
