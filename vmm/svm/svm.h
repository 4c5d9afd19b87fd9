/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD's secure virtual machine: AMD APM 2, chapter 15. Behind vmm/vm/backend.h. */
#ifndef PORTOLAN_VMM_SVM_SVM_H
#define PORTOLAN_VMM_SVM_SVM_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/svm/asid.h"
#include "vmm/svm/vmcb.h"
#include "vmm/vm/exit.h"
#include "vmm/host/radix.h"
#include "vmm/vm/vcpu.h"

/* What CPUID 8000000Ah offers beyond nested paging, which is needed. */
struct svm_features {
    uint32_t asids;
    bool next_rip;
    bool decode_assists;
    bool flush_by_asid;
    bool clean_bits;
    bool pause_filter;
};

struct svm_vcpu {
    struct vmcb *vmcb;
    hpa_t vmcb_at;
    struct asid asid;
    uint32_t clean; /* the clean bits when nothing was changed: none where the CPU knows none */
    uint64_t cr4;   /* as the guest sees it */
};

extern const struct radix_format svm_nested_format;

/* UNSUPPORTED: no SVM, or no nested paging. Boot CPU, once. */
enum status svm_init(void);
const struct svm_features *svm_features(void);

enum status svm_enable_cpu(void);

enum status svm_vcpu_create(struct vcpu *vcpu);
void svm_vcpu_destroy(struct vcpu *vcpu);
void svm_vcpu_reset(struct vcpu *vcpu, const struct vcpu_state *state);
void svm_vcpu_run(struct vcpu *vcpu, struct exit *exit);
void svm_vcpu_repair(struct vcpu *vcpu);
void svm_vcpu_context(const struct vcpu *vcpu, struct emulate_cpu *cpu);
void svm_vcpu_write_cr(struct vcpu *vcpu, unsigned number, uint64_t value);

/* Pure: what VMCB says about the last exit. */
void svm_decode_exit(const struct vmcb *vmcb, const struct svm_features *features,
                     struct exit *exit);

/*
 * Pure: EFER as it was before an instruction that exited, CR0 being what it was: LMA goes with LME
 * and CR0.PG (14.6.1). An exit comes before its instruction changes anything, but a selective
 * write of CR0 in Bochs 2.7 when LMA has changed already.
 */
uint64_t svm_settle_efer(uint64_t efer, uint64_t cr0);

/* Pure: EVENTINJ for EVENT; and the event that EXITINTINFO tells was under way. */
uint64_t svm_encode_event(const struct vcpu_event *event);
struct vcpu_event svm_decode_event(uint64_t information);

/* This CPU's host VMCB, for VMLOAD, and its ASIDs. */
hpa_t svm_host_vmcb(const struct cpu *cpu);
struct asid_pool *svm_asids(const struct cpu *cpu);

/* FIELDS (enum vmcb_clean) were changed since the last exit. */
static inline void svm_changed(struct svm_vcpu *svm, uint32_t fields)
{
    svm->vmcb->clean &= ~fields;
}

#endif
