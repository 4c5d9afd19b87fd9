/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulation remembers must never show: whatever changes behind its back (code, page tables,
 * mode, rights), the result is that of a vCPU with no memory. Each test warms the memo, changes one
 * thing, and looks.
 */
#include "tests/unit/emulate/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define OTHER_FRAME 0x40000U
#define STORE_TO    (GUEST_WINDOW + 0x80)

static struct emulate_memo memo;

static void begin(enum insn_mode mode, enum guest_paging paging)
{
    guest_reset(mode, paging);
    memset(&memo, 0, sizeof(memo));
    guest.cpu.memo = &memo;
    guest.gpr[INSN_RDI] = paging == GUEST_FLAT ? GUEST_DEVICE + 0x80 : STORE_TO;
    guest.gpr[INSN_RAX] = 0x11223344;
}

/* Once more from where it was, with what lies in RAM. */
static enum emulate_outcome again(void)
{
    guest.cpu.rip = GUEST_CODE;
    guest.edge_calls = guest.access_count = 0;
    emulate_memory(&guest.cpu, &guest.result);
    return guest.result.outcome;
}

/* MOV [RDI], EAX; twice, so that all of it is known. */
static void warm(void)
{
    assert_int_equal(GUEST_RUN(0x89, 0x07), EMULATE_DONE);
    assert_int_equal(again(), EMULATE_DONE);
}

/* The device's accesses, without those that mark tables as used. */
static unsigned device_accesses(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < guest.access_count; i++) {
        count += guest.access[i].kind != GUEST_SWAP;
    }
    return count;
}

static void expect_store(uint64_t value, unsigned size)
{
    assert_int_equal(guest.result.outcome, EMULATE_DONE);
    assert_int_equal(device_accesses(), 1);
    const struct guest_access *last = &guest.access[guest.access_count - 1];

    assert_int_equal(last->kind, GUEST_DEVICE_WRITE);
    assert_int_equal(last->address, GUEST_DEVICE + 0x80);
    assert_int_equal(last->size, size);
    assert_int_equal(last->value, value);
}

static void expect_page_fault(uint64_t address, uint32_t error)
{
    assert_int_equal(guest.result.outcome, EMULATE_FAULT);
    assert_int_equal(guest.result.vector, VECTOR_PF);
    assert_int_equal(guest.result.address, address);
    assert_int_equal(guest.result.error, error);
}

static const struct {
    enum insn_mode mode;
    enum guest_paging paging;
} settings[] = {
    {INSN_MODE_64, GUEST_PAGED_LONG},
    {INSN_MODE_32, GUEST_PAGED_PAE },
    {INSN_MODE_32, GUEST_PAGED_32  },
    {INSN_MODE_32, GUEST_FLAT      },
};

/* The second time neither tables nor code are read through the edge: only the device is asked. */
static void test_is_used(void **unused)
{
    for (unsigned i = 0; i < ARRAY_SIZE(settings); i++) {
        begin(settings[i].mode, settings[i].paging);
        warm();
        expect_store(0x11223344, 4);
        assert_int_equal(guest.edge_calls, 2); /* is it RAM? no: the device */
        assert_int_equal(guest.cpu.rip, GUEST_CODE + 2);
        guest.cpu.rip = GUEST_CODE;
        const struct insn *insn = emulate_recall(&guest.cpu);
        assert_non_null(insn);
        assert_int_equal(insn->op, INSN_MOV);
        assert_int_equal(emulate_page_offset(&guest.cpu, insn), guest.gpr[INSN_RDI] % PAGE_SIZE);
        guest.cpu.rip++;
        assert_null(emulate_recall(&guest.cpu));
    }
}

