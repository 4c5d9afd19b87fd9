/* SPDX-License-Identifier: BSD-2-Clause */
/* From the RSDP to the facts, over a physical memory that the test owns. */
#include "drivers/acpi/acpi.h"
#include "tests/unit/acpi/build.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/physical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RSDP 0x10000U
#define XSDT 0x20000U
#define RSDT 0x30000U
#define MADT 0x40000U
#define FADT 0x50000U
#define DSDT 0x60000U
#define MORE 0x70000U
#define SSDT 0x80000U

static struct blob rsdp, xsdt, rsdt, madt, fadt, dsdt, more, ssdt;

static void place(uint64_t base, struct blob *blob)
{
    fake_physical_add(base, blob->bytes, blob->size);
}

static void rsdp_sum(void)
{
    uint8_t sum = 0;

    rsdp.bytes[8] = 0;
    for (unsigned i = 0; i < 20; i++) {
        sum = (uint8_t)(sum + rsdp.bytes[i]);
    }
    rsdp.bytes[8] = (uint8_t)-sum;
    sum = 0;
    rsdp.bytes[32] = 0;
    for (unsigned i = 0; i < 36; i++) {
        sum = (uint8_t)(sum + rsdp.bytes[i]);
    }
    rsdp.bytes[32] = (uint8_t)-sum;
}

static void build_rsdp(uint8_t revision)
{
    rsdp.size = 0;
    put64(&rsdp, 0x2052545020445352ULL); /* "RSD PTR " */
    put_zeros(&rsdp, 7);
    put8(&rsdp, revision);
    put32(&rsdp, RSDT);
    put32(&rsdp, 36);
    put64(&rsdp, XSDT);
    put32(&rsdp, 0);
    rsdp_sum();
}

static void build_madt(struct blob *blob, uint8_t apic_id)
{
    table_begin(blob, "APIC", 5);
    put32(blob, 0xfee00000);
    put32(blob, 0);
    put16(blob, 0x0800);
    put8(blob, 0);
    put8(blob, apic_id);
    put32(blob, 1);
    table_end(blob);
}

static void build_aml(struct blob *blob, const char *signature, const char *aml, uint32_t size)
{
    table_begin(blob, signature, 2);
    for (uint32_t i = 0; i < size; i++) {
        put8(blob, (uint8_t)aml[i]);
    }
    table_end(blob);
}

/* A sound machine; the tests then break it. */
static int set_up(void **state)
{
    static const char s5[] = "\x08_S5_\x12\x07\x04\x0a\x05\x00\x00\x00";

    fake_log_clear();
    fake_physical_reset();
    build_rsdp(2);
    build_madt(&madt, 3);
    table_begin(&fadt, "FACP", 6);
    put_zeros(&fadt, 240);
    set32(&fadt, 40, DSDT);
    set32(&fadt, 76, 0x608);
    table_end(&fadt);
    build_aml(&dsdt, "DSDT", s5, sizeof(s5) - 1);
    build_aml(&ssdt, "SSDT", s5, sizeof(s5) - 1);
    build_madt(&more, 9);
    table_begin(&xsdt, "XSDT", 1);
    put64(&xsdt, MADT);
    put64(&xsdt, FADT);
    table_end(&xsdt);
    table_begin(&rsdt, "RSDT", 1);
    put32(&rsdt, FADT);
    table_end(&rsdt);
    place(RSDP, &rsdp);
    place(RSDT, &rsdt);
    place(MADT, &madt);
    place(FADT, &fadt);
    place(DSDT, &dsdt);
    place(MORE, &more);
    place(SSDT, &ssdt);
    return 0;
}

static enum status init(void)
{
    enum status status;

    place(XSDT, &xsdt);
    status = acpi_init(hpa(RSDP));
    assert_int_equal(fake_physical_windows(), 0);
    assert_int_equal(acpi_facts()->present, status == STATUS_OK);
    return status;
}

static void test_sound(void **state)
{
    assert_int_equal(init(), STATUS_OK);
    assert_int_equal(acpi_facts()->madt.cpu_count, 1);
    assert_int_equal(acpi_facts()->madt.cpus[0].apic_id, 3);
    assert_int_equal(acpi_facts()->fadt.pm_timer.address, 0x608);
    assert_true(acpi_facts()->s5.present);
    assert_int_equal(acpi_facts()->s5.type_a, 5);
    assert_string_equal(fake_log_text(), "");
}

static void test_no_rsdp(void **state)
{
    assert_int_equal(acpi_init(hpa(0)), STATUS_NOT_FOUND);
    assert_true(fake_log_contains("the boot loader found no RSDP"));
    assert_false(acpi_facts()->present);
    assert_int_equal(acpi_init(hpa(0x900000)), STATUS_NO_MEMORY);
    assert_int_equal(acpi_init(hpa(0xfffffffffffffff0ULL)), STATUS_INVALID);
    rsdp.bytes[3]++;
    assert_int_equal(init(), STATUS_INVALID);
    assert_true(fake_log_contains("no sound RSDP"));
}

