/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/acpi/build.h"
#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct blob table;
static struct acpi_facts facts;

static void begin(uint8_t flags)
{
    fake_log_clear();
    table_begin(&table, "DMAR", 1);
    put8(&table, 45);
    put8(&table, flags);
    put_zeros(&table, 10);
}

static void put_drhd(uint16_t length, uint8_t flags, uint16_t segment, uint64_t base)
{
    put16(&table, 0);
    put16(&table, length);
    put8(&table, flags);
    put8(&table, 0);
    put16(&table, segment);
    put64(&table, base);
}

static void put_scope(uint8_t type, uint8_t id, uint8_t bus, unsigned steps, const uint8_t *path)
{
    put8(&table, type);
    put8(&table, (uint8_t)(6 + 2 * steps));
    put16(&table, 0);
    put8(&table, id);
    put8(&table, bus);
    for (unsigned i = 0; i < steps; i++) {
        put8(&table, path[i] >> 3);
        put8(&table, path[i] & 7);
    }
}

static void parse(void)
{
    table_end(&table);
    assert_int_equal(acpi_parse_table("DMAR", blob_window(&table), &facts), STATUS_OK);
    assert_true(facts.dmar.present);
}

static void build_typical(void)
{
    static const uint8_t vga[] = {0x10};
    static const uint8_t nested[] = {0xe0, 0x08, 0x01};

    begin(7);
    put_drhd(16 + 8 + 12, 0, 0, 0xfed90000);
    put_scope(ACPI_SCOPE_ENDPOINT, 0, 0, 1, vga);
    put_scope(ACPI_SCOPE_BRIDGE, 0, 0x40, 3, nested);
    put_drhd(16 + 8, 1, 0, 0xfed91000);
    put_scope(ACPI_SCOPE_IOAPIC, 8, 0xf0, 1, nested);
    put16(&table, 1); /* RMRR */
    put16(&table, 24 + 8);
    put16(&table, 0);
    put16(&table, 0);
    put64(&table, 0x7b800000);
    put64(&table, 0x7fffffff);
    put_scope(ACPI_SCOPE_ENDPOINT, 0, 0, 1, vga);
    put16(&table, 2); /* ATSR */
    put16(&table, 8 + 8);
    put8(&table, 0);
    put8(&table, 0);
    put16(&table, 0);
    put_scope(ACPI_SCOPE_BRIDGE, 0, 0, 1, nested);
    put16(&table, 3); /* RHSA: not of interest */
    put16(&table, 20);
    put_zeros(&table, 16);
}

static void test_typical(void **state)
{
    build_typical();
    parse();
    assert_true(facts.dmar.complete);
    assert_true(facts.dmar.interrupt_remapping && facts.dmar.x2apic_opt_out);
    assert_int_equal(facts.dmar.drhd_count, 2);
    assert_int_equal(facts.dmar.drhds[0].base.raw, 0xfed90000);
    assert_int_equal(facts.dmar.drhds[0].size, PAGE_SIZE);
    assert_false(facts.dmar.drhds[0].include_all);
    assert_int_equal(facts.dmar.drhds[0].scopes.count, 2);
    assert_true(facts.dmar.drhds[1].include_all);
    assert_int_equal(facts.dmar.drhds[1].scopes.first, 2);
    assert_int_equal(facts.dmar.scopes[1].path_length, 3);
    assert_int_equal(facts.dmar.scopes[1].bus, 0x40);
    assert_int_equal(facts.dmar.scopes[1].path[2], 0x01);
    assert_int_equal(facts.dmar.scopes[2].type, ACPI_SCOPE_IOAPIC);
    assert_int_equal(facts.dmar.rmrr_count, 1);
    assert_int_equal(facts.dmar.rmrrs[0].scopes.first, 3);
    assert_int_equal(facts.dmar.rmrrs[0].scopes.count, 1);
    assert_string_equal(fake_log_text(), "");
}

