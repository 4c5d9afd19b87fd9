/* SPDX-License-Identifier: BSD-2-Clause */
/* What is delivered at which entry, and what is watched until the rest can be. */
#include "vmm/vm/interrupts.h"

#include "tests/unit/vm/fake_vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    fake_vm_reset();
    return 0;
}

static void prepare(void)
{
    vcpu->look_soon = false;
    interrupts_prepare(vcpu);
}

static void expect(enum vcpu_event_kind kind, unsigned vector)
{
    assert_int_equal(vcpu->event.kind, kind);
    if (kind != VCPU_EVENT_NONE) {
        assert_int_equal(vcpu->event.vector, vector);
    }
}

/* Every state that matters at an entry, and what becomes of it. */
static void check_state(unsigned bits)
{
    bool nmi = bits & 1, blocked = bits & 2, shadow = bits & 4, enabled = bits & 8;
    bool waits = bits & 16, under_way = bits & 32, task = bits & 64, held = bits & 128;

    fake_vm_reset();
    vcpu->nmi_pending = nmi;
    vcpu->nmi_blocked = blocked;
    vcpu->shadow = shadow;
    vcpu->held = held;
    vcpu->held_vector = 0x55;
    vcpu->rflags |= (enabled ? RFLAGS_IF : 0) | (task ? RFLAGS_NT : 0);
    fake_platform.vector = waits ? 0x41 : -1;
    if (under_way) {
        vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_EXCEPTION, .vector = 14};
    }
    interrupts_prepare(vcpu);
    bool takes_nmi = nmi && !blocked && !shadow && !under_way;
    bool takes_interrupt = (waits || held) && enabled && !shadow && !under_way && !takes_nmi;
    bool takes_held = takes_interrupt && held;

    expect(under_way         ? VCPU_EVENT_EXCEPTION
           : takes_nmi       ? VCPU_EVENT_NMI
           : takes_interrupt ? VCPU_EVENT_INTERRUPT
                             : VCPU_EVENT_NONE,
           under_way    ? 14
           : takes_nmi  ? 2
           : takes_held ? 0x55
                        : 0x41);
    assert_true(vcpu->nmi_pending == (nmi && !takes_nmi));
    assert_true(vcpu->nmi_blocked == (blocked || takes_nmi));
    assert_true(vcpu->held == (held && !takes_held));
    assert_true(vcpu->window == (takes_held ? waits : (waits || held) && !takes_interrupt));
    assert_int_equal(vcpu->interrupts, takes_interrupt);
    /* An NMI that waits is looked at again soon, unless the end of the handler makes an exit. */
    bool nmi_waits = nmi && !takes_nmi;

    assert_int_equal(fake_kicks, nmi_waits && !blocked && vcpu->event.kind != VCPU_EVENT_NONE);
    assert_true(vcpu->look_soon ==
                (nmi_waits && vcpu->event.kind == VCPU_EVENT_NONE && (!blocked || task)));
}

static void test_every_state(void **state)
{
    for (unsigned bits = 0; bits < 256; bits++) {
        check_state(bits);
    }
}

/*
 * An interrupt that was taken and meets an exception before it is delivered: it comes when the
 * handler lets it, and before another one is taken. The like of an NMI.
 */
static void test_nothing_taken_is_lost(void **state)
{
    vcpu->rflags |= RFLAGS_IF;
    fake_platform.vector = 0x41;
    prepare();
    expect(VCPU_EVENT_INTERRUPT, 0x41);
    vcpu_raise_gp(vcpu);
    expect(VCPU_EVENT_EXCEPTION, 13);
    vcpu_raise_gp(vcpu); /* and another one on top: still only one interrupt */
    expect(VCPU_EVENT_EXCEPTION, 8);
    prepare();
    expect(VCPU_EVENT_EXCEPTION, 8);
    vcpu->event.kind = VCPU_EVENT_NONE; /* delivered, through an interrupt gate */
    vcpu->rflags &= ~RFLAGS_IF;
    fake_platform.vector = 0x42;
    prepare();
    expect(VCPU_EVENT_NONE, 0);
    assert_true(vcpu->window);
    assert_false(interrupts_wake(vcpu));
    vcpu->rflags |= RFLAGS_IF;
    assert_true(interrupts_wake(vcpu));
    prepare();
    expect(VCPU_EVENT_INTERRUPT, 0x41);
    vcpu->event.kind = VCPU_EVENT_NONE;
    prepare();
    expect(VCPU_EVENT_INTERRUPT, 0x42);
    vcpu->event.kind = VCPU_EVENT_NONE;

    vcpu->nmi_pending = true;
    prepare();
    expect(VCPU_EVENT_NMI, 2);
    vcpu_raise_ud(vcpu);
    expect(VCPU_EVENT_EXCEPTION, 6);
    assert_true(vcpu->nmi_pending);
    assert_false(vcpu->nmi_blocked);
    prepare();
    assert_int_equal(fake_kicks, 1); /* it comes at the handler's first instruction */
    vcpu->event.kind = VCPU_EVENT_NONE;
    prepare();
    expect(VCPU_EVENT_NMI, 2);
}

