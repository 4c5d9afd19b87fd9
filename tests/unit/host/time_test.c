/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calibration against timers that the test drives: by CPUID, by a PM timer, and what is done
 * without either. Includes time.c to drive its TSC, too, which nobody takes the CPU from.
 */
#include "vmm/host/instructions.h"

static uint64_t fake_tsc;
#define cpu_read_tsc() (fake_tsc += 40)
#include "vmm/host/ratio.h"
#include "vmm/host/time.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PM_PORT   0x608U
#define PORT_TIME 3000U  /* ticks of the TSC that a port's read takes */
#define TRY       71580U /* ticks of the PM timer */
#define RATE      (700ULL * 3579545 / 1000)

static struct cpuid leaf15;
static uint32_t highest;
static bool pm_counts, pit_ends;
static uint64_t pm_start, pm_divisor;
static uint64_t try_began;
static bool in_try;
static unsigned steals;  /* tries at whose ends the CPU is taken away behind each read */
static unsigned spoiled; /* reads at this one's end that it still is taken away behind */
static bool busy;        /* it is at three of four reads, for up to a tenth of a try */

struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0:
        return (struct cpuid){.eax = highest};
    case 0x15:
        return leaf15;
    case 0x80000000:
        return (struct cpuid){.eax = 0x80000008};
    case 0x80000007:
        return (struct cpuid){.edx = 1U << 8};
    default:
        return (struct cpuid){0};
    }
}

/* A PM timer that counts once in PM_DIVISOR ticks of the TSC, from just below its wrap. */
uint32_t port_read(uint16_t port, unsigned width)
{
    fake_tsc += PORT_TIME;
    if (port == PM_PORT) {
        uint64_t count = (fake_tsc - pm_start) / pm_divisor;

        if (busy) {
            static uint32_t random = 1;

            random = random * 1664525 + 1013904223;
            fake_tsc += random >> 30 ? (random >> 8) % (pm_divisor * TRY / 10) : 0;
        }
        if (spoiled > 0) {
            fake_tsc += pm_divisor * 3 * TRY;
            spoiled--;
        } else {
            if (!in_try) {
                try_began = count;
            }
            in_try = !in_try || count - try_began < TRY;
            if (!in_try && steals > 0) {
                spoiled = LOOKS;
                steals--;
            }
        }
        return pm_counts ? (uint32_t)(0xfffff0 + count) : 0x1234;
    }
    return port == 0x61 && pit_ends ? 0x20 : 0;
}

void port_write(uint16_t port, unsigned width, uint32_t value) {}

static int setup(void **state)
{
    leaf15 = (struct cpuid){0};
    highest = 0x16;
    pm_counts = pit_ends = false;
    pm_start = fake_tsc;
    pm_divisor = 700;
    in_try = busy = false;
    steals = spoiled = 0;
    fake_log_clear();
    return 0;
}

static void test_cpuid_first(void **state)
{
    leaf15 = (struct cpuid){.eax = 2, .ebx = 200, .ecx = 24000000};
    assert_int_equal(time_init(0, 0), STATUS_OK);
    assert_int_equal(time_facts()->tsc_khz, 2400000);
    assert_string_equal(time_facts()->source, "CPUID leaf 15h");
    assert_true(time_facts()->invariant);
}

static void test_incomplete_cpuid(void **state)
{
    leaf15 = (struct cpuid){.eax = 2, .ebx = 200, .ecx = 0};
    pm_counts = true;
    assert_int_equal(time_init(PM_PORT, 0), STATUS_OK);
    assert_string_equal(time_facts()->source, "ACPI PM timer");
    assert_in_range(time_facts()->tsc_khz, RATE * 999 / 1000, RATE * 1001 / 1000);
}

/* An emulator's host that is busy takes the CPU away where it may: behind a port's read. */
static void test_stolen_time(void **state)
{
    pm_counts = true;
    steals = 3;
    assert_int_equal(time_init(PM_PORT, 0), STATUS_OK);
    assert_int_equal(steals, 0);
    assert_in_range(time_facts()->tsc_khz, RATE * 999 / 1000, RATE * 1001 / 1000);
}

/* One that is busy all the time: it is sure of both ends of a try now and then only. */
static void test_busy_host(void **state)
{
    pm_counts = busy = true;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(time_init(PM_PORT, 0), STATUS_OK);
        assert_in_range(time_facts()->tsc_khz, RATE * 998 / 1000, RATE * 1002 / 1000);
    }
}

static void test_old_cpu(void **state)
{
    highest = 1; /* leaf 15h would be another leaf's data */
    leaf15 = (struct cpuid){.eax = 2, .ebx = 200, .ecx = 24000000};
    pm_counts = true;
    assert_int_equal(time_init(PM_PORT, 0), STATUS_OK);
    assert_string_equal(time_facts()->source, "ACPI PM timer");
}

