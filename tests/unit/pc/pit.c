/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/clock.h"
#include "vmm/pc/pit.h"

static struct pit pit;

/* The first nanosecond of a tick. */
static uint64_t at(uint64_t tick)
{
    return clock_time_of_tick(tick, CLOCK_PM_HZ, 3);
}

static int setup(void **state)
{
    pit_reset(&pit, 0);
    return 0;
}

static void load(unsigned channel, unsigned mode, uint16_t count, uint64_t tick)
{
    pit_write(&pit, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1), at(tick));
    pit_write(&pit, (uint16_t)(0x40 + channel), (uint8_t)count, at(tick));
    pit_write(&pit, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8), at(tick));
}

static uint16_t latched(unsigned channel, uint64_t tick)
{
    uint16_t port = (uint16_t)(0x40 + channel);

    pit_write(&pit, 0x43, (uint8_t)(channel << 6), at(tick));
    uint16_t low = pit_read(&pit, port, at(tick + 7));

    return (uint16_t)(low | pit_read(&pit, port, at(tick + 9)) << 8);
}

static bool out(unsigned channel, uint64_t tick)
{
    return pit_output(&pit, channel, at(tick));
}

static uint8_t status(unsigned channel, uint64_t tick)
{
    pit_write(&pit, 0x43, (uint8_t)(0xe0 | 2U << channel), at(tick));
    return pit_read(&pit, (uint16_t)(0x40 + channel), at(tick));
}

static void test_clock_is_exact(void **state)
{
    for (uint64_t tick = 1; tick < 1ULL << 50; tick = tick * 3 + 1) {
        uint64_t ns = at(tick);

        assert_int_equal(clock_ticks(ns, CLOCK_PM_HZ, 3), tick);
        assert_int_equal(clock_ticks(ns - 1, CLOCK_PM_HZ, 3), tick - 1);
    }
    assert_int_equal(clock_ticks(3000 * NS_PER_S, CLOCK_PM_HZ, 3), CLOCK_PM_HZ * 1000);
    assert_int_equal(clock_scale(UINT64_MAX, UINT64_MAX, 1), UINT64_MAX);
    assert_int_equal(clock_scale_up(10, 1, 3), 4);
    assert_int_equal(clock_scale_up(9, 1, 3), 3);
}

static void test_mode0(void **state)
{
    load(0, 0, 1000, 100);
    assert_false(out(0, 100));
    assert_int_equal(latched(0, 201), 900);
    assert_int_equal(pit.next_event, at(1101));
    assert_false(out(0, 1100));
    assert_true(out(0, 1101));
    pit_run(&pit, at(1100));
    assert_false(pit_take_edge(&pit));
    pit_run(&pit, at(1101));
    assert_true(pit_take_edge(&pit));
    assert_false(pit_take_edge(&pit));
    assert_int_equal(pit.next_event, CLOCK_NEVER);
    assert_int_equal(latched(0, 1111), 0x10000 - 10); /* counts on */
    pit_write(&pit, 0x40, 5, at(2000));               /* the first byte lowers OUT */
    assert_false(out(0, 2000));
}

static void test_mode0_gate(void **state)
{
    load(2, 0, 1000, 0); /* gate 2 is low after reset */
    assert_int_equal(latched(2, 500), 1000);
    pit_control_write(&pit, 1, at(600));
    assert_int_equal(latched(2, 700), 900);
    pit_control_write(&pit, 0, at(800));
    assert_int_equal(latched(2, 5000), 800);
    pit_control_write(&pit, 3, at(6000));
    assert_int_equal(pit_control_read(&pit, at(6799)) & 0x23, 0x03);
    assert_int_equal(pit_control_read(&pit, at(6800)) & 0x23, 0x23);
}

