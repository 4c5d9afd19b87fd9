/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's page tables in every mode: addresses, rights, reserved bits, accessed and dirty. */
#include "tests/unit/emulate/guest.h"
#include "vmm/emulate/engine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define P  0x001U
#define W  0x002U
#define U  0x004U
#define A  0x020U
#define D  0x040U
#define PS 0x080U
#define NX 0x8000000000000000U

static gpa_t physical;
static uint32_t error;

static enum walk_result walk(uint64_t linear, unsigned access)
{
    physical = gpa(~0ULL);
    error = ~0U;
    return walk_translate(&guest.cpu, gva(linear), access, &physical, &error);
}

static void expect_address(uint64_t linear, uint64_t expected)
{
    assert_int_equal(walk(linear, 0), WALK_OK);
    assert_int_equal(physical.raw, expected);
}

static void expect_fault(uint64_t linear, unsigned access, uint32_t expected)
{
    assert_int_equal(walk(linear, access), WALK_FAULT);
    assert_int_equal(error, expected);
}

static void test_no_paging(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_FLAT);
    expect_address(0xfee00123, 0xfee00123);
}

static void test_small_pages(void **unused)
{
    static const enum guest_paging modes[] = {GUEST_PAGED_32, GUEST_PAGED_PAE, GUEST_PAGED_LONG};

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        guest_reset(INSN_MODE_32, modes[i]);
        guest_set_entry(0x45000, 0xfee00000 | P | W | U);
        expect_address(0x45678, 0xfee00678);
        expect_address(GUEST_WINDOW + 0x1ffc, GUEST_DEVICE + 0x1ffc);
        expect_fault(0x170000, WALK_WRITE | WALK_USER, WALK_WRITE | WALK_USER);
        assert_int_equal(guest_entry(0x45000) & 0xfff, P | W | U | A);
        assert_int_equal(walk(0x45000, WALK_WRITE), WALK_OK);
        assert_int_equal(guest_entry(0x45000) & 0xfff, P | W | U | A | D);
        assert_int_equal(guest_entry(0x46000) & 0xfff, P | W | U);
    }
}

/* The bits of CR3 that are no address do not count: PCID, PWT, PCD. */
static void test_cr3_bits(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.cpu.cr3 |= 0x8000000000000fff;
    expect_address(0x30000, 0x30000);
    guest_reset(INSN_MODE_32, GUEST_PAGED_PAE);
    guest.cpu.cr3 |= 0x1f;
    expect_address(0x30000, 0x30000);
}

static void test_large_32(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_32);
    uint32_t directory = (uint32_t)guest.cpu.cr3;

    guest.cpu.cr4 |= CR4_PSE;
    guest_write(directory + 4 * 3, 4, 0xfe800000 | 5U << 13 | P | W | U | PS); /* PSE-36 */
    expect_address(0x00c12345, 0x5fe812345);
    guest_write(directory + 4 * 3, 4, 0xfe800000 | 1U << 21 | P | PS);
    expect_fault(0x00c12345, 0, WALK_PRESENT | WALK_RESERVED);
    guest.cpu.physical_bits = 36;
    guest_write(directory + 4 * 3, 4, 0xfe800000 | 0x10U << 13 | P | PS);
    expect_fault(0x00c12345, 0, WALK_PRESENT | WALK_RESERVED);
    guest_write(directory + 4 * 3, 4, 0xfe800000 | 0x0fU << 13 | P | PS);
    expect_address(0x00c12345, 0xffe812345);
    /* Without CR4.PSE bit 7 means nothing: this entry then points to a table. */
    guest.cpu.cr4 &= ~CR4_PSE;
    guest_write(directory + 4 * 3, 4, GUEST_TABLES | P | PS);
    expect_address(0x00c30123, 0x30123);
}

