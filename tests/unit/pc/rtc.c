/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/unit.h"

#include "vmm/base/rtc_date.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/pc.h"

#define START 1709164799 /* 2024-02-28 23:59:59 UTC, a Wednesday in a leap year */

static struct rtc rtc;

static int setup(void **state)
{
    const struct pc_config config = {
        .rtc_seconds = START,
        .memory_below_4g = 3ULL << 30,
        .memory_above_4g = 5ULL << 30,
        .vcpu_count = 4,
    };

    rtc_power_on(&rtc, &config);
    return 0;
}

static uint8_t get(uint8_t index, uint64_t now)
{
    rtc_write(&rtc, 0x70, index, now);
    return rtc_read(&rtc, 0x71, now);
}

static void put(uint8_t index, uint8_t value, uint64_t now)
{
    rtc_write(&rtc, 0x70, index, now);
    rtc_write(&rtc, 0x71, value, now);
}

static void check_date(uint64_t now, const uint8_t *expected)
{
    static const uint8_t order[] = {RTC_CENTURY, RTC_YEAR, RTC_MONTH,  RTC_DAY,
                                    RTC_WEEKDAY, RTC_HOUR, RTC_MINUTE, RTC_SECOND};

    for (unsigned i = 0; i < sizeof(order); i++) {
        assert_int_equal(get(order[i], now), expected[i]);
    }
}

static void test_date_in_all_formats(void **state)
{
    check_date(0, (const uint8_t[]){0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x59});
    check_date(NS_PER_S, (const uint8_t[]){0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00});
    put(0x0b, 0x06, NS_PER_S); /* binary */
    check_date(0 + NS_PER_S, (const uint8_t[]){20, 24, 2, 29, 5, 0, 0, 0});
    put(0x0b, 0x04, NS_PER_S); /* binary, 12 hours: midnight is 12 AM */
    assert_int_equal(get(RTC_HOUR, NS_PER_S), 12);
    assert_int_equal(get(RTC_HOUR, 13 * 3600ULL * NS_PER_S + NS_PER_S), 0x80 | 1);
    put(0x0b, 0x00, NS_PER_S);
    assert_int_equal(get(RTC_HOUR, 23 * 3600ULL * NS_PER_S + NS_PER_S), 0x80 | 0x11);
}

static void test_dates_round_trip(void **state)
{
    uint8_t ram[RTC_RAM_SIZE] = {0};

    for (int64_t s = 0; s < 253402300799; s += 86399 * 7 + 13) {
        uint8_t format = (uint8_t)(s % 4) << 1;

        rtc_date_store(ram, format, s);
        assert_int_equal(rtc_date_load(ram, format), s);
    }
    rtc_date_store(ram, 6, 951782400); /* 2000-02-29, a Tuesday */
    assert_int_equal(ram[RTC_DAY], 29);
    assert_int_equal(ram[RTC_WEEKDAY], 3);
}

static void test_update_in_progress(void **state)
{
    assert_int_equal(get(0x0a, 0), 0x26);
    assert_int_equal(get(0x0a, NS_PER_S - 2229000), 0x26);
    assert_int_equal(get(0x0a, NS_PER_S - 2228000), 0xa6);
    assert_int_equal(get(0x0a, NS_PER_S - 1), 0xa6);
    assert_int_equal(get(0x0a, NS_PER_S), 0x26);
}

