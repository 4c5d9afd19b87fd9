/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions with one operand: devices, pages, segments, faults, fetching. */
#include "tests/unit/emulate/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t *const gpr = guest.gpr;

static void expect_fault(uint8_t vector, uint32_t error)
{
    assert_int_equal(guest.result.outcome, EMULATE_FAULT);
    assert_int_equal(guest.result.vector, vector);
    assert_int_equal(guest.result.has_error, vector != VECTOR_UD);
    assert_int_equal(guest.result.error, error);
}

static void expect_access(unsigned i, enum guest_access_kind kind, uint64_t address, unsigned size,
                          uint64_t value)
{
    assert_true(i < guest.access_count);
    assert_int_equal(guest.access[i].kind, kind);
    assert_int_equal(guest.access[i].address, address);
    assert_int_equal(guest.access[i].size, size);
    assert_int_equal(guest.access[i].value, value);
}

static void test_device_widths(void **unused)
{
    static const uint8_t prefix[] = {0x66, 0x3e, 0x48};

    for (unsigned i = 0; i < 3; i++) {
        unsigned size = 2U << i;
        uint64_t mask = ~0ULL >> (64 - 8 * size);

        guest_reset(INSN_MODE_64, GUEST_FLAT);
        gpr[INSN_RDI] = GUEST_DEVICE + 0x10;
        gpr[INSN_RAX] = 0x1122334455667788;
        assert_int_equal(GUEST_RUN(prefix[i], 0x89, 0x07), EMULATE_DONE);
        assert_int_equal(guest.cpu.rip, GUEST_CODE + 3);
        assert_int_equal(guest.access_count, 1);
        expect_access(0, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0x10, size, gpr[INSN_RAX] & mask);
        guest.cpu.rip = GUEST_CODE;
        gpr[INSN_RBX] = ~0ULL;
        assert_int_equal(GUEST_RUN(prefix[i], 0x8b, 0x1f), EMULATE_DONE);
        uint64_t kept = size == 2 ? ~0ULL << 16 : 0; /* 4 bytes clear the upper half */
        assert_int_equal(gpr[INSN_RBX], (gpr[INSN_RAX] & mask) | kept);
    }
}

static void test_device_byte(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_32);
    guest.device[0x1fff] = 0xa5;
    gpr[INSN_RBX] = GUEST_WINDOW;
    gpr[INSN_RCX] = 0x11111111;
    assert_int_equal(GUEST_RUN(0x8a, 0xab, 0xff, 0x1f, 0, 0), EMULATE_DONE); /* to CH */
    assert_int_equal(gpr[INSN_RCX], 0x1111a511);
    /* Three accessed bits: the directory's and the code's, then the data's. */
    assert_int_equal(guest.access_count, 4);
    expect_access(3, GUEST_DEVICE_READ, GUEST_DEVICE + 0x1fff, 1, 0xffffffffffffffa5);
}

/* The first page is RAM, the second the device, whose access is cut where it must be. */
static void test_across_pages(void **unused)
{
    static const uint8_t move[] = {0x48, 0x89, 0x07};

    for (unsigned behind = 1; behind < 8; behind++) {
        guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
        guest_set_entry(0x31000, GUEST_DEVICE | 7);
        gpr[INSN_RDI] = 0x30ff8 + behind;
        gpr[INSN_RAX] = 0x8877665544332211;
        assert_int_equal(guest_run(move, sizeof(move)), EMULATE_DONE);
        uint64_t low = gpr[INSN_RAX] & ~0ULL >> 8 * behind;
        assert_int_equal(guest_read(0x30ff8 + behind, 8 - behind), low);
        assert_memory_equal(guest.device, (uint8_t *)&gpr[INSN_RAX] + 8 - behind, behind);
        assert_int_equal(guest.device[behind], 0);
        guest.cpu.rip = GUEST_CODE;
        assert_int_equal(GUEST_RUN(0x48, 0x8b, 0x1f), EMULATE_DONE);
        assert_int_equal(gpr[INSN_RBX], gpr[INSN_RAX]);
    }
    /* Seven bytes at the end of a device page: 1, 2 and 4, each aligned. */
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DEVICE + 0xff9;
    gpr[INSN_RAX] = 0x8877665544332211;
    assert_int_equal(guest_run(move, sizeof(move)), EMULATE_DONE);
    assert_int_equal(guest.access_count, 4);
    expect_access(0, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0xff9, 1, 0x11);
    expect_access(1, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0xffa, 2, 0x3322);
    expect_access(2, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0xffc, 4, 0x77665544);
    expect_access(3, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0x1000, 1, 0x88);
}

