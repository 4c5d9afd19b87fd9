/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/log.h"
#include "tests/unit/pc/unit.h"

#include "vmm/pc/acpi_pm.h"
#include "vmm/pc/clock.h"

static struct acpi_pm pm;

static int setup(void **state)
{
    acpi_pm_reset(&pm, 0);
    fake_log_clear();
    return 0;
}

static uint64_t at(uint64_t tick)
{
    return clock_time_of_tick(tick, CLOCK_PM_HZ, 1);
}

static void test_timer_counts_24_bits(void **state)
{
    assert_int_equal(acpi_pm_read(&pm, 8, 4, NS_PER_S), CLOCK_PM_HZ);
    assert_int_equal(acpi_pm_read(&pm, 8, 4, at(0x1000005)), 5);
    assert_int_equal(acpi_pm_read(&pm, 9, 1, at(0x1234567)), 0x45);
    assert_int_equal(acpi_pm_read(&pm, 10, 2, at(0x1234567)), 0x23);
    acpi_pm_write(&pm, 8, 4, 0, at(0x1234567));
    assert_int_equal(acpi_pm_read(&pm, 8, 4, at(0x1234567)), 0x234567);
}

static void test_timer_carry(void **state)
{
    acpi_pm_write(&pm, 2, 2, 1, 0);
    assert_int_equal(pm.next_event, at(0x800000));
    acpi_pm_run(&pm, at(0x800000) - 1);
    assert_false(acpi_pm_irq(&pm));
    acpi_pm_run(&pm, at(0x800000));
    assert_true(acpi_pm_irq(&pm));
    assert_int_equal(pm.next_event, CLOCK_NEVER);
    acpi_pm_write(&pm, 0, 2, 1, at(0x800001));
    assert_false(acpi_pm_irq(&pm));
    assert_int_equal(pm.next_event, at(0x1000000));
}

static void test_status_and_enable(void **state)
{
    acpi_pm_power_button(&pm);
    assert_false(acpi_pm_irq(&pm));
    acpi_pm_write(&pm, 0, 4, 0x01000000, 0); /* enable; nothing cleared */
    assert_true(acpi_pm_irq(&pm));
    assert_int_equal(acpi_pm_read(&pm, 0, 4, 0), 0x01000100);
    acpi_pm_write(&pm, 1, 1, 0x01, 0); /* the status' high byte alone */
    assert_int_equal(acpi_pm_read(&pm, 0, 2, 0), 0);
    acpi_pm_write(&pm, 3, 1, 0xff, 0);
    assert_int_equal(acpi_pm_read(&pm, 2, 2, 0), 0x0700);
    acpi_pm_write(&pm, 2, 1, 0xff, 0);
    assert_int_equal(acpi_pm_read(&pm, 2, 2, 0), 0x0721);
}

static void test_sci_needs_acpi_mode(void **state)
{
    acpi_pm_power_button(&pm);
    acpi_pm_write(&pm, 2, 2, 0x100, 0);
    acpi_pm_apm_write(&pm, 0xb2, 0xf0);
    assert_false(acpi_pm_irq(&pm));
    assert_int_equal(acpi_pm_read(&pm, 4, 2, 0) & 1, 0);
    acpi_pm_apm_write(&pm, 0xb3, 0xf1); /* the data port switches nothing */
    assert_false(acpi_pm_irq(&pm));
    acpi_pm_apm_write(&pm, 0xb2, 0xf1);
    assert_true(acpi_pm_irq(&pm));
    assert_int_equal(acpi_pm_apm_read(&pm, 0xb2), 0xf1);
    assert_int_equal(acpi_pm_apm_read(&pm, 0xb3), 0xf1);
}

static void test_soft_off(void **state)
{
    assert_int_equal(acpi_pm_write(&pm, 4, 2, 0x0001, 0), ACPI_PM_NOTHING);
    assert_int_equal(acpi_pm_write(&pm, 4, 2, 0x2001, 0), ACPI_PM_POWER_OFF);
    assert_int_equal(acpi_pm_read(&pm, 4, 2, 0), 0x0001); /* SLP_EN does not stay */
    assert_int_equal(acpi_pm_write(&pm, 5, 1, 0x20, 0), ACPI_PM_POWER_OFF);
    assert_int_equal(acpi_pm_write(&pm, 4, 2, 0x2401, 0), ACPI_PM_NOTHING); /* S3 */
    assert_true(fake_log_contains("sleep type 1"));
    fake_log_clear();
    acpi_pm_write(&pm, 4, 2, 0x2401, 0);
    assert_false(fake_log_contains("sleep type")); /* counted, said once */
    assert_int_equal(pm.ignored_sleeps, 2);
}

static void test_unknown_offsets(void **state)
{
    for (unsigned offset = 0; offset < ACPI_PM_SIZE; offset += 4) {
        acpi_pm_write(&pm, offset, 4, 0, 0);
    }
    assert_int_equal(acpi_pm_read(&pm, 0x0c, 4, 0), 0);
    acpi_pm_write(&pm, 0x28, 4, 0x12345678, 0);
    acpi_pm_write(&pm, 0x29, 1, 0xff, 0);
    assert_int_equal(acpi_pm_read(&pm, 0x28, 4, 0), 0x1234ff78);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_timer_counts_24_bits, setup),
        cmocka_unit_test_setup(test_timer_carry, setup),
        cmocka_unit_test_setup(test_status_and_enable, setup),
        cmocka_unit_test_setup(test_sci_needs_acpi_mode, setup),
        cmocka_unit_test_setup(test_soft_off, setup),
        cmocka_unit_test_setup(test_unknown_offsets, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