static void test_set_stops_and_starts_the_date(void **state)
{
    put(0x0b, 0x82, NS_PER_S / 4);
    assert_int_equal(get(RTC_SECOND, 5 * NS_PER_S), 0x59);
    put(RTC_CENTURY, 0x19, 5 * NS_PER_S);
    put(RTC_YEAR, 0x99, 5 * NS_PER_S);
    put(RTC_MONTH, 0x12, 5 * NS_PER_S);
    put(RTC_DAY, 0x31, 5 * NS_PER_S);
    put(RTC_HOUR, 0x23, 5 * NS_PER_S);
    put(RTC_MINUTE, 0x59, 5 * NS_PER_S);
    put(RTC_SECOND, 0x58, 5 * NS_PER_S + 300 * NS_PER_MS);
    put(0x0b, 0x02, 5 * NS_PER_S + 300 * NS_PER_MS);
    assert_int_equal(get(RTC_SECOND, 6 * NS_PER_S - 1), 0x58); /* the divider never stopped */
    assert_int_equal(get(RTC_SECOND, 6 * NS_PER_S), 0x59);
    check_date(7 * NS_PER_S, (const uint8_t[]){0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00});
}

static void test_divider_reset_starts_half_a_second_early(void **state)
{
    put(0x0a, 0x76, 2 * NS_PER_S + 123456789);
    uint64_t release = 9 * NS_PER_S + 777;
    put(0x0a, 0x26, release);
    assert_int_equal(get(RTC_SECOND, release), 0x01);
    assert_int_equal(get(RTC_SECOND, release + 500 * NS_PER_MS - 1), 0x01);
    assert_int_equal(get(RTC_SECOND, release + 500 * NS_PER_MS), 0x02);
}

static void test_writing_without_set(void **state)
{
    put(RTC_HOUR, 0x12, 100);
    assert_int_equal(get(RTC_HOUR, 200), 0x12);
    assert_int_equal(get(RTC_MINUTE, 200), 0x59);
    put(RTC_MONTH, 0xff, 300); /* nonsense is brought into range */
    assert_int_equal(get(RTC_MONTH, 400), 0x12);
}

static void test_periodic_interrupt(void **state)
{
    unsigned count = 0;

    assert_int_equal(rtc.next_event, CLOCK_NEVER);
    put(0x0b, 0x42, 0);
    (void)get(0x0c, 0);
    while (rtc.next_event < 10 * NS_PER_S) {
        uint64_t now = rtc.next_event;

        rtc_run(&rtc, now - 1);
        assert_false(rtc_irq(&rtc));
        rtc_run(&rtc, now);
        assert_true(rtc_irq(&rtc));
        assert_int_equal(get(0x0c, now) & 0xc0, 0xc0);
        assert_false(rtc_irq(&rtc));
        count++;
    }
    assert_int_equal(count, 10 * 1024 - 1);
}

static void test_flags_without_enables(void **state)
{
    assert_int_equal(get(0x0c, 1500 * NS_PER_MS),
                     0x70); /* all, also the alarm at midnight; no interrupt */
    assert_int_equal(get(0x0c, 1500 * NS_PER_MS), 0);
    assert_false(rtc_irq(&rtc));
    put(0x0a, 0x20, 1600 * NS_PER_MS); /* no rate: no periodic flag */
    assert_int_equal(get(0x0c, 1700 * NS_PER_MS) & 0x40, 0x40);
    assert_int_equal(get(0x0c, 1900 * NS_PER_MS), 0);
}

static void test_update_and_alarm(void **state)
{
    put(0x0b, 0x32, 0);
    put(RTC_SECOND_ALARM, 0x02, 0);
    put(RTC_MINUTE_ALARM, 0xff, 0);
    put(RTC_HOUR_ALARM, 0xc0, 0);
    assert_int_equal(rtc.next_event, NS_PER_S);
    rtc_run(&rtc, NS_PER_S);
    assert_true(rtc_irq(&rtc));
    assert_int_equal(get(0x0c, NS_PER_S) & 0xb0, 0x90);
    rtc_run(&rtc, 3 * NS_PER_S); /* 00:00:02 */
    assert_int_equal(get(0x0c, 3 * NS_PER_S) & 0xb0, 0xb0);
    rtc_run(&rtc, 62 * NS_PER_S);
    assert_int_equal(get(0x0c, 62 * NS_PER_S) & 0x20, 0);
    rtc_run(&rtc, 63 * NS_PER_S);
    assert_int_equal(get(0x0c, 63 * NS_PER_S) & 0x20, 0x20);
}

