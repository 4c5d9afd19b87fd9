/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu_save() and vcpu_load(): what was saved, and loaded into a vCPU that holds garbage, is saved
 * again as the same bytes. The FPU is a fake: its registers are not the test's to fill.
 */
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vmx/fake_vmcs.h"
#include "vmm/host/msr.h"
#include "vmm/vmx/vmx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS  200U
#define GARBAGE 0xa5
#define PRESENT 0x80U
#define S       0x10U
#define G       0x800U

static struct vcpu *const vcpu = &fake_vcpu;
static struct vmx_vcpu *vmx;
static unsigned renewed;
static struct fpu_registers fpu;
static bool fpu_wide;
/* STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE stay in the CPU. */
static const uint32_t resident[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102};

void fpu_save(struct fpu_registers *to, bool wide)
{
    *to = fpu;
    fpu_wide = wide;
}

void fpu_load(const struct fpu_registers *from, bool wide)
{
    fpu = *from;
    fpu_wide = wide;
}

void fpu_set_reset(struct fpu_registers *registers)
{
    *registers = (struct fpu_registers){.xcr0 = 1};
}

uint64_t fpu_components(void)
{
    return 7;
}

uint32_t fpu_mxcsr_mask(void)
{
    return 0xffff;
}

const struct vmx_features *vmx_features(void)
{
    static const struct vmx_features features = {.control = {[VMX_SECONDARY] = UINT32_MAX}};

    return &features;
}

const struct vmx_fixed *vmx_fixed(unsigned index)
{
    static const struct vmx_fixed fixed[] = {
        {0x80000021, UINT32_MAX},
        {0x2000,     UINT64_MAX}
    };

    return &fixed[index];
}

enum status vmx_init(void)
{
    return STATUS_OK;
}

enum status vmx_enable_cpu(void)
{
    return STATUS_OK;
}

void vmx_run(struct vcpu *entered, struct exit *exit) {}

hpa_t vmx_msr_bitmap(void)
{
    return hpa(0x5000);
}

void vmx_renew_vmcs(void)
{
    renewed++;
}

void vmx_set_host(void) {}

static int setup(void **state)
{
    fake_cpu_intel();
    fake_msr_set(MSR_TSC_AUX, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(resident); i++) {
        fake_msr_set(resident[i], 0);
    }
    fake_pages_reset(8);
    fake_vm_reset();
    fake_vm.base_tsc = 12345;
    fake_vm.nested.root = hpa(0x777000);
    backend = &vmx_backend;
    assert_int_equal(vmx_create(vcpu), STATUS_OK);
    vmx = vcpu->backend;
    srandom(1);
    return 0;
}

/* What a CPU can hold: no attributes of one that is not present; loaded ones are accessed, SS has
 * the CPL, and G fits the limit. */
