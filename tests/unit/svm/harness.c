/* SPDX-License-Identifier: BSD-2-Clause */
/* Includes svm_vcpu.c to take STI out of it. */
#include "vmm/host/instructions.h"
#define cpu_irq_enable() ((void)0)
#include "vmm/svm/svm_vcpu.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/unit/fakes/pages.h"
#include "tests/unit/svm/harness.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct svm_features features;
struct vmcb *vmcb;
struct exit last;

static void (*guest)(void); /* what the guest does until it exits */

/* ---- what svm_vcpu.c needs of the rest ---- */

const struct svm_features *svm_features(void)
{
    return &features;
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

enum status svm_init(void)
{
    return STATUS_OK;
}

enum status svm_enable_cpu(void)
{
    return STATUS_OK;
}

hpa_t maps_io(void)
{
    return hpa(0x2000);
}

hpa_t maps_msr(void)
{
    return hpa(0x5000);
}

void svm_enter(struct vcpu *entered, hpa_t at, hpa_t host)
{
    vmcb->exit_event = 0;
    guest();
}

/* ---- guests ---- */

void exit_with(uint64_t code, uint64_t info1, uint64_t info2)
{
    vmcb->exit_code = code;
    vmcb->exit_info1 = info1;
    vmcb->exit_info2 = info2;
}

void host_interrupt(void)
{
    exit_with(VMCB_EXIT_INTR, 0, 0);
}

void refuse(void)
{
    exit_with((uint64_t)-1, 0, 0);
}

void run(void (*what)(void))
{
    guest = what;
    vcpu->kicked = 0;
    svm_run(vcpu, &last);
}

int setup(void **state)
{
    struct cpu_state reset;

    fake_cpu_milan();
    fake_pages_reset(8);
    fake_vm_reset();
    features = (struct svm_features){.asids = 8};
    backend = &svm_backend;
    vcpu->backend = pool_allocate(backend->vcpu_size, PAGE_SIZE);
    vmcb = &((struct svm_vcpu *)vcpu->backend)->vmcb;
    state_set_reset(&reset);
    reset.cr0 = CR0_PE | CR0_ET;
    reset.segment[STATE_CS].base = 0;
    reset.segment[STATE_CS].limit = UINT32_MAX;
    reset.segment[STATE_CS].attributes = FAKE_CODE_32;
    for (unsigned i = 0; i < STATE_GDTR; i++) {
        reset.segment[i].limit = i == STATE_CS ? UINT32_MAX : reset.segment[i].limit;
    }
    svm_set_state(vcpu, &reset);
    return 0;
}

static void reach_iret(void)
{
    exit_with(VMCB_EXIT_IRET, 0, 0);
}

void reach(void)
{
    vcpu->nmi_blocked = true;
    run(reach_iret);
    assert_true(vmcb->intercepts & VMCB_INTERCEPT(IRET));
    assert_int_equal(last.reason, EXIT_NMI_WINDOW);
    assert_true(vcpu->nmi_blocked);
}
