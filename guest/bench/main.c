/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What leaving the guest costs, in ticks of the TSC. Where the TSC counts instructions (QEMU's
 * -icount), the figures are instructions of the hypervisor, because an instruction that exits is
 * not counted itself.
 *
 * Each line 'bench NAME MIN MEDIAN' has the cost of the guest's own instructions taken off, which
 * the same code has without the instruction, or with INT n in place of the interrupt.
 *
 * Option of its command line: loop=NAME, to do what NAME measures for ever, for
 * tests/bench/profile.py.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/smp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES        255
#define SAMPLES_SLOW   63 /* of those that wait for a while */
#define VECTOR         0x61
#define MSR_MTRR_CAP   0xfe
#define MSR_DEADLINE   0x6e0
#define CPUID_DEADLINE (1U << 24)
#define PORT_UNCLAIMED 0x1f8
#define PORT_PIC_MASK  0x21
#define FAR_AWAY       1000000000000ULL
#define SOON           20000U   /* longer than it takes to arm the timer */
#define LATER          1000000U /* longer than a hypervisor polls for the end of a HLT */
#define QUIET_NOPS     1000U
#define OTHER          1U /* the CPU that interrupts are sent to */

static volatile uint64_t arrived, ended;
static volatile unsigned taken;
static volatile bool listening, other_may_sleep, stop;
static uint64_t samples[SAMPLES];

/* The time between two readings of the TSC with INSTRUCTION in between. */
#define TIME(instruction, ...)                     \
    ({                                             \
        uint64_t start_ = rdtsc();                 \
        __asm__ volatile(instruction __VA_ARGS__); \
        rdtsc() - start_;                          \
    })

static uint64_t time_nothing(void)
{
    return TIME("");
}

static uint64_t time_cpuid(void)
{
    uint32_t eax = 0, ecx = 0;

    return TIME("cpuid", : "+a"(eax), "+c"(ecx)::"rbx", "rdx");
}

static uint64_t time_out_unclaimed(void)
{
    return TIME("outb %b0, %w1", ::"a"(0), "d"(PORT_UNCLAIMED));
}

static uint64_t time_in_unclaimed(void)
{
    uint8_t value;

    return TIME("inb %w1, %b0", : "=a"(value) : "d"(PORT_UNCLAIMED));
}

static uint64_t time_in_pic(void)
{
    uint8_t value;

    return TIME("inb %w1, %b0", : "=a"(value) : "d"(PORT_PIC_MASK));
}

static uint64_t time_rdmsr(void)
{
    uint32_t eax, edx;

    return TIME("rdmsr", : "=a"(eax), "=d"(edx) : "c"(MSR_MTRR_CAP));
}

static uint64_t time_cr4(void)
{
    uint64_t cr4 = read_cr4();

    return TIME("mov %0, %%cr4", ::"r"(cr4) : "memory");
}

static uint64_t time_deadline_arm(void)
{
    uint64_t deadline = rdtsc() + FAR_AWAY;

    return TIME("wrmsr", ::"a"((uint32_t)deadline), "d"((uint32_t)(deadline >> 32)),
                "c"(MSR_DEADLINE)
                : "memory");
}

/* What old Windows kernels do at each change of the IRQL: the task priority, in memory. */
static uint64_t time_tpr_write(void)
{
    uint64_t start = rdtsc();

    mmio_write(APIC_BASE + APIC_TPR, 0x20);
    uint64_t time = rdtsc() - start;

    mmio_write(APIC_BASE + APIC_TPR, 0);
    return time;
}

static void handle(struct guest_frame *frame)
{
    uint64_t now = rdtsc();

    mmio_write(APIC_BASE + APIC_EOI, 0);
    ended = rdtsc() - now;
    arrived = now;
    taken++;
}

/* INT n goes the same way inside of the guest as an interrupt does; the EOI then ends nothing. */
static uint64_t time_software_interrupt(void)
{
    uint64_t start = rdtsc();

    __asm__ volatile("int %0" ::"i"(VECTOR) : "memory");
    return arrived - start;
}

static uint64_t time_self_ipi(void)
{
    unsigned before = taken;
    uint64_t start = rdtsc();

    mmio_write(APIC_BASE + APIC_ICR, ICR_SELF | ICR_ASSERT | VECTOR);
    while (taken == before) {
    }
    return arrived - start;
}

/* The end of the interrupt that a CPU sent to itself: one is in service. */
static uint64_t time_eoi(void)
{
    (void)time_self_ipi();
    return ended;
}

/* HLT with an interrupt that waits since before: out, no sleep, and in again with the interrupt. */
static uint64_t time_hlt(void)
{
    irq_disable();
    mmio_write(APIC_BASE + APIC_ICR, ICR_SELF | ICR_ASSERT | VECTOR);
    uint64_t start = rdtsc();

    __asm__ volatile("sti; hlt" ::: "memory");
    return arrived - start;
}

