/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU's VMCB: set-up, and the guest's state in and out. */
#include "vmm/base/x86.h"
#include "vmm/host/pool.h"
#include "vmm/svm/svm.h"
#include "vmm/vm/model.h"

#include <string.h>

#define CR_WATCHED_READS  (1U << 4)
#define CR_WATCHED_WRITES (1U << 4)
#define PAUSES_IN_A_ROW   3000U
#define PAUSE_GAP_CYCLES  128U
#define ADDRESS_BITS_MAX  52U
#define CS_LONG_AND_BIG   0x600U
#define CS_BIG            0x400U

/* What has the same meaning in both; with the model registers that are passed. */
static const struct {
    uint16_t vmcb, state;
} words[] = {
#define WORD(member)                                                      \
    {                                                                     \
        offsetof(struct vmcb, member), offsetof(struct cpu_state, member) \
    }
    WORD(cr0),
    WORD(cr2),
    WORD(cr3),
    WORD(dr6),
    WORD(dr7),
    WORD(star),
    WORD(lstar),
    WORD(cstar),
    WORD(sfmask),
    WORD(sysenter_cs),
    WORD(sysenter_esp),
    WORD(sysenter_eip),
    WORD(kernel_gs_base),
    WORD(pat),
#undef WORD
};

/* What exits, whatever the guest does; sections 15.9 to 15.14. */
static void set_intercepts(struct vmcb *vmcb)
{
    vmcb->cr_reads = CR_WATCHED_READS;
    vmcb->cr_writes = CR_WATCHED_WRITES;
    vmcb->exceptions = BACKEND_EXCEPTIONS;
    vmcb->intercepts = VMCB_INTERCEPT(INTR) | VMCB_INTERCEPT(NMI) | VMCB_INTERCEPT(SMI) |
                       VMCB_INTERCEPT(INIT) | VMCB_INTERCEPT(CR0_SELECTIVE) |
                       VMCB_INTERCEPT(RDPMC) | VMCB_INTERCEPT(CPUID) | VMCB_INTERCEPT(RSM) |
                       VMCB_INTERCEPT(INVD) | VMCB_INTERCEPT(HLT) | VMCB_INTERCEPT(INVLPGA) |
                       VMCB_INTERCEPT(IOIO) | VMCB_INTERCEPT(MSR) | VMCB_INTERCEPT(FERR_FREEZE) |
                       VMCB_INTERCEPT(SHUTDOWN);
    vmcb->intercepts2 = (VMCB_INTERCEPT(SKINIT) * 2 - VMCB_INTERCEPT(VMRUN)) | /* SVM's own */
                        VMCB_INTERCEPT(WBINVD) | VMCB_INTERCEPT(MONITOR) | VMCB_INTERCEPT(MWAIT) |
                        VMCB_INTERCEPT(XSETBV) | VMCB_INTERCEPT(RDPRU);
    if (svm_features()->pause_filter) {
        /* A vCPU has its CPU to itself, so a spinning one hurts nobody: it is only counted. */
        vmcb->intercepts |= VMCB_INTERCEPT(PAUSE);
        vmcb->pause_count = PAUSES_IN_A_ROW;
        vmcb->pause_threshold = PAUSE_GAP_CYCLES;
    }
}

void svm_get_state(struct vcpu *vcpu, struct cpu_state *state)
{
    struct svm_vcpu *svm = vcpu->backend;
    const struct vmcb *vmcb = &svm->vmcb;

    svm_repair(svm);
    state->rflags = (state->rflags & RFLAGS_DEFINED) | RFLAGS_FIXED; /* QEMU's TCG has others */
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        memcpy((char *)state + words[i].state, (const char *)vmcb + words[i].vmcb,
               sizeof(uint64_t));
    }
    memcpy(state->segment, vmcb->segment, sizeof(state->segment));
    state->cpl = vmcb->cpl;
    state->cr4 = svm->cr4;
    state->efer = vmcb->efer & ~EFER_SVME;
    if (state->efer & EFER_LMA) {
        state->rflags &= ~RFLAGS_VM; /* TCG's IRET takes it in long mode, too */
    }
}

void svm_set_state(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct svm_vcpu *svm = vcpu->backend;
    struct vmcb *vmcb = &svm->vmcb;

    memset(vmcb, 0, sizeof(*vmcb)); /* and with it all clean bits */
    set_intercepts(vmcb);
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        memcpy((char *)vmcb + words[i].vmcb, (const char *)state + words[i].state,
               sizeof(uint64_t));
    }
    memcpy(vmcb->segment, state->segment, sizeof(vmcb->segment));
    vmcb->cpl = state->cpl;
    svm->cr4 = state->cr4;
    vmcb->cr4 = state->cr4 | CR4_MCE;
    vmcb->efer = state->efer | EFER_SVME;
    vmcb->iopm = maps_io().raw;
    vmcb->msrpm = maps_msr().raw;
    vmcb->nested_enable = 1;
    svm->vmcb_at = pool_hpa(vmcb);
    svm->host_at = svm_host_vmcb(vcpu->cpu);
    svm->asids = svm_asids(vcpu->cpu);
    svm->clean = svm_features()->clean_bits ? VMCB_CLEAN_ALL : 0;
    svm->refused = svm->served = svm->iret = svm->stepping = false;
}

/* As VMRUN and VMLOAD load an address (15.5.1). */
static void make_canonical(uint64_t *address)
{
    *address = (uint64_t)((int64_t)(*address << 16) >> 16);
}

/* Clear what VMRUN must not see (15.5.1): some CPUs let a guest load it without a fault. */
void svm_repair(struct svm_vcpu *svm)
{
    struct vmcb *vmcb = &svm->vmcb;
    unsigned bits = model_facts.physical_bits;

    vmcb->cr0 &= UINT32_MAX;
    if (!(vmcb->cr0 & CR0_CD)) {
        vmcb->cr0 &= ~CR0_NW;
    }
    vmcb->cr3 &= (1ULL << (bits < ADDRESS_BITS_MAX ? bits : ADDRESS_BITS_MAX)) - 1;
    vmcb->dr6 &= UINT32_MAX;
    vmcb->dr7 &= UINT32_MAX;
    if ((vmcb->segment[STATE_CS].attributes & CS_LONG_AND_BIG) == CS_LONG_AND_BIG) {
        vmcb->segment[STATE_CS].attributes &= (uint16_t)~CS_BIG;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(vmcb->segment); i++) {
        make_canonical(&vmcb->segment[i].base);
    }
    make_canonical(&vmcb->lstar);
    make_canonical(&vmcb->cstar);
    make_canonical(&vmcb->kernel_gs_base);
    make_canonical(&vmcb->sysenter_esp);
    make_canonical(&vmcb->sysenter_eip);
    vmcb->clean = 0;
    svm->refused = false;
}
