/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/acpi/build.h"
#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct blob table;
static struct acpi_facts facts;

static void begin(void)
{
    fake_log_clear();
    table_begin(&table, "APIC", 5);
    put32(&table, 0xfee00000);
    put32(&table, 0);
}

static void put_cpu(uint8_t uid, uint8_t apic_id, uint32_t flags)
{
    put8(&table, 0);
    put8(&table, 8);
    put8(&table, uid);
    put8(&table, apic_id);
    put32(&table, flags);
}

static void put_x2cpu(uint32_t uid, uint32_t apic_id, uint32_t flags)
{
    put8(&table, 9);
    put8(&table, 16);
    put16(&table, 0);
    put32(&table, apic_id);
    put32(&table, flags);
    put32(&table, uid);
}

static void put_ioapic(uint8_t id, uint32_t base, uint32_t gsi)
{
    put8(&table, 1);
    put8(&table, 12);
    put8(&table, id);
    put8(&table, 0);
    put32(&table, base);
    put32(&table, gsi);
}

static void parse(void)
{
    table_end(&table);
    assert_int_equal(acpi_parse_table("APIC", blob_window(&table), &facts), STATUS_OK);
    assert_true(facts.madt.present);
}

static void build_typical(void)
{
    begin();
    put_cpu(1, 0, 1);
    put_cpu(2, 4, 1);
    put_cpu(3, 0xff, 0);
    put_cpu(4, 9, 2);
    put_x2cpu(5, 0x12345, 1);
    put_ioapic(8, 0xfec00000, 0);
    put_ioapic(9, 0xfec01000, 24);
    put8(&table, 2); /* an override: not looked at */
    put8(&table, 10);
    put_zeros(&table, 8);
    put8(&table, 5); /* local APICs elsewhere */
    put8(&table, 12);
    put16(&table, 0);
    put64(&table, 0x1fee00000ULL);
    put8(&table, 0x7f); /* a type to come */
    put8(&table, 3);
    put8(&table, 0);
}

static void test_typical(void **state)
{
    build_typical();
    parse();
    assert_int_equal(facts.madt.cpu_count, 3);
    assert_int_equal(facts.madt.cpus[0].apic_id, 0);
    assert_int_equal(facts.madt.cpus[1].apic_id, 4);
    assert_int_equal(facts.madt.cpus[1].uid, 2);
    assert_int_equal(facts.madt.cpus[2].apic_id, 0x12345);
    assert_int_equal(facts.madt.cpus[2].uid, 5);
    assert_int_equal(facts.madt.cpus_online_capable, 1);
    assert_int_equal(facts.madt.local_apic.raw, 0x1fee00000ULL);
    assert_int_equal(facts.madt.ioapic_count, 2);
    assert_int_equal(facts.madt.ioapics[1].base.raw, 0xfec01000);
    assert_int_equal(facts.madt.ioapics[1].gsi_base, 24);
    assert_string_equal(fake_log_text(), "");
}

static void test_duplicates(void **state)
{
    begin();
    put_cpu(1, 7, 1);
    put_x2cpu(1, 7, 1);
    put_cpu(2, 0xff, 1);
    put_x2cpu(3, 0xffffffff, 1);
    put_x2cpu(4, 0xff, 1); /* as x2APIC id that is an ordinary number */
    put_ioapic(1, 0xfec00000, 0);
    put_ioapic(2, 0xfec00000, 24);
    put_ioapic(3, 0xfec10000, 0);
    put_ioapic(4, 0, 48);
    put_ioapic(5, 0xfec00008, 48);
    parse();
    assert_int_equal(facts.madt.cpu_count, 2);
    assert_int_equal(facts.madt.cpus[1].apic_id, 0xff);
    assert_int_equal(facts.madt.ioapic_count, 1);
    assert_true(fake_log_contains("APIC id 7 is listed twice"));
    assert_true(fake_log_contains("CPU with UID 2 has the broadcast APIC id"));
    assert_true(fake_log_contains("IOAPIC 2 has the address or GSI base of IOAPIC 1"));
    assert_true(fake_log_contains("IOAPIC 4 has the impossible address"));
    assert_true(fake_log_contains("IOAPIC 5 has the impossible address"));
}

static void test_more_than_fit(void **state)
{
    begin();
    for (uint32_t i = 0; i < ACPI_CPUS_MAX + 44; i++) {
        put_x2cpu(i, i, 1);
    }
    for (uint32_t i = 0; i < ACPI_IOAPICS_MAX + 1; i++) {
        put_ioapic((uint8_t)i, 0xfe000000 + i * 4096, i * 24);
    }
    parse();
    assert_int_equal(facts.madt.cpu_count, ACPI_CPUS_MAX);
    assert_int_equal(facts.madt.cpus_left_out, 44);
    assert_int_equal(facts.madt.ioapic_count, ACPI_IOAPICS_MAX);
    assert_true(fake_log_contains("44 CPUs beyond the first 256 are not used"));
}

/* An entry that cannot be stepped over ends the table; what was before it counts. */
static void test_bad_lengths(void **state)
{
    static const uint8_t lengths[] = {0, 1, 9, 255};

    for (unsigned i = 0; i < sizeof(lengths); i++) {
        begin();
        put_cpu(1, 3, 1);
        put_cpu(2, 5, 1);
        table.bytes[44 + 8 + 1] = lengths[i];
        parse();
        assert_int_equal(facts.madt.cpu_count, 1);
        assert_true(fake_log_contains("entry at offset 52 has length"));
    }
    begin();
    put8(&table, 0); /* a CPU cut to 4 bytes is stepped over */
    put8(&table, 4);
    put16(&table, 0);
    put_cpu(2, 5, 1);
    parse();
    assert_int_equal(facts.madt.cpu_count, 1);
    assert_int_equal(facts.madt.cpus[0].apic_id, 5);
    assert_true(fake_log_contains("of type 0 is cut to 4 bytes"));
}

static enum status parse_one(struct acpi_window window)
{
    static struct acpi_facts read;
    const struct acpi_madt *other = &read.madt;
    enum status status;

    read.madt.present = false;
    status = acpi_parse_table("APIC", window, &read);

    assert_int_equal(other->present, status == STATUS_OK);
    assert_true(other->cpu_count <= 4 && other->ioapic_count <= 3);
    return status;
}

static void test_battered(void **state)
{
    build_typical();
    table_end(&table);
    parse_battered(&table, 44, parse_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typical),       cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_more_than_fit), cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_battered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
