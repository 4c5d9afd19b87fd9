/* SPDX-License-Identifier: BSD-2-Clause */
/* Page-modification logging: on while the VM is tracked, and no write that it tells of is lost. */
#include "tests/unit/vmx/harness.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LAST    511U
#define NOWHERE 0xfee00000U

static unsigned logged, wanted_index;

/* The CPU writes LOGGED pages down, from the end: the first LOGGED of RAM, the last one elsewhere.
 */
static void write_pages(void)
{
    assert_int_equal(vmcs_read(VMCS_LOG_INDEX), wanted_index);
    for (unsigned i = 0; i < logged; i++) {
        vmx_of_vcpu()->log[LAST - i] = i + 1 < logged ? (uint64_t)(i % 4) * PAGE_SIZE + 8 : NOWHERE;
    }
    fake_vmcs[VMCS_LOG_INDEX] = (uint16_t)(LAST - logged);
    exit_with(logged > LAST ? VMCS_EXIT_LOG_FULL : VMCS_EXIT_INTERRUPT, 0, 0);
}

static bool is_on(void)
{
    bool control = vmcs_read(VMCS_SECONDARY_CONTROLS) & VMCS_SECONDARY_LOG;

    assert_int_equal((vmcs_read(VMCS_EPT_POINTER) & VMCS_EPT_POINTER_DIRTY) != 0, control);
    assert_int_equal(vmx_of_vcpu()->root, vmcs_read(VMCS_EPT_POINTER));
    return control;
}

static void track(bool on)
{
    fake_vm.ram.tracked = on;
    vmx_backend.flush(vcpu);
    run(host_interrupt);
}

static int set_up(void **state)
{
    assert_int_equal(setup(state), 0);
    vcpu->apic = false;
    wanted_index = LAST;
    return 0;
}

/* From the flush on that the start of the tracking brings, to that of its end. */
static void test_switch(void **state)
{
    assert_true(chosen.offers.logs_writes);
    run(host_interrupt);
    assert_false(is_on());
    fake_vm.ram.tracked = true;
    run(host_interrupt);
    assert_false(is_on());
    unsigned before = fake_invepts;

    track(true);
    assert_true(is_on());
    assert_int_equal(vmcs_read(VMCS_LOG), pool_hpa(vmx_of_vcpu()->log).raw);
    assert_int_equal(fake_invept_pointer, vmx_of_vcpu()->root);
    assert_int_equal(fake_invepts, before + 1);
    vcpu->apic = true; /* with the other one of these controls */
    run(host_interrupt);
    assert_true(is_on());
    vcpu->apic = false;
    vmx_backend.set_root(vcpu, hpa(0x555000));
    run(host_interrupt);
    assert_true(is_on());
    track(false);
    assert_false(is_on());
    fake_vmcs_writes = 0;
    run(host_interrupt);
    assert_int_equal(fake_vmcs_writes, 0); /* it costs nothing then */
}

static void test_drain(void **state)
{
    static const struct {
        unsigned logged, marked;
    } rows[] = {
        {0,   0  },
        {1,   0  }, /* the local APIC's */
        {3,   2  },
        {511, 510},
        {512, 511}, /* full */
    };

    track(true);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_marked = 0;
        logged = rows[i].logged;
        run(write_pages);
        assert_int_equal(fake_marked, rows[i].marked);
        assert_true(logged != 3 || fake_marked_at.raw == 0);
        assert_int_equal(last.reason, logged > LAST ? EXIT_RETRY : EXIT_INTERRUPT);
        assert_int_equal(vmcs_read(VMCS_LOG_INDEX), LAST);
    }
}

/* An exit for a full log comes before the instruction, which may be an IRET from an NMI (28.2.3).
 */
static void test_full(void **state)
{
    track(true);
    run_exit(VMCS_EXIT_LOG_FULL, 0, 0);
    assert_false(vcpu->nmi_blocked);
    run_exit(VMCS_EXIT_LOG_FULL, VMCS_EPT_NMI, 0);
    assert_int_equal(last.reason, EXIT_RETRY);
    assert_true(vcpu->nmi_blocked);
}

static void test_without(void **state)
{
    chosen.control[VMX_SECONDARY] &= ~VMCS_SECONDARY_LOG;
    chosen.offers.logs_writes = false;
    track(true);
    assert_false(is_on());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_switch, set_up),
        cmocka_unit_test_setup(test_drain, set_up),
        cmocka_unit_test_setup(test_full, set_up),
        cmocka_unit_test_setup(test_without, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
