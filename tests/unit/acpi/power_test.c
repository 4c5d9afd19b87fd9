/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi.h"
#include "tests/unit/fakes/physical.h"
#include "tests/unit/fakes/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct acpi_facts facts;
static uint8_t memory[64];

static struct acpi_register port(uint16_t address, uint8_t width)
{
    return (struct acpi_register){.space = ACPI_SPACE_IO, .address = address, .width = width};
}

static int set_up(void **state)
{
    memset(&facts, 0, sizeof(facts));
    memset(memory, 0, sizeof(memory));
    fake_physical_reset();
    fake_physical_add(0xfed00000, memory, sizeof(memory));
    fake_ports_reset();
    facts.fadt.present = true;
    facts.fadt.pm1a_control = port(0x604, 2);
    facts.s5 = (struct acpi_s5){.present = true, .type_a = 5, .type_b = 3};
    fake_port_set(0x604, 0x0c03); /* an old sleep type, and SCI_EN */
    return 0;
}

static void check_write(unsigned index, uint16_t address, unsigned width, uint32_t value)
{
    struct fake_port_write write = fake_port_write_at(index);

    assert_true(index < fake_port_write_count());
    assert_int_equal(write.port, address);
    assert_int_equal(write.width, width);
    assert_int_equal(write.value, value);
}

/* SLP_TYP first, SLP_EN after it, the other bits left alone. */
static void test_power_off(void **state)
{
    facts.fadt.pm1b_control = port(0x804, 2);
    fake_port_set(0x804, 0x0001);
    assert_int_equal(acpi_power_off(&facts), STATUS_TIMEOUT);
    assert_int_equal(fake_port_write_count(), 4);
    check_write(0, 0x604, 2, 0x1403);
    check_write(1, 0x604, 2, 0x3403);
    check_write(2, 0x804, 2, 0x0c01);
    check_write(3, 0x804, 2, 0x2c01);
    assert_int_equal(fake_time_us(), 1000000);
}

/* In legacy mode ACPI is switched on first; firmware that does not answer holds nothing up long. */
static void test_legacy_mode(void **state)
{
    facts.fadt.smi_command = 0xb2;
    facts.fadt.acpi_enable = 0xf1;
    fake_port_set(0x604, 0);
    assert_int_equal(acpi_power_off(&facts), STATUS_TIMEOUT);
    assert_int_equal(fake_port_write_count(), 3);
    check_write(0, 0xb2, 1, 0xf1);
    check_write(2, 0x604, 2, 0x3400);
    assert_int_equal(fake_time_us(), 2000000);
    set_up(NULL);
    facts.fadt.smi_command = 0xb2;
    facts.fadt.acpi_enable = 0xf1;
    assert_int_equal(acpi_power_off(&facts), STATUS_TIMEOUT);
    assert_int_equal(fake_port_write_count(), 2); /* ACPI mode was on */
}

static void test_power_off_memory(void **state)
{
    facts.fadt.pm1a_control =
        (struct acpi_register){.space = ACPI_SPACE_MEMORY, .address = 0xfed00010, .width = 2};
    assert_int_equal(acpi_power_off(&facts), STATUS_TIMEOUT);
    assert_int_equal(memory[0x10] | memory[0x11] << 8, 0x3400);
    assert_int_equal(fake_port_write_count(), 0);
}

static void test_power_off_reduced(void **state)
{
    facts.fadt.sleep_control =
        (struct acpi_register){.space = ACPI_SPACE_MEMORY, .address = 0xfed00020, .width = 1};
    assert_int_equal(acpi_power_off(&facts), STATUS_TIMEOUT);
    assert_int_equal(memory[0x20], 5 << 2 | 1 << 5);
    assert_int_equal(fake_port_write_count(), 0);
}

static void test_no_way(void **state)
{
    facts.s5.present = false;
    assert_int_equal(acpi_power_off(&facts), STATUS_NOT_FOUND);
    facts.s5.present = true;
    facts.fadt.pm1a_control.address = 0;
    assert_int_equal(acpi_power_off(&facts), STATUS_NOT_FOUND);
    facts.fadt.pm1a_control =
        (struct acpi_register){.space = ACPI_SPACE_MEMORY, .address = 0x1000, .width = 2};
    assert_int_equal(acpi_power_off(&facts), STATUS_NOT_FOUND); /* cannot be mapped */
    assert_int_equal(fake_port_write_count(), 0);
}

/* The FADT's register, then CF9h, then the keyboard controller. */
static void test_reset(void **state)
{
    facts.fadt.reset = port(0xcf9, 1);
    facts.fadt.reset_value = 0x0f;
    assert_int_equal(acpi_reset(&facts), STATUS_TIMEOUT);
    assert_int_equal(fake_port_write_count(), 4);
    check_write(0, 0xcf9, 1, 0x0f);
    check_write(1, 0xcf9, 1, 0x02);
    check_write(2, 0xcf9, 1, 0x06);
    check_write(3, 0x64, 1, 0xfe);
}

static void test_reset_elsewhere(void **state)
{
    facts.fadt.reset =
        (struct acpi_register){.space = ACPI_SPACE_MEMORY, .address = 0xfed00030, .width = 1};
    facts.fadt.reset_value = 0x55;
    assert_int_equal(acpi_reset(&facts), STATUS_TIMEOUT);
    assert_int_equal(memory[0x30], 0x55);
    assert_int_equal(fake_port_write_count(), 3);
    fake_ports_reset();
    facts.fadt.reset = (struct acpi_register){
        .space = ACPI_SPACE_PCI_CONFIG, .address = 0x0000001f00030046ULL, .width = 1};
    assert_int_equal(acpi_reset(&facts), STATUS_TIMEOUT);
    check_write(0, 0xcf8, 4, 0x80000000 | 0x1f << 11 | 3 << 8 | 0x44);
    check_write(1, 0xcfe, 1, 0x55);
    fake_ports_reset();
    memset(&facts, 0, sizeof(facts));
    assert_int_equal(acpi_reset(&facts), STATUS_TIMEOUT);
    assert_int_equal(fake_port_write_count(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_power_off, set_up),
        cmocka_unit_test_setup(test_legacy_mode, set_up),
        cmocka_unit_test_setup(test_power_off_memory, set_up),
        cmocka_unit_test_setup(test_power_off_reduced, set_up),
        cmocka_unit_test_setup(test_no_way, set_up),
        cmocka_unit_test_setup(test_reset, set_up),
        cmocka_unit_test_setup(test_reset_elsewhere, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
