/* SPDX-License-Identifier: BSD-2-Clause */
/* What each CPU has for itself; GS points at it. */
#ifndef PORTOLAN_VMM_HOST_PERCPU_H
#define PORTOLAN_VMM_HOST_PERCPU_H

#include "vmm/host/address_space.h"
#include "vmm/host/gdt.h"

#include <stdbool.h>
#include <stdint.h>

/* Work for another CPU: see vmm/host/smp.h. */
typedef void (*cpu_function)(void *argument);

/* Who shares a CPU's timer, and the VMM's own periodic work: see vmm/host/timer.h. */
enum timer_user { TIMER_VCPU, TIMER_SERVICE, TIMER_WAIT, TIMER_USERS };
typedef uint64_t (*timer_service_function)(uint64_t now);

struct guest_log;
struct vector_table;

struct cpu {
    struct cpu *self; /* at GS:0, for cpu_current() */
    uint32_t index;   /* 0: the boot CPU */
    uint32_t apic_id;
    bool started;
    struct gdt gdt;
    struct tss tss;
    cpu_function call; /* NULL: the mailbox is free */
    void *call_argument;
    uint64_t timer[TIMER_USERS]; /* deadlines in ns */
    timer_service_function service;
    bool in_service;              /* it is running: a wait within it does not call it again */
    uint32_t locks;               /* that it holds, bit n: rank n; where that is checked */
    uint32_t registers;           /* how many of rank LOCK_REGISTERS are among them */
    struct guest_log *guest_log;  /* whose doing this is: limits the log; NULL: nobody's */
    struct vector_table *vectors; /* of devices: see vmm/host/vector.h; NULL: none yet */
};

static inline struct cpu *cpu_current(void)
{
    struct cpu *cpu;

    __asm__("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* Has this CPU its area yet? Before, GS is what the loader left. */
bool cpu_has_area(void);

/* CPU INDEX < cpu_count(); its area exists whether it was started or not. */
struct cpu *cpu_by_index(uint32_t index);

/* CPUs that have an area, and of these the ones that run. */
uint32_t cpu_count(void);
uint32_t cpu_count_started(void);

#endif
