/* SPDX-License-Identifier: BSD-2-Clause */
/* Operands and lengths that only the guest's code tells. */
#include "tests/unit/svm/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A host interrupt in the shadow of STI: the HLT behind it is carried out at once. */
static void test_hlt_in_shadow(void **state)
{
    vcpu->shadow = true;
    FAKE_CODE(0xf4);
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_HLT);
    assert_int_equal(last.length, 1);
    FAKE_CODE(0x90);
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
    vmcb->cpl = 3;
    FAKE_CODE(0xf4);
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
}

static void write_cr0(void)
{
    exit_with(VMCB_EXIT_CR_WRITE, 0, 0);
}

static void write_cr4(void)
{
    exit_with(VMCB_EXIT_CR_WRITE + 4, 0, 0);
}

static void write_cr8(void)
{
    exit_with(VMCB_EXIT_CR_WRITE + 8, 0, 0);
}

static void read_cr4(void)
{
    exit_with(VMCB_EXIT_CR_READ + 4, 0, 0);
}

static void ask_cpuid(void)
{
    exit_with(VMCB_EXIT_CPUID, 0, 0);
}

static void expect_write(unsigned number, uint64_t value, unsigned length)
{
    assert_int_equal(last.reason, EXIT_CR_WRITE);
    assert_int_equal(last.control.number, number);
    assert_int_equal(last.control.value, value);
    assert_int_equal(last.length, length);
    fake_expect_nothing();
}

static void test_moves(void **state)
{
    vcpu->gpr[INSN_RBX] = 0xffffffff00000020ULL;
    FAKE_CODE(0x0f, 0x22, 0xe3); /* MOV CR4, EBX: the upper half is not there */
    run(write_cr4);
    expect_write(4, 0x20, 3);
    FAKE_CODE(0x0f, 0x20, 0xe6); /* MOV ESI, CR4 */
    run(read_cr4);
    assert_int_equal(last.reason, EXIT_CR_READ);
    assert_int_equal(last.control.reg, INSN_RSI);
    assert_int_equal(last.length, 3);
    FAKE_CODE(0x0f, 0x22, 0xc3); /* MOV CR0, EBX by now: it is executed anew */
    run(write_cr4);
    assert_int_equal(last.reason, EXIT_RETRY);
    FAKE_CODE(0x8b, 0x00);
    run(write_cr4);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_nothing();
    vmcb->segment[STATE_CS].attributes = FAKE_CODE_LONG;
    vmcb->efer = EFER_SVME | EFER_LME | EFER_LMA;
    vcpu->gpr[9] = 7;
    FAKE_CODE(0x45, 0x0f, 0x22, 0xc1); /* MOV CR8, R9 */
    run(write_cr8);
    expect_write(8, 7, 4);
    vcpu->gpr[INSN_RAX] = 1ULL << 40;
    FAKE_CODE(0x0f, 0x22, 0xc0); /* MOV CR0, RAX */
    run(write_cr0);
    expect_write(0, 1ULL << 40, 3);
}

static void test_lmsw_and_clts(void **state)
{
    static const struct {
        uint64_t cr0, word, wanted;
    } rows[] = {
        {0,                        0xffff,             CR0_PE | CR0_MP | CR0_EM | CR0_TS},
        {CR0_PE,                   0,                  CR0_PE /* never cleared */       },
        {CR0_PE | CR0_TS | CR0_MP, CR0_EM,             CR0_PE | CR0_EM                  },
        {CR0_PE | CR0_NE | CR0_WP, 0x20 | 0x10000 | 1, CR0_PE | CR0_NE | CR0_WP         },
        {CR0_PE | CR0_AM,          CR0_TS,             CR0_PE | CR0_AM | CR0_TS         },
        {CR0_PE | CR0_CD | CR0_NW, CR0_MP,             CR0_PE | CR0_CD | CR0_NW | CR0_MP},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vmcb->cr0 = rows[i].cr0;
        vcpu->gpr[INSN_RCX] = rows[i].word;
        FAKE_CODE(0x0f, 0x01, 0xf1); /* LMSW CX */
        run(write_cr0);
        expect_write(0, rows[i].wanted, 3);
    }
    vmcb->cr0 = CR0_PE | CR0_NE;
    fake_ram[0x2000] = CR0_TS;
    FAKE_CODE(0x0f, 0x01, 0x35, 0x00, 0x20, 0x00, 0x00); /* LMSW [2000h] */
    run(write_cr0);
    expect_write(0, CR0_PE | CR0_NE | CR0_TS, 7);
    vmcb->cr0 = CR0_PE | CR0_TS | CR0_MP;
    FAKE_CODE(0x0f, 0x06); /* CLTS */
    run(write_cr0);
    expect_write(0, CR0_PE | CR0_MP, 2);
}

static void test_lengths(void **state)
{
    FAKE_CODE(0x66, 0x0f, 0xa2);
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_CPUID);
    assert_int_equal(last.length, 3);
    FAKE_CODE(0x8b, 0x00);
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_nothing();
    features.next_rip = true;
    vmcb->next_rip = RIP + 2;
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_CPUID);
    assert_int_equal(last.length, 2);
    features.next_rip = false;
    vcpu->rip = FAKE_RAM_SIZE + 0x1000; /* no RAM */
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_exception(6, false, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hlt_in_shadow, setup),
        cmocka_unit_test_setup(test_moves, setup),
        cmocka_unit_test_setup(test_lmsw_and_clts, setup),
        cmocka_unit_test_setup(test_lengths, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