static void test_mode1(void **state)
{
    load(2, 1, 500, 0);
    assert_true(out(2, 1000));
    pit_control_write(&pit, 1, at(1000));
    assert_false(out(2, 1001));
    assert_false(out(2, 1500));
    assert_true(out(2, 1501));
    pit_control_write(&pit, 0, at(1600)); /* the gate's fall changes nothing */
    pit_control_write(&pit, 1, at(2000));
    pit_control_write(&pit, 0, at(2100));
    pit_control_write(&pit, 1, at(2300)); /* triggered again before the end */
    assert_false(out(2, 2700));
    assert_true(out(2, 2801));
}

static void test_mode2(void **state)
{
    load(0, 2, 1000, 0);
    assert_true(pit_take_edge(&pit)); /* from "no mode": low to high, as on the chip */
    assert_int_equal(latched(0, 1), 1000);
    assert_int_equal(latched(0, 1000), 1);
    assert_false(out(0, 1000));
    assert_true(out(0, 1001));
    assert_true(pit_take_edge(&pit)); /* the latch above was later than the first period */
    for (uint64_t period = 2; period < 5; period++) {
        pit_run(&pit, at(1000 * period));
        assert_false(pit_take_edge(&pit));
        pit_run(&pit, at(1000 * period + 1));
        assert_true(pit_take_edge(&pit));
    }
    pit_run(&pit, at(50500));
    assert_true(pit_take_edge(&pit)); /* many missed: one */
    assert_int_equal(pit.next_event, at(51001));
}

static void test_mode2_new_count_after_period(void **state)
{
    load(0, 2, 1000, 0);
    pit_write(&pit, 0x40, 0xf4, at(300));
    pit_write(&pit, 0x40, 0x01, at(300));      /* 500 */
    assert_true((status(0, 400) & 0x40) != 0); /* not loaded yet */
    assert_int_equal(latched(0, 900), 101);
    assert_int_equal(latched(0, 1101), 400);
    assert_int_equal(status(0, 1200) & 0x40, 0);
    (void)pit_take_edge(&pit);
    pit_run(&pit, at(1500));
    assert_false(pit_take_edge(&pit));
    pit_run(&pit, at(1501));
    assert_true(pit_take_edge(&pit));
}

static void test_mode3(void **state)
{
    load(2, 3, 1001, 0);
    assert_true(out(2, 10)); /* gate low: held high */
    pit_control_write(&pit, 1, at(100));
    assert_true(out(2, 101 + 500));
    assert_false(out(2, 101 + 501));
    assert_false(out(2, 101 + 1000));
    assert_true(out(2, 101 + 1001));
    assert_int_equal(latched(2, 101 + 10), 980);
    pit_control_write(&pit, 0, at(101 + 1600));
    assert_true(out(2, 101 + 1600));
}

static void test_mode4_and_5(void **state)
{
    load(0, 4, 100, 0);
    (void)pit_take_edge(&pit);
    assert_true(out(0, 100));
    assert_false(out(0, 101));
    assert_true(out(0, 102));
    pit_run(&pit, at(101));
    assert_false(pit_take_edge(&pit));
    pit_run(&pit, at(102));
    assert_true(pit_take_edge(&pit));
    load(2, 5, 100, 200);
    assert_true(out(2, 1000));
    pit_control_write(&pit, 1, at(1000));
    assert_false(out(2, 1101));
    assert_true(out(2, 1102));
}

static void test_forbidden_and_short_counts(void **state)
{
    load(0, 2, 1, 0);
    (void)pit_take_edge(&pit);
    pit_run(&pit, at(100));
    assert_false(pit_take_edge(&pit));
    assert_int_equal(pit.next_event, CLOCK_NEVER);
    load(0, 2, 2, 100); /* 600 kHz: at most one event in 50 us */
    uint64_t before = pit.next_event;
    pit_run(&pit, before);
    assert_true(pit.next_event >= before + CLOCK_PERIOD_MIN_NS - 1000);
    assert_true(pit_take_edge(&pit));
}

