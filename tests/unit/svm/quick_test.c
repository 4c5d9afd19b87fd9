/* SPDX-License-Identifier: BSD-2-Clause */
/* Port accesses that are served in the world switch. */
#include "tests/unit/svm/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint32_t io_info(unsigned port, unsigned size, bool in)
{
    return port << VMCB_IO_PORT_SHIFT | size << VMCB_IO_SIZE_SHIFT | (in ? VMCB_IO_IN : 0);
}

/* The OUT that VMRUN was interrupted for is served at once; then the state is refused. */
static void write_port_then_refuse(void)
{
    exit_with(VMCB_EXIT_IOIO, io_info(FREE_PORT, 2, false), vmcb->rip + 2);
    assert_true(svm_quick(vcpu));
    refuse();
}

static void test_refusals(void **state)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    run(refuse);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_INTERRUPT); /* still to be delivered */
    run(write_port_then_refuse);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_NONE); /* it was, before the OUT */
    vmcb->dr7 = 1ULL << 40;
    vmcb->cr0 = CR0_NW;
    run(host_interrupt); /* mended */
    assert_int_equal(vmcb->dr7, 0);
    assert_int_equal(vmcb->cr0, 0);
}

/* What the guest exits with, and which byte of the platform it would reach. */
static uint64_t quick_info;
static bool is_quick_done;

static void access_port(void)
{
    exit_with(VMCB_EXIT_IOIO, quick_info, vmcb->rip + 2);
    is_quick_done = svm_quick(vcpu);
    if (is_quick_done) {
        assert_int_equal(vmcb->rip, RIP + 2);
        assert_int_equal(vmcb->interrupt_shadow | vmcb->inject | vmcb->tlb_control, 0);
        host_interrupt();
    }
}

/* The accesses that are served before anything else is put away, and those that are not. */
static void test_quick_ports(void **state)
{
    static const struct {
        uint64_t info, rflags;
        bool iret, claimed, quick;
    } rows[] = {
        {FREE_PORT << 16 | 0x10, 0,         false, false, true },
        {FREE_PORT << 16 | 0x41, 0,         false, false, true },
        {FREE_PORT << 16 | 0x11, RFLAGS_TF, false, false, false}, /* a trap comes behind it */
        {FREE_PORT << 16 | 0x11, RFLAGS_RF, false, false, false},
        {FREE_PORT << 16 | 0x15, 0,         false, false, false}, /* INS */
        {FREE_PORT << 16 | 0x31, 0,         false, false, false}, /* no such size */
        {FREE_PORT << 16 | 0x11, 0,         true,  false, false}, /* an NMI handler ends */
        {0x20U << 16 | 0x10,     0,         false, true,  true }, /* the 8259 */
        {0x3f8U << 16 | 0x10,    0,         false, true,  false}, /* the console may have no room */
        {0xcfcU << 16 | 0x41,    0,         false, true,  false}, /* PCI's configuration */
        {0x1008U << 16 | 0x41,   0,         false, true,  true }, /* the PM timer */
        {0x608U << 16 | 0x41,    0,         false, true,  true }, /* where it lies at first */
        {0x1004U << 16 | 0x20,   0,         false, true,  false}, /* it may switch the machine off */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_vm_reset();
        assert_int_equal(setup(state), 0);
        memset(fake_vm.pc.port_pages, rows[i].claimed ? 0xff : 0, sizeof(fake_vm.pc.port_pages));
        fake_platform.port_value = 0x55;
        quick_info = rows[i].info;
        vcpu->rflags = RFLAGS_FIXED | rows[i].rflags;
        vcpu->shadow = true;
        ((struct svm_vcpu *)vcpu->backend)->iret = rows[i].iret;
        ((struct svm_vcpu *)vcpu->backend)->iret_rip = RIP;
        vcpu->nmi_blocked = rows[i].iret;
        run(access_port);
        assert_int_equal(is_quick_done, rows[i].quick);
        assert_int_equal(fake_platform.accesses, rows[i].quick);
        assert_int_equal(vcpu->counter[EXIT_IO].exits, rows[i].quick);
        assert_true(!rows[i].quick || last.reason == EXIT_INTERRUPT);
    }
}

/* What one of them brings for this vCPU is looked at before the guest goes on. */
static void test_quick_port_with_news(void **state)
{
    quick_info = io_info(FREE_PORT, 1, true);
    fake_platform.port_value = 0x5a;
    vcpu->gpr[INSN_RAX] = 0x1234;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test_setup(test_quick_ports, setup),
        cmocka_unit_test_setup(test_quick_port_with_news, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