/* The operand's place in its page is that of the access, whatever the form of the address. */
static void test_page_offsets(void **unused)
{
    static const struct {
        enum insn_mode mode;
        uint8_t size, code[8];
    } rows[] = {
        {INSN_MODE_64, 7, {0x89, 0x84, 0x8e, 0x34, 0x12, 0, 0}}, /* [RSI + RCX * 4 + 1234h] */
        {INSN_MODE_64, 6, {0x89, 0x05, 0x34, 0x12, 0, 0}      }, /* [RIP + 1234h] */
        {INSN_MODE_64, 4, {0x67, 0x89, 0x46, 0xf0}            }, /* [ESI - 16] */
        {INSN_MODE_64, 4, {0x64, 0x89, 0x46, 0x08}            }, /* FS: */
        {INSN_MODE_32, 4, {0x65, 0x89, 0x46, 0x08}            }, /* GS: */
        {INSN_MODE_32, 5, {0xa3, 0x34, 0x12, 0x03, 0}         }, /* [31234h] */
        {INSN_MODE_32, 4, {0x67, 0x89, 0x40, 0xf0}            }, /* [BX + SI - 16] */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        begin(rows[i].mode, GUEST_FLAT);
        guest.gpr[INSN_RSI] = GUEST_DEVICE + 0x100;
        guest.gpr[INSN_RCX] = 0x20;
        guest.gpr[INSN_RBX] = 0xffe8;
        guest.cpu.segment[INSN_SEGMENT_FS].base = guest.cpu.segment[INSN_SEGMENT_GS].base = 0x230;
        assert_int_equal(guest_run(rows[i].code, rows[i].size), EMULATE_DONE);
        guest.cpu.rip = GUEST_CODE;
        const struct insn *insn = emulate_recall(&guest.cpu);
        uint64_t linear = rows[i].size == 7         ? GUEST_DEVICE + 0x100 + 0x80 + 0x1234
                          : rows[i].size == 6       ? GUEST_CODE + 6 + 0x1234
                          : rows[i].size == 5       ? 0x31234
                          : rows[i].code[0] != 0x67 ? GUEST_DEVICE + 0x108 + 0x230
                          : rows[i].code[2] == 0x46 ? GUEST_DEVICE + 0xf0
                                                    : (0xffe8 + 0x100 - 16) & 0xffff;

        assert_non_null(insn);
        assert_int_equal(emulate_page_offset(&guest.cpu, insn), linear % PAGE_SIZE);
        if (guest.access_count > 0) {
            assert_int_equal(guest.access[0].address, linear);
        }
    }
}

/* Without a memo, and where RAM may become a ROM, nothing is remembered. */
static void test_is_not_used(void **unused)
{
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.nothing_lasts = true;
    warm();
    assert_true(guest.edge_calls > 2);
    guest.cpu.rip = GUEST_CODE;
    assert_null(emulate_recall(&guest.cpu));
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.cpu.memo = NULL;
    warm();
    assert_true(guest.edge_calls > 2);
    assert_null(emulate_recall(&guest.cpu));
}

/* Each byte that counts, also the last one of a long instruction; a byte behind it does not. */
static void test_code_changes(void **unused)
{
    /* MOV dword DS:[RDI * 1 + 0], 55667788h, with three prefixes: 15 bytes */
    static const uint8_t longest[] = {0x3e, 0x3e, 0x3e, 0x40, 0xc7, 0x04, 0x3d, 0,
                                      0,    0,    0,    0x88, 0x77, 0x66, 0x55};

    for (unsigned i = 0; i < ARRAY_SIZE(settings); i++) {
        begin(settings[i].mode, settings[i].paging);
        warm();
        guest.ram[GUEST_CODE + 1] = 0x1f; /* EBX instead */
        guest.gpr[INSN_RBX] = 7;
        again();
        expect_store(7, 4);
        guest.ram[GUEST_CODE] = 0x88; /* BL */
        again();
        expect_store(7, 1);
        guest.ram[GUEST_CODE + 2] = 0xff;
        again();
        expect_store(7, 1);
        assert_int_equal(guest.edge_calls, 2);
    }
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    assert_int_equal(guest_run(longest, sizeof(longest)), EMULATE_DONE);
    for (unsigned byte = 11; byte < 15; byte++) {
        again();
        guest.ram[GUEST_CODE + byte] = 0;
        again();
        expect_store(guest_read(GUEST_CODE + 11, 4), 4);
    }
    guest.ram[GUEST_CODE + 10] = 1; /* the displacement's last byte: not a page of ours */
    assert_int_equal(again(), EMULATE_FAULT);
}

