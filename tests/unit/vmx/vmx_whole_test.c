/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu_save() and vcpu_load() with VMX: tests/unit/vm/whole.h. */
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vm/whole.h"
#include "tests/unit/vmx/fake_vmcs.h"
#include "vmm/host/msr.h"
#include "vmm/vmx/vmx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS  200U
#define PRESENT 0x80U
#define S       0x10U
#define G       0x800U

static struct vmx_vcpu *vmx;
static unsigned renewed;

/* STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE stay in the CPU. */
static const uint32_t resident[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102};

const struct vmx_features *vmx_features(void)
{
    static const struct vmx_features features = {
        .control = {[VMX_SECONDARY] = UINT32_MAX},
        .offers = { .serves_apic = true, .logs_writes = true, .tsc_ratio = {16, 48}},
    };

    return &features;
}

void vmx_run(struct vcpu *entered, struct exit *exit) {}

void vmx_renew_vmcs(void)
{
    renewed++;
}

void vmx_set_host(void) {}

static int setup(void **state)
{
    fake_cpu_intel();
    for (unsigned i = 0; i < ARRAY_SIZE(resident); i++) {
        fake_msr_set(resident[i], 0);
    }
    backend_offers = vmx_features()->offers;
    whole_setup(&vmx_backend);
    vmx = fake_vcpu.backend;
    return 0;
}

/* What a CPU can hold: no attributes of one that is not present; loaded ones are accessed, SS has
 * the CPL, and G fits the limit. */
static void settle_segment(struct cpu_state *state, unsigned i)
{
    struct x86_segment *segment = &state->segment[i];

    if (i == STATE_GDTR || i == STATE_IDTR) {
        segment->selector = segment->attributes = 0;
        return;
    }
    segment->attributes &= 0xfff & ~G;
    segment->attributes |= segment->attributes & S ? 1 : 0;
    if (i == STATE_SS) {
        segment->attributes = (uint16_t)((segment->attributes & ~0x60U) | state->cpl * 0x20U);
    }
    if (segment->limit > 0xfffff) {
        segment->limit |= 0xfff;
        segment->attributes |= G;
    }
    if (!(segment->attributes & PRESENT)) {
        segment->attributes = 0;
    }
}

void own_settle(struct cpu_state *state)
{
    state->sysenter_cs &= UINT32_MAX;
    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        settle_segment(state, i);
    }
    if (state->segment[STATE_TR].attributes & PRESENT) {
        state->segment[STATE_TR].attributes |= 2; /* VM entry wants a busy one */
    }
}

void own_fill_with_garbage(void)
{
    fake_vmcs_fill(0xa5a5a5a5a5a5a5a5);
    fake_cr2 = fake_dr6 = vmx->root = vmx->primary = vmx->interruptibility = 0xa5a5a5a5;
    vmx->launched = vmx->event_stays = true;
    vmx->due = VMX_DUE_REPAIR;
    for (unsigned i = 0; i < ARRAY_SIZE(resident); i++) {
        fake_msr_set(resident[i], 0xa5);
    }
}

void own_check_loaded(const struct cpu_state *state)
{
    assert_int_equal(vmcs_read(VMCS_EPT_POINTER), 0x77701e);
    assert_int_equal(vmcs_read(VMCS_TSC_OFFSET), state->tsc_offset - 12345);
    assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT) | vmcs_read(VMCS_INTERRUPTIBILITY) |
                         vmcs_read(VMCS_PENDING_DEBUG) | vmcs_read(VMCS_ACTIVITY),
                     0);
    assert_int_equal(vmcs_read(VMCS_EXCEPTIONS), BACKEND_EXCEPTIONS);
    assert_int_equal(vmcs_read(VMCS_ENTRY_CONTROLS) >> 9 & 1, state->efer >> 10 & 1);
    assert_int_equal(vmcs_read(VMCS_CR0) & 0x60000020, 0x20); /* caches on, NE */
    assert_int_equal(vmcs_read(VMCS_CR4) & 0x2040, 0x2040);   /* VMXE, MCE */
    assert_true(renewed && vmx->due == (VMX_DUE_FLUSH | VMX_DUE_PDPTES));
    assert_false(vmx->launched || vmx->event_stays || vmx->interruptibility);
    renewed = 0;
}

static void test_nothing_remains(void **state)
{
    whole_check_rounds(ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_remains, setup),
        cmocka_unit_test_setup(whole_test_passed, setup),
        cmocka_unit_test_setup(whole_test_requests, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
