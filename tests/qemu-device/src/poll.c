/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's VMRUN and #VMEXIT change what is requested of their CPU without the
 * lock.  What another thread requests at that moment is lost: if that is to
 * look at the local APIC, whose interrupt waits until the CPU's next one comes.
 *
 * Here CPUs whose local APIC has an interrupt are told from time to time; not
 * with -icount, where each timer would change what is counted.
 */
#include "poll.h"
#include "compat.h"
#include "injection.h"
#include "hw/i386/apic.h"
#include "qemu/timer.h"
#include "sysemu/cpu-timers.h"

#define POLL 0x10 /* CPU_INTERRUPT_POLL of target/i386/cpu.h */
#define TICK_NS SCALE_MS
#define MEND_TICKS 10

static bool mends, loses;

/* Requested, whether it can be delivered yet or not. */
static bool has_interrupt(CPUState *cpu)
{
    Object *apic = object_resolve_path_component(OBJECT(cpu), "lapic");

    return apic && apic_get_highest_priority_irr(DEVICE(apic)) >= 0;
}

static void mend_all(void)
{
    CPUState *cpu;

    for (int i = 0; (cpu = qemu_get_cpu(i)); i++) {
        if (has_interrupt(cpu)) {
            cpu_interrupt(cpu, POLL);
        }
    }
}

/* Only a CPU that has a place to save the host's state to can VMRUN. */
static bool has_svm(CPUState *cpu)
{
    size_t at = injection_offset(CPU_GET_CLASS(cpu), "env.vm_hsave");

    return at && *(uint64_t *)((uint8_t *)cpu + at);
}

/* What a CPU has not looked at since it was requested. */
static void lose_all(void)
{
    CPUState *cpu;

    for (int i = 0; (cpu = qemu_get_cpu(i)); i++) {
        if (has_svm(cpu)) {
            qatomic_and(&cpu->interrupt_request, ~POLL);
        }
    }
}

static void tick(void *timer)
{
    static unsigned ticks;

    if (loses) {
        lose_all();
    }
    if (mends && (!loses || ticks++ % MEND_TICKS == 0)) {
        mend_all();
    }
    timer_mod(timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                         (loses ? TICK_NS : TICK_NS * MEND_TICKS));
}

void poll_handle(unsigned index, bool mend, bool lose)
{
    mends = mend;
    loses = lose;
    if (index == 0 && (mend || lose) && !icount_enabled()) {
        QEMUTimer *timer = g_new0(QEMUTimer, 1);

        timer_init_full(timer, NULL, QEMU_CLOCK_VIRTUAL, SCALE_NS, 0, tick,
                        timer);
        timer_mod(timer, 0);
    }
}
