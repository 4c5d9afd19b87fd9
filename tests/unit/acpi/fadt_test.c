/* SPDX-License-Identifier: BSD-2-Clause */
/* FADT and _S5_: what the machine is switched off with. */
#include "tests/unit/acpi/build.h"
#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct blob table;
static struct acpi_facts facts;

/* A table of SIZE bytes with what an ACPI 1.0 machine has. */
static void begin(uint8_t revision, uint32_t size, uint32_t flags)
{
    fake_log_clear();
    table_begin(&table, "FACP", revision);
    put_zeros(&table, size - table.size);
    set32(&table, 40, 0x7ff00000);
    set32(&table, 48, 0xb2);
    table.bytes[52] = 0xf1;
    set32(&table, 64, 0x604);
    set32(&table, 76, 0x608);
    set32(&table, 112, flags);
}

static void set_gas(uint32_t offset, uint8_t space, uint64_t address)
{
    table.bytes[offset] = space;
    table.bytes[offset + 1] = 32;
    set32(&table, offset + 4, (uint32_t)address);
    set32(&table, offset + 8, (uint32_t)(address >> 32));
}

static void parse(void)
{
    table_end(&table);
    assert_int_equal(acpi_parse_table("FACP", blob_window(&table), &facts), STATUS_OK);
    assert_true(facts.fadt.present);
}

static void test_acpi_1(void **state)
{
    begin(1, 116, 1U << 10 | 1U << 8);
    parse();
    assert_int_equal(facts.fadt.dsdt.raw, 0x7ff00000);
    assert_int_equal(facts.fadt.smi_command, 0xb2);
    assert_int_equal(facts.fadt.acpi_enable, 0xf1);
    assert_int_equal(facts.fadt.pm_timer.address, 0x608);
    assert_int_equal(facts.fadt.pm_timer.space, ACPI_SPACE_IO);
    assert_int_equal(facts.fadt.pm_timer.width, 4);
    assert_int_equal(facts.fadt.pm1a_control.address, 0x604);
    assert_int_equal(facts.fadt.pm1a_control.width, 2);
    assert_int_equal(facts.fadt.pm1b_control.address, 0);
    assert_int_equal(facts.fadt.reset.address, 0); /* the table is too old to have one */
    assert_string_equal(fake_log_text(), "");
}

static void test_acpi_6(void **state)
{
    begin(6, 276, 1U << 10);
    set_gas(116, ACPI_SPACE_IO, 0xcf9);
    table.bytes[128] = 0x0f;
    set32(&table, 140, 0x12345000);
    set32(&table, 144, 1);
    set_gas(172, ACPI_SPACE_IO, 0x804);
    set_gas(184, ACPI_SPACE_IO, 0x904);
    set_gas(208, ACPI_SPACE_MEMORY, 0xfed80808);
    parse();
    assert_int_equal(facts.fadt.dsdt.raw, 0x112345000);
    assert_int_equal(facts.fadt.pm1a_control.address, 0x804);
    assert_int_equal(facts.fadt.pm1b_control.address, 0x904);
    assert_int_equal(facts.fadt.pm_timer.space, ACPI_SPACE_MEMORY);
    assert_int_equal(facts.fadt.pm_timer.address, 0xfed80808);
    assert_int_equal(facts.fadt.reset.address, 0xcf9);
    assert_int_equal(facts.fadt.reset_value, 0x0f);
}

static void test_hardware_reduced(void **state)
{
    begin(6, 276, 1U << 20);
    set_gas(244, ACPI_SPACE_MEMORY, 0xfed00000);
    parse();
    assert_int_equal(facts.fadt.pm_timer.address, 0);
    assert_int_equal(facts.fadt.pm1a_control.address, 0);
    assert_int_equal(facts.fadt.sleep_control.address, 0xfed00000);
}

static void test_bad_registers(void **state)
{
    begin(6, 276, 1U << 10);
    set_gas(116, ACPI_SPACE_PCI_CONFIG, 0x0000001f00030044ULL);
    set_gas(172, ACPI_SPACE_IO, 0xffff);       /* two bytes do not fit */
    set_gas(184, ACPI_SPACE_PCI_CONFIG, 0x44); /* only allowed for the reset register */
    set_gas(208, 7, 0x1000);
    set32(&table, 48, 0x12345);
    set32(&table, 68, 0x10000);
    parse();
    assert_int_equal(facts.fadt.reset.space, ACPI_SPACE_PCI_CONFIG);
    assert_int_equal(facts.fadt.pm1a_control.address, 0x604); /* the old field is sound */
    assert_int_equal(facts.fadt.pm1b_control.address, 0);
    assert_int_equal(facts.fadt.pm_timer.address, 0x608);
    assert_int_equal(facts.fadt.smi_command, 0);
    assert_true(fake_log_contains("PM1a control: no register can be at 0xffff of address space 1"));
    assert_true(fake_log_contains("PM1b control: port 0x10000 does not exist"));
    assert_true(fake_log_contains("PM timer: no register can be at 0x1000 of address space 7"));
    assert_true(fake_log_contains("SMI command port 0x12345 does not exist"));
    begin(6, 276, 1U << 10);
    set_gas(116, ACPI_SPACE_PCI_CONFIG, 0x0000002000000044ULL); /* device 32 */
    parse();
    assert_int_equal(facts.fadt.reset.address, 0);
}

