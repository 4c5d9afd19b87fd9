/* SPDX-License-Identifier: BSD-2-Clause */
/* One timer for two users, on a clock and a counter that the test drives. */
#include "vmm/host/timer.h"

#include "vmm/host/apic.h"
#include "vmm/host/time.h"

#include <asm/prctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define NS_PER_S 1000000000ULL

_Static_assert(TIMER_USERS == 3, "the set-up knows them all");

static struct cpu cpu;
static uint64_t now;      /* ns */
static uint64_t real_hz;  /* at which the counter counts */
static uint64_t apparent; /* at which it seemed to count while it was calibrated */
static uint64_t stolen;
static uint32_t counter; /* what it was started with; 0: it stands */
static uint64_t started; /* when */
static unsigned starts, services;
static uint64_t next_service;

uint64_t time_scale(uint64_t value, uint64_t multiplier, uint64_t divisor)
{
    return (uint64_t)((unsigned __int128)value * multiplier / divisor);
}

uint64_t time_now_ns(void)
{
    return now;
}

void time_delay_us(uint64_t us)
{
    now += us * 1000;
}

void apic_timer_start(uint32_t ticks)
{
    counter = ticks;
    started = now;
    starts++;
}

uint32_t apic_timer_left(void)
{
    uint32_t left = counter - (uint32_t)time_scale(now - started, apparent, NS_PER_S);

    now += stolen; /* the host takes the CPU away behind the read */
    stolen = 0;
    return left;
}

/* Let time pass until the counter is at 0, as long as that is before LIMIT. */
static bool fires_before(uint64_t limit)
{
    uint64_t at = started + time_scale(counter, NS_PER_S, real_hz);

    if (counter == 0 || at >= limit) {
        now = limit;
        return false;
    }
    now = at;
    counter = 0;
    timer_fired();
    return true;
}

static void calibrate(uint64_t real, uint64_t measured)
{
    real_hz = real;
    apparent = measured;
    assert_int_equal(timer_init(), STATUS_OK);
}

static int setup(void **state)
{
    cpu = (struct cpu){
        .self = &cpu, .timer = {TIMER_NEVER, TIMER_NEVER, TIMER_NEVER}
    };
    now = 5000;
    next_service = TIMER_NEVER;
    starts = services = 0;
    return (int)syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu);
}

static void test_ticks(void **state)
{
    assert_int_equal(timer_ticks(100, 100, 1000000), 1);
    assert_int_equal(timer_ticks(100, 0, 1000000), 1);
    assert_int_equal(timer_ticks(UINT64_MAX, 0, 1000000), 1);
    assert_int_equal(timer_ticks(0, 1, 1000000), 1);
    assert_int_equal(timer_ticks(0, 999, 1000000), 1);
    assert_int_equal(timer_ticks(0, 1000, 1000000), 2);
    assert_int_equal(timer_ticks(0, NS_PER_S, 1000000000), 1000000001);
    assert_int_equal(timer_ticks(0, UINT64_MAX, 1000000), UINT32_MAX);
    assert_int_equal(timer_ticks(0, TIMER_NEVER - 1, 10000000000ULL), UINT32_MAX);
    assert_int_equal(timer_ticks(0, UINT32_MAX - 1ULL, NS_PER_S), UINT32_MAX);
    assert_int_equal(timer_ticks(0, UINT32_MAX, NS_PER_S), UINT32_MAX);
    assert_int_equal(timer_ticks(0, UINT32_MAX + 1ULL, NS_PER_S), UINT32_MAX);
}

/* Never too early by more than the counter forces, never 0, for any rate there is. */
static void test_ticks_of_many_rates(void **state)
{
    for (uint64_t hz = 1000000; hz < 11000000000ULL; hz = hz * 7 / 3 + 1) {
        uint64_t before = 0;

        for (uint64_t wait = 1; wait < 1ULL << 62; wait = wait * 5 / 3 + 1) {
            uint64_t ticks = timer_ticks(12345, 12345 + wait, hz);

            assert_in_range(ticks, 1, UINT32_MAX);
            assert_true(ticks >= before);
            assert_true(ticks == UINT32_MAX || time_scale(ticks, NS_PER_S, hz) >= wait);
            assert_true(time_scale(ticks - 1, NS_PER_S, hz) <= wait);
            before = ticks;
        }
    }
}

