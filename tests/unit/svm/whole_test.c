/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu_save() and vcpu_load() with SVM: tests/unit/vm/whole.h. */
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vm/whole.h"
#include "vmm/host/msr.h"
#include "vmm/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 200U

static struct svm_vcpu *svm;

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
    whole_setup(&svm_backend);
    svm = fake_vcpu.backend;
    return 0;
}

void own_settle(struct cpu_state *state)
{
    state->efer &= ~EFER_SVME;
}

void own_fill_with_garbage(void)
{
    memset(&svm->vmcb, GARBAGE, sizeof(svm->vmcb));
    svm->cr4 = svm->iret_rip = svm->step_dr6 = GARBAGE_WORD;
    svm->refused = svm->iret = svm->stepping = svm->step_tf = true;
}

void own_check_loaded(const struct cpu_state *state)
{
    assert_int_equal(svm->vmcb.nested_cr3, 0x777000);
    assert_int_equal(svm->vmcb.tsc_offset, state->tsc_offset - 12345);
    assert_int_equal(svm->vmcb.inject | svm->vmcb.asid | svm->vmcb.clean, 0);
    assert_int_equal(svm->vmcb.exceptions, BACKEND_EXCEPTIONS);
    assert_false(svm->refused || svm->iret || svm->stepping);
    assert_true(svm->asid.stale);
}

static void test_nothing_remains(void **state)
{
    whole_check_rounds(ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_remains, setup),
        cmocka_unit_test_setup(whole_test_requests, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
