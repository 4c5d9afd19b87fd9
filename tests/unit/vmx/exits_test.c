/* SPDX-License-Identifier: BSD-2-Clause */
/* What the VMCS says about an exit, in neutral words: for every reason. */
#include "tests/unit/vmx/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    uint8_t code, reason;
    bool length;
} known[] = {
    {1,  EXIT_INTERRUPT,   false},
    {2,  EXIT_SHUTDOWN,    false},
    {7,  EXIT_WINDOW,      false},
    {8,  EXIT_NMI_WINDOW,  false},
    {9,  EXIT_TASK_SWITCH, false},
    {10, EXIT_CPUID,       true },
    {11, EXIT_REFUSED,     false},
    {12, EXIT_HLT,         true },
    {13, EXIT_CACHE,       true },
    {15, EXIT_FORBIDDEN,   false},
    {18, EXIT_REFUSED,     false},
    {19, EXIT_REFUSED,     false},
    {20, EXIT_REFUSED,     false},
    {21, EXIT_REFUSED,     false},
    {22, EXIT_REFUSED,     false},
    {23, EXIT_REFUSED,     false},
    {24, EXIT_REFUSED,     false},
    {25, EXIT_REFUSED,     false},
    {26, EXIT_REFUSED,     false},
    {27, EXIT_REFUSED,     false},
    {28, EXIT_CR_WRITE,    true },
    {30, EXIT_IO,          true },
    {31, EXIT_MSR_READ,    true },
    {32, EXIT_MSR_WRITE,   true },
    {33, EXIT_INVALID,     false},
    {34, EXIT_INVALID,     false},
    {36, EXIT_REFUSED,     false},
    {39, EXIT_REFUSED,     false},
    {40, EXIT_PAUSE,       true },
    {41, EXIT_EXCEPTION,   false},
    {44, EXIT_MEMORY,      false},
    {45, EXIT_APIC_EOI,    false},
    {48, EXIT_MEMORY,      false},
    {50, EXIT_REFUSED,     false},
    {53, EXIT_REFUSED,     false},
    {54, EXIT_CACHE,       true },
    {55, EXIT_XSETBV,      true },
    {56, EXIT_APIC_WRITE,  false},
    {59, EXIT_REFUSED,     false},
    {60, EXIT_REFUSED,     false},
    {62, EXIT_RETRY,       false},
};

/* Every basic reason of appendix C, with whether it brings a length. */
static void test_reasons(void **state)
{
    for (unsigned code = 1, i = 0; code < 80; code++) {
        bool is_known = i < ARRAY_SIZE(known) && known[i].code == code;

        fake_vmcs[VMCS_QUALIFICATION] = 0;
        fake_vmcs[VMCS_LENGTH] = 3;
        vmx_decode_exit(vcpu, code, &last);
        assert_int_equal(last.reason, is_known ? known[i].reason : EXIT_UNKNOWN);
        assert_int_equal(last.length, is_known && known[i].length ? 3 : 0);
        assert_int_equal(last.code, code);
        i += is_known;
    }
}

static void test_io(void **state)
{
    run_exit(VMCS_EXIT_IO, 0x3f8U << 16 | 0, 1);
    assert_int_equal(last.reason, EXIT_IO);
    assert_int_equal(last.io.port, 0x3f8);
    assert_int_equal(last.io.size, 1);
    assert_false(last.io.in);
    run_exit(VMCS_EXIT_IO, 0xffffU << 16 | 1U << 3 | 3, 2);
    assert_int_equal(last.io.port, 0xffff);
    assert_int_equal(last.io.size, 4);
    assert_true(last.io.in);
    run_exit(VMCS_EXIT_IO, 0x1f0U << 16 | 1U << 5 | 1U << 4 | 1U << 3 | 1, 2);
    assert_int_equal(last.reason, EXIT_STRING_IO);
    assert_int_equal(last.io.size, 2);
}

static void test_memory(void **state)
{
    fake_vmcs[VMCS_PHYSICAL_ADDRESS] = 0xfee00080;
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x182, 7);
    assert_int_equal(last.reason, EXIT_MEMORY);
    assert_int_equal(last.length, 0);
    assert_int_equal(last.memory.address.raw, 0xfee00080);
    assert_false(last.memory.walk || last.memory.present);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x81, 0);
    assert_true(last.memory.walk);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x1, 0); /* PDPTEs: no linear address */
    assert_true(last.memory.walk);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x18c, 0); /* readable */
    assert_true(last.memory.present);
    assert_false(vcpu->nmi_blocked);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x1181, 0); /* of an IRET, which is executed again */
    assert_true(vcpu->nmi_blocked);
}

