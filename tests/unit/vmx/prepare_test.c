/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes into the VMCS before an entry. */
#include "tests/unit/vmx/harness.h"
#include "vmm/host/guards.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FLUSH_CMD 0x10bU

static void test_watches(void **state)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        vcpu->window = bits & 1;
        vcpu->nmi_pending = bits & 2;
        vcpu->cr8_watched = bits & 4;
        vcpu->cr8 = (uint8_t)(bits ^ 5);
        run(host_interrupt);
        uint64_t primary = vmcs_read(VMCS_PRIMARY_CONTROLS);

        assert_int_equal(primary >> 2 & 1, bits & 1);
        assert_int_equal(primary >> 22 & 1, (bits & 2) != 0);
        assert_int_equal(primary >> 19 & 1, (bits & 4) != 0);
        assert_int_equal(vmx_of_vcpu()->virtual_apic[VIRTUAL_TPR], (bits ^ 5) << 4);
        assert_int_equal(vcpu->cr8, bits ^ 5);
    }
}

/* What a CPU needs at entries, and nothing where it needs nothing. */
static void test_guards(void **state)
{
    fake_msr_set(FLUSH_CMD, 0);
    fake_verws = 0;
    run(host_interrupt);
    assert_int_equal(fake_verws, 0);
    choose_guards(GUARD_BUFFERS);
    run(host_interrupt);
    assert_int_equal(fake_verws, 1);
    assert_int_equal(fake_msr(FLUSH_CMD), 0);
    choose_guards(GUARD_FLUSH_L1);
    run(host_interrupt);
    assert_int_equal(fake_verws, 1);
    assert_int_equal(fake_msr(FLUSH_CMD), 1);
}

/* SDM 3, 27.3.1.5: what an entry accepts, for each combination of what it depends on. */
static void test_interruptibility(void **state)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        enum vcpu_event_kind kind = (enum vcpu_event_kind)(bits >> 4);

        vcpu->shadow = bits & 1;
        vcpu->nmi_blocked = bits & 2;
        vcpu->rflags = RFLAGS_FIXED | (bits & 4 ? RFLAGS_IF : 0) | (bits & 8 ? RFLAGS_TF : 0);
        vcpu->event = (struct vcpu_event){.kind = kind, .vector = 2};
        is_strange = kind == VCPU_EVENT_INTERRUPT && !(bits & 4);
        run(host_interrupt);
        uint64_t value = vmcs_read(VMCS_INTERRUPTIBILITY);
        bool sti = value & 1, mov_ss = value & 2, nmi = value & 8;
        bool blocked = sti || mov_ss;

        assert_false(sti && (mov_ss || !(bits & 4)));
        assert_false(blocked && (kind == VCPU_EVENT_INTERRUPT || kind == VCPU_EVENT_NMI));
        assert_false(nmi && kind == VCPU_EVENT_NMI);
        if (kind == VCPU_EVENT_NONE) {
            assert_int_equal(blocked, bits & 1);
            assert_int_equal(nmi, (bits & 2) != 0);
        }
        assert_int_equal(vmcs_read(VMCS_PENDING_DEBUG), blocked && (bits & 8) ? 1U << 14 : 0);
    }
}

/* The operand of a MOV SS was watched, and the instruction behind it exits and is tried again. */
static void test_breakpoint_of_mov_ss(void **state)
{
    static const uint64_t watched = 1U << 12 | 1;

    vcpu->shadow = true;
    vcpu->rflags = RFLAGS_FIXED | RFLAGS_TF;
    fake_vmcs[VMCS_PENDING_DEBUG] = watched;
    run(host_interrupt);
    assert_int_equal(vmcs_read(VMCS_PENDING_DEBUG), watched | 1U << 14);
    vcpu->shadow = false;
    run(host_interrupt);
    assert_int_equal(vmcs_read(VMCS_PENDING_DEBUG), watched);
}