static void settle_segment(struct cpu_state *state, unsigned i)
{
    struct state_segment *segment = &state->segment[i];

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

/* Any bytes, where the fields' ranges allow them. */
static void make_up(struct cpu_state *state)
{
    memset(state, 0, sizeof(*state));
    for (unsigned i = 0; i < cpu_section.fields; i++) {
        const struct field *field = &cpu_section.field[i];

        for (unsigned n = 0; n < field->count; n++) {
            uint64_t value =
                (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();

            value = field->max == UINT64_MAX ? value : value % (field->max + 1);
            memcpy((char *)state + field->offset + (size_t)n * field->stride, &value, field->width);
        }
    }
    state->sysenter_cs &= UINT32_MAX;
    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        settle_segment(state, i);
    }
    if (state->segment[STATE_TR].attributes & PRESENT) {
        state->segment[STATE_TR].attributes |= 2; /* VM entry wants a busy one */
    }
    state->requests = state->startup_vector = 0; /* other CPUs' */
    fake_platform.cr8 = 0;                       /* as if the local APIC's state came later */
}

static void fill_with_garbage(void)
{
    fake_vmcs_fill(0xa5a5a5a5a5a5a5a5);
    fake_cr2 = fake_dr6 = vmx->root = vmx->primary = vmx->interruptibility = 0xa5a5a5a5;
    vmx->launched = vmx->event_stays = vmx->refused = true;
    vmx->stale = vmx->pdptes_due = false;
    for (unsigned i = 0; i < ARRAY_SIZE(resident); i++) {
        fake_msr_set(resident[i], 0xa5);
    }
    memset(vcpu, GARBAGE, offsetof(struct vcpu, event));
    memset(&vcpu->model, GARBAGE, sizeof(vcpu->model));
    memset(&fpu, GARBAGE, sizeof(fpu));
    vcpu->event = (struct vcpu_event){VCPU_EVENT_NMI, 0xa5, true, 0xa5a5a5a5};
    vcpu->activity = VCPU_HALTED;
    vcpu->requests = vcpu->startup_vector = 0xa5a5a5a5;
    vcpu->tsc_offset = 0xa5a5a5a5;
    vcpu->held = vcpu->shadow = vcpu->nmi_blocked = vcpu->nmi_pending = true;
    vcpu->window = vcpu->cr8_watched = vcpu->look_soon = true;
    vcpu->held_vector = vcpu->cr8 = 0xa5;
    fake_platform.cr8 = 5;
    fake_msr_set(MSR_TSC_AUX, 0xa5);
}

static void check_round(void)
{
    static struct cpu_state first, second;

    make_up(&first);
    vcpu_load(vcpu, &first);
    memset(&second, GARBAGE, sizeof(second));
    vcpu_save(vcpu, &second);
    assert_memory_equal(&first, &second, sizeof(first));
    fill_with_garbage();
    vcpu_load(vcpu, &second);
    assert_int_equal(vmcs_read(VMCS_EPT_POINTER), 0x77701e);
    assert_int_equal(vmcs_read(VMCS_TSC_OFFSET), first.tsc_offset - 12345);
    assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT) | vmcs_read(VMCS_INTERRUPTIBILITY) |
                         vmcs_read(VMCS_PENDING_DEBUG) | vmcs_read(VMCS_ACTIVITY),
                     0);
    assert_int_equal(vmcs_read(VMCS_EXCEPTIONS), VMX_EXCEPTIONS);
    assert_int_equal(vmcs_read(VMCS_ENTRY_CONTROLS) >> 9 & 1, first.efer >> 10 & 1);
    assert_int_equal(vmcs_read(VMCS_CR0) & 0x60000020, 0x20); /* caches on, NE */
    assert_int_equal(vmcs_read(VMCS_CR4) & 0x2040, 0x2040);   /* VMXE, MCE */
    assert_true(renewed && vmx->stale && vmx->pdptes_due);
    assert_false(vmx->launched || vmx->event_stays || vmx->refused || vmx->interruptibility);
    renewed = 0;
    assert_false(vcpu->window || vcpu->cr8_watched || vcpu->look_soon);
    assert_true(vcpu->timer_due);
    assert_int_equal(fake_msr(MSR_TSC_AUX), first.model.tsc_aux);
    assert_int_equal(fake_platform.tsc_offset, first.tsc_offset);
    assert_int_equal(fpu_wide, (first.efer & EFER_LMA) != 0);
    memset(&second, GARBAGE, sizeof(second));
    vcpu_save(vcpu, &second);
    assert_memory_equal(&first, &second, sizeof(first));
}

static void test_nothing_remains(void **state)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        check_round();
    }
}

/* What other CPUs ask for while a vCPU is saved or loaded is still to be seen to. */
static void test_requests(void **state)
{
    static struct cpu_state made;

    make_up(&made);
    vcpu_load(vcpu, &made);
    vcpu->requests = VCPU_REQUEST_NMI;
    vcpu->startup_vector = 0x99;
    vcpu_save(vcpu, &made);
    assert_int_equal(made.requests | made.startup_vector, 0);
    made.requests = VCPU_REQUEST_INIT;
    vcpu_load(vcpu, &made);
    assert_int_equal(vcpu->requests, VCPU_REQUEST_NMI);
    assert_int_equal(vcpu->startup_vector, 0x99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_remains, setup),
        cmocka_unit_test_setup(test_requests, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