/* A fault on the second page leaves the first one alone, and CR2 is the second page. */
static void test_fault_on_second_page(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.cpu.cpl = 3;
    guest_set_entry(0x30000, GUEST_DEVICE | 7);
    guest_set_entry(0x31000, 0x31000 | 5); /* read-only */
    gpr[INSN_RDI] = 0x30ffd;
    gpr[INSN_RAX] = 1;
    GUEST_RUN(0x01, 0x07); /* ADD %eax, (%rdi) */
    expect_fault(VECTOR_PF, 7);
    assert_int_equal(guest.result.address, 0x31000);
    assert_int_equal(guest.cpu.rip, GUEST_CODE);
    assert_int_equal(guest.cpu.rflags, 2);
    for (unsigned i = 0; i < guest.access_count; i++) {
        assert_int_equal(guest.access[i].kind, GUEST_SWAP); /* the device was not read */
    }
}

static void test_read_modify_write(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DEVICE;
    guest.device[0] = 0x0f;
    assert_int_equal(GUEST_RUN(0x80, 0x0f, 0xf0), EMULATE_DONE); /* ORB $0xf0, (%rdi) */
    assert_int_equal(guest.access_count, 2);
    assert_int_equal(guest.device[0], 0xff);
    guest.cpu.rip = GUEST_CODE;
    assert_int_equal(GUEST_RUN(0x80, 0x3f, 0xff), EMULATE_DONE); /* CMPB: no write */
    assert_int_equal(guest.access_count, 3);
    assert_true(guest.cpu.rflags & RFLAGS_ZF);
}

static void test_locked(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DATA;
    guest_write(GUEST_DATA, 4, 5);
    assert_int_equal(GUEST_RUN(0xf0, 0xff, 0x07), EMULATE_DONE); /* LOCK INCL */
    assert_int_equal(guest.access_count, 1);
    expect_access(0, GUEST_SWAP, GUEST_DATA, 4, 6);
    guest.cpu.rip = GUEST_CODE;
    guest.swaps_to_disturb = 1;
    gpr[INSN_RAX] = 9;
    guest.cpu.rflags = 2 | RFLAGS_CF;
    assert_int_equal(GUEST_RUN(0xf0, 0x0f, 0xc1, 0x07), EMULATE_RETRY); /* LOCK XADD */
    assert_int_equal(gpr[INSN_RAX], 9);
    assert_int_equal(guest.cpu.rip, GUEST_CODE);
    assert_int_equal(guest.cpu.rflags, 2 | RFLAGS_CF);
    assert_int_equal(GUEST_RUN(0xf0, 0x0f, 0xc1, 0x07), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RAX], 6);
    assert_int_equal(guest_read(GUEST_DATA, 4), 15);
    guest.cpu.rip = GUEST_CODE;
    assert_int_equal(GUEST_RUN(0x87, 0x07), EMULATE_DONE); /* XCHG is always locked */
    assert_int_equal(guest.access[guest.access_count - 1].kind, GUEST_SWAP);
    gpr[INSN_RDI] = GUEST_DEVICE;
    guest.cpu.rip = GUEST_CODE;
    assert_int_equal(GUEST_RUN(0xf0, 0xff, 0x07), EMULATE_DONE);
    assert_int_equal(guest.device[0], 1);
}

static void test_bit_strings(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DEVICE + 0x100;
    gpr[INSN_RAX] = (uint64_t)-33; /* bit 31 of the double word at -8 */
    assert_int_equal(GUEST_RUN(0x0f, 0xab, 0x07), EMULATE_DONE); /* BTS */
    expect_access(1, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0xf8, 4, 0x80000000);
    guest.cpu.rip = GUEST_CODE;
    gpr[INSN_RAX] = 0x1041; /* 64-bit operands: bit 1 of the quad word at +520 */
    assert_int_equal(GUEST_RUN(0x48, 0x0f, 0xab, 0x07), EMULATE_DONE);
    expect_access(3, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0x308, 8, 2);
    guest.cpu.rip = GUEST_CODE;
    assert_int_equal(GUEST_RUN(0x0f, 0xba, 0x2f, 0x25), EMULATE_DONE); /* immediate: modulo 32 */
    expect_access(5, GUEST_DEVICE_WRITE, GUEST_DEVICE + 0x100, 4, 0x20);
}

