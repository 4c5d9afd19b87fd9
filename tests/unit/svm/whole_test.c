/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu_save() and vcpu_load() with SVM: tests/unit/vm/whole.h. */
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vm/whole.h"
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

hpa_t svm_host_vmcb(const struct cpu *cpu)
{
    return hpa(0x1000);
}

struct asid_pool *svm_asids(const struct cpu *cpu)
{
    static struct asid_pool pool = {.count = 8, .next = 8, .generation = 1};

    return &pool;
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
    backend_offers.tsc_ratio = (struct backend_ratio){8, 32};
    whole_setup(&svm_backend);
    svm = fake_vcpu.backend;
    return 0;
}

static uint64_t canonical(uint64_t address)
{
    return address >> 47 & 1 ? address | 0xffffULL << 48 : address & ~(0xffffULL << 48);
}

/* What no CPU is in. */
static void mend(struct cpu_state *state)
{
    state->rflags = (state->rflags & (state->efer & EFER_LMA ? 0x3d7fd7 : 0x3f7fd7)) | RFLAGS_FIXED;
    state->cr0 &= state->cr0 & CR0_CD ? UINT64_MAX : ~CR0_NW;
    state->cr3 &= (1ULL << 48) - 1;
    state->segment[STATE_CS].attributes &= (uint16_t)~0x400; /* not of 64 bits and of 32 */
    for (unsigned i = 0; i < ARRAY_SIZE(state->segment); i++) {
        state->segment[i].base = canonical(state->segment[i].base);
    }
    state->lstar = canonical(state->lstar);
    state->cstar = canonical(state->cstar);
    state->kernel_gs_base = canonical(state->kernel_gs_base);
    state->sysenter_esp = canonical(state->sysenter_esp);
    state->sysenter_eip = canonical(state->sysenter_eip);
}

void own_settle(struct cpu_state *state)
{
    state->efer &= ~EFER_SVME;
    mend(state);
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

/* QEMU's TCG lets guests set what the manual faults or ignores: it must not be saved. */
static void test_mended(void **state)
{
    static struct cpu_state made, saved, again;

    state_set_reset(&made);
    vcpu_load(&fake_vcpu, &made);
    fake_vcpu.rflags = 0xffd82008;
    svm->vmcb.sysenter_esp = 0x1800000000000;
    svm->vmcb.cstar = 1ULL << 63;
    svm->vmcb.kernel_gs_base = 0xffff000000001000;
    svm->vmcb.segment[STATE_GDTR].base = 0xabc7923456789abc;
    svm->vmcb.dr7 = svm->vmcb.dr6 = 0x100000400;
    svm->vmcb.cr3 = 0xf000000000001000;
    svm->vmcb.cr0 = CR0_PE | CR0_ET | CR0_NW | 1ULL << 32;
    vcpu_save(&fake_vcpu, &saved);
    assert_int_equal(saved.rflags, 0x182002);
    svm->vmcb.efer |= EFER_LMA;
    fake_vcpu.rflags = 0x3a3202;
    vcpu_save(&fake_vcpu, &again);
    assert_int_equal(again.rflags, 0x383202);
    assert_int_equal(saved.sysenter_esp, 0xffff800000000000);
    assert_int_equal(saved.kernel_gs_base, 0x1000);
    assert_int_equal(saved.segment[STATE_GDTR].base, 0xffff923456789abc);
    assert_int_equal(saved.dr6, 0x400);
    assert_int_equal(saved.dr7, 0x400);
    assert_int_equal(saved.cr3, 0x1000);
    assert_int_equal(saved.cr0, CR0_PE | CR0_ET);
    assert_true(state_check(&saved)); /* and can be loaded */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_remains, setup),
        cmocka_unit_test_setup(whole_test_passed, setup),
        cmocka_unit_test_setup(whole_test_requests, setup),
        cmocka_unit_test_setup(test_mended, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