static void test_nothing_works(void **state)
{
    pit_ends = true; /* its output is high at once: no time passes, the rate would be absurd */
    assert_int_equal(time_init(0, 0), STATUS_UNSUPPORTED);
    assert_int_equal(time_facts()->tsc_khz, 1000000);
    assert_true(fake_log_contains("1000 MHz is assumed"));
}

static void test_clock(void **state)
{
    leaf15 = (struct cpuid){.eax = 1, .ebx = 100, .ecx = 25000000};
    uint64_t from = fake_tsc;

    assert_int_equal(time_init(0, from), STATUS_OK);
    uint64_t before = time_now_ns();

    time_delay_us(2000);
    assert_in_range(time_now_ns() - before, 2000000, 2000100);
    assert_int_equal(time_ns_to_tsc(0), from);
    assert_int_equal(time_ns_to_tsc(1000000000), from + 2500000000);
}

/* Against the exact quotient, at rates and times that are and that are not round. */
static void test_nanoseconds(void **state)
{
    static const uint64_t crystal[] = {1000000, 10000019, 24000000, 25000000, 38400000, 999999937};

    for (unsigned i = 0; i < sizeof(crystal) / sizeof(crystal[0]); i++) {
        leaf15 = (struct cpuid){.eax = 1, .ebx = 100, .ecx = (uint32_t)crystal[i]};
        assert_int_equal(time_init(0, 5), STATUS_OK);
        uint64_t khz = time_facts()->tsc_khz, last = 0;

        for (uint64_t ticks = 0; ticks < 1ULL << 59; ticks = ticks * 3 + 1) {
            uint64_t ns = (uint64_t)((unsigned __int128)ticks * 1000000 / khz);
            uint64_t got = time_tsc_to_ns(5 + ticks);

            assert_in_range(got, ns - (ns > 0), ns);
            assert_true(got >= last);
            last = got;
        }
    }
}

/* Fixed-point ratios against exact ones: as near as their last bit, and what does not fit is none.
 */
static void test_ratios(void **state)
{
    static const uint64_t hz[] = {100000000,  999999999,  1000000000,
                                  2100000000, 2599999937, 3700000000};
    static const unsigned fractions[] = {32, 48};
    static const uint64_t ticks[] = {0, 1, 12345, 1ULL << 40, UINT64_MAX / 3};

    for (unsigned i = 0; i < 6 * 6 * 2; i++) {
        uint64_t of = hz[i % 6], to = hz[i / 6 % 6];
        unsigned fraction = fractions[i / 36];
        uint64_t ratio = ratio_find(of, to, fraction, 64 - fraction);
        unsigned __int128 exact = (unsigned __int128)of << fraction,
                          got = (unsigned __int128)ratio * to;
        unsigned __int128 off = got > exact ? got - exact : exact - got;

        assert_true(ratio != 0 && off * 2 <= to);
        for (unsigned j = 0; j < sizeof(ticks) / sizeof(ticks[0]); j++) {
            unsigned __int128 product = (unsigned __int128)ticks[j] * ratio;

            assert_true(ratio_times(ticks[j], ratio, fraction) == (uint64_t)(product >> fraction));
        }
    }
    assert_int_equal(ratio_find(5, 5, 48, 16), 1ULL << 48);
    assert_int_equal(ratio_find(5, 2, 32, 8), 5ULL << 31);
    assert_int_equal(ratio_find(255, 1, 32, 8), 255ULL << 32);
    assert_int_equal(ratio_find(256, 1, 32, 8), 0);
    assert_int_equal(ratio_find((1ULL << 40) - 1, 1ULL << 32, 32, 8), (1ULL << 40) - 1);
    assert_int_equal(ratio_find((1ULL << 41) - 1, 1ULL << 33, 32, 8), 0); /* rounded up */
    assert_int_equal(ratio_find(1, 1ULL << 40, 32, 8), 0);
    assert_int_equal(ratio_find(7, 3, 0, 0), 0);
    assert_int_equal(ratio_find(UINT64_MAX, 1ULL << 48, 48, 16), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_cpuid_first, setup),
        cmocka_unit_test_setup(test_incomplete_cpuid, setup),
        cmocka_unit_test_setup(test_stolen_time, setup),
        cmocka_unit_test_setup(test_busy_host, setup),
        cmocka_unit_test_setup(test_old_cpu, setup),
        cmocka_unit_test_setup(test_nothing_works, setup),
        cmocka_unit_test_setup(test_clock, setup),
        cmocka_unit_test_setup(test_nanoseconds, setup),
        cmocka_unit_test_setup(test_ratios, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
