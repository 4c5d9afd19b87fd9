/* SPDX-License-Identifier: BSD-2-Clause */
/* Includes vmx_vcpu.c to take STI out of it. */
#include "vmm/host/instructions.h"
#define cpu_irq_enable() ((void)0)
#include "vmm/vmx/vmx_vcpu.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/simvf/entry_check.h"
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vmx/harness.h"
#include "vmm/host/msr.h"
#include "vmm/host/pool.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct vmx_features chosen;
struct exit last;
bool is_strange;

static void (*guest)(void);
static bool launched;

/* ---- what vmx_vcpu.c needs of the rest ---- */

const struct vmx_features *vmx_features(void)
{
    return &chosen;
}

void vmx_renew_vmcs(void)
{
    launched = false;
}

void vmx_set_host(void)
{
    static const struct {
        uint16_t field;
        uint64_t value;
    } words[] = {
        {VMCS_HOST_CR0,  0x80010033                    },
        {VMCS_HOST_CR4,  0x26a0                        },
        {VMCS_HOST_PAT,  0x0007040600070406            },
        {VMCS_HOST_EFER, EFER_LME | EFER_LMA | EFER_NXE},
        {VMCS_HOST_CS,   0x08                          },
        {VMCS_HOST_TR,   0x18                          },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        fake_vmcs[words[i].field] = words[i].value;
    }
}

/* A CPU with all that is optional; what is forced is as on all CPUs (appendix A). */
static void choose_features(void)
{
    uint64_t capability[VMX_WORDS] = {[VMX_BASIC] = 1ULL << 55, [VMX_EPT] = UINT32_MAX};

    for (unsigned word = VMX_PIN; word < VMX_WORDS; word++) {
        capability[word] = (uint64_t)UINT32_MAX << 32;
    }
    assert_null(vmx_choose(capability, &chosen));
}

/* As a CPU: a VMCS is launched once, and the event is gone after an entry. */
uint32_t vmx_enter(struct vcpu *entered, bool resume)
{
    const char *rule = entry_check_vmcs();

    assert_int_equal(resume, launched);
    rule = rule ? rule : entry_check_guest();
    if (rule && !is_strange) {
        fail_msg("an entry breaks %s", rule);
    }
    fake_vmcs[VMCS_VECTORING_EVENT] = 0;
    guest();
    unsigned reason = (uint32_t)vmcs_read(VMCS_EXIT_REASON);

    if ((reason & 0xffff) != VMCS_EXIT_BAD_STATE && reason != VMX_NOT_ENTERED) {
        launched = true;
        fake_vmcs[VMCS_ENTRY_EVENT] &= ~(uint64_t)VALID;
    }
    return reason;
}

/* ---- guests ---- */

void exit_with(unsigned reason, uint64_t qualification, unsigned length)
{
    fake_vmcs[VMCS_EXIT_REASON] = reason;
    fake_vmcs[VMCS_QUALIFICATION] = qualification;
    fake_vmcs[VMCS_LENGTH] = length;
}

void host_interrupt(void)
{
    exit_with(VMCS_EXIT_INTERRUPT, 0, 0);
}

void refuse(void)
{
    exit_with(VALID | VMCS_EXIT_BAD_STATE, 0, 0);
}

void run(void (*what)(void))
{
    guest = what;
    vmx_run(vcpu, &last);
}

static unsigned exit_reason, exit_length;
static uint64_t exit_info;

static void make_exit(void)
{
    exit_with(exit_reason, exit_info, exit_length);
}

void run_exit(unsigned reason, uint64_t info, unsigned length)
{
    exit_reason = reason;
    exit_info = info;
    exit_length = length;
    run(make_exit);
}

void set_long_mode(void)
{
    vmx_write(vcpu, BACKEND_CR0, CR0_PE | CR0_PG | CR0_ET);
    vmx_write(vcpu, BACKEND_CR4, CR4_PAE);
    vmx_write(vcpu, BACKEND_EFER, EFER_LME | EFER_LMA);
    fake_vmcs[VMCS_RIGHTS + 2] = 0xa09b;
}

static struct cpu_state reset;

void choose_guards(uint32_t guards)
{
    chosen.guards = guards;
    launched = false;
    vmx_set_state(vcpu, &reset);
    vmx_backend.set_root(vcpu, hpa(0x777000));
}

int setup(void **state)
{
    fake_cpu_intel();
    fake_pages_reset(8);
    fake_vm_reset();
    model_init();
    fake_vmcs_fill(0);
    choose_features();
    backend = &vmx_backend;
    vcpu->backend = pool_allocate(backend->vcpu_size, PAGE_SIZE);
    fake_vm.apic_page = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    state_set_reset(&reset);
    reset.cr0 = CR0_PE | CR0_ET;
    reset.segment[STATE_CS].base = 0;
    reset.segment[STATE_CS].limit = UINT32_MAX;
    reset.segment[STATE_CS].attributes = FAKE_CODE_32;
    is_strange = false;
    vmx_set_state(vcpu, &reset);
    vmx_backend.set_root(vcpu, hpa(0x777000));
    fake_invepts = fake_nmis = 0;
    return 0;
}
