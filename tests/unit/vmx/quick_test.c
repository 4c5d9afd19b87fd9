/* SPDX-License-Identifier: BSD-2-Clause */
/* Port accesses that are served in the world switch. */
#include "tests/unit/vmx/harness.h"
#include "vmm/host/guards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FREE_PORT 0x1f8U

/* As vmx_enter.S asks. */
static bool ask(void)
{
    uint64_t rip = vmcs_read(VMCS_RIP), next = rip + vmcs_read(VMCS_LENGTH);
    uint64_t at = vmcs_read(VMCS_EXIT_REASON) == VMCS_EXIT_IO
                      ? vmx_quick(vcpu, vmcs_read(VMCS_QUALIFICATION), next, vmcs_read(VMCS_RFLAGS),
                                  vmcs_read(VMCS_INTERRUPTIBILITY))
                      : 0;

    if (at) {
        assert_int_equal(at, next);
        vmcs_write(VMCS_RIP, at);
    }
    return at;
}

static void test_notify(void **state)
{
    static struct legacy_function function;
    static uint16_t doorbell;
    struct legacy_set *set = &fake_vm.vfs.legacy;
    const uint64_t out = 0x1010U << 16 | 1;

    function.doorbell = &doorbell;
    function.notify_port = 0x1010;
    set->function[0] = &function;
    set->owner[0x1010 / LEGACY_PORT_PAGE] = 1;
    vcpu->gpr[INSN_RAX] = 0x12340003;
    fake_vmcs[VMCS_RIP] = RIP;
    exit_with(VMCS_EXIT_IO, out, 2);
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED;
    assert_true(ask());
    assert_int_equal(doorbell, 3);
    assert_int_equal(fake_vmcs[VMCS_RIP], RIP + 2);
    assert_int_equal(vcpu->counter[EXIT_NOTIFY].exits, 1);
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED | RFLAGS_TF;
    assert_false(ask());
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED | RFLAGS_RF;
    assert_false(ask());
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED | RFLAGS_IF;
    fake_vmcs[VMCS_INTERRUPTIBILITY] = VMCS_BLOCKED_BY_NMI | VMCS_BLOCKED_BY_STI;
    assert_false(ask()); /* the shadow ends behind it */
    fake_vmcs[VMCS_INTERRUPTIBILITY] = VMCS_BLOCKED_BY_MOV_SS;
    assert_false(ask());
    fake_vmcs[VMCS_INTERRUPTIBILITY] = VMCS_BLOCKED_BY_NMI;
    assert_true(ask());
    assert_int_equal(vcpu->counter[EXIT_NOTIFY].exits, 2);
    fake_vmcs[VMCS_RIP] = RIP + 2;
    for (unsigned bit = 0; bit < 7; bit++) { /* another size, IN, string, REP, a port in the code */
        exit_with(VMCS_EXIT_IO, out ^ 1U << bit, 2);
        assert_false(ask());
    }
    exit_with(VMCS_EXIT_IO, out + (2U << 16), 2);
    assert_false(ask());
    exit_with(VMCS_EXIT_CPUID, out, 2);
    assert_false(ask());
    assert_int_equal(fake_vmcs[VMCS_RIP], RIP + 2);
    set->owner[0x1010 / LEGACY_PORT_PAGE] = 0;
}

/* What the guest exits with. */
static uint64_t quick_info;
static bool is_quick_done;

static void access_port(void)
{
    exit_with(VMCS_EXIT_IO, quick_info, 2);
    is_quick_done = ask();
    if (is_quick_done) {
        assert_int_equal(vmcs_read(VMCS_RIP), RIP + 2);
        host_interrupt();
    }
}

static void stand_at(uint64_t rip)
{
    vcpu->rip = rip;
    vcpu->rflags = RFLAGS_FIXED;
    vcpu->look = false;
}

#define OUT_1 0U
#define OUT_2 1U
#define OUT_4 3U
#define IN    8U
#define IN_1  (IN | OUT_1)
#define IN_2  (IN | OUT_2)
#define IN_4  (IN | OUT_4)

