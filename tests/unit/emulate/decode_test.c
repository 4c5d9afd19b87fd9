/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder by hand: what the cross-check against Zydis cannot say, and what is easy to break. */
#include "vmm/emulate/insn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct insn insn;

static enum insn_result decode(enum insn_mode mode, const uint8_t *bytes, unsigned size)
{
    uint8_t padded[INSN_MAX] = {0};

    memcpy(padded, bytes, size);
    memset(&insn, 0, sizeof(insn));
    return insn_decode(padded, INSN_MAX, mode, &insn);
}

#define DECODE(mode, ...) \
    decode(mode, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_prefixes_change_sizes(void **unused)
{
    static const struct {
        enum insn_mode mode;
        uint8_t prefix;
        uint8_t operand, address;
    } rows[] = {
        {INSN_MODE_16, 0x3e, 2, 2},
        {INSN_MODE_16, 0x66, 4, 2},
        {INSN_MODE_16, 0x67, 2, 4},
        {INSN_MODE_32, 0x3e, 4, 4},
        {INSN_MODE_32, 0x66, 2, 4},
        {INSN_MODE_32, 0x67, 4, 2},
        {INSN_MODE_64, 0x3e, 4, 8},
        {INSN_MODE_64, 0x66, 2, 8},
        {INSN_MODE_64, 0x67, 4, 4},
        {INSN_MODE_64, 0x48, 8, 8},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(DECODE(rows[i].mode, rows[i].prefix, 0x8b, 0x07), INSN_OK);
        assert_int_equal(insn.operand_size, rows[i].operand);
        assert_int_equal(insn.address_size, rows[i].address);
        assert_int_equal(insn.length, 3);
    }
}

/* REX counts only right in front of the opcode, and REX.W wins over 66h. */
static void test_rex(void **unused)
{
    assert_int_equal(DECODE(INSN_MODE_64, 0x48, 0x66, 0x89, 0x08), INSN_OK);
    assert_int_equal(insn.operand_size, 2);
    assert_int_equal(DECODE(INSN_MODE_64, 0x66, 0x48, 0x89, 0x08), INSN_OK);
    assert_int_equal(insn.operand_size, 8);
    assert_int_equal(DECODE(INSN_MODE_64, 0x4f, 0x41, 0x89, 0x08), INSN_OK);
    assert_int_equal(insn.operand_size, 4);
    assert_int_equal(insn.reg, INSN_RCX);
    assert_int_equal(insn.base, 8);
    assert_int_equal(DECODE(INSN_MODE_64, 0x88, 0x20), INSN_OK);
    assert_int_equal(insn.reg, INSN_HIGH_BYTE); /* AH */
    assert_int_equal(DECODE(INSN_MODE_64, 0x40, 0x88, 0x20), INSN_OK);
    assert_int_equal(insn.reg, INSN_RSP); /* SPL */
    /* 40h is an instruction of its own elsewhere: not one of ours. */
    assert_int_equal(DECODE(INSN_MODE_32, 0x40), INSN_UNSUPPORTED);
}

static void test_rip_relative(void **unused)
{
    assert_int_equal(DECODE(INSN_MODE_64, 0xc7, 0x05, 0xfc, 0xff, 0xff, 0xff, 1, 2, 3, 0x84),
                     INSN_OK);
    assert_int_equal(insn.base, INSN_BASE_RIP);
    assert_int_equal(insn.displacement, -4);
    assert_int_equal(insn.immediate, 0xffffffff84030201);
    assert_int_equal(DECODE(INSN_MODE_32, 0x8b, 0x05, 0, 0, 0xe0, 0xfe), INSN_OK);
    assert_int_equal(insn.base, INSN_NO_REGISTER);
    assert_int_equal((uint32_t)insn.displacement, 0xfee00000);
}

static void test_segments(void **unused)
{
    assert_int_equal(DECODE(INSN_MODE_32, 0x8b, 0x45, 0x08), INSN_OK); /* (%ebp) */
    assert_int_equal(insn.segment, INSN_SEGMENT_SS);
    assert_int_equal(DECODE(INSN_MODE_32, 0x26, 0x8b, 0x45, 0x08), INSN_OK);
    assert_int_equal(insn.segment, INSN_SEGMENT_ES);
    assert_int_equal(DECODE(INSN_MODE_32, 0x26, 0x64, 0x8b, 0x00), INSN_OK); /* the last counts */
    assert_int_equal(insn.segment, INSN_SEGMENT_FS);
    assert_int_equal(DECODE(INSN_MODE_64, 0x65, 0x2e, 0x8b, 0x00), INSN_OK); /* CS: means nothing */
    assert_int_equal(insn.segment, INSN_SEGMENT_GS);
    assert_int_equal(DECODE(INSN_MODE_32, 0x64, 0xab), INSN_OK); /* STOS is always in ES */
    assert_int_equal(insn.segment, INSN_SEGMENT_ES);
    assert_int_equal(DECODE(INSN_MODE_32, 0x64, 0xad), INSN_OK);
    assert_int_equal(insn.segment, INSN_SEGMENT_FS);
}

static void test_lock(void **unused)
{
    assert_int_equal(DECODE(INSN_MODE_64, 0xf0, 0x01, 0x07), INSN_OK);
    assert_true(insn.lock);
    assert_int_equal(DECODE(INSN_MODE_64, 0xf0, 0x03, 0x07), INSN_INVALID); /* to register */
    assert_int_equal(DECODE(INSN_MODE_64, 0xf0, 0x39, 0x07), INSN_INVALID); /* CMP */
    assert_int_equal(DECODE(INSN_MODE_64, 0xf0, 0x89, 0x07), INSN_INVALID); /* MOV */
    assert_int_equal(DECODE(INSN_MODE_64, 0xf0, 0x0f, 0xba, 0x27, 1), INSN_INVALID); /* BT */
    assert_int_equal(DECODE(INSN_MODE_64, 0xf0, 0x0f, 0xa2), INSN_INVALID);
    /* AMD's CR8 outside of 64-bit mode. */
    assert_int_equal(DECODE(INSN_MODE_32, 0xf0, 0x0f, 0x22, 0xc1), INSN_OK);
    assert_int_equal(insn.control, 8);
    assert_int_equal(insn.reg, INSN_RCX);
}

/* Lengths of what exits without a next rip, in 64-bit mode. */
static void test_lengths(void **unused)
{
    static const struct {
        uint8_t bytes[4];
        uint8_t length, op;
    } rows[] = {
        {{0x0f, 0xa2},             2, INSN_CPUID      },
        {{0xf4},                   1, INSN_HLT        },
        {{0x0f, 0x32},             2, INSN_RDMSR      },
        {{0x0f, 0x30},             2, INSN_WRMSR      },
        {{0xe4, 0x60},             2, INSN_IN         },
        {{0xef},                   1, INSN_OUT        },
        {{0x0f, 0x20, 0xc0},       3, INSN_MOV_FROM_CR},
        {{0x44, 0x0f, 0x22, 0xc0}, 4, INSN_MOV_TO_CR  },
        {{0xf3, 0x90},             2, INSN_PAUSE      },
        {{0x0f, 0x01, 0xd1},       3, INSN_XSETBV     },
        {{0x0f, 0x09},             2, INSN_WBINVD     },
        {{0x0f, 0x06},             2, INSN_CLTS       },
        {{0x0f, 0x01, 0xf0},       3, INSN_LMSW       },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(decode(INSN_MODE_64, rows[i].bytes, sizeof(rows[i].bytes)), INSN_OK);
        assert_int_equal(insn.op, rows[i].op);
        assert_int_equal(insn.length, rows[i].length);
    }
    assert_int_equal(DECODE(INSN_MODE_64, 0x0f, 0x01, 0xd8), INSN_UNSUPPORTED); /* VMRUN */
    assert_int_equal(DECODE(INSN_MODE_64, 0x0f, 0x21, 0xf8), INSN_UNSUPPORTED); /* DR7 */
    assert_int_equal(DECODE(INSN_MODE_64, 0x90), INSN_UNSUPPORTED);             /* NOP */
    assert_int_equal(DECODE(INSN_MODE_64, 0x0f, 0x22, 0xc8), INSN_INVALID);     /* CR1 */
    assert_int_equal(DECODE(INSN_MODE_64, 0x44, 0x0f, 0x20, 0xc1), INSN_OK);    /* CR8 */
    assert_int_equal(insn.control, 8);
}

/* SSE, AVX and what else has memory operands that we do not emulate. */
static void test_unsupported(void **unused)
{
    assert_int_equal(DECODE(INSN_MODE_64, 0x0f, 0x10, 0x07), INSN_UNSUPPORTED);
    assert_int_equal(DECODE(INSN_MODE_64, 0xf3, 0x0f, 0x6f, 0x07), INSN_UNSUPPORTED);
    assert_int_equal(DECODE(INSN_MODE_64, 0xc5, 0xfe, 0x6f, 0x07), INSN_UNSUPPORTED);
    assert_int_equal(DECODE(INSN_MODE_64, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07), INSN_UNSUPPORTED);
    assert_int_equal(DECODE(INSN_MODE_64, 0x8f, 0xe9, 0x78, 0x81, 0x07),
                     INSN_UNSUPPORTED); /* XOP */
    assert_int_equal(DECODE(INSN_MODE_64, 0x82, 0x07, 1), INSN_UNSUPPORTED);
    assert_int_equal(DECODE(INSN_MODE_32, 0x63, 0x07), INSN_UNSUPPORTED); /* ARPL */
    assert_int_equal(DECODE(INSN_MODE_64, 0xf2, 0x0f, 0x38, 0xf0, 0x07), INSN_UNSUPPORTED);
    assert_int_equal(DECODE(INSN_MODE_64, 0x89, 0xc0), INSN_UNSUPPORTED); /* registers only */
}

static void test_too_long_and_truncated(void **unused)
{
    uint8_t bytes[20];

    memset(bytes, 0x66, sizeof(bytes));
    assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_MODE_64, &insn), INSN_TOO_LONG);
    for (unsigned count = 0; count < INSN_MAX; count++) {
        assert_int_equal(insn_decode(bytes, count, INSN_MODE_64, &insn), INSN_TRUNCATED);
    }
    /* 13 prefixes and MOV (%rdi), %eax make 15; one more is too many. */
    bytes[13] = 0x8b;
    bytes[14] = 0x07;
    assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_MODE_64, &insn), INSN_OK);
    assert_int_equal(insn.length, 15);
    bytes[14] = 0x47;
    bytes[15] = 0x10;
    assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_MODE_64, &insn), INSN_TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes_change_sizes),
        cmocka_unit_test(test_rex),
        cmocka_unit_test(test_rip_relative),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_too_long_and_truncated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