static enum status parse_fadt(struct acpi_window window)
{
    static struct acpi_facts read;
    enum status status;

    read.fadt.present = false;
    status = acpi_parse_table("FACP", window, &read);

    assert_int_equal(read.fadt.present, status == STATUS_OK);
    assert_true(read.fadt.pm_timer.space != ACPI_SPACE_IO || read.fadt.pm_timer.address <= 0xfffc);
    return status;
}

static void test_battered(void **state)
{
    begin(6, 276, 1U << 10);
    set_gas(116, ACPI_SPACE_IO, 0xcf9);
    set_gas(208, ACPI_SPACE_IO, 0x608);
    table_end(&table);
    parse_battered(&table, 116, parse_fadt);
}

static struct acpi_s5 s5;

static enum status find_s5(const void *aml, uint32_t size)
{
    table_begin(&table, "DSDT", 2);
    for (uint32_t i = 0; i < size; i++) {
        put8(&table, ((const uint8_t *)aml)[i]);
    }
    table_end(&table);
    s5 = (struct acpi_s5){0};
    return sleep_find_s5(blob_window(&table), &s5);
}

#define FIND_S5(text) find_s5((text), sizeof(text) - 1)

static void test_s5(void **state)
{
    assert_int_equal(FIND_S5("\x08_S5_\x12\x06\x04\x00\x00\x00\x00"), STATUS_OK);
    assert_true(s5.present && s5.type_a == 0 && s5.type_b == 0);
    assert_int_equal(FIND_S5("\x10\x20\x08\\_S5_\x12\x07\x04\x0a\x05\x01\x00\x00"), STATUS_OK);
    assert_int_equal(s5.type_a, 5);
    assert_int_equal(s5.type_b, 1);
    assert_int_equal(FIND_S5("\x08_S5_\x12\x4d\x00\x04\x0b\x07\x00\x0c\x06\x00\x00\x00\x00\x00"),
                     STATUS_OK);
    assert_int_equal(s5.type_a, 7);
    assert_int_equal(s5.type_b, 6);
    /* a mere mention of the name goes before the definition */
    assert_int_equal(FIND_S5("\x70_S5_`\x08_S5_\x12\x05\x03\x01\x01\x00"), STATUS_OK);
    assert_int_equal(s5.type_b, 1);
}

static void test_s5_bad(void **state)
{
    static const char good[] = "\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x05\x00\x00\x00\x00";

    assert_int_equal(FIND_S5(""), STATUS_NOT_FOUND);
    assert_int_equal(FIND_S5("_S5_\x12\x06\x04\x00\x00\x00\x00"), STATUS_NOT_FOUND);
    assert_int_equal(FIND_S5("\x08_S5_\x0a\x06"), STATUS_NOT_FOUND); /* no package */
    assert_int_equal(FIND_S5("\x08_S5_\x12\x06\x01\x00\x00\x00"), STATUS_NOT_FOUND);     /* one */
    assert_int_equal(FIND_S5("\x08_S5_\x12\x06\x04\x0a\x08\x00\x00"), STATUS_NOT_FOUND); /* > 7 */
    assert_int_equal(FIND_S5("\x08_S5_\x12\x06\x04\x68\x69\x00\x00"), STATUS_NOT_FOUND);
    assert_int_equal(FIND_S5("\x08_S5_\x12\x00\x04\x00\x00\x00\x00"), STATUS_NOT_FOUND);
    assert_int_equal(FIND_S5("\x08_S5_\x12\xff\xff\xff\xff\x04\x00\x00"), STATUS_NOT_FOUND);
    for (uint32_t size = 0; size < sizeof(good); size++) {
        uint32_t needed = 7 + 9; /* the package's length covers more than the two numbers */

        assert_int_equal(find_s5(good, size), size < needed ? STATUS_NOT_FOUND : STATUS_OK);
        assert_int_equal(s5.present, size >= needed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acpi_1),           cmocka_unit_test(test_acpi_6),
        cmocka_unit_test(test_hardware_reduced), cmocka_unit_test(test_bad_registers),
        cmocka_unit_test(test_battered),         cmocka_unit_test(test_s5),
        cmocka_unit_test(test_s5_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