static void test_calibration(void **state)
{
    calibrate(62500000, 62500000);
    assert_int_equal(counter, 0); /* it was stopped again */
    timer_set(TIMER_VCPU, now + NS_PER_S);
    assert_in_range(counter, 62499000, 62501000);
    stolen = 40000000;
    calibrate(62500000, 62500000);
    assert_int_equal(stolen, 0);
    timer_set(TIMER_VCPU, now + NS_PER_S);
    assert_in_range(counter, 62499000, 62501000);
    apparent = 0; /* one that stands */
    assert_int_equal(timer_init(), STATUS_UNSUPPORTED);
}

static void test_two_users(void **state)
{
    calibrate(NS_PER_S, NS_PER_S);
    timer_set(TIMER_VCPU, now + 1000);
    assert_int_equal(counter, 1001);
    timer_set(TIMER_SERVICE, now + 5000);
    assert_int_equal(counter, 1001);
    timer_set(TIMER_SERVICE, now + 100);
    assert_int_equal(counter, 101);
    timer_set(TIMER_SERVICE, TIMER_NEVER);
    assert_int_equal(counter, 1001);
    timer_set(TIMER_VCPU, TIMER_NEVER);
    assert_int_equal(counter, 0);
    timer_set(TIMER_VCPU, 0); /* long ago: at once */
    assert_int_equal(counter, 1);
}

/* The interrupt that was one user's does not lose the other's deadline. */
static void test_second_deadline(void **state)
{
    calibrate(NS_PER_S, NS_PER_S);
    uint64_t vcpu = now + 9000;

    timer_set(TIMER_VCPU, vcpu);
    timer_set(TIMER_SERVICE, now + 100);
    assert_true(fires_before(vcpu));
    assert_true(fires_before(vcpu + 2));
    assert_int_equal(counter, 0); /* none is ahead */
}

/* Rates are measured: a timer that runs faster than it seemed wakes too early. */
static void test_fires_too_early(void **state)
{
    calibrate(100010000, 100000000);
    uint64_t deadline = now + 3 * NS_PER_S;
    unsigned wakes = 0;

    timer_set(TIMER_VCPU, deadline);
    while (now < deadline) {
        assert_true(fires_before(deadline + 1000));
        wakes++;
    }
    assert_in_range(wakes, 2, 5);
}

/* The counter's 32 bits last four seconds at 1 GHz. */
static void test_far_deadline(void **state)
{
    calibrate(NS_PER_S, NS_PER_S);
    uint64_t deadline = now + 3600 * NS_PER_S;
    unsigned wakes = 0;

    timer_set(TIMER_VCPU, deadline);
    while (now < deadline) {
        assert_true(fires_before(deadline + 1000));
        wakes++;
    }
    assert_in_range(wakes, 838, 845);
}

static uint64_t service(uint64_t at)
{
    assert_int_equal(at, now);
    services++;
    return next_service;
}

static void test_service(void **state)
{
    calibrate(NS_PER_S, NS_PER_S);
    timer_service(); /* there is none */
    assert_false(timer_service_is_due());
    next_service = now + 1000;
    timer_set_service(service);
    assert_true(timer_service_is_due());
    timer_service();
    assert_int_equal(services, 1);
    assert_false(timer_service_is_due());
    timer_service();
    assert_int_equal(services, 1);
    assert_true(fires_before(next_service + 2));
    assert_true(timer_service_is_due());
    next_service = TIMER_NEVER;
    timer_service();
    assert_int_equal(services, 2);
    assert_int_equal(counter, 0);
    assert_false(timer_service_is_due());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_ticks_of_many_rates),
        cmocka_unit_test_setup(test_calibration, setup),
        cmocka_unit_test_setup(test_two_users, setup),
        cmocka_unit_test_setup(test_second_deadline, setup),
        cmocka_unit_test_setup(test_fires_too_early, setup),
        cmocka_unit_test_setup(test_far_deadline, setup),
        cmocka_unit_test_setup(test_service, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