static uint64_t time_timer_running(void)
{
    unsigned before = taken;
    uint64_t deadline = rdtsc() + SOON;

    wrmsr(MSR_DEADLINE, deadline);
    while (taken == before) {
    }
    return arrived - deadline;
}

static uint64_t time_timer_halted(void)
{
    irq_disable();
    uint64_t deadline = rdtsc() + LATER;

    wrmsr(MSR_DEADLINE, deadline);
    irq_wait();
    irq_enable();
    return arrived - deadline;
}

/* ---- from CPU to CPU ---- */

static void listen(unsigned index)
{
    (void)index;
    irq_enable();
    listening = true;
    while (!stop) {
        if (other_may_sleep) {
            irq_disable();
            irq_wait();
            irq_enable();
        } else {
            cpu_relax();
        }
    }
    irq_disable();
}

/* Let time pass; PAUSE lets the other CPU run where an emulator runs them in turn. */
static void pass_time(uint64_t ticks)
{
    for (uint64_t start = rdtsc(); rdtsc() - start < ticks;) {
        for (unsigned i = 0; i < QUIET_NOPS; i++) {
            __asm__ volatile("nop");
        }
        cpu_relax();
    }
}

static uint64_t time_ipi(void)
{
    unsigned before = taken;
    uint64_t start = rdtsc();

    mmio_write(APIC_BASE + APIC_ICR, ICR_ASSERT | VECTOR);
    while (taken == before) {
        cpu_relax();
    }
    return arrived - start;
}

static uint64_t time_ipi_halted(void)
{
    pass_time(LATER);
    return time_ipi();
}

/* ---- sampling ---- */

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static uint64_t median;

/* Take COUNT samples; the smallest is returned, the median is in 'median'. */
static uint64_t sample(uint64_t (*time)(void), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        samples[i] = time();
    }
    qsort(samples, count, sizeof(samples[0]), compare);
    median = samples[count / 2];
    return samples[0];
}

static bool is_to_loop(const char *name)
{
    const char *option = strstr(guest_command_line(), "loop=");

    return option && strcmp(option + strlen("loop="), name) == 0;
}

static void report(const char *name, uint64_t (*time)(void), unsigned count, uint64_t base)
{
    if (is_to_loop(name)) {
        printf("bench loops %s\n", name);
        for (;;) {
            (void)time();
        }
    }
    uint64_t smallest = sample(time, count);

    CHECK(smallest >= base);
    printf("bench %s %lu %lu\n", name, smallest - base, median - base);
}

static void measure_other_cpu(uint64_t base)
{
    if (smp_cpu_count() <= OTHER) {
        printf("skipped: ipi: this machine has one CPU\n");
        return;
    }
    if (!CHECK(smp_start(OTHER, listen))) {
        return;
    }
    while (!listening) {
        cpu_relax();
    }
    mmio_write(APIC_BASE + APIC_ICR_HIGH, OTHER << 24);
    report("ipi_running", time_ipi, SAMPLES, base);
    other_may_sleep = true;
    report("ipi_halted", time_ipi_halted, SAMPLES_SLOW, base);
    stop = true;
    (void)time_ipi();
    while (!smp_finished(OTHER)) {
        cpu_relax();
    }
}

static void measure_deadline(uint64_t base, uint64_t base_interrupt)
{
    uint32_t id[4];

    cpuid(1, 0, id);
    if (!(id[2] & CPUID_DEADLINE)) {
        printf("skipped: timers: this CPU has no TSC deadline\n");
        return;
    }
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_DEADLINE | VECTOR);
    report("deadline_arm", time_deadline_arm, SAMPLES, base);
    irq_enable();
    report("timer_running", time_timer_running, SAMPLES_SLOW, base_interrupt);
    report("timer_halted", time_timer_halted, SAMPLES_SLOW, base_interrupt);
    irq_disable();
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

int main(void)
{
    static const struct {
        const char *name;
        uint64_t (*time)(void);
        bool interrupt; /* an interrupt ends the measurement */
    } rows[] = {
        {"cpuid",         time_cpuid,         false},
        {"out_unclaimed", time_out_unclaimed, false},
        {"in_unclaimed",  time_in_unclaimed,  false},
        {"in_pic",        time_in_pic,        false},
        {"rdmsr",         time_rdmsr,         false},
        {"cr4",           time_cr4,           false},
        {"tpr_write",     time_tpr_write,     false},
        {"self_ipi",      time_self_ipi,      true },
        {"apic_eoi",      time_eoi,           false},
        {"hlt",           time_hlt,           true },
    };

    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR, handle);
    test_group("exits");
    uint64_t base = sample(time_nothing, SAMPLES);
    uint64_t base_interrupt = sample(time_software_interrupt, SAMPLES);

    printf("base %lu %lu\n", base, base_interrupt);
    irq_enable();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        report(rows[i].name, rows[i].time, SAMPLES, rows[i].interrupt ? base_interrupt : base);
    }
    irq_disable();
    measure_deadline(base, base_interrupt);
    measure_other_cpu(base_interrupt);
    test_end();
}
