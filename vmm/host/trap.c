/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/trap.h"

#include "vmm/base/log.h"
#include "vmm/base/types.h"
#include "vmm/base/x86.h"
#include "vmm/host/apic.h"
#include "vmm/host/gdt.h"
#include "vmm/host/instructions.h"
#include "vmm/host/panic.h"
#include "vmm/host/percpu.h"
#include "vmm/host/timer.h"
#include "vmm/host/vector.h"

#define VECTORS    256U
#define ENTRY_SIZE 16U

#define UNEXPECTED_LOGGED_MAX 8U

struct expected_fault {
    uint64_t at;
    uint64_t go_on;
};

extern const uint8_t trap_entries[VECTORS * ENTRY_SIZE];
extern const struct expected_fault expected_faults[], expected_faults_end[];

static struct gate idt[VECTORS] __attribute__((aligned(16)));

static const struct {
    uint8_t vector;
    uint8_t ist;
} own_stacks[] = {
    {VECTOR_DF,  IST_DOUBLE_FAULT },
    {VECTOR_NMI, IST_NMI          },
    {VECTOR_MC,  IST_MACHINE_CHECK},
};

/* Build the IDT that all CPUs share. */
static void trap_init(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        idt[vector] = gate_build((uint64_t)&trap_entries[(size_t)vector * ENTRY_SIZE], 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(own_stacks); i++) {
        idt[own_stacks[i].vector].ist = own_stacks[i].ist;
    }
}

void trap_load(void)
{
    struct descriptor_pointer pointer = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lidt %0" ::"m"(pointer) : "memory");
}

uint64_t trap_table(void)
{
    return (uint64_t)idt;
}

void trap_init_early(void)
{
    static struct gdt gdt;
    static struct tss tss;
    static uint8_t stack[PAGE_SIZE] __attribute__((aligned(16)));

    for (unsigned i = 0; i < ARRAY_SIZE(own_stacks); i++) {
        tss.ist[own_stacks[i].ist - 1] = (uint64_t)stack + sizeof(stack);
    }
    tss.io_map = sizeof(tss);
    gdt_build(&gdt, &tss);
    gdt_load(&gdt);
    trap_init();
    trap_load();
}

static uint32_t nmis; /* that came and have not been logged; atomic */

/* An instruction that is known to fault on some machines, and where to go on if it does. */
static bool trap_expected(struct trap_frame *frame)
{
    for (const struct expected_fault *fault = expected_faults; fault < expected_faults_end;
         fault++) {
        if (frame->rip == fault->at) {
            frame->rip = fault->go_on;
            return true;
        }
    }
    return false;
}

static void trap_exception(struct trap_frame *frame)
{
    if (frame->vector == VECTOR_NMI && panic_stop_requested()) {
        cpu_halt_forever();
    }
    if (frame->vector == VECTOR_NMI) {
        /* What it has interrupted may hold the log's lock. */
        __atomic_fetch_add(&nmis, 1, __ATOMIC_RELAXED);
        return;
    }
    /* A machine check is never expected, wherever it strikes. */
    if (frame->vector == VECTOR_MC || !trap_expected(frame)) {
        panic_exception(frame);
    }
}

/* A device that firmware left on may send many: enough are logged to find it, and the log stays
 * readable. */
static void trap_unexpected(uint64_t vector)
{
    static uint32_t count;
    uint32_t before = __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);

    if (before < UNEXPECTED_LOGGED_MAX) {
        log_warn("CPU %u: interrupt vector 0x%lx that nobody asked for%s", cpu_current()->index,
                 vector, before + 1 == UNEXPECTED_LOGGED_MAX ? "; more are not logged" : "");
    }
}

/* With the next interrupt on any CPU: the log takes its locks with interrupts off, so none of them
 * is held by what this one has interrupted. */
static void trap_report_nmis(void)
{
    if (__atomic_load_n(&nmis, __ATOMIC_RELAXED) == 0) {
        return;
    }
    uint32_t count = __atomic_exchange_n(&nmis, 0, __ATOMIC_RELAXED);

    if (count > 0) {
        log_warn("%u NMIs that nobody asked for: the hardware reports a fault of its own", count);
    }
}

static void trap_interrupt(uint64_t vector)
{
    switch (vector) {
    case VECTOR_SPURIOUS: /* no EOI: it was never in service (Intel SDM 3, 11.9) */
        return;
    case VECTOR_TIMER:
        timer_fired();
        apic_eoi();
        return;
    case VECTOR_CALL:
    case VECTOR_KICK:
        apic_eoi(); /* its work is done where the CPU was woken */
        return;
    default:
        if (!vector_handle(vector)) {
            trap_unexpected(vector);
        }
        apic_eoi();
        return;
    }
}

void trap_handle(struct trap_frame *frame)
{
    if (frame->vector < VECTOR_EXCEPTIONS) {
        trap_exception(frame);
        return;
    }
    trap_interrupt(frame->vector);
    trap_report_nmis();
}
