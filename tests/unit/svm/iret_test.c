/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of NMI handlers: IRET is stepped, and the guest sees nothing of it. */
#include "tests/unit/svm/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TARGET 0x3000U
#define BS     (1U << 14)

/* IRET, popping RFLAGS without TF; the trap if it was stepped. */
static void execute_iret(void)
{
    bool stepped = vmcb->rflags & RFLAGS_TF;

    vmcb->rip = TARGET;
    vmcb->rflags = RFLAGS_FIXED | RFLAGS_IF;
    if (stepped) {
        vmcb->dr6 |= BS;
        exit_with(VMCB_EXIT_EXCEPTION + 1, 0, 0);
    } else {
        exit_with(VMCB_EXIT_INTR, 0, 0);
    }
}

/* As Bochs 2.7 tells it. */
static void execute_iret_without_bs(void)
{
    execute_iret();
    vmcb->dr6 &= ~(uint64_t)BS;
}

static void execute_iret_on_watched_stack(void)
{
    execute_iret();
    vmcb->dr6 |= 4;
}

static void fault_in_iret(void)
{
    exit_with(VMCB_EXIT_EXCEPTION + 13, 0x18, 0);
}

static void page_fault_in_iret(void)
{
    exit_with(VMCB_EXIT_EXCEPTION + 14, 2, 0xdead000);
}

static void expect_unseen(void)
{
    assert_int_equal(vcpu->rflags & RFLAGS_TF, 0);
    assert_int_equal(vmcb->dr6, DR6_RESET);
    assert_int_equal(vmcb->exceptions, BACKEND_EXCEPTIONS);
}

/* A waiting NMI can be delivered at the IRET's target, and the guest sees nothing of the step. */
static void test_iret_is_stepped(void **state)
{
    reach();
    vcpu->nmi_pending = true;
    run(host_interrupt); /* before it is executed */
    assert_true(vcpu->nmi_blocked);
    assert_int_equal(vcpu->rip, RIP);
    expect_unseen();
    run(execute_iret);
    assert_int_equal(last.reason, EXIT_NMI_WINDOW);
    assert_false(vcpu->nmi_blocked);
    assert_int_equal(vcpu->rip, TARGET);
    fake_expect_nothing();
    expect_unseen();
    run(host_interrupt);
    assert_int_equal(vmcb->intercepts & VMCB_INTERCEPT(IRET), 0);
}

/* While it is stepped no exception may push RFLAGS. */
static void look_at_step(void)
{
    assert_int_equal(vmcb->exceptions, UINT32_MAX);
    assert_true(vmcb->rflags & RFLAGS_TF);
    assert_int_equal(vmcb->intercepts & VMCB_INTERCEPT(IRET), 0);
    execute_iret();
}

static void test_step_is_watched(void **state)
{
    reach();
    run(look_at_step);
    expect_unseen();
}

static void test_step_without_a_word(void **state)
{
    reach();
    run(execute_iret_without_bs);
    assert_int_equal(last.reason, EXIT_NMI_WINDOW);
    assert_false(vcpu->nmi_blocked);
    expect_unseen();
}

static void test_iret_that_faults(void **state)
{
    reach();
    run(fault_in_iret);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_exception(13, true, 0x18);
    assert_false(vcpu->nmi_blocked);
    assert_true(vcpu->rflags & RFLAGS_RF);
    expect_unseen();
    setup(NULL);
    reach();
    run(page_fault_in_iret);
    fake_expect_exception(14, true, 2);
    assert_int_equal(vmcb->cr2, 0xdead000);
    expect_unseen();
}

/* A guest that steps itself, or watches its stack, gets its own #DB, with what DR6 had before. */
static void test_debug_exceptions_of_the_guest(void **state)
{
    vmcb->dr6 = DR6_RESET | 1;
    reach();
    vcpu->rflags |= RFLAGS_TF;
    run(execute_iret);
    assert_int_equal(last.reason, EXIT_EXCEPTION);
    assert_int_equal(vmcb->dr6, DR6_RESET | 1 | BS);
    assert_false(vcpu->nmi_blocked);
    setup(NULL);
    vmcb->dr6 = DR6_RESET | 1;
    reach();
    run(execute_iret_on_watched_stack);
    assert_int_equal(last.reason, EXIT_EXCEPTION);
    assert_int_equal(vmcb->dr6, DR6_RESET | 4);
    assert_int_equal(vcpu->rflags & RFLAGS_TF, 0);
}

/* An event that is delivered at the IRET is not pushed with TF; its own IRET is the one then. */
static void test_event_at_the_iret(void **state)
{
    reach();
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    run(host_interrupt);
    assert_int_equal(vmcb->rflags & RFLAGS_TF, 0);
    assert_true(vmcb->intercepts & VMCB_INTERCEPT(IRET));
    assert_true(vcpu->nmi_blocked);
}

/* A handler that is a task: TF would be seen in its TSS. */
static void test_return_to_a_task(void **state)
{
    reach();
    vcpu->rflags |= RFLAGS_NT;
    vcpu->nmi_pending = true;
    run(host_interrupt);
    assert_int_equal(vmcb->rflags & RFLAGS_TF, 0);
    assert_true(vmcb->intercepts & VMCB_INTERCEPT(VINTR));
    assert_true(vcpu->nmi_blocked);
    run(execute_iret);
    assert_false(vcpu->nmi_blocked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_iret_is_stepped, setup),
        cmocka_unit_test_setup(test_step_is_watched, setup),
        cmocka_unit_test_setup(test_step_without_a_word, setup),
        cmocka_unit_test_setup(test_iret_that_faults, setup),
        cmocka_unit_test_setup(test_debug_exceptions_of_the_guest, setup),
        cmocka_unit_test_setup(test_event_at_the_iret, setup),
        cmocka_unit_test_setup(test_return_to_a_task, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