static void test_interrupt_that_goes(void **state)
{
    vcpu->rflags |= RFLAGS_IF;
    fake_platform.vector = 0x30;
    fake_platform.gone = true;
    prepare();
    expect(VCPU_EVENT_NONE, 0);
    assert_int_equal(vcpu->interrupts, 0);
    assert_false(vcpu->window);
}

static void test_cr8(void **state)
{
    fake_platform.cr8 = 5;
    fake_platform.blocked_by_cr8 = true;
    prepare();
    assert_int_equal(vcpu->cr8, 5);
    assert_true(vcpu->cr8_watched);
    interrupts_see_cr8(vcpu, 5);
    assert_int_equal(fake_platform.cr8_writes, 0);
    vcpu->cr8 = 9; /* the guest wrote it without an exit */
    interrupts_see_cr8(vcpu, 5);
    assert_int_equal(fake_platform.cr8, 9);
    assert_int_equal(fake_platform.cr8_writes, 1);
    fake_platform.blocked_by_cr8 = false;
    prepare();
    assert_int_equal(vcpu->cr8, 9);
    assert_false(vcpu->cr8_watched);
}

static void test_wake(void **state)
{
    assert_false(interrupts_wake(vcpu));
    fake_platform.vector = 0x30;
    assert_false(interrupts_wake(vcpu)); /* CLI; HLT */
    vcpu->rflags |= RFLAGS_IF;
    assert_true(interrupts_wake(vcpu));
    fake_platform.vector = -1;
    assert_false(interrupts_wake(vcpu));
    vcpu->nmi_pending = vcpu->nmi_blocked = true;
    assert_false(interrupts_wake(vcpu));
    vcpu->nmi_blocked = false;
    assert_true(interrupts_wake(vcpu));
    vcpu->nmi_pending = false;
    vcpu->event.kind = VCPU_EVENT_EXCEPTION; /* #DB of a HLT that was single-stepped */
    assert_true(interrupts_wake(vcpu));
}

/* What can be offered is: it is settled what came of it, and no window is asked for. */
static void test_offers(void **state)
{
    fake_platform.vector = 0x41;
    fake_platform.offers = true;
    prepare();
    expect(VCPU_EVENT_NONE, 0);
    assert_int_equal(vcpu->offer, 0x41);
    assert_false(vcpu->window);
    assert_true(vcpu->cr8_watched);
    assert_int_equal(fake_platform.excepted, 0);
    vcpu->look = false;
    interrupts_settle(vcpu, 0x41);
    assert_int_equal(fake_platform.settled, -0x41);
    assert_int_equal(vcpu->interrupts, 0);
    assert_true(vcpu->look);
    assert_int_equal(vcpu->offer, 0);
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x51};
    prepare();
    assert_int_equal(fake_platform.excepted, 0x51);
    vcpu->offer = 0;
    vcpu->event.kind = VCPU_EVENT_NONE;
    interrupts_settle(vcpu, 0x41);
    assert_int_equal(fake_platform.settled, 0x41);
    assert_int_equal(vcpu->interrupts, 1);
    vcpu->held = true; /* it comes first, and was acknowledged long ago */
    prepare();
    assert_int_equal(vcpu->offer, 0);
    assert_true(vcpu->window);
}

/* Where the CPU delivers what the local APIC holds, only the 8259s' interrupts are delivered here,
 * and nobody watches CR8. */
static void test_delivered_by_cpu(void **state)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        bool page = bits & 1, extint = bits & 2, enabled = bits & 4;

        fake_vm_reset();
        fake_vm.apic_page = &fake_vm; /* there is one */
        fake_vm.pc.lapic[0].state.mode = page ? LAPIC_XAPIC : LAPIC_X2APIC;
        fake_platform.vector = 0x41;
        fake_platform.extint = extint;
        fake_platform.blocked_by_cr8 = true;
        vcpu->rflags |= enabled ? RFLAGS_IF : 0;
        prepare();
        assert_true(vcpu->apic == page);
        expect((extint || !page) && enabled ? VCPU_EVENT_INTERRUPT : VCPU_EVENT_NONE, 0x41);
        assert_true(vcpu->window == ((extint || !page) && !enabled));
        assert_true(vcpu->cr8_watched == !page);
        fake_platform.vector = 0x51;
        assert_true(interrupts_wake(vcpu) == (enabled || vcpu->event.kind != VCPU_EVENT_NONE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_state, setup),
        cmocka_unit_test_setup(test_delivered_by_cpu, setup),
        cmocka_unit_test_setup(test_interrupt_that_goes, setup),
        cmocka_unit_test_setup(test_cr8, setup),
        cmocka_unit_test_setup(test_wake, setup),
        cmocka_unit_test_setup(test_nothing_taken_is_lost, setup),
        cmocka_unit_test_setup(test_offers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