/* Bytes that the hardware gives count, not those in RAM. */
static void test_bytes_of_the_hardware(void **unused)
{
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    warm();
    memcpy(guest.cpu.bytes, (const uint8_t[]){0x88, 0x07}, 2);
    guest.cpu.byte_count = 2;
    again();
    expect_store(0x44, 1);
    again();
    expect_store(0x44, 1);
    guest.cpu.bytes[0] = 0x89;
    again();
    expect_store(0x11223344, 4);
    guest.cpu.byte_count = 1; /* too few: the rest is fetched */
    again();
    expect_store(0x11223344, 4);
}

/* The page of the code becomes another frame, with no INVLPG that anybody could see. */
static void test_code_is_mapped_elsewhere(void **unused)
{
    for (unsigned i = 0; settings[i].paging != GUEST_FLAT; i++) {
        begin(settings[i].mode, settings[i].paging);
        warm();
        memcpy(guest.ram + OTHER_FRAME, (const uint8_t[]){0x88, 0x07}, 2);
        uint64_t entry = guest_entry(GUEST_CODE);

        guest_set_entry(GUEST_CODE, entry - GUEST_CODE + OTHER_FRAME);
        again();
        expect_store(0x44, 1);
        guest_set_entry(GUEST_CODE, entry);
        again();
        expect_store(0x11223344, 4);
    }
}

/* The same address in another address space: all tables once more, the code's page another. */
static void test_other_address_space(void **unused)
{
    const uint32_t tables = 0x50000, size = 0x4000;

    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    warm();
    memcpy(guest.ram + tables, guest.ram + GUEST_TABLES, size);
    for (unsigned level = 1; level < 4; level++) {
        guest_write(tables + level * 0x1000, 8, (tables + (level - 1) * 0x1000) | 7);
    }
    guest_write(tables + GUEST_CODE / 4096 * 8, 8, OTHER_FRAME | 7);
    memcpy(guest.ram + OTHER_FRAME, (const uint8_t[]){0x88, 0x07}, 2);
    for (unsigned i = 0; i < 4; i++) {
        guest.cpu.cr3 = i % 2 ? GUEST_TABLES + 0x3000 : tables + 0x3000;
        again();
        expect_store(i % 2 ? 0x11223344 : 0x44, i % 2 ? 4 : 1);
    }
}

/* 41 89 07: 64-bit MOV [R15], EAX; else INC ECX. And 16-bit code, with the same bytes. */
static void test_other_mode(void **unused)
{
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.gpr[15] = STORE_TO;
    assert_int_equal(GUEST_RUN(0x41, 0x89, 0x07), EMULATE_DONE);
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.segment[INSN_SEGMENT_CS].attributes ^= SEGMENT_LONG | SEGMENT_DEFAULT_BIG;
    assert_int_equal(again(), EMULATE_UNSUPPORTED);
    guest.cpu.segment[INSN_SEGMENT_CS].attributes ^= SEGMENT_LONG | SEGMENT_DEFAULT_BIG;
    assert_int_equal(again(), EMULATE_DONE);

    begin(INSN_MODE_32, GUEST_PAGED_32);
    warm();
    guest.cpu.segment[INSN_SEGMENT_CS].attributes ^= SEGMENT_DEFAULT_BIG;
    guest.gpr[INSN_RBX] = GUEST_DATA & 0xffff; /* 16-bit code: MOV [BX], AX */
    assert_int_equal(again(), EMULATE_DONE);
    assert_int_equal(device_accesses(), 0);
    assert_int_equal(guest_read(GUEST_DATA & 0xffff, 4), 0x3344);
}