static void test_rip_relative(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    guest_write(GUEST_CODE + 0x100 + 11, 4, 1);
    guest.cpu.rip = GUEST_CODE;
    /* ADDL $7, 0x100(%rip) with a useless prefix: rip counts from behind the immediate. */
    assert_int_equal(GUEST_RUN(0x3e, 0x81, 0x05, 0, 1, 0, 0, 7, 0, 0, 0), EMULATE_DONE);
    assert_int_equal(guest_read(GUEST_CODE + 0x100 + 11, 4), 8);
    /* With 67h the sum is cut to 32 bits, but the base of GS is not. */
    guest.cpu.rip = GUEST_CODE;
    guest.cpu.segment[INSN_SEGMENT_GS].base = 0xfffffffffffff000;
    assert_int_equal(GUEST_RUN(0x65, 0x67, 0x8b, 0x05, 0xf9, 0xff, 0xff, 0x00), EMULATE_DONE);
    assert_int_equal(guest.access[0].address, GUEST_CODE + 8 + 0xfffff9 - 0x1000);
}

static void test_addresses_wrap(void **unused)
{
    /* Real mode, 16-bit: BX + SI + displacement modulo 64 KiB; the linear sum does not wrap. */
    guest_reset(INSN_MODE_16, GUEST_FLAT);
    guest.cpu.segment[INSN_SEGMENT_DS].base = 0x30000;
    guest_write(0x30003, 2, 0xbeef);
    gpr[INSN_RBX] = 0x55558000;
    gpr[INSN_RSI] = 0x66668001;
    assert_int_equal(GUEST_RUN(0x8b, 0x40, 0x02), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RAX], 0xbeef);
    /* 32-bit: base plus offset modulo 4 GiB. */
    guest_reset(INSN_MODE_32, GUEST_FLAT);
    guest.cpu.segment[INSN_SEGMENT_DS].base = 0xffff0000;
    guest_write(0x40, 4, 0x12345678);
    gpr[INSN_RBX] = 0x10040;
    assert_int_equal(GUEST_RUN(0x8b, 0x03), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RAX], 0x12345678);
    /* An operand that itself wraps is beyond the limit. */
    guest.cpu.rip = GUEST_CODE;
    gpr[INSN_RBX] = 0xfffffffe;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
}

static void test_segment_limits(void **unused)
{
    struct x86_segment *data = &guest.cpu.segment[INSN_SEGMENT_DS];

    guest_reset(INSN_MODE_16, GUEST_FLAT);
    gpr[INSN_RBX] = 0xffff;
    GUEST_RUN(0x8b, 0x07);
    expect_fault(VECTOR_GP, 0);
    gpr[INSN_RBP] = 0xffff;
    GUEST_RUN(0x8b, 0x46, 0x00); /* (%bp) is in SS */
    expect_fault(VECTOR_SS, 0);
    guest_reset(INSN_MODE_32, GUEST_FLAT);
    data->limit = 0x30003;
    gpr[INSN_RBX] = 0x30000;
    assert_int_equal(GUEST_RUN(0x8b, 0x03), EMULATE_DONE);
    guest.cpu.rip = GUEST_CODE;
    gpr[INSN_RBX] = 0x30001;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
    data->attributes |= SEGMENT_TYPE_DOWN; /* what was outside is inside */
    gpr[INSN_RBX] = 0x30003;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
    gpr[INSN_RBX] = 0x30004;
    assert_int_equal(GUEST_RUN(0x8b, 0x03), EMULATE_DONE);
    guest.cpu.rip = GUEST_CODE;
    data->limit = 0xfff;
    data->attributes &= (uint16_t)~SEGMENT_DEFAULT_BIG; /* ends at 64 KiB */
    gpr[INSN_RBX] = 0xfffd;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
}

