/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/acpi/build.h"
#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct blob table;
static struct acpi_facts facts;
static uint32_t block; /* offset of the block under way */

static void begin(void)
{
    fake_log_clear();
    table_begin(&table, "IVRS", 2);
    put32(&table, 48U << 8 | 64U << 15 | 2U);
    put_zeros(&table, 8);
}

static void begin_ivhd(uint8_t type, uint16_t id, uint64_t base)
{
    block = table.size;
    put8(&table, type);
    put8(&table, 0x30);
    put16(&table, 0);
    put16(&table, id);
    put16(&table, 0x40);
    put64(&table, base);
    put16(&table, 0);
    put16(&table, 0);
    put32(&table, 0x80048f6f);
    if (type != 0x10) {
        put64(&table, 0x58f77ef22294ade);
        put64(&table, 0);
    }
}

static void end_block(void)
{
    uint32_t length = table.size - block;

    table.bytes[block + 2] = (uint8_t)length;
    table.bytes[block + 3] = (uint8_t)(length >> 8);
}

static void put_device(uint8_t type, uint16_t id, uint8_t settings)
{
    put8(&table, type);
    put16(&table, id);
    put8(&table, settings);
}

static void put_ivmd(uint8_t type, uint8_t flags, uint16_t first, uint16_t last, uint64_t base,
                     uint64_t size)
{
    put8(&table, type);
    put8(&table, flags);
    put16(&table, 32);
    put16(&table, first);
    put16(&table, last);
    put64(&table, 0);
    put64(&table, base);
    put64(&table, size);
}

static void parse(void)
{
    table_end(&table);
    assert_int_equal(acpi_parse_table("IVRS", blob_window(&table), &facts), STATUS_OK);
    assert_true(facts.ivrs.present);
}

static void build_typical(void)
{
    begin();
    begin_ivhd(0x10, 0x0002, 0xfd180000); /* superseded by the next */
    put_device(1, 0, 0);
    end_block();
    begin_ivhd(0x11, 0x0002, 0xfd180000);
    put_device(3, 0x0008, 0);
    put_device(4, 0x1fff, 0);
    put_device(0, 0, 0);
    put_device(67, 0x2000, 0);
    put32(&table, 0x00a500);
    put_device(4, 0x20ff, 0);
    put_device(70, 0x3000, 1);
    put32(&table, 0x80000000);
    put_device(72, 0, 0xd7); /* IOAPIC 33 is 00:14.0 */
    put8(&table, 33);
    put16(&table, 0x00a0);
    put8(&table, 1);
    put_device(240, 0x00a5, 0x40);
    put_zeros(&table, 16);
    put8(&table, 2);
    put8(&table, 3);
    put_zeros(&table, 3);
    end_block();
    begin_ivhd(0x40, 0x4002, 0xfd280000);
    put_device(1, 0, 0);
    end_block();
    put_ivmd(0x21, 0x07, 0x00a0, 0, 0x9f000000, 0x10000);
    put_ivmd(0x20, 0x08, 0, 0, 0xfe000000, 0x1000);
    put_ivmd(0x22, 0x02, 0x100, 0x1ff, 0xfe100000, 0x1000);
}

static void test_typical(void **state)
{
    build_typical();
    parse();
    assert_string_equal(fake_log_text(), "");
    assert_true(facts.ivrs.complete);
    assert_int_equal(facts.ivrs.virtual_width, 64);
    assert_int_equal(facts.ivrs.ivhd_count, 2);
    assert_int_equal(facts.ivrs.ivhds[0].bdf.devfn, 2);
    assert_int_equal(facts.ivrs.ivhds[0].capability, 0x40);
    assert_int_equal(facts.ivrs.device_count, 6);
    assert_int_equal(facts.ivrs.devices[0].first, 8);
    assert_int_equal(facts.ivrs.devices[0].last, 0x1fff);
    assert_true(facts.ivrs.devices[1].has_alias);
    assert_int_equal(facts.ivrs.devices[1].alias, 0xa5);
    assert_int_equal(facts.ivrs.devices[1].last, 0x20ff);
    assert_int_equal(facts.ivrs.devices[2].first, 0x3000);
    assert_int_equal(facts.ivrs.devices[3].special, ACPI_IVHD_IOAPIC);
    assert_int_equal(facts.ivrs.devices[3].first, 0xa0);
    assert_int_equal(facts.ivrs.devices[3].settings, 0xd7);
    assert_int_equal(facts.ivrs.devices[4].first, 0xa5);
    assert_int_equal(facts.ivrs.devices[4].unit, 0);
    assert_int_equal(facts.ivrs.devices[5].unit, 1);
    assert_int_equal(facts.ivrs.devices[5].last, 0xffff);
    assert_int_equal(facts.ivrs.ivmd_count, 3);
    assert_int_equal(facts.ivrs.ivmds[0].last, 0xa0);
    assert_int_equal(facts.ivrs.ivmds[1].last, 0xffff);
    assert_int_equal(facts.ivrs.ivmds[2].last, 0x1ff);
}