static void test_bad_units(void **state)
{
    begin(0);
    put_drhd(16, 1, 0, 0xfed90000);
    put_drhd(16, 1, 0, 0xfed91000); /* the rest of segment 0 again */
    put_drhd(16, 0, 0, 0xfed90000); /* same registers */
    put_drhd(16, 0, 1, 0);
    put_drhd(16, 0, 1, 0xfed90800);
    put_drhd(16, 1, 1, 0xfed92000);
    parse();
    assert_int_equal(facts.dmar.drhd_count, 2);
    assert_int_equal(facts.dmar.drhds[1].segment, 1);
    assert_false(facts.dmar.complete);
    assert_true(fake_log_contains("another unit has the rest of its segment already"));
    assert_true(fake_log_contains("its registers overlap those of another unit"));
    assert_true(fake_log_contains("its address is impossible"));
}

static void test_bad_scopes(void **state)
{
    static const uint8_t path[9] = {0x08};

    begin(0);
    put_drhd(16 + 8 + 8 + 24 + 8 + 8, 0, 0, 0xfed90000);
    put_scope(0, 0, 0, 1, path);
    put_scope(6, 0, 0, 1, path);
    put_scope(1, 0, 0, 9, path);
    put_scope(1, 0, 3, 1, path);
    put_scope(1, 0, 4, 1, path);
    table.bytes[table.size - 2] = 32; /* a device number that does not exist */
    parse();
    assert_int_equal(facts.dmar.drhd_count, 1);
    assert_int_equal(facts.dmar.scope_count, 1);
    assert_int_equal(facts.dmar.scopes[0].bus, 3);
    assert_false(facts.dmar.complete);

    begin(0);
    put_drhd(16 + 8, 0, 0, 0xfed90000);
    put_scope(1, 0, 0, 1, path);
    table.bytes[48 + 16 + 1] = 0; /* a scope that cannot be stepped over */
    parse();
    assert_int_equal(facts.dmar.scope_count, 0);
    assert_false(facts.dmar.complete);
    assert_true(fake_log_contains("device scope at offset 0 has length 0 of 8 left"));
}

static void test_bad_memory(void **state)
{
    static const uint64_t ranges[][2] = {
        {0x1000, 0xfff                },
        {0,      0xffffffffffffffffULL},
        {0x1008, 0x1010               }
    };

    begin(0);
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        put16(&table, 1);
        put16(&table, 24);
        put32(&table, 0);
        put64(&table, ranges[i][0]);
        put64(&table, ranges[i][1]);
    }
    parse();
    assert_int_equal(facts.dmar.rmrr_count, 1);
    assert_true(fake_log_contains("reserved memory 0x1000-0xfff left out"));
    assert_true(fake_log_contains("reserved memory 0-0xffffffffffffffff left out"));
    assert_false(facts.dmar.complete);
}

static void test_more_than_fit(void **state)
{
    static const uint8_t path[] = {0x08};

    begin(0);
    for (unsigned i = 0; i < ACPI_DRHDS_MAX + 1; i++) {
        put_drhd(16 + 10 * 8, 0, 0, 0xfe000000 + i * PAGE_SIZE);
        for (unsigned j = 0; j < 10; j++) {
            put_scope(1, 0, (uint8_t)i, 1, path);
        }
    }
    parse();
    assert_int_equal(facts.dmar.drhd_count, ACPI_DRHDS_MAX);
    assert_int_equal(facts.dmar.scope_count, ACPI_SCOPES_MAX);
    assert_false(facts.dmar.complete);
}

static enum status parse_one(struct acpi_window window)
{
    static struct acpi_facts read;
    const struct acpi_dmar *other = &read.dmar;
    enum status status;

    read.dmar.present = false;
    status = acpi_parse_table("DMAR", window, &read);

    assert_int_equal(other->present, status == STATUS_OK);
    for (uint32_t i = 0; i < other->drhd_count; i++) {
        assert_true(other->drhds[i].scopes.first + other->drhds[i].scopes.count <=
                    other->scope_count);
    }
    return status;
}

/* Cut short, it must not pass for complete. */
static void test_battered(void **state)
{
    build_typical();
    table_end(&table);
    parse_battered(&table, 48, parse_one);
    for (uint32_t size = 49; size < 84; size++) {
        assert_int_equal(
            acpi_parse_table("DMAR", window_part(blob_window(&table), 0, size), &facts), STATUS_OK);
        assert_false(facts.dmar.complete);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typical),       cmocka_unit_test(test_bad_units),
        cmocka_unit_test(test_bad_scopes),    cmocka_unit_test(test_bad_memory),
        cmocka_unit_test(test_more_than_fit), cmocka_unit_test(test_battered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
