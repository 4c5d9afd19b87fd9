/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU model that a guest sees: what of CPUID and of the model-specific registers is passed on,
 * masked or made up. The tables are in model_cpuid.c and msr_table.c; docs/vm.md gives the reasons.
 */
#ifndef PORTOLAN_VMM_VM_MODEL_H
#define PORTOLAN_VMM_VM_MODEL_H

#include "vmm/base/status.h"
#include "vmm/host/cpuid.h"
#include "vmm/vm/vcpu.h"

/* What a leaf's answer depends on besides the host. */
struct model_view {
    unsigned vcpu;
    unsigned vcpu_count;
    bool osxsave; /* the guest's CR4.OSXSAVE */
    bool apic;    /* its local APIC is on */
};

/* What a guest's CPU is, as far as it depends on the host's; it does not change. */
extern struct model_facts {
    uint32_t basic_max, extended_max; /* the host's highest leaves */
    uint32_t signature;               /* what RDX holds after a reset: family, model, stepping */
    uint8_t physical_bits;
    uint64_t cr4, efer, xcr0; /* bits that it may set, as model_cpuid() shows them */
} model_facts;

/* Ask the CPU for them, once. Boot CPU, before all of the following. */
void model_init(void);

/* The answer to a guest's CPUID. The real one is asked for one size alone, that of XCR0 as it is
 * on this CPU. */
struct cpuid model_cpuid(const struct model_view *view, uint32_t leaf, uint32_t subleaf);

/* May XCR0 hold VALUE? */
bool model_xcr0_is_valid(uint64_t value);

/* Model registers as firmware leaves them. */
void model_reset(struct cpu_state *state);

/* Are all kept model registers of STATE such as a WRMSR could have made them? */
bool model_check(const struct cpu_state *state);

/* RDMSR and WRMSR. INVALID: #GP. The vCPU's own CPU. */
enum status model_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
enum status model_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

#endif