static void test_bcd(void **state)
{
    pit_write(&pit, 0x43, 0x31, 0);
    pit_write(&pit, 0x40, 0x00, 0);
    pit_write(&pit, 0x40, 0x10, 0); /* 1000 */
    assert_int_equal(latched(0, 2), 0x0999);
    assert_int_equal(latched(0, 901), 0x0100);
    assert_int_equal(latched(0, 1002), 0x9999);
    pit_write(&pit, 0x43, 0x35, at(2000));
    pit_write(&pit, 0x40, 0, at(2000));
    pit_write(&pit, 0x40, 0, at(2000)); /* 0 means 10000 */
    assert_int_equal(latched(0, 2001), 0x0000);
    assert_int_equal(latched(0, 2002), 0x9999);
    pit_write(&pit, 0x43, 0x31, at(3000)); /* digits that are none */
    pit_write(&pit, 0x40, 0xff, at(3000));
    pit_write(&pit, 0x40, 0xff, at(3000));
    (void)latched(0, 3500);
}

static void test_read_back_both_latches(void **state)
{
    load(0, 2, 0x1234, 0);
    pit_write(&pit, 0x43, 0xc2, at(1));   /* count and status of channel 0 */
    pit_write(&pit, 0x43, 0xc2, at(500)); /* the second latch does nothing */
    assert_int_equal(pit_read(&pit, 0x40, at(600)), 0x80 | 0x34);
    assert_int_equal(pit_read(&pit, 0x40, at(600)), 0x34);
    assert_int_equal(pit_read(&pit, 0x40, at(600)), 0x12);
    assert_int_equal(pit_read(&pit, 0x43, at(600)), 0xff);
}

static void test_byte_accesses(void **state)
{
    pit_write(&pit, 0x43, 0x14, 0); /* low byte only, mode 2 */
    pit_write(&pit, 0x40, 200, 0);
    assert_int_equal(pit_read(&pit, 0x40, at(1)), 200);
    assert_int_equal(pit_read(&pit, 0x40, at(51)), 150);
    pit_write(&pit, 0x43, 0x24, at(100)); /* high byte only */
    pit_write(&pit, 0x40, 2, at(100));
    assert_int_equal(pit_read(&pit, 0x40, at(101)), 2);
    assert_int_equal(pit_read(&pit, 0x40, at(102)), 1);
}

static void test_refresh_toggles(void **state)
{
    unsigned toggles = 0;
    uint8_t before = pit_control_read(&pit, 0) & 0x10;

    for (uint64_t ns = 0; ns < NS_PER_MS; ns += 1000) {
        uint8_t now = pit_control_read(&pit, ns) & 0x10;

        toggles += now != before;
        before = now;
    }
    assert_int_equal(toggles, 66); /* 1 ms / 15.085 us */
}

static void test_no_drift(void **state)
{
    uint64_t edges = 0;

    load(0, 2, 11932, 0); /* 100 Hz, nearly */
    (void)pit_take_edge(&pit);
    uint64_t end = 600 * NS_PER_S;
    while (pit.next_event < end) {
        pit_run(&pit, pit.next_event + edges % 3 * 1000); /* a late CPU does not matter */
        edges += pit_take_edge(&pit);
    }
    assert_int_equal(edges, (600 * CLOCK_PM_HZ / 3 - 1) / 11932);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_is_exact),
        cmocka_unit_test_setup(test_mode0, setup),
        cmocka_unit_test_setup(test_mode0_gate, setup),
        cmocka_unit_test_setup(test_mode1, setup),
        cmocka_unit_test_setup(test_mode2, setup),
        cmocka_unit_test_setup(test_mode2_new_count_after_period, setup),
        cmocka_unit_test_setup(test_mode3, setup),
        cmocka_unit_test_setup(test_mode4_and_5, setup),
        cmocka_unit_test_setup(test_forbidden_and_short_counts, setup),
        cmocka_unit_test_setup(test_bcd, setup),
        cmocka_unit_test_setup(test_read_back_both_latches, setup),
        cmocka_unit_test_setup(test_byte_accesses, setup),
        cmocka_unit_test_setup(test_refresh_toggles, setup),
        cmocka_unit_test_setup(test_no_drift, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