static void test_acpi_1(void **state)
{
    build_rsdp(0);
    assert_int_equal(init(), STATUS_OK);
    assert_false(acpi_facts()->madt.present);
    assert_true(acpi_facts()->fadt.present);
}

/* Whatever is wrong with the XSDT's way, the RSDT is still there. */
static void test_fall_back(void **state)
{
    rsdp.bytes[33]++; /* reserved, under the extended checksum only */
    assert_int_equal(init(), STATUS_OK);
    assert_true(acpi_facts()->fadt.present && !acpi_facts()->madt.present);
    assert_true(fake_log_contains("the RSDP's extension has a wrong length or checksum"));
    build_rsdp(2);
    rsdp.bytes[20] = 35;
    rsdp_sum();
    assert_int_equal(init(), STATUS_OK);
    assert_false(acpi_facts()->madt.present);
    build_rsdp(2);
    xsdt.bytes[37]++;
    assert_int_equal(init(), STATUS_OK);
    assert_true(fake_log_contains("XSDT at 0x20000: wrong checksum"));
    assert_false(acpi_facts()->madt.present);
    xsdt.bytes[0] = 'Y';
    table_end(&xsdt);
    assert_int_equal(init(), STATUS_OK);
    assert_true(fake_log_contains("there is YSDT at 0x20000 where the RSDP promises XSDT"));
}

static void test_bad_checksum(void **state)
{
    madt.bytes[50]++;
    assert_int_equal(init(), STATUS_OK);
    assert_false(acpi_facts()->madt.present);
    assert_true(fake_log_contains("APIC at 0x40000: wrong checksum; the table is not used"));
}

/* Lengths that are impossible, or that lead out of memory. */
static void test_bad_lengths(void **state)
{
    static const uint32_t lengths[] = {0, 1, 35, 53, ACPI_TABLE_SIZE_MAX + 1, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        fake_log_clear();
        set32(&madt, 4, lengths[i]);
        assert_int_equal(init(), STATUS_OK);
        assert_false(acpi_facts()->madt.present);
        assert_true(acpi_facts()->fadt.present);
        assert_true(fake_log_contains("APIC at 0x40000: "));
    }
}

/* The XSDT names itself, nothing, the RSDP, one table twice, and two of a kind. */
static void test_strange_entries(void **state)
{
    static const uint64_t entries[] = {
        XSDT, 0, RSDP, MADT, MADT, 0xffffffffffffffffULL, MORE, FADT, DSDT, FADT, 0xfffffffff0ULL};

    table_begin(&xsdt, "XSDT", 1);
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        put64(&xsdt, entries[i]);
    }
    table_end(&xsdt);
    assert_int_equal(init(), STATUS_OK);
    assert_int_equal(acpi_facts()->madt.cpus[0].apic_id, 3);
    assert_true(acpi_facts()->fadt.present);
    assert_true(fake_log_contains("impossible address 0xffffffffffffffff"));
    assert_true(fake_log_contains("a second APIC at 0x70000; the first one counts"));
}

static void test_too_many_entries(void **state)
{
    table_begin(&xsdt, "XSDT", 1);
    for (unsigned i = 0; i < ACPI_ROOT_ENTRIES_MAX; i++) {
        put64(&xsdt, DSDT);
    }
    put64(&xsdt, MADT);
    table_end(&xsdt);
    assert_int_equal(init(), STATUS_OK);
    assert_false(acpi_facts()->madt.present);
    assert_true(fake_log_contains("XSDT lists 257 tables; only the first 256 are looked at"));
}

/* A sound table that comes after a broken one of its kind is used. */
static void test_second_chance(void **state)
{
    put64(&xsdt, MORE);
    table_end(&xsdt);
    madt.bytes[50]++;
    assert_int_equal(init(), STATUS_OK);
    assert_int_equal(acpi_facts()->madt.cpus[0].apic_id, 9);
}

static void test_s5_in_ssdt(void **state)
{
    dsdt.bytes[37] = 'X';
    table_end(&dsdt);
    put64(&xsdt, SSDT);
    table_end(&xsdt);
    assert_int_equal(init(), STATUS_OK);
    assert_true(acpi_facts()->s5.present);
}

/* Windows run out at every point of the walk: nothing leaks, nothing crashes. */
static void test_no_windows(void **state)
{
    for (int maps = 0; maps < 20; maps++) {
        fake_physical_limit(maps);
        (void)init();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sound, set_up),
        cmocka_unit_test_setup(test_no_rsdp, set_up),
        cmocka_unit_test_setup(test_acpi_1, set_up),
        cmocka_unit_test_setup(test_fall_back, set_up),
        cmocka_unit_test_setup(test_bad_checksum, set_up),
        cmocka_unit_test_setup(test_bad_lengths, set_up),
        cmocka_unit_test_setup(test_strange_entries, set_up),
        cmocka_unit_test_setup(test_too_many_entries, set_up),
        cmocka_unit_test_setup(test_second_chance, set_up),
        cmocka_unit_test_setup(test_s5_in_ssdt, set_up),
        cmocka_unit_test_setup(test_no_windows, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