static void test_segment_types(void **unused)
{
    struct x86_segment *data = &guest.cpu.segment[INSN_SEGMENT_DS];

    guest_reset(INSN_MODE_32, GUEST_FLAT);
    gpr[INSN_RBX] = GUEST_DATA;
    data->attributes = 0x91; /* read-only data */
    assert_int_equal(GUEST_RUN(0x8b, 0x03), EMULATE_DONE);
    guest.cpu.rip = GUEST_CODE;
    GUEST_RUN(0x89, 0x03);
    expect_fault(VECTOR_GP, 0);
    GUEST_RUN(0x2e, 0x89, 0x03); /* to code */
    expect_fault(VECTOR_GP, 0);
    data->attributes = 0x99; /* execute-only code */
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
    data->attributes = 0; /* null selector */
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
    /* Long mode asks for none of that. */
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    data->attributes = 0;
    data->limit = 0;
    data->base = 0x1234;
    gpr[INSN_RBX] = GUEST_DATA;
    assert_int_equal(GUEST_RUN(0x8b, 0x03), EMULATE_DONE);
}

static void test_canonical(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    gpr[INSN_RBX] = 0x800000000000;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
    gpr[INSN_RBX] = 0x7ffffffffffe; /* its end is not */
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_GP, 0);
    gpr[INSN_RBP] = 0xffff7fffffffffff;
    GUEST_RUN(0x8a, 0x45, 0x00);
    expect_fault(VECTOR_SS, 0);
    gpr[INSN_RBX] = 0xffff800000000000;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_PF, 0);
    assert_int_equal(guest.result.address, 0xffff800000000000);
}

static void test_alignment_check(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    gpr[INSN_RBX] = GUEST_DATA + 2;
    guest.cpu.cr0 |= CR0_AM;
    guest.cpu.rflags |= RFLAGS_AC;
    assert_int_equal(GUEST_RUN(0x8b, 0x03), EMULATE_DONE);
    guest.cpu.rip = GUEST_CODE;
    guest.cpu.cpl = 3;
    GUEST_RUN(0x8b, 0x03);
    expect_fault(VECTOR_AC, 0);
}

static void test_fetch(void **unused)
{
    static const uint8_t add[] = {0x81, 0x07, 1, 0, 0, 0}; /* ADDL $1, (%rdi) */

    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    gpr[INSN_RDI] = GUEST_DATA;
    guest.cpu.rip = GUEST_CODE + 0xffd; /* three bytes in each page */
    assert_int_equal(guest_run(add, sizeof(add)), EMULATE_DONE);
    assert_int_equal(guest_read(GUEST_DATA, 4), 1);
    guest_set_entry(GUEST_CODE + 0x1000, (GUEST_CODE + 0x1000) | 0x8000000000000007); /* NX */
    guest.cpu.rip = GUEST_CODE + 0xffd;
    guest_run(add, sizeof(add));
    expect_fault(VECTOR_PF, 0x11);
    assert_int_equal(guest.result.address, GUEST_CODE + 0x1000);
    guest.cpu.rip = GUEST_CODE + 0xffa; /* ends with its page: the next one does not matter */
    assert_int_equal(guest_run(add, sizeof(add)), EMULATE_DONE);
    guest.cpu.rip = GUEST_WINDOW; /* in device registers */
    emulate_memory(&guest.cpu, &guest.result);
    assert_int_equal(guest.result.outcome, EMULATE_UNSUPPORTED);
    assert_int_equal(guest.result.byte_count, 0);
    /* Bytes from the hardware are taken first. */
    memcpy(guest.cpu.bytes, add, sizeof(add));
    guest.cpu.byte_count = sizeof(add);
    emulate_memory(&guest.cpu, &guest.result);
    assert_int_equal(guest.result.outcome, EMULATE_DONE);
    assert_int_equal(guest_read(GUEST_DATA, 4), 3);
}

static void test_fetch_limit(void **unused)
{
    static const uint8_t move[] = {0x89, 0x07};

    guest_reset(INSN_MODE_16, GUEST_FLAT);
    guest.cpu.segment[INSN_SEGMENT_CS].limit = 0x101;
    guest.cpu.rip = 0x100;
    assert_int_equal(guest_run(move, sizeof(move)), EMULATE_DONE);
    guest.cpu.rip = 0x101;
    guest_run(move, sizeof(move));
    expect_fault(VECTOR_GP, 0);
}