/* The accesses that are served before anything else is put away, and those that are not. */
static void test_quick_ports(void **state)
{
    static const struct {
        uint16_t port, how;
        uint64_t rflags;
        bool claimed, quick;
    } rows[] = {
        {FREE_PORT, OUT_1,      0,         false, true },
        {FREE_PORT, IN_4,       0,         false, true },
        {FREE_PORT, OUT_4,      0,         false, true },
        {FREE_PORT, IN_2,       0,         false, true },
        {FREE_PORT, OUT_1 | 64, 0,         false, true }, /* the port is in the instruction */
        {FREE_PORT, IN_1,       RFLAGS_TF, false, false}, /* a trap comes behind it */
        {FREE_PORT, IN_1,       RFLAGS_RF, false, false},
        {FREE_PORT, IN_1 | 16,  0,         false, false}, /* INS */
        {FREE_PORT, OUT_1 | 48, 0,         false, false}, /* REP OUTS */
        {FREE_PORT, 2,          0,         false, false}, /* no such size */
        {0x20,      OUT_1,      0,         true,  true }, /* the 8259 */
        {0x3f8,     OUT_1,      0,         true,  false}, /* the console may have no room */
        {0xcfc,     OUT_4,      0,         true,  false}, /* PCI's configuration */
        {0x1008,    IN_4,       0,         true,  true }, /* the PM timer */
        {0x608,     IN_4,       0,         true,  true }, /* where it lies at first */
        {0x600,     OUT_2,      0,         true,  false},
        {0x1004,    OUT_2,      0,         true,  false}, /* it may switch the machine off */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_vm_reset();
        assert_int_equal(setup(state), 0);
        memset(fake_vm.pc.port_pages, rows[i].claimed ? 0xff : 0, sizeof(fake_vm.pc.port_pages));
        quick_info = (uint64_t)rows[i].port << 16 | rows[i].how;
        stand_at(RIP);
        vcpu->rflags |= rows[i].rflags;
        run(access_port);
        assert_int_equal(is_quick_done, rows[i].quick);
        assert_int_equal(fake_platform.accesses, rows[i].quick);
        assert_int_equal(vcpu->counter[EXIT_IO].exits, rows[i].quick);
        assert_true(!rows[i].quick || last.reason == EXIT_INTERRUPT);
        vcpu->shadow = true;
        stand_at(RIP);
        run(access_port);
        assert_false(is_quick_done);
        assert_true(vcpu->shadow);
    }
}

/* What one of them brings for this vCPU is looked at before the guest goes on. */
static void test_news(void **state)
{
    quick_info = FREE_PORT << 16 | IN_1;
    fake_platform.port_value = 0x5a;
    vcpu->gpr[INSN_RAX] = 0x1234;
    stand_at(RIP);
    vcpu->look = true;
    run(access_port);
    assert_false(is_quick_done);
    assert_int_equal(last.reason, EXIT_RETRY);
    assert_int_equal(vcpu->rip, RIP + 2); /* it was carried out, once */
    assert_int_equal(vcpu->gpr[INSN_RAX], 0x125a);
    assert_int_equal(fake_platform.accesses, 1);
    vcpu->look = false;
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
}

/* Nor does it go on where it would be left at once. */
static void test_due(void **state)
{
    quick_info = FREE_PORT << 16 | IN_1;
    for (unsigned i = 0; i < 3; i++) {
        stand_at(RIP);
        vcpu->kicked = i == 1;
        vcpu->due_tsc = i == 2 ? 1 : UINT64_MAX;
        run(access_port);
        assert_int_equal(last.reason, i ? EXIT_RETRY : EXIT_INTERRUPT);
        assert_int_equal(vcpu->look, i != 0);
    }
}

/* Where the instruction pointer overflows in 32-bit code nothing is done here. */
static void test_overflow(void **state)
{
    quick_info = FREE_PORT << 16 | IN_1;
    stand_at(UINT32_MAX - 1);
    run(access_port);
    assert_false(is_quick_done);
    assert_int_equal(last.reason, EXIT_IO);
    assert_int_equal(fake_platform.accesses, 0);
}

static void write_port_then_refuse(void)
{
    access_port();
    assert_true(is_quick_done);
    refuse();
}

/* What an entry before the refused one has delivered is not delivered again. */
static void test_refused_behind(void **state)
{
    quick_info = FREE_PORT << 16 | OUT_2;
    stand_at(RIP);
    vcpu->rflags |= RFLAGS_IF;
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    run(write_port_then_refuse);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_NONE);
    assert_true(vmx_of_vcpu()->launched);
}

/* More than a notification is done before the guest goes on: its traces are covered up. */
static void test_guards(void **state)
{
    quick_info = FREE_PORT << 16 | OUT_2;
    choose_guards(GUARD_BUFFERS);
    stand_at(RIP);
    fake_verws = 0;
    run(access_port);
    assert_true(is_quick_done);
    assert_int_equal(fake_verws, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_notify, setup),
        cmocka_unit_test_setup(test_quick_ports, setup),
        cmocka_unit_test_setup(test_news, setup),
        cmocka_unit_test_setup(test_due, setup),
        cmocka_unit_test_setup(test_overflow, setup),
        cmocka_unit_test_setup(test_refused_behind, setup),
        cmocka_unit_test_setup(test_guards, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