/* Rights of the code: no longer present, not executable, not the user's; and its segment. */
static void test_fetch_faults(void **unused)
{
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    warm();
    uint64_t entry = guest_entry(GUEST_CODE);

    guest_set_entry(GUEST_CODE, entry & ~1ULL);
    again();
    expect_page_fault(GUEST_CODE, 0x10);
    guest_set_entry(GUEST_CODE, entry | 1ULL << 63);
    again();
    expect_page_fault(GUEST_CODE, 0x11);
    guest_set_entry(GUEST_CODE, entry);
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.cr4 |= CR4_SMEP;
    again();
    expect_page_fault(GUEST_CODE, 0x11);
    guest.cpu.cr4 &= ~CR4_SMEP;
    guest_set_entry(GUEST_CODE, entry & ~4ULL);
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.cpl = 3;
    again();
    expect_page_fault(GUEST_CODE, 0x15);

    begin(INSN_MODE_32, GUEST_PAGED_32);
    warm();
    guest.cpu.segment[INSN_SEGMENT_CS].limit = GUEST_CODE + 1;
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.segment[INSN_SEGMENT_CS].limit--;
    assert_int_equal(again(), EMULATE_FAULT);
    assert_int_equal(guest.result.vector, VECTOR_GP);
}

/* Rights of the data, and what a walk writes to tables. */
static void test_data_faults(void **unused)
{
    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    warm();
    uint64_t entry = guest_entry(GUEST_WINDOW);

    assert_int_equal(entry & 0x60, 0x60);
    guest_set_entry(GUEST_WINDOW, entry & ~0x40ULL); /* the dirty bit is set again */
    assert_int_equal(again(), EMULATE_DONE);
    assert_int_equal(guest_entry(GUEST_WINDOW), entry);
    guest_set_entry(GUEST_WINDOW, entry & ~2ULL); /* CR0.WP is set */
    again();
    expect_page_fault(STORE_TO, 3);
    guest.cpu.cr0 &= ~CR0_WP;
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.cr0 |= CR0_WP;
    again();
    expect_page_fault(STORE_TO, 3);
    guest_set_entry(GUEST_WINDOW, entry);
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.cr4 |= CR4_SMAP;
    guest.cpu.rflags |= RFLAGS_AC;
    assert_int_equal(again(), EMULATE_DONE);
    guest.cpu.rflags &= ~RFLAGS_AC;
    again();
    expect_page_fault(STORE_TO, 3);
    guest.cpu.cr4 &= ~CR4_SMAP;
    guest_set_entry(GUEST_WINDOW, GUEST_DATA | 0x67); /* RAM instead of the device */
    assert_int_equal(again(), EMULATE_DONE);
    assert_int_equal(device_accesses(), 0);
    assert_int_equal(guest_read(GUEST_DATA + 0x80, 4), 0x11223344);
}

/* An instruction in two pages, of which the second becomes another frame. */
static void test_code_across_pages(void **unused)
{
    const uint32_t at = GUEST_CODE + 0xfff;

    begin(INSN_MODE_64, GUEST_PAGED_LONG);
    for (unsigned i = 0; i < 3; i++) {
        guest.cpu.rip = at;
        guest.access_count = 0;
        assert_int_equal(GUEST_RUN(0x89, 0x07), EMULATE_DONE);
        expect_store(0x11223344, 4);
    }
    guest_set_entry(GUEST_CODE + 0x1000, OTHER_FRAME | 7);
    guest.ram[OTHER_FRAME] = 0x1f;
    guest.gpr[INSN_RBX] = 7;
    guest.cpu.rip = at;
    emulate_memory(&guest.cpu, &guest.result);
    assert_int_equal(guest.result.outcome, EMULATE_DONE);
    assert_int_equal(guest.device[0x80], 7);
    guest_set_entry(GUEST_CODE + 0x1000, 0);
    guest.cpu.rip = at;
    emulate_memory(&guest.cpu, &guest.result);
    expect_page_fault(at + 1, 0x10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_used),
        cmocka_unit_test(test_is_not_used),
        cmocka_unit_test(test_page_offsets),
        cmocka_unit_test(test_code_changes),
        cmocka_unit_test(test_bytes_of_the_hardware),
        cmocka_unit_test(test_code_is_mapped_elsewhere),
        cmocka_unit_test(test_other_address_space),
        cmocka_unit_test(test_other_mode),
        cmocka_unit_test(test_fetch_faults),
        cmocka_unit_test(test_data_faults),
        cmocka_unit_test(test_code_across_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
