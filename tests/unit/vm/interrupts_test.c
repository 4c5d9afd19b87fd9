/* SPDX-License-Identifier: BSD-2-Clause */
/* What is delivered at which entry, and what is watched until the rest can be. */
#include "vmm/vm/interrupts.h"

#include "tests/unit/vm/fake_vm.h"
#include "vmm/vm/exit_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

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
    vcpu->shadow = true;
    handlers_run(vcpu, &hlt);
    assert_int_equal(vcpu->rip, 0x1005);
    assert_int_equal(vcpu->activity, VCPU_HALTED);
    assert_false(vcpu->shadow); /* STI; HLT */
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

/* What the CPU refuses becomes #GP; again and again, it ends the machine. */
static void test_invalid_state(void **state)
{
    static const struct exit invalid = {.reason = EXIT_INVALID};

    handlers_run(vcpu, &invalid);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_EXCEPTION);
    assert_int_equal(vcpu->event.vector, 13);
    /* Not entered even with that: a double fault, and then the machine's end. */
    handlers_run(vcpu, &invalid);
    assert_int_equal(vcpu->event.vector, 8);
    handlers_run(vcpu, &invalid);
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

/* Make the exit of CODE, which stays at 1000h; true: it went straight to the local APIC. */
static bool goes_straight(const uint8_t *code, unsigned size, uint64_t at, bool write)
{
    struct exit exit = {.reason = EXIT_MEMORY};

    exit.memory.address = gpa(at);
    exit.memory.write = write;
    memcpy(fake_ram + 0x1000, code, size);
    vcpu->rip = 0x1000;
    fake_platform.apic_offset = fake_platform.mmio = 0;
    handlers_run(vcpu, &exit);
    assert_int_equal(vcpu->rip, 0x1000 + size);
    assert_int_not_equal(fake_platform.apic_offset == 0, fake_platform.mmio == 0);
    return fake_platform.apic_offset != 0;
}
#define STRAIGHT(at, write, ...) \
    goes_straight((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), at, write)

/* A MOV that is known from before goes straight to the local APIC, if all that the CPU says of it
 * agrees; emulation does the same. */
static void test_apic_moves(void **state)
{
    fake_vm.pc.lapic[0].state.mode = LAPIC_XAPIC;
    vcpu->gpr[INSN_RAX] = 0x11111111aabbccddULL;
    for (unsigned i = 0; i < 2; i++) { /* MOV [FEE00300h], EAX; and of an immediate number */
        assert_int_equal(STRAIGHT(0xfee00300, true, 0xa3, 0x00, 0x03, 0xe0, 0xfe), i);
        assert_int_equal(i ? fake_platform.apic_value : fake_platform.mmio_value, 0xaabbccdd);
    }
    for (unsigned i = 0; i < 2; i++) {
        vcpu->shadow = true;
        assert_int_equal(STRAIGHT(0xfee000b0, true, 0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 4, 3, 2, 1),
                         i);
        assert_int_equal(i ? fake_platform.apic_value : fake_platform.mmio_value, 0x01020304);
        assert_false(vcpu->shadow);
    }
    assert_int_equal(fake_platform.apic_offset, 0xb0);
    /* Changed code, another address or direction, less than a register, another instruction. */
    assert_false(STRAIGHT(0xfee00300, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_false(STRAIGHT(0xfee00300, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_true(STRAIGHT(0xfee00310, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_false(STRAIGHT(0xfee00310, false, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfee00301, true, 0xa3, 0x01, 0x03, 0xe0, 0xfe));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfee00300, true, 0x66, 0xa3, 0x00, 0x03, 0xe0, 0xfe));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfee00300, true, 0x01, 0x05, 0x00, 0x03, 0xe0, 0xfe));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfec00010, true, 0xa3, 0x10, 0x00, 0xc0, 0xfe));
    }
    fake_vm.pc.lapic[0].state.mode = LAPIC_X2APIC; /* there is no page */
    assert_false(STRAIGHT(0xfee00310, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_false(STRAIGHT(0xfee00310, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
}

/* A write that cannot let anything in needs no look at interrupts before the next entry. */
static void test_apic_looks(void **state)
{
    static const struct {
        uint32_t offset;
        bool requested, looks;
    } rows[] = {
        {LAPIC_EOI,      false, false},
        {LAPIC_EOI,      true,  true },
        {LAPIC_TPR,      false, false},
        {LAPIC_TPR,      true,  true },
        {LAPIC_ICR,      false, false},
        {LAPIC_ICR_HIGH, false, false},
        {LAPIC_INITIAL,  false, true },
        {LAPIC_SVR,      false, true },
    };

    fake_vm.pc.lapic[0].state.mode = LAPIC_XAPIC;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t low = (uint8_t)rows[i].offset, high = (uint8_t)(rows[i].offset >> 8);

        fake_vm.pc.lapic[0].state.irr[7] = rows[i].requested;
        (void)STRAIGHT(0xfee00000 + rows[i].offset, true, 0xa3, low, high, 0xe0, 0xfe);
        assert_true(vcpu->look);
        vcpu->look = false;
        fake_platform.cr8 = (uint8_t)(i + 1);
        assert_true(STRAIGHT(0xfee00000 + rows[i].offset, true, 0xa3, low, high, 0xe0, 0xfe));
        assert_int_equal(vcpu->look, rows[i].looks);
        assert_int_equal(vcpu->cr8, i + 1);
    }
}

/* Loads go there, too; a step is seen behind them. */
static void test_apic_loads(void **state)
{
    fake_vm.pc.lapic[0].state.mode = LAPIC_XAPIC;
    for (unsigned i = 0; i < 2; i++) {
        fake_platform.mmio_value = 0x87654321;
        vcpu->gpr[INSN_RBX] = UINT64_MAX;
        assert_false(STRAIGHT(0xfee00080, false, 0x8b, 0x1d, 0x80, 0x00, 0xe0, 0xfe));
        assert_int_equal(vcpu->gpr[INSN_RBX], 0x87654321);
        fake_expect_nothing();
    }
    vcpu->rflags |= RFLAGS_TF | RFLAGS_RF;
    assert_false(STRAIGHT(0xfee00080, false, 0x8b, 0x1d, 0x80, 0x00, 0xe0, 0xfe));
    fake_expect_exception(1, false, 0);
    assert_int_equal(vcpu->rflags & RFLAGS_RF, 0);
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
        cmocka_unit_test_setup(test_simple_exits, setup),
        cmocka_unit_test_setup(test_watched_exceptions, setup),
        cmocka_unit_test_setup(test_machine_check, setup),
        cmocka_unit_test_setup(test_invalid_state, setup),
        cmocka_unit_test_setup(test_ports, setup),
        cmocka_unit_test_setup(test_memory, setup),
        cmocka_unit_test_setup(test_offers, setup),
        cmocka_unit_test_setup(test_apic_moves, setup),
        cmocka_unit_test_setup(test_apic_loads, setup),
        cmocka_unit_test_setup(test_apic_looks, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