static void test_large_long(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    uint32_t directory = GUEST_TABLES + 0x1000, pointers = directory + 0x1000;

    guest_write(directory + 8 * 5, 8, 0xfec00000 | P | W | U | PS);
    expect_address(0xa12345, 0xfec12345);
    assert_int_equal(guest_read(directory + 8 * 5, 8) & 0xfff, P | W | U | PS | A);
    guest_write(directory + 8 * 5, 8, 0xfec02000 | P | PS);
    expect_fault(0xa12345, 0, WALK_PRESENT | WALK_RESERVED);
    guest_write(pointers + 8 * 3, 8, 0x140000000 | P | W | PS);
    expect_address(0xc1234567, 0x141234567);
    assert_int_equal(walk(0xc1234567, WALK_WRITE), WALK_OK);
    assert_int_equal(guest_read(pointers + 8 * 3, 8) & 0xfff, P | W | PS | A | D);
    guest_write(pointers + 8 * 3, 8, 0x140002000 | P | PS);
    expect_fault(0xc1234567, 0, WALK_PRESENT | WALK_RESERVED);
    guest_write((uint32_t)guest.cpu.cr3 + 8, 8, pointers | P | PS);
    expect_fault(0x8000000000, 0, WALK_PRESENT | WALK_RESERVED);
}

static void test_large_pae(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_PAE);
    guest_write(GUEST_TABLES + 0x1000 + 8 * 5, 8, 0xfec00000 | P | W | PS);
    expect_address(0xa12345, 0xfec12345);
    /* A PDPTE has no accessed bit, nor anything but P, PWT, PCD and the address. */
    uint32_t pdpt = (uint32_t)guest.cpu.cr3;
    assert_int_equal(guest_read(pdpt, 8) & 0xfff, P);
    guest_write(pdpt, 8, (GUEST_TABLES + 0x1000) | P | W);
    expect_fault(0x30000, 0, WALK_PRESENT | WALK_RESERVED);
    /* Cached entries count, not those in memory; there may be four. */
    guest.cpu.pdpte_cached = true;
    guest.cpu.pdpte[3] = (GUEST_TABLES + 0x1000) | P;
    expect_address(0xc0030004, 0x30004);
    expect_fault(0x30000, 0, 0);
}

static void test_five_levels(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    uint32_t above = (uint32_t)guest.cpu.cr3 + 0x1000;

    guest_write(above + 8 * 0x1fe, 8, guest.cpu.cr3 | P | W | U);
    guest.cpu.cr3 = above;
    guest.cpu.cr4 |= CR4_LA57;
    expect_address(0xfffe000000030008, 0x30008);
    expect_fault(0x30008, 0, 0);
}

static void test_reserved(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest_set_entry(0x30000, 0x30000 | P | W | U | 1ULL << 40);
    expect_fault(0x30000, WALK_WRITE, WALK_PRESENT | WALK_RESERVED | WALK_WRITE);
    guest_set_entry(0x30000, 0x30000 | P | W | U | 1ULL << 52); /* software's */
    expect_address(0x30000, 0x30000);
    guest_set_entry(0x30000, 0x30000 | P | NX);
    expect_address(0x30000, 0x30000);
    guest.cpu.efer &= ~EFER_NXE;
    expect_fault(0x30000, 0, WALK_PRESENT | WALK_RESERVED);
    guest_reset(INSN_MODE_32, GUEST_PAGED_PAE);
    guest_set_entry(0x30000, 0x30000 | P | 1ULL << 52);
    expect_fault(0x30000, 0, WALK_PRESENT | WALK_RESERVED);
}

