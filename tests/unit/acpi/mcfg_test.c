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
    table_begin(&table, "MCFG", 1);
    put64(&table, 0);
}

static void put_range(uint64_t base, uint16_t segment, uint8_t first, uint8_t last)
{
    put64(&table, base);
    put16(&table, segment);
    put8(&table, first);
    put8(&table, last);
    put32(&table, 0);
}

static void parse(void)
{
    table_end(&table);
    assert_int_equal(acpi_parse_table("MCFG", blob_window(&table), &facts), STATUS_OK);
}

static void test_typical(void **state)
{
    begin();
    put_range(0xb0000000, 0, 0, 255);
    put_range(0x10000000000, 1, 0x40, 0x7f);
    parse();
    assert_true(facts.mcfg.present);
    assert_int_equal(facts.mcfg.ecam_count, 2);
    assert_int_equal(facts.mcfg.ecams[1].base.raw, 0x10000000000);
    assert_int_equal(facts.mcfg.ecams[1].segment, 1);
    assert_int_equal(facts.mcfg.ecams[1].bus_first, 0x40);
    assert_int_equal(facts.mcfg.ecams[1].bus_last, 0x7f);
    assert_string_equal(fake_log_text(), "");
}

static void test_bad_ranges(void **state)
{
    begin();
    put_range(0xb0000000, 0, 0, 0x3f);
    put_range(0xe0000000, 0, 0x3f, 0x7f);             /* bus 3f twice */
    put_range(0xb0000000 - 0x4000000, 0, 0x40, 0x80); /* buses differ, memory overlaps */
    put_range(0xe0000000, 2, 5, 4);
    put_range(0xe0000800, 3, 0, 1);
    put_range(0, 4, 0, 1);
    put_range(0xffffffffff000000ULL, 5, 0, 255);
    put_range(0xfffffff000000ULL, 6, 0, 255);
    put_range(0xe0000000, 7, 0, 1);
    parse();
    assert_int_equal(facts.mcfg.ecam_count, 2);
    assert_int_equal(facts.mcfg.ecams[1].segment, 7);
    assert_true(fake_log_contains("segment 0 buses 3f-7f at 0xe0000000 left out: an earlier range "
                                  "has some of its buses"));
    assert_true(fake_log_contains("its memory overlaps that of an earlier range"));
    assert_true(fake_log_contains("its buses run backwards"));
    assert_true(fake_log_contains("not a multiple of 1 MiB"));
    assert_true(fake_log_contains("beyond 52 bits"));
}

static void test_more_than_fit(void **state)
{
    begin();
    for (unsigned i = 0; i < ACPI_ECAM_MAX + 1; i++) {
        put_range(0x10000000000 + (uint64_t)i * 0x10000000, (uint16_t)i, 0, 255);
    }
    put8(&table, 1);
    parse();
    assert_int_equal(facts.mcfg.ecam_count, ACPI_ECAM_MAX);
    assert_true(fake_log_contains("there are too many ranges"));
    assert_true(fake_log_contains("1 bytes at the end are no whole entry"));
}

static enum status parse_one(struct acpi_window window)
{
    static struct acpi_facts read;
    const struct acpi_mcfg *other = &read.mcfg;
    enum status status;

    read.mcfg.present = false;
    status = acpi_parse_table("MCFG", window, &read);

    assert_int_equal(other->present, status == STATUS_OK);
    assert_true(other->ecam_count <= 2);
    return status;
}

static void test_battered(void **state)
{
    begin();
    put_range(0xb0000000, 0, 0, 255);
    put_range(0x10000000000, 1, 0x40, 0x7f);
    table_end(&table);
    parse_battered(&table, 44, parse_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typical),
        cmocka_unit_test(test_bad_ranges),
        cmocka_unit_test(test_more_than_fit),
        cmocka_unit_test(test_battered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
