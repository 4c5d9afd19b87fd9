/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes into the VMCB before an entry, and interrupts that are offered. */
#include "tests/unit/svm/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void change_cr8(void)
{
    vmcb->interrupt_control ^= 6;
    host_interrupt();
}

static void test_watches(void **state)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        vcpu->window = bits & 1;
        vcpu->nmi_blocked = bits & 2;
        vcpu->cr8_watched = bits & 4;
        vcpu->shadow = bits & 8;
        vcpu->cr8 = (uint8_t)(bits ^ 5);
        vcpu->rflags = RFLAGS_FIXED;
        run(host_interrupt);
        assert_int_equal((vmcb->intercepts & VMCB_INTERCEPT(VINTR)) != 0, bits & 1);
        assert_int_equal((vmcb->interrupt_control & VMCB_V_IRQ) != 0, bits & 1);
        assert_int_equal((vmcb->intercepts & VMCB_INTERCEPT(IRET)) != 0, (bits & 2) != 0);
        assert_int_equal(vmcb->cr_writes >> 8 & 1, (bits & 4) != 0);
        assert_int_equal(vmcb->interrupt_shadow, (bits & 8) != 0);
        assert_int_equal(vcpu->cr8, bits ^ 5);
        run(change_cr8);
        assert_int_equal(vcpu->cr8, bits ^ 3);
    }
}

/* What the CPU says of the interrupt 41h that it was offered. */
static bool says_pending;
static uint64_t says_event;

static void answer_offer(void)
{
    if (!says_pending) {
        vmcb->interrupt_control &= ~(uint64_t)VMCB_V_IRQ;
    }
    vmcb->exit_event = says_event;
    exit_with(VMCB_EXIT_INTR, 0, 0);
}

/* It is taken once V_IRQ is clear, or while its delivery is under way; INT 41h is not it. */
static void test_offers(void **state)
{
    static const struct {
        bool pending;
        uint64_t event;
        bool taken;
        enum vcpu_event_kind kind;
    } rows[] = {
        {true,  0,          false, VCPU_EVENT_NONE     },
        {false, 0,          true,  VCPU_EVENT_NONE     },
        {false, 0x80000041, true,  VCPU_EVENT_INTERRUPT},
        {true,  0x80000341, true,  VCPU_EVENT_INTERRUPT}, /* as QEMU tells it */
        {true,  0x80000441, false, VCPU_EVENT_NONE     },
        {true,  0x80000051, false, VCPU_EVENT_INTERRUPT},
        {true,  0x8000030e, false, VCPU_EVENT_EXCEPTION},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vcpu->event.kind = VCPU_EVENT_NONE;
        vcpu->offer = 0x41;
        vcpu->cr8 = 3;
        says_pending = rows[i].pending;
        says_event = rows[i].event;
        run(answer_offer);
        assert_int_equal(vmcb->interrupt_control & ~(uint64_t)VMCB_V_IRQ,
                         0x41ULL << 32 | VMCB_V_INTR_MASKING | VMCB_V_IGNORE_TPR | 4U << 16 | 3);
        assert_int_equal(vmcb->intercepts & VMCB_INTERCEPT(VINTR), 0);
        assert_int_equal(vcpu->offer, rows[i].taken ? 0 : 0x41);
        assert_int_equal(vcpu->event.kind, rows[i].kind);
        assert_int_equal(vcpu->cr8, 3);
    }
    vcpu->event.kind = VCPU_EVENT_NONE;
    vcpu->offer = 0;
    says_pending = true;
    run(answer_offer);
    assert_int_equal(vmcb->interrupt_control, VMCB_V_INTR_MASKING | 3);
}

/* Where the guest is left at a window instead, nothing is taken. */
static void test_offers_and_windows(void **state)
{
    says_pending = false;
    says_event = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (i == 2) { /* while an IRET is stepped */
            reach();
        }
        vcpu->window = i == 0;
        vcpu->nmi_pending = i == 1;
        vcpu->offer = 0x41;
        run(answer_offer);
        assert_true(vmcb->intercepts & VMCB_INTERCEPT(VINTR));
        assert_int_equal(vcpu->offer, 0x41);
    }
}

static void refuse_and_forget(void)
{
    vmcb->interrupt_control = 0;
    refuse();
}

static void take_and_refuse(void)
{
    vmcb->interrupt_control &= ~(uint64_t)VMCB_V_IRQ;
    refuse();
}

/* Nothing was entered, whatever QEMU has made of the field. */
static void test_offer_is_refused(void **state)
{
    vcpu->offer = 0x41;
    vcpu->cr8 = 2;
    run(refuse_and_forget);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->offer, 0x41);
    assert_int_equal(vcpu->cr8, 2);
    vcpu->event.kind = VCPU_EVENT_NONE;
    run(refuse); /* as CPUs do, which know that it is still offered */
    assert_int_equal(vcpu->offer, 0x41);
    run(take_and_refuse); /* by an entry before */
    assert_int_equal(vcpu->offer, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_watches, setup),
        cmocka_unit_test_setup(test_offers, setup),
        cmocka_unit_test_setup(test_offers_and_windows, setup),
        cmocka_unit_test_setup(test_offer_is_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
