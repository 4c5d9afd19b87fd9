/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time stamp counter by every way to it, against the PM timer: RDTSC, the model register, the
 * local APIC's deadline; also after it has been written.
 *
 *   khz=N   the rate that it is to have
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define MSR_TSC      0x10
#define MSR_DEADLINE 0x6e0
#define PM_TIMER     0x608
#define PM_HZ        3579545UL
#define PM_MASK      0xffffffU
#define DEADLINE     (1U << 24) /* of CPUID 1 ECX */
#define LEAF_RATES   0x15
#define TIMER_HZ     1000000000U
#define VECTOR       0x61
#define LOOKS        2000
#define PRECISION    500 /* a rate may be off by one in so many */

static uint64_t khz;
static bool lenient;
static volatile unsigned count;

static void handle(struct guest_frame *frame)
{
    count++;
    apic_write(APIC_EOI, 0);
}

static uint32_t pm_since(uint32_t start)
{
    return (inl(PM_TIMER) - start) & PM_MASK;
}

static void check_rate(void)
{
    uint32_t pm = inl(PM_TIMER), ticks = 0;
    uint64_t tsc = rdtsc();

    while (ticks < PM_HZ / 100) {
        ticks = pm_since(pm);
    }
    uint64_t hz = (rdtsc() - tsc) * PM_HZ / ticks, wanted = khz * 1000;
    uint64_t off = hz > wanted ? hz - wanted : wanted - hz;

    printf("tsc: %lu Hz\n", hz);
    CHECK(off < wanted / PRECISION);
}

/* RDTSC and RDMSR take turns, and neither sees what is past for the other. */
static void check_order(void)
{
    unsigned backwards = 0;
    uint64_t last = rdtsc();

    for (unsigned i = 0; i < LOOKS; i++) {
        uint64_t now = i % 2 ? rdmsr(MSR_TSC) : rdtsc();

        backwards += now < last;
        last = now;
    }
    CHECK_EQUAL(backwards, 0);
}

static void check_deadlines(void)
{
    uint32_t id[4];

    cpuid(1, 0, id);
    if (!(id[2] & DEADLINE)) {
        printf("skipped: TSC deadline: this CPU has none\n");
        return;
    }
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_DEADLINE | VECTOR);
    for (unsigned ms = 1; ms <= 4; ms++) {
        unsigned before = count;
        uint32_t pm = inl(PM_TIMER);
        uint64_t deadline = rdtsc() + ms * khz;

        wrmsr(MSR_DEADLINE, deadline);
        irq_wait();
        uint32_t took = pm_since(pm);

        CHECK_EQUAL(count, before + 1);
        CHECK(rdtsc() >= deadline);
        CHECK(took + 10 >= PM_HZ / 1000 * ms);
        CHECK(took < PM_HZ / 1000 * (ms + 1));
    }
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

/* What CPUID tells, where it does: the TSC's rate and the local APIC's timer's. */
static void check_told(void)
{
    uint32_t highest[4], rates[4];

    cpuid(0, 0, highest);
    cpuid(LEAF_RATES, 0, rates);
    if (highest[0] < LEAF_RATES || rates[0] == 0) {
        printf("skipped: CPUID tells no rates\n");
        return;
    }
    printf("tsc: %lu Hz, by CPUID\n", (uint64_t)rates[2] * rates[1] / rates[0]);
    CHECK_EQUAL((uint64_t)rates[2] * rates[1] / rates[0], khz * 1000);
    CHECK_EQUAL(rates[2], TIMER_HZ);
}

static void test_all(const char *when)
{
    test_group(when);
    check_rate();
    if (lenient) {
        printf("skipped: the model register, which stands still in plain QEMU\n");
    } else {
        check_order();
    }
    check_deadlines();
}

int main(void)
{
    khz = guest_option("khz", 1000000);
    lenient = strstr(guest_command_line(), "lenient") != NULL;
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR, handle);
    test_group("told");
    check_told();
    test_all("as it comes");
    if (lenient) {
        printf("skipped: writes: plain QEMU ignores them\n");
        test_end();
    }
    wrmsr(MSR_TSC, 5);
    CHECK(rdtsc() - 5 < khz * 10);
    test_all("set back");
    wrmsr(MSR_TSC, UINT64_MAX - 100);
    CHECK(rdtsc() + 101 < khz * 10);
    test_all("past its end");
    wrmsr(MSR_TSC, 1ULL << 62);
    test_all("set forward");
    test_end();
}
