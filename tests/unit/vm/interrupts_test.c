/* SPDX-License-Identifier: BSD-2-Clause */
/* What is delivered at which entry, and what is watched until the rest can be. */
#include "vmm/vm/interrupts.h"

#include "tests/unit/vm/fake_vm.h"
#include "vmm/vm/exit_table.h"

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
    bool waits = bits & 16, under_way = bits & 32, ends = (bits & 64) && blocked;

    fake_vm_reset();
    vcpu->nmi_pending = nmi;
    vcpu->nmi_blocked = blocked;
    vcpu->nmi_ends = ends;
    fake_backend.shadow = shadow;
    vcpu->rflags |= enabled ? RFLAGS_IF : 0;
    fake_platform.vector = waits ? 0x41 : -1;
    if (under_way) {
        vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_EXCEPTION, .vector = 14};
    }
    interrupts_prepare(vcpu);
    bool takes_nmi = nmi && !blocked && !shadow && !under_way;
    bool takes_interrupt = waits && enabled && !shadow && !under_way && !takes_nmi;

    expect(under_way         ? VCPU_EVENT_EXCEPTION
           : takes_nmi       ? VCPU_EVENT_NMI
           : takes_interrupt ? VCPU_EVENT_INTERRUPT
                             : VCPU_EVENT_NONE,
           under_way ? 14 : (takes_nmi ? 2 : 0x41));
    assert_true(vcpu->nmi_pending == (nmi && !takes_nmi));
    assert_true(vcpu->nmi_blocked == (blocked || takes_nmi));
    assert_true(fake_backend.iret == takes_nmi);
    assert_true(fake_backend.window == (waits && !takes_interrupt));
    assert_int_equal(vcpu->interrupts, takes_interrupt);
    /* A NMI that waits is looked at again soon, unless the end of the handler makes an exit. */
    assert_true(vcpu->look_soon == (nmi && !takes_nmi && (!blocked || ends)));
}

static void test_every_state(void **state)
{
    for (unsigned bits = 0; bits < 128; bits++) {
        check_state(bits);
    }
}

static void test_interrupt_that_goes(void **state)
{
    vcpu->rflags |= RFLAGS_IF;
    fake_platform.vector = 0x30;
    fake_platform.gone = true;
    prepare();
    expect(VCPU_EVENT_NONE, 0);
    assert_int_equal(vcpu->interrupts, 0);
    assert_false(fake_backend.window);
}

static void test_cr8(void **state)
{
    fake_platform.cr8 = 5;
    fake_platform.blocked_by_cr8 = true;
    prepare();
    assert_int_equal(fake_backend.cr8, 5);
    assert_true(fake_backend.cr8_watched);
    interrupts_see_cr8(vcpu);
    assert_int_equal(fake_platform.cr8_writes, 0);
    fake_backend.cr8 = 9; /* the guest wrote it without an exit */
    interrupts_see_cr8(vcpu);
    assert_int_equal(fake_platform.cr8, 9);
    assert_int_equal(fake_platform.cr8_writes, 1);
    fake_platform.blocked_by_cr8 = false;
    prepare();
    assert_int_equal(fake_backend.cr8, 9);
    assert_false(fake_backend.cr8_watched);
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

/* One NMI, a second one while its handler runs, its IRET, and the second one's delivery. */
static void test_nmi_and_its_iret(void **state)
{
    const struct exit iret = {.reason = EXIT_NMI_WINDOW};

    vcpu->nmi_pending = true;
    prepare();
    expect(VCPU_EVENT_NMI, 2);
    assert_true(fake_backend.iret);
    vcpu->event.kind = VCPU_EVENT_NONE; /* delivered */
    vcpu->nmi_pending = true;
    prepare();
    expect(VCPU_EVENT_NONE, 0);
    assert_false(vcpu->look_soon); /* the IRET exits */
    vcpu->rip = 0x2222;
    handlers_run(vcpu, &iret);
    assert_false(fake_backend.iret);
    assert_true(vcpu->nmi_ends);
    assert_int_equal(vcpu->nmi_iret, 0x2222);
    assert_true(vcpu->nmi_blocked); /* until the IRET has been executed */
    prepare();
    expect(VCPU_EVENT_NONE, 0);
    assert_true(vcpu->look_soon); /* its end makes no exit */
    vcpu->nmi_blocked = vcpu->nmi_ends = false;
    prepare();
    expect(VCPU_EVENT_NMI, 2);
    assert_true(fake_backend.iret);
    assert_true(vcpu->nmi_blocked);
}

/* What the simple exits do. */
static void test_simple_exits(void **state)
{
    static const struct exit hlt = {.reason = EXIT_HLT, .length = 1};
    static const struct exit pause = {.reason = EXIT_PAUSE, .length = 2};
    static const struct exit cache = {.reason = EXIT_CACHE, .length = 2};
    static const struct exit refused = {.reason = EXIT_REFUSED};
    static const struct exit forbidden = {.reason = EXIT_FORBIDDEN};
    static const struct exit shutdown = {.reason = EXIT_SHUTDOWN};
    static const struct exit unknown = {.reason = EXIT_UNKNOWN};
    static const struct exit interrupt = {.reason = EXIT_INTERRUPT};

    handlers_run(vcpu, &interrupt);
    assert_int_equal(vcpu->rip, 0x1000);
    handlers_run(vcpu, &pause);
    handlers_run(vcpu, &cache);
    assert_int_equal(vcpu->rip, 0x1004);
    assert_int_equal(vcpu->activity, VCPU_RUNNING);
    fake_backend.shadow = true;
    handlers_run(vcpu, &hlt);
    assert_int_equal(vcpu->rip, 0x1005);
    assert_int_equal(vcpu->activity, VCPU_HALTED);
    assert_false(fake_backend.shadow); /* STI; HLT */
    fake_expect_nothing();
    handlers_run(vcpu, &refused);
    fake_expect_exception(6, false, 0);
    vcpu->event.kind = VCPU_EVENT_NONE;
    handlers_run(vcpu, &forbidden);
    fake_expect_exception(13, true, 0);
    handlers_run(vcpu, &shutdown);
    assert_int_equal(fake_resets, 1);
    handlers_run(vcpu, &unknown);
    assert_int_equal(fake_stops, 1);
}

static void test_watched_exceptions(void **state)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        struct exit exit = {.reason = EXIT_EXCEPTION};

        if (vector == 18) { /* see below */
            continue;
        }
        fake_vm_reset();
        exit.exception = (struct exit_exception){.vector = (uint8_t)vector, .error = 0};
        handlers_run(vcpu, &exit);
        if (vector == 1 || vector == 17) {
            fake_expect_exception(vector, vector == 17, 0);
        } else {
            fake_expect_nothing();
        }
    }
}