/* Rights of the page, control bits, access: does it fault? SDM 3 4.6.1. */
static void test_rights(void **unused)
{
    static const struct {
        uint64_t page;
        uint64_t cr0, cr4, rflags;
        unsigned access;
        bool faults;
    } rows[] = {
        {P,              CR0_WP, 0,        0,         0,                        false},
        {P,              CR0_WP, 0,        0,         WALK_WRITE,               true },
        {P,              0,      0,        0,         WALK_WRITE,               false},
        {P,              0,      0,        0,         WALK_USER,                true },
        {P | W,          0,      0,        0,         WALK_USER,                true },
        {P | U,          0,      0,        0,         WALK_USER,                false},
        {P | U,          0,      0,        0,         WALK_USER | WALK_WRITE,   true },
        {P | U | W,      0,      0,        0,         WALK_USER | WALK_WRITE,   false},
        {P | U | W | NX, 0,      0,        0,         WALK_USER | WALK_WRITE,   false},
        {P | U | NX,     0,      0,        0,         WALK_USER | WALK_EXECUTE, true },
        {P | NX,         0,      0,        0,         WALK_EXECUTE,             true },
        {P,              0,      0,        0,         WALK_EXECUTE,             false},
        {P | U,          0,      0,        0,         WALK_EXECUTE,             false},
        {P | U,          0,      CR4_SMEP, 0,         WALK_EXECUTE,             true },
        {P,              0,      CR4_SMEP, 0,         WALK_EXECUTE,             false},
        {P | U,          0,      CR4_SMEP, 0,         WALK_EXECUTE | WALK_USER, false},
        {P | U,          0,      CR4_SMAP, 0,         0,                        true },
        {P | U | W,      0,      CR4_SMAP, 0,         WALK_WRITE,               true },
        {P | U | W,      0,      CR4_SMAP, RFLAGS_AC, WALK_WRITE,               false},
        {P | U,          CR0_WP, CR4_SMAP, RFLAGS_AC, WALK_WRITE,               true },
        {P | U,          0,      CR4_SMAP, 0,         WALK_USER,                false},
        {P | U,          0,      CR4_SMAP, 0,         WALK_EXECUTE,             false},
        {P | W,          0,      CR4_SMAP, 0,         WALK_WRITE,               false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
        guest.cpu.cr0 = CR0_PE | CR0_PG | rows[i].cr0;
        guest.cpu.cr4 |= rows[i].cr4;
        guest.cpu.rflags |= rows[i].rflags;
        guest_set_entry(0x30000, 0x30000 | rows[i].page);
        if (rows[i].faults) {
            expect_fault(0x30000, rows[i].access, WALK_PRESENT | rows[i].access);
            /* Nothing is marked by an access that is not allowed. */
            assert_int_equal(guest_entry(0x30000), 0x30000 | rows[i].page);
        } else {
            assert_int_equal(walk(0x30000, rows[i].access), WALK_OK);
        }
    }
}

/* A right must be there on every level. */
static void test_rights_of_tables(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    for (unsigned level = 1; level < 4; level++) {
        uint32_t entry = GUEST_TABLES + level * 0x1000;
        uint64_t good = guest_read(entry, 8);

        guest_write(entry, 8, good & ~(uint64_t)U);
        expect_fault(0x30000, WALK_USER, WALK_PRESENT | WALK_USER);
        guest_write(entry, 8, good & ~(uint64_t)W);
        expect_fault(0x30000, WALK_WRITE, WALK_PRESENT | WALK_WRITE);
        guest_write(entry, 8, good | NX);
        expect_fault(0x30000, WALK_EXECUTE, WALK_PRESENT | WALK_EXECUTE);
        guest_write(entry, 8, good);
        assert_int_equal(walk(0x30000, WALK_USER | WALK_WRITE), WALK_OK);
        assert_true(guest_read(entry, 8) & A);
        assert_false(guest_read(entry, 8) & D);
    }
}

/* The I bit of the error code: only with NX or SMEP (SDM 3 4.7). */
static void test_fetch_bit(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_32);
    expect_fault(0x170000, WALK_EXECUTE, 0);
    guest.cpu.cr4 |= CR4_SMEP;
    expect_fault(0x170000, WALK_EXECUTE, WALK_EXECUTE);
    guest_reset(INSN_MODE_32, GUEST_PAGED_PAE);
    expect_fault(0x170000, WALK_EXECUTE, 0);
    guest.cpu.efer |= EFER_NXE;
    expect_fault(0x170000, WALK_EXECUTE, WALK_EXECUTE);
}

static void test_races(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.swaps_to_disturb = 1;
    assert_int_equal(walk(0x30000, WALK_WRITE), WALK_AGAIN);
    assert_int_equal(walk(0x30000, WALK_WRITE), WALK_OK);
    unsigned swaps = guest.access_count;
    assert_int_equal(swaps, 4);
    assert_int_equal(walk(0x30000, WALK_WRITE), WALK_OK);
    assert_int_equal(guest.access_count, swaps); /* nothing left to mark */
}

static void test_tables_outside_ram(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.cpu.cr3 = GUEST_DEVICE;
    assert_int_equal(walk(0x30000, 0), WALK_NO_TABLE);
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest_write(GUEST_TABLES + 0x1000, 8, 0xfffffff000 | P | W | U);
    assert_int_equal(walk(0x30000, 0), WALK_NO_TABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_paging),
        cmocka_unit_test(test_small_pages),
        cmocka_unit_test(test_cr3_bits),
        cmocka_unit_test(test_large_32),
        cmocka_unit_test(test_large_long),
        cmocka_unit_test(test_large_pae),
        cmocka_unit_test(test_five_levels),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_rights_of_tables),
        cmocka_unit_test(test_fetch_bit),
        cmocka_unit_test(test_races),
        cmocka_unit_test(test_tables_outside_ram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