static void test_alarm_at_an_hour(void **state)
{
    put(0x0b, 0x20, 0); /* 12 hours, BCD */
    put(RTC_HOUR_ALARM, 0x80 | 0x02, 0);
    put(RTC_MINUTE_ALARM, 0x30, 0);
    put(RTC_SECOND_ALARM, 0x00, 0);
    uint64_t alarm = (14 * 3600ULL + 1801) * NS_PER_S;
    rtc_run(&rtc, alarm - 1);
    assert_false(rtc_irq(&rtc));
    rtc_run(&rtc, alarm);
    assert_true(rtc_irq(&rtc));
}

static void test_reset_keeps_time_and_ram(void **state)
{
    put(0x40, 0x5a, 0);
    put(0x0b, 0x72, 0);
    rtc_run(&rtc, 3 * NS_PER_S);
    rtc_reset(&rtc, 3 * NS_PER_S);
    assert_false(rtc_irq(&rtc));
    assert_int_equal(get(0x0b, 3 * NS_PER_S), 0x02);
    assert_int_equal(get(0x40, 3 * NS_PER_S), 0x5a);
    assert_int_equal(get(RTC_SECOND, 3 * NS_PER_S), 0x02);
}

static void test_memory_sizes(void **state)
{
    assert_int_equal(get(0x15, 0) | get(0x16, 0) << 8, 640);
    assert_int_equal(get(0x30, 0) | get(0x31, 0) << 8, 0xffff);
    assert_int_equal(get(0x34, 0) | get(0x35, 0) << 8, (3072 - 16) * 16);
    assert_int_equal(get(0x5b, 0) | get(0x5c, 0) << 8 | get(0x5d, 0) << 16, 5 * 1024 * 16);
    assert_int_equal(get(0x5f, 0), 3);
    unsigned sum = 0;
    for (uint8_t i = 0x10; i <= 0x2d; i++) {
        sum += get(i, 0);
    }
    assert_int_equal(get(0x2e, 0) << 8 | get(0x2f, 0), sum);
}

static void test_read_only_registers(void **state)
{
    put(0x0d, 0, 0);
    assert_int_equal(get(0x0d, 0), 0x80);
    put(0x0c, 0xff, 0);
    assert_int_equal(get(0x0c, 0), 0);
    assert_int_equal(rtc_read(&rtc, 0x70, 0), 0xff);
    rtc_write(&rtc, 0x70, 0x80 | 0x40, 0);
    assert_true(rtc.state.nmi_masked);
    rtc_write(&rtc, 0x71, 0x77, 0);
    rtc_write(&rtc, 0x72, 0x40, 0);
    assert_int_equal(rtc_read(&rtc, 0x72, 0), 0x40);
    assert_int_equal(rtc_read(&rtc, 0x73, 0), 0x77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_date_in_all_formats, setup),
        cmocka_unit_test_setup(test_dates_round_trip, setup),
        cmocka_unit_test_setup(test_update_in_progress, setup),
        cmocka_unit_test_setup(test_set_stops_and_starts_the_date, setup),
        cmocka_unit_test_setup(test_divider_reset_starts_half_a_second_early, setup),
        cmocka_unit_test_setup(test_writing_without_set, setup),
        cmocka_unit_test_setup(test_periodic_interrupt, setup),
        cmocka_unit_test_setup(test_flags_without_enables, setup),
        cmocka_unit_test_setup(test_update_and_alarm, setup),
        cmocka_unit_test_setup(test_alarm_at_an_hour, setup),
        cmocka_unit_test_setup(test_reset_keeps_time_and_ram, setup),
        cmocka_unit_test_setup(test_memory_sizes, setup),
        cmocka_unit_test_setup(test_read_only_registers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