/* The exit is all that there is of it: no handler of the host's has run. */
static void test_machine_check(void **state)
{
    static const struct exit check = {.reason = EXIT_EXCEPTION, .exception = {.vector = 18}};

    if (!setjmp(fake_panicked)) {
        handlers_run(vcpu, &check);
        fail_msg("the guest goes on after a machine check");
    }
    fake_expect_nothing();
}

/* What the CPU refuses is mended and becomes #GP; again and again, it ends the machine. */
static void test_invalid_state(void **state)
{
    static const struct exit invalid = {.reason = EXIT_INVALID};

    fake_repairs = 0;
    handlers_run(vcpu, &invalid);
    assert_int_equal(fake_repairs, 1);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_EXCEPTION);
    assert_int_equal(vcpu->event.vector, 13);
    /* Not entered even with that: a double fault, and then the machine's end. */
    handlers_run(vcpu, &invalid);
    assert_int_equal(vcpu->event.vector, 8);
    handlers_run(vcpu, &invalid);
    assert_int_equal(fake_repairs, 3);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_NONE);
}

static void test_ports(void **state)
{
    static const uint8_t sizes[] = {1, 2, 4};
    static const uint64_t read[] = {0x11111111111111ddULL, 0x111111111111ccddULL, 0xaabbccddULL};

    for (unsigned i = 0; i < 3; i++) {
        struct exit exit = {.reason = EXIT_IO, .length = 2};

        exit.io = (struct exit_io){.port = 0xffff, .size = sizes[i], .in = true};
        vcpu->gpr[INSN_RAX] = 0x1111111111111111ULL;
        fake_platform.port_value = 0xaabbccdd;
        handlers_run(vcpu, &exit);
        assert_int_equal(vcpu->gpr[INSN_RAX], read[i]);
        assert_int_equal(fake_platform.port_size, sizes[i]);
        exit.io.in = false;
        vcpu->gpr[INSN_RAX] = 0x99999999aabbccddULL;
        handlers_run(vcpu, &exit);
        assert_int_equal(fake_platform.port_value, 0xaabbccddULL & ((1ULL << 8 * sizes[i]) - 1));
        assert_int_equal(fake_platform.port, 0xffff);
    }
    assert_int_equal(vcpu->rip, 0x100c);
    for (unsigned size = 0; size < 8; size++) {
        struct exit exit = {.reason = EXIT_IO, .length = 2};

        exit.io = (struct exit_io){.port = 0x80, .size = (uint8_t)size};
        fake_vm_reset();
        handlers_run(vcpu, &exit);
        bool valid = size == 1 || size == 2 || size == 4;

        assert_int_equal(vcpu->event.kind, valid ? VCPU_EVENT_NONE : VCPU_EVENT_EXCEPTION);
        assert_int_equal(fake_platform.accesses, valid);
    }
}

static void test_memory(void **state)
{
    struct exit exit = {.reason = EXIT_MEMORY};

    exit.memory.address = gpa(0xfee00300);
    fake_platform.mmio_value = 0x12345678;
    FAKE_CODE(0xa1, 0x00, 0x03, 0xe0, 0xfe); /* MOV EAX, [FEE00300h] */
    handlers_run(vcpu, &exit);
    assert_int_equal(vcpu->gpr[INSN_RAX], 0x12345678);
    assert_int_equal(fake_platform.mmio, 0xfee00300);
    assert_int_equal(vcpu->rip, 0x1005);
    exit.memory.walk = true; /* page tables in a device */
    handlers_run(vcpu, &exit);
    assert_int_equal(fake_resets, 1);
    exit.memory.walk = false;
    vcpu->event.kind = VCPU_EVENT_INTERRUPT; /* its stack or IDT in a device */
    handlers_run(vcpu, &exit);
    assert_int_equal(fake_resets, 2);
    fake_expect_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_state, setup),
        cmocka_unit_test_setup(test_interrupt_that_goes, setup),
        cmocka_unit_test_setup(test_cr8, setup),
        cmocka_unit_test_setup(test_wake, setup),
        cmocka_unit_test_setup(test_nmi_and_its_iret, setup),
        cmocka_unit_test_setup(test_simple_exits, setup),
        cmocka_unit_test_setup(test_watched_exceptions, setup),
        cmocka_unit_test_setup(test_machine_check, setup),
        cmocka_unit_test_setup(test_invalid_state, setup),
        cmocka_unit_test_setup(test_ports, setup),
        cmocka_unit_test_setup(test_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