static void test_bad_units(void **state)
{
    begin();
    begin_ivhd(0x10, 2, 0xfd180000);
    end_block();
    begin_ivhd(0x10, 2, 0xfd280000); /* same function */
    end_block();
    begin_ivhd(0x10, 3, 0xfd180000); /* same registers */
    end_block();
    begin_ivhd(0x10, 4, 0xfd181000); /* not on 16 KiB */
    end_block();
    begin_ivhd(0x11, 5, 0xfd380000);
    table.size = block + 24; /* too short for its type */
    end_block();
    put_ivmd(0x21, 1, 0, 0, 0x1000, 0);
    put_ivmd(0x22, 1, 5, 4, 0x1000, 0x1000);
    put_ivmd(0x21, 1, 5, 4, 0xffffffffffffff00ULL, 0x1000);
    parse();
    assert_int_equal(facts.ivrs.ivhd_count, 1);
    assert_int_equal(facts.ivrs.ivmd_count, 0);
    assert_false(facts.ivrs.complete);
    assert_true(fake_log_contains("it has the address of another unit"));
    assert_true(fake_log_contains("its address is impossible"));
    assert_true(fake_log_contains("unit of type 11h is cut to 24 bytes"));
}

static void test_bad_devices(void **state)
{
    begin();
    begin_ivhd(0x10, 2, 0xfd180000);
    put_device(4, 0x10, 0);    /* ends what never began */
    put_device(3, 0x20, 0);    /* begins and has no end */
    put_device(3, 0x40, 0);    /* begins */
    put_device(4, 0x30, 0);    /* and ends before that */
    put_device(5, 0, 0);       /* unknown type */
    put_device(72, 0, 0);      /* special, of unknown variety */
    put32(&table, 0x07000100); /* handle 0, id 1, variety 7 */
    put_device(2, 0x50, 0);    /* the one sound entry */
    put_device(3, 0x60, 0);    /* no end at the end */
    put_device(72, 0, 0);      /* cut */
    end_block();
    parse();
    assert_int_equal(facts.ivrs.device_count, 1);
    assert_int_equal(facts.ivrs.devices[0].first, 0x50);
    assert_false(facts.ivrs.complete);
    assert_true(fake_log_contains("ends at requester id 0010 without a beginning"));
    assert_true(fake_log_contains("from requester id 0020 has no end"));
    assert_true(fake_log_contains("0040-0030 run backwards"));
    assert_true(fake_log_contains("unknown type 5"));
    assert_true(fake_log_contains("unknown variety 7"));
    assert_true(fake_log_contains("from requester id 0060 has no end"));
    assert_true(fake_log_contains("type 72 needs 8 bytes, 4 are left"));
}

static void test_more_than_fit(void **state)
{
    begin();
    for (unsigned i = 0; i < ACPI_IVHDS_MAX + 1; i++) {
        begin_ivhd(0x10, (uint16_t)i, 0xfd000000 + i * 0x4000);
        for (unsigned j = 0; j < 40; j++) {
            put_device(2, (uint16_t)j, 0);
        }
        end_block();
    }
    parse();
    assert_int_equal(facts.ivrs.ivhd_count, ACPI_IVHDS_MAX);
    assert_int_equal(facts.ivrs.device_count, ACPI_IVHD_DEVICES_MAX);
    assert_false(facts.ivrs.complete);
}

static enum status parse_one(struct acpi_window window)
{
    static struct acpi_facts read;
    const struct acpi_ivrs *other = &read.ivrs;
    enum status status;

    read.ivrs.present = false;
    status = acpi_parse_table("IVRS", window, &read);

    assert_int_equal(other->present, status == STATUS_OK);
    for (uint32_t i = 0; i < other->device_count; i++) {
        assert_true(other->devices[i].unit < other->ivhd_count);
    }
    return status;
}

static void test_battered(void **state)
{
    build_typical();
    table_end(&table);
    parse_battered(&table, 48, parse_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typical),     cmocka_unit_test(test_bad_units),
        cmocka_unit_test(test_bad_devices), cmocka_unit_test(test_more_than_fit),
        cmocka_unit_test(test_battered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
