/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU has the local APIC's state while the guest runs. */
#include "tests/unit/vmx/harness.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void deliver_and_write(void)
{
    assert_int_equal(vmcs_read(VMCS_SECONDARY_CONTROLS) & VMCS_SECONDARY_APIC, VMCS_SECONDARY_APIC);
    assert_int_equal(vmcs_read(VMCS_INTERRUPT_STATUS), 0x61);
    assert_int_equal(vmcs_read(VMCS_APIC_ACCESS), pool_hpa(fake_vm.apic_page).raw);
    assert_int_equal(vmcs_read(VMCS_EOI_EXITS + 2), 1ULL << 0x21);
    assert_int_equal(vmx_of_vcpu()->virtual_apic[LAPIC_ID / 4], 0);
    assert_int_equal(vmx_of_vcpu()->virtual_apic[LAPIC_SVR / 4], 0x1ff);
    vmx_of_vcpu()->virtual_apic[(LAPIC_IRR + 0x30) / 4] = 0;
    vmx_of_vcpu()->virtual_apic[(LAPIC_ISR + 0x30) / 4] = 2;
    vmx_of_vcpu()->virtual_apic[LAPIC_SVR / 4] = 0x10ff;
    fake_vmcs[VMCS_PENDING_DEBUG] = VMCS_PENDING_BS | 1;
    exit_with(VMCS_EXIT_APIC_WRITE, LAPIC_SVR, 0);
}

static void find_in_service(void)
{
    assert_int_equal(vmcs_read(VMCS_INTERRUPT_STATUS), 0x6100);
    assert_int_equal(vmx_of_vcpu()->virtual_apic[LAPIC_SVR / 4],
                     0x1ff); /* what nobody has carried out */
    exit_with(VMCS_EXIT_APIC_EOI, 0x61, 0);
}

static void access_apic(void)
{
    assert_int_equal(vmcs_read(VMCS_SECONDARY_CONTROLS) & VMCS_SECONDARY_APIC,
                     VMCS_SECONDARY_APIC_ACCESS);
    exit_with(VMCS_EXIT_APIC_ACCESS, LAPIC_CURRENT, 0);
}

static void test_apic(void **state)
{
    struct lapic *l = &fake_vm.pc.lapic[0];

    lapic_power_on(l, 0, 1000000000);
    l->state.svr |= LAPIC_SVR_ENABLED;
    assert_true(lapic_accept(l, 0x61, true));
    vcpu->apic = true;
    run(deliver_and_write);
    assert_int_equal(last.reason, EXIT_APIC_WRITE);
    assert_int_equal(last.apic.offset, LAPIC_SVR);
    assert_int_equal(last.apic.value, 0x10ff);
    assert_int_equal(vmcs_read(VMCS_PENDING_DEBUG), 1); /* the step's trap is its handler's */
    assert_int_equal(l->state.isr[3], 2);
    run(find_in_service);
    assert_int_equal(last.reason, EXIT_APIC_EOI);
    assert_int_equal(last.apic.vector, 0x61);
    vcpu->apic = false;
    run(access_apic);
    assert_int_equal(last.reason, EXIT_MEMORY);
    assert_int_equal(last.memory.address.raw, LAPIC_BASE + LAPIC_CURRENT);
    assert_false(last.memory.present || last.memory.walk);
    assert_int_equal(l->state.isr[3], 2); /* nobody has touched it */
}

static uint64_t status_wanted, status_left;

/* The CPU has found STATUS_WANTED and leaves STATUS_LEFT. */
static void keep_status(void)
{
    assert_int_equal(vmcs_read(VMCS_INTERRUPT_STATUS), status_wanted);
    fake_vmcs[VMCS_INTERRUPT_STATUS] = status_left;
}

static void interrupt_with_status(void)
{
    keep_status();
    host_interrupt();
}

static void write_deadline(void)
{
    keep_status();
    vcpu->gpr[INSN_RCX] = LAPIC_MSR_TSC_DEADLINE;
    exit_with(VMCS_EXIT_WRMSR, 0, 2);
}

static void write_tpr_register(void)
{
    keep_status();
    vcpu->gpr[INSN_RCX] = LAPIC_MSR_X2APIC + 8;
    exit_with(VMCS_EXIT_WRMSR, 0, 2);
}

/* Where nobody looks at it the CPU keeps it; what comes meanwhile joins what it has, and what it
 * has delivered is counted. */
static void test_more(void **state)
{
    struct lapic *l = &fake_vm.pc.lapic[0];

    lapic_power_on(l, 0, 1000000000);
    l->state.svr |= LAPIC_SVR_ENABLED;
    assert_true(lapic_accept(l, 0x61, false));
    vcpu->apic = true;
    status_wanted = status_left = 0x61;
    run(interrupt_with_status);
    assert_true(lapic_accept(l, 0x51, true));
    run(interrupt_with_status); /* 61h is still the highest */
    assert_int_equal(vmcs_read(VMCS_EOI_EXITS + 2), 1ULL << 0x11);
    assert_int_equal(vcpu->interrupts, 0);
    status_left = 0x6151; /* 61h is in service by now */
    run(write_deadline);
    assert_int_equal(last.reason, EXIT_MSR_WRITE);
    assert_true(lapic_accept(l, 0x71, false));
    status_wanted = status_left = 0x6171;
    run(interrupt_with_status);
    assert_int_equal(vcpu->interrupts, 1);
    assert_true(vmx_of_vcpu()->lent);
    run(write_tpr_register); /* for the software */
    assert_false(vmx_of_vcpu()->lent);
    assert_int_equal(l->state.irr[3], 1U << 0x11 | 1U << 1);
}

/* HLT behind STI, where 61h waits and priority PRIORITY runs. */
static uint32_t priority;

static void halt(void)
{
    vmx_of_vcpu()->virtual_apic[LAPIC_PPR / 4] = priority;
    vmx_of_vcpu()->virtual_apic[(LAPIC_ISR + 0x20) / 4] = 1;
    exit_with(VMCS_EXIT_HLT, 0, 1);
}

/* It does not sleep where the CPU delivers something at once, and the CPU keeps the local APIC
 * then.
 */
static void test_hlt(void **state)
{
    static const struct {
        uint64_t flag;
        uint32_t priority;
        bool over;
    } rows[] = {
        {RFLAGS_IF, 0,    true },
        {RFLAGS_IF, 0x5f, true },
        {RFLAGS_IF, 0x60, false},
        {RFLAGS_IF, 0x70, false},
        {0,         0,    false},
    };
    struct lapic *l = &fake_vm.pc.lapic[0];

    lapic_power_on(l, 0, 1000000000);
    l->state.svr |= LAPIC_SVR_ENABLED;
    assert_true(lapic_accept(l, 0x61, false));
    vcpu->apic = true;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vcpu->rflags = RFLAGS_FIXED | rows[i].flag;
        priority = rows[i].priority;
        run(halt);
        assert_int_equal(last.reason, EXIT_HLT);
        assert_int_equal(last.over, rows[i].over);
        assert_true(vmx_of_vcpu()->lent);
        assert_int_equal(l->state.isr[2], !rows[i].over); /* what the next one is compared with */
        l->state.isr[2] = 0;
    }
    vcpu->apic = false; /* it is the software's */
    vcpu->rflags = RFLAGS_FIXED | RFLAGS_IF;
    priority = 0;
    run(halt);
    assert_false(last.over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_apic, setup),
        cmocka_unit_test_setup(test_more, setup),
        cmocka_unit_test_setup(test_hlt, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