/* A refused entry has delivered nothing and launched nothing. */
static void test_refusals(void **state)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    vcpu->rflags |= RFLAGS_IF;
    fake_vmcs[VMCS_CR3] = UINT64_MAX;
    is_strange = true;
    run(refuse);
    is_strange = false;
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_INTERRUPT);
    vcpu->event.kind = VCPU_EVENT_NONE;
    run(host_interrupt); /* mended, and the old event is gone */
    assert_int_equal(fake_vmcs[VMCS_ENTRY_EVENT] & VALID, 0);
    assert_int_equal(fake_vmcs[VMCS_CR3], (1ULL << model_facts.physical_bits) - 1);
    assert_true(vmx_of_vcpu()->launched);
    run(refuse);
    run(host_interrupt);
}

static void refuse_controls(void)
{
    exit_with(VMX_NOT_ENTERED, 0, 0);
}

/* Only the VM that the VMM has prepared so comes to its end by that. */
static void test_controls_refused(void **state)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_NMI, .vector = 2};
    run(refuse_controls);
    assert_int_equal(last.reason, EXIT_UNKNOWN);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_NMI);
    assert_false(vmx_of_vcpu()->launched);
    run(host_interrupt);
}

static uint64_t writes_wanted;

static void count_writes(void)
{
    assert_int_equal(fake_vmcs_writes, writes_wanted);
    host_interrupt();
}

/* What is there already is not written again. */
static void test_writes(void **state)
{
    vcpu->rip = RIP;
    run(host_interrupt);
    fake_vmcs_writes = writes_wanted = 0;
    run(count_writes);
    vcpu->rip++;
    writes_wanted++;
    run(count_writes);
    assert_int_equal(vmcs_read(VMCS_RIP), RIP + 1);
    vcpu->gpr[INSN_RSP] ^= 8;
    vcpu->rflags ^= 1;
    writes_wanted += 2;
    run(count_writes);
    assert_int_equal(vmcs_read(VMCS_RSP), vcpu->gpr[INSN_RSP]);
    assert_int_equal(vmcs_read(VMCS_RFLAGS), vcpu->rflags);
}

/* One INVEPT for whatever was asked for since the last entry, and none else. */
static void test_flush(void **state)
{
    run(host_interrupt);
    assert_int_equal(fake_invepts, 1); /* new tables */
    assert_int_equal(fake_invept_pointer, 0x77701e);
    run(host_interrupt);
    assert_int_equal(fake_invepts, 1);
    vmx_backend.flush(vcpu);
    vmx_backend.flush(vcpu);
    run(host_interrupt);
    assert_int_equal(fake_invepts, 2);
}

static void test_pdptes(void **state)
{
    static const uint64_t entries[4] = {0x2001, 0, 0x3007 /* reserved */, 1ULL << 62 | 1};

    memcpy(fake_ram + 0x2fe0, entries, sizeof(entries));
    vmx_write(vcpu, BACKEND_CR3, 0x2fe0);
    vmx_write(vcpu, BACKEND_CR4, CR4_PAE);
    vmx_write(vcpu, BACKEND_CR0, CR0_PE | CR0_PG | CR0_ET);
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0x2001);
    assert_int_equal(fake_vmcs[VMCS_PDPTES + 4] | fake_vmcs[VMCS_PDPTES + 6], 0);
    fake_vmcs[VMCS_PDPTES] = 0x1001; /* what the CPU has loaded since stays */
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0x1001);
    vmx_write(vcpu, BACKEND_CR3, 0x7fffffe0); /* not RAM */
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0);
    fake_vmcs[VMCS_PDPTES] = 0x1001;
    set_long_mode();
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0x1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_watches, setup),
        cmocka_unit_test_setup(test_guards, setup),
        cmocka_unit_test_setup(test_interruptibility, setup),
        cmocka_unit_test_setup(test_breakpoint_of_mov_ss, setup),
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test_setup(test_controls_refused, setup),
        cmocka_unit_test_setup(test_writes, setup),
        cmocka_unit_test_setup(test_flush, setup),
        cmocka_unit_test_setup(test_pdptes, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
