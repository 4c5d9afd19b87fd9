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
    bool osxsave;  /* the guest's CR4.OSXSAVE */
    bool apic;     /* its local APIC is on */
    uint64_t xcr0; /* bits that it may set */
};

/* Ask the CPU once for what the functions below tell. Boot CPU, before all others. */
void model_init(void);

/* Pure but for cpuid_read(): the answer to a guest's CPUID. */
struct cpuid model_cpuid(const struct model_view *view, uint32_t leaf, uint32_t subleaf);

/* Bits of CR4 that go with what model_cpuid() shows; of EFER; of XCR0. */
uint64_t model_cr4_mask(void);
uint64_t model_efer_mask(void);
uint64_t model_xcr0_mask(void);

/* May XCR0 hold VALUE? */
bool model_xcr0_is_valid(uint64_t value);

uint8_t model_physical_bits(void);

/* What RDX holds after a reset: family, model, stepping. */
uint32_t model_signature(void);

/* Model registers as firmware leaves them. */
void model_reset(struct cpu_state *state);

/* Are all kept model registers of STATE such as a WRMSR could have made them? */
bool model_check(const struct cpu_state *state);

/* RDMSR and WRMSR. INVALID: #GP. The vCPU's own CPU. */
enum status model_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
enum status model_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

#endif
