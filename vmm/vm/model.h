/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU model that a guest sees: what of CPUID and of the model-specific registers is passed on,
 * masked or made up. The tables are in model_cpuid.c and msr_table.c; docs/vm.md gives the reasons.
 */
#ifndef PORTOLAN_VMM_VM_MODEL_H
#define PORTOLAN_VMM_VM_MODEL_H

#include "vmm/base/status.h"
#include "vmm/config/config.h"
#include "vmm/host/cpuid.h"
#include "vmm/vm/vcpu.h"

#define MODEL_LEAVES 0x20U

/* What a VM is shown of the host's CPU: all, or less, so that unlike machines look alike. */
struct model_level {
    bool own; /* names, caches and the like are not the host's */
    uint8_t physical_bits;
    uint64_t cr4, efer, xcr0;           /* it cannot set these of model_facts */
    struct cpuid leaf[2][MODEL_LEAVES]; /* basic and extended, at subleaf 0, of no vCPU yet */
};

/* What a leaf's answer depends on besides the host. */
struct model_view {
    const struct model_level *level;
    unsigned vcpu;
    unsigned vcpu_count;
    bool osxsave; /* the guest's CR4.OSXSAVE */
    bool apic;    /* its local APIC is on */
    uint64_t tsc_hz;
};

/* What a guest's CPU is, as far as it depends on the host's; it does not change. */
extern struct model_facts {
    uint32_t basic_max, extended_max; /* the host's highest leaves */
    uint32_t signature;               /* what RDX holds after a reset: family, model, stepping */
    uint8_t physical_bits;
    uint64_t cr4, efer, xcr0; /* bits that it may set, as model_cpuid() shows them */
} model_facts;

/* All that a guest may be shown. */
extern struct model_level model_host;

/* Ask the CPU for both, once. Boot CPU, before all of the following. */
void model_init(void);

/* LEVEL is what WANTED says, for a VM whose RAM ends at END. After model_init(). */
void model_level_set(struct model_level *level, const struct config_cpu *wanted, uint64_t end);

/* Of a VM of LEVEL: what RDX holds after a reset. */
uint32_t model_signature(const struct model_level *level);

/* Is STATE, which state_check() accepts, one of a guest that is shown LEVEL? */
bool model_level_allows(const struct model_level *level, const struct cpu_state *state);

/* Bits of CR4, EFER that a guest of LEVEL may set. */
uint64_t model_cr4(const struct model_level *level);
uint64_t model_efer(const struct model_level *level);

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
