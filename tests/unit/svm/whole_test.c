/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu_save() and vcpu_load(): what was saved, and loaded into a vCPU that holds garbage, is saved
 * again as the same bytes. The FPU is a fake: its registers are not the test's to fill.
 */
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/host/msr.h"
#include "vmm/svm/maps.h"
#include "vmm/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS  200U
#define GARBAGE 0xa5

static struct vcpu *const vcpu = &fake_vcpu;
static struct svm_vcpu *svm;
static struct fpu_registers fpu;
static bool fpu_wide;

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

const struct svm_features *svm_features(void)
{
    static const struct svm_features features = {.asids = 8};

    return &features;
}

enum status svm_init(void)
{
    return STATUS_OK;
}

enum status svm_enable_cpu(void)
{
    return STATUS_OK;
}

void svm_run(struct vcpu *entered, struct exit *exit) {}

hpa_t maps_io(void)
{
    return hpa(0x2000);
}

hpa_t maps_msr(void)
{
    return hpa(0x5000);
}

static int setup(void **state)
{
    fake_cpu_milan();
    fake_msr_set(MSR_TSC_AUX, 0);
    fake_pages_reset(8);
    fake_vm_reset();
    fake_vm.base_tsc = 12345;
    fake_vm.nested.root = hpa(0x777000);
    backend = &svm_backend;
    assert_int_equal(svm_create(vcpu), STATUS_OK);
    svm = vcpu->backend;
    srandom(1);
    return 0;
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
    state->efer &= ~EFER_SVME;
    state->requests = state->startup_vector = 0; /* other CPUs' */
    fake_platform.cr8 = 0;                       /* as if the local APIC's state came later */
}

static void fill_with_garbage(void)
{
    memset(svm->vmcb, GARBAGE, sizeof(*svm->vmcb));
    svm->cr4 = svm->iret_rip = svm->step_dr6 = 0xa5a5a5a5a5a5a5a5;
    svm->refused = svm->iret = svm->stepping = svm->step_tf = true;
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
    assert_int_equal(svm->vmcb->nested_cr3, 0x777000);
    assert_int_equal(svm->vmcb->tsc_offset, first.tsc_offset - 12345);
    assert_int_equal(svm->vmcb->inject | svm->vmcb->asid | svm->vmcb->clean, 0);
    assert_int_equal(svm->vmcb->exceptions, SVM_EXCEPTIONS);
    assert_false(svm->refused || svm->iret || svm->stepping);
    assert_false(vcpu->window || vcpu->cr8_watched || vcpu->look_soon);
    assert_true(vcpu->timer_due && svm->asid.stale);
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