static void test_not_executed(void **unused)
{
    uint8_t prefixes[INSN_MAX];

    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DEVICE;
    GUEST_RUN(0xf3, 0x0f, 0x7f, 0x07); /* MOVDQU */
    assert_int_equal(guest.result.outcome, EMULATE_UNSUPPORTED);
    assert_int_equal(guest.result.byte_count, INSN_MAX);
    assert_memory_equal(guest.result.bytes, guest.ram + GUEST_CODE, INSN_MAX);
    GUEST_RUN(0x0f, 0xa2); /* CPUID has no memory operand */
    assert_int_equal(guest.result.outcome, EMULATE_UNSUPPORTED);
    GUEST_RUN(0xf0, 0x89, 0x07);
    expect_fault(VECTOR_UD, 0);
    memset(prefixes, 0x3e, sizeof(prefixes));
    guest_run(prefixes, sizeof(prefixes));
    expect_fault(VECTOR_GP, 0);
    assert_int_equal(guest.access_count, 0);
}

static void test_stack(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DEVICE;
    guest.device[0] = 0x77;
    assert_int_equal(GUEST_RUN(0xff, 0x37), EMULATE_DONE); /* PUSHQ (%rdi) */
    assert_int_equal(gpr[INSN_RSP], GUEST_STACK - 8);
    assert_int_equal(guest_read(GUEST_STACK - 8, 8), 0x77);
    guest.cpu.rip = GUEST_CODE;
    assert_int_equal(GUEST_RUN(0x8f, 0x44, 0x24, 0x10), EMULATE_DONE); /* POPQ 16(%rsp) */
    assert_int_equal(gpr[INSN_RSP], GUEST_STACK);
    assert_int_equal(guest_read(GUEST_STACK + 0x10, 8), 0x77);
    /* 16-bit stack: only SP moves, and wraps; a fault moves nothing. */
    guest_reset(INSN_MODE_16, GUEST_FLAT);
    guest.cpu.segment[INSN_SEGMENT_SS].base = 0x20000;
    gpr[INSN_RSP] = 0x12340000;
    gpr[INSN_RBX] = 0x40;
    assert_int_equal(GUEST_RUN(0xff, 0x37), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RSP], 0x1234fffe);
    guest.cpu.rip = 0;
    gpr[INSN_RBX] = 0xffff;
    GUEST_RUN(0x8f, 0x07);
    expect_fault(VECTOR_GP, 0);
    assert_int_equal(gpr[INSN_RSP], 0x1234fffe);
}

static void test_advance(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_FLAT);
    gpr[INSN_RDI] = GUEST_DATA;
    guest.cpu.rflags |= RFLAGS_RF | RFLAGS_TF;
    assert_int_equal(GUEST_RUN(0x89, 0x07), EMULATE_DONE);
    assert_true(guest.result.single_step);
    assert_int_equal(guest.cpu.rflags, 2 | RFLAGS_TF);
}

static void test_decode_for_exits(void **unused)
{
    static const enum insn_op writes[] = {INSN_MOV_TO_CR, INSN_LMSW, INSN_CLTS};
    struct insn insn;
    uint64_t value = 0;

    guest_reset(INSN_MODE_32, GUEST_PAGED_32);
    memcpy(guest.ram + GUEST_CODE, (const uint8_t[]){0x0f, 0x01, 0x33}, 3); /* LMSW (%ebx) */
    gpr[INSN_RBX] = GUEST_DATA;
    guest_write(GUEST_DATA, 4, 0xabcd0001);
    assert_true(emulate_decode(&guest.cpu, writes, 3, &insn, &guest.result));
    assert_int_equal(guest.cpu.rip, GUEST_CODE);
    assert_int_equal(insn.op, INSN_LMSW);
    assert_true(emulate_operand_read(&guest.cpu, &insn, &value, &guest.result));
    assert_int_equal(value, 1);
    assert_false(emulate_decode(&guest.cpu, writes, 1, &insn, &guest.result));
    assert_int_equal(guest.result.outcome, EMULATE_RETRY);
    gpr[INSN_RBX] = 0x170000;
    assert_false(emulate_operand_read(&guest.cpu, &insn, &value, &guest.result));
    expect_fault(VECTOR_PF, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_widths),
        cmocka_unit_test(test_device_byte),
        cmocka_unit_test(test_across_pages),
        cmocka_unit_test(test_fault_on_second_page),
        cmocka_unit_test(test_read_modify_write),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_bit_strings),
        cmocka_unit_test(test_rip_relative),
        cmocka_unit_test(test_addresses_wrap),
        cmocka_unit_test(test_segment_limits),
        cmocka_unit_test(test_segment_types),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_fetch_limit),
        cmocka_unit_test(test_not_executed),
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_advance),
        cmocka_unit_test(test_decode_for_exits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