static void test_moves(void **state)
{
    vcpu->gpr[INSN_RBX] = 0xffffffff00000020ULL;
    run_exit(VMCS_EXIT_CR, 4 | 3U << 8, 3);
    assert_int_equal(last.reason, EXIT_CR_WRITE);
    assert_int_equal(last.control.number, 4);
    assert_int_equal(last.control.value, 0x20);
    assert_int_equal(last.length, 3);
    set_long_mode();
    run_exit(VMCS_EXIT_CR, 0 | 3U << 8, 3);
    assert_int_equal(last.control.value, 0xffffffff00000020ULL);
    vcpu->gpr[9] = 7;
    run_exit(VMCS_EXIT_CR, 8 | 9U << 8, 4);
    assert_int_equal(last.control.number, 8);
    assert_int_equal(last.control.value, 7);
    for (unsigned type = 1; type < 4; type++) { /* none of these exits */
        run_exit(VMCS_EXIT_CR, type << 4, 2);
        assert_int_equal(last.reason, EXIT_UNKNOWN);
    }
}

static void run_exception(uint32_t event, uint64_t info)
{
    fake_vmcs[VMCS_EXIT_EVENT] = event;
    fake_vmcs[VMCS_EXIT_ERROR] = 0x55;
    run_exit(VMCS_EXIT_EXCEPTION, info, 0);
}

static void test_exceptions(void **state)
{
    run_exception(VALID | 2U << 8 | 2, 0);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
    assert_int_equal(fake_nmis, 1);
    run_exception(VALID | 3U << 8 | ERROR | 17, 0);
    assert_int_equal(last.reason, EXIT_EXCEPTION);
    assert_int_equal(last.exception.vector, 17);
    assert_int_equal(last.exception.error, 0x55);
    run_exception(VALID | 3U << 8 | 18, 0);
    assert_int_equal(last.exception.vector, 18);
    assert_int_equal(last.exception.error, 0);
    run_exit(VMCS_EXIT_MACHINE_CHECK | VALID, 0, 0);
    assert_int_equal(last.exception.vector, 18);
    assert_int_equal(fake_nmis, 1);
}

/* What #DB leaves to the VMM: DR6, and DR7.GD. */
static void test_debug(void **state)
{
    fake_dr6 = DR6_RESET | 3;
    fake_vmcs[VMCS_DR7] = 0x2400;
    run_exception(VALID | 3U << 8 | 1, 1U << 14 | 4);
    assert_int_equal(last.exception.vector, 1);
    assert_int_equal(fake_dr6, DR6_RESET | 1U << 14 | 4);
    assert_int_equal(fake_vmcs[VMCS_DR7], 0x400);
}

static uint32_t vectoring;

static void interrupted_delivery(void)
{
    fake_vmcs[VMCS_VECTORING_EVENT] = vectoring;
    fake_vmcs[VMCS_VECTORING_ERROR] = 0x18;
    exit_with(VMCS_EXIT_EPT_VIOLATION, 0x182, 0);
}

static void test_vectoring(void **state)
{
    static const struct {
        uint32_t word;
        enum vcpu_event_kind kind;
    } rows[] = {
        {0x60,                           VCPU_EVENT_NONE     },
        {VALID | 0x60,                   VCPU_EVENT_INTERRUPT},
        {VALID | 2U << 8 | 2,            VCPU_EVENT_NMI      },
        {VALID | 3U << 8 | ERROR | 13,   VCPU_EVENT_EXCEPTION},
        {VALID | 3U << 8 | 6 | 1U << 12, VCPU_EVENT_EXCEPTION},
        {VALID | 4U << 8 | 0x80,         VCPU_EVENT_NONE     },
        {VALID | 5U << 8 | 1,            VCPU_EVENT_NONE     },
        {VALID | 6U << 8 | 3,            VCPU_EVENT_NONE     },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vectoring = rows[i].word;
        fake_vmcs[VMCS_RFLAGS] = vcpu->rflags = RFLAGS_FIXED | RFLAGS_IF;
        vcpu->event.kind = VCPU_EVENT_NONE;
        vcpu->nmi_blocked = false;
        run(interrupted_delivery);
        assert_int_equal(vcpu->event.kind, rows[i].kind);
        assert_int_equal(vcpu->nmi_blocked, rows[i].kind == VCPU_EVENT_NMI);
        if (rows[i].kind != VCPU_EVENT_NONE) {
            run(host_interrupt); /* delivered again */
            assert_int_equal(fake_vmcs[VMCS_ENTRY_EVENT] | VALID, rows[i].word & ~(1U << 12));
            assert_int_equal(fake_vmcs[VMCS_ENTRY_ERROR], rows[i].word & ERROR ? 0x18 : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reasons, setup),    cmocka_unit_test_setup(test_io, setup),
        cmocka_unit_test_setup(test_memory, setup),     cmocka_unit_test_setup(test_moves, setup),
        cmocka_unit_test_setup(test_exceptions, setup), cmocka_unit_test_setup(test_debug, setup),
        cmocka_unit_test_setup(test_vectoring, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
