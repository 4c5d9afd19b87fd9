/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries and exits on a VMCS without a CPU: what its tests have in common. */
#ifndef PORTOLAN_TESTS_UNIT_VMX_HARNESS_H
#define PORTOLAN_TESTS_UNIT_VMX_HARNESS_H

#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vmx/fake_vmcs.h"
#include "vmm/pc/lapic.h"
#include "vmm/vm/vm.h"
#include "vmm/vmx/vmx.h"

#define RIP   0x1000U /* where setup() puts the vCPU's */
#define VALID (1U << 31)
#define ERROR (1U << 11)

#define VIRTUAL_TPR (LAPIC_TPR / sizeof(uint32_t))

static struct vcpu *const vcpu = &fake_vcpu;

extern struct vmx_features chosen; /* all that is optional; a test may take some away */
extern struct exit last;
extern bool is_strange; /* the state is not one that an entry accepts */

/* The same vCPU anew, on a CPU that needs GUARDS. */
void choose_guards(uint32_t guards);

/* A vCPU of an Intel CPU, in 32-bit code without paging. For cmocka. */
int setup(void **state);

/* What the guest does until it exits. */
void exit_with(unsigned reason, uint64_t qualification, unsigned length);
void host_interrupt(void);
void refuse(void);

/* Enter it, let it do WHAT, or exit like this, and see to the exit. */
void run(void (*what)(void));
void run_exit(unsigned reason, uint64_t info, unsigned length);

void set_long_mode(void);

static inline struct vmx_vcpu *vmx_of_vcpu(void)
{
    return vcpu->backend;
}

#endif
