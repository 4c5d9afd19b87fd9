/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD's secure virtual machine: AMD APM 2, chapter 15. Behind vmm/vm/backend.h. */
#ifndef PORTOLAN_VMM_SVM_SVM_H
#define PORTOLAN_VMM_SVM_SVM_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/svm/vmcb.h"
#include "vmm/vm/backend.h"

/* ---- Address space identifiers of one CPU, and with them all TLB flushes of its guests: AMD APM
 * 2, 15.15 and 15.16. Pure, so that the host tests see every obligation to flush. ---- */

/* Of a CPU; only that CPU uses it. */
struct asid_pool {
    uint32_t count; /* ASIDs 1..count - 1 are guests' (CPUID 8000000Ah EBX); 0 is the VMM's */
    uint32_t next;
    uint64_t generation; /* how often all were used up; from 1 on */
    bool by_asid;        /* TLB_CONTROL can flush a single one */
};

/* Of a vCPU; all zero: it has none yet. */
struct asid {
    uint32_t number;
    uint64_t generation;
    bool stale; /* its translations must not be used any more */
};

/* COUNT >= 2. The first VMRUN flushes what was in the TLB before. */
void asid_pool_init(struct asid_pool *pool, uint32_t count, bool by_asid);

/* The guest's translations are out of date: asid_choose() sees to it. */
void asid_flush(struct asid *asid);

/*
 * Before each VMRUN: make *ASID one that holds no stale translation, and return what TLB_CONTROL
 * must be for it. The ASID may have changed.
 */
uint8_t asid_choose(struct asid_pool *pool, struct asid *asid);

/* Has *ASID no stale translation as it is? Then TLB_CONTROL is to keep all. */
static inline bool asid_is_good(const struct asid_pool *pool, const struct asid *asid)
{
    return asid->number != 0 && asid->generation == pool->generation && !asid->stale;
}

/*
 * VMRUN refused the guest's state after asid_choose(): it carries TLB_CONTROL out after its checks,
 * so the flush is still to be done.
 */
void asid_failed(struct asid_pool *pool, struct asid *asid);

/* ---- The permission maps that all guests share: 15.10 and 15.11 ---- */

#define MAPS_IO_SIZE  0x3000U /* a bit for each port, and one page more for accesses at FFFFh */
#define MAPS_MSR_SIZE 0x2000U

/* Pure: let every port exit. */
void maps_fill_io(uint8_t *map);

/* Pure: let every MSR exit but those that VMRUN, VMLOAD and VMSAVE switch. */
void maps_fill_msr(uint8_t *map);

/* Where the map says about MSR: its byte, and the bit for reading (that for writing is the next).
 * False: the map has no place for it, and it exits always. */
bool maps_find_msr(uint32_t msr, uint32_t *byte, unsigned *bit);

/* Allocate and fill both. Boot CPU, once. */
enum status maps_init(void);
hpa_t maps_io(void);
hpa_t maps_msr(void);

/* What CPUID 8000000Ah offers beyond nested paging, which is needed. */
struct svm_features {
    uint32_t asids;
    bool next_rip;
    bool decode_assists;
    bool flush_by_asid;
    bool clean_bits;
    bool pause_filter;
    uint32_t guards; /* enum guard_action's bits */
};

struct svm_vcpu {
    struct vmcb vmcb; /* first, as it takes a page */
    hpa_t vmcb_at;
    hpa_t host_at; /* of its CPU, as the next */
    struct asid_pool *asids;
    struct asid asid;
    uint32_t clean; /* the clean bits when nothing was changed: none where the CPU knows none */
    uint64_t cr4;   /* as the guest sees it */
    uint64_t tsc_ratio;
    uint64_t interrupt_control; /* the VMCB's field as svm_run() loaded it */
    bool refused;               /* the last entry: its state is to be mended */
    bool entered;  /* since svm_run() was called: exits were served and the guest entered again */
    bool served;   /* the last exit: it is done, but not to be entered again at once */
    bool iret;     /* an NMI handler's IRET is reached and not known to be over */
    bool stepping; /* ... and is single-stepped in this entry */
    bool step_tf;  /* RFLAGS.TF and DR6 as the guest has them meanwhile */
    uint64_t step_dr6;
    uint64_t iret_rip;
};

extern const struct backend svm_backend;

/* UNSUPPORTED: no SVM, or no nested paging. Boot CPU, once. */
enum status svm_init(void);
const struct svm_features *svm_features(void);

/* svm_enter.S, and what it calls behind each exit. */
void svm_enter(struct vcpu *vcpu, hpa_t vmcb, hpa_t host);
bool svm_quick(struct vcpu *vcpu);

/* The backend's functions: vmm/vm/backend.h. */
enum status svm_enable_cpu(void);
void svm_run(struct vcpu *vcpu, struct exit *exit);
void svm_get_state(struct vcpu *vcpu, struct cpu_state *state);
void svm_set_state(struct vcpu *vcpu, const struct cpu_state *state);

/* Mend what VMRUN has refused. */
void svm_repair(struct svm_vcpu *svm);

/* An exit at the IRET of an NMI handler; before an entry, and after its exit, while svm->iret. */
void svm_iret_reached(struct vcpu *vcpu);
void svm_iret_begin(struct vcpu *vcpu);
void svm_iret_end(struct vcpu *vcpu, struct exit *exit);

/* What fetching and recalling the instruction at rip looks at: what it is, not what it works on. */
static inline void svm_code_context(const struct svm_vcpu *svm, struct emulate_cpu *cpu)
{
    const struct vmcb *vmcb = &svm->vmcb;

    cpu->cr0 = vmcb->cr0;
    cpu->cr3 = vmcb->cr3;
    cpu->cr4 = svm->cr4;
    cpu->efer = vmcb->efer;
    cpu->cpl = vmcb->cpl;
    cpu->pdpte_cached = false;
    cpu->segment[INSN_SEGMENT_CS] = vmcb->segment[STATE_CS];
}

/*
 * Give EXIT of an instruction what the hardware has not said of it: length, operands. RETRY, if
 * another instruction is there by now or it faults.
 */
void svm_complete_exit(struct vcpu *vcpu, struct exit *exit);

/* Is that needed? Memory accesses are decoded by who carries them out. */
static inline bool svm_is_incomplete(const struct exit *exit)
{
    return (exit->length == 0 && exit->reason != EXIT_MEMORY) || exit->reason == EXIT_CR_READ ||
           exit->reason == EXIT_CR_WRITE;
}

/*
 * A host interrupt between STI and the HLT that it shields: the HLT would exit next, and is
 * reported at once. That must be so under QEMU 7.2, whose VMRUN forgets the shadow: the guest's
 * interrupt would come before the HLT, which then would wait for another one in vain.
 */
void svm_finish_hlt(struct vcpu *vcpu, struct exit *exit);

/* Pure: EXITINFO1 of an access to a port. */
static inline struct exit_io svm_decode_io(uint32_t info)
{
    return (struct exit_io){
        .port = (uint16_t)(info >> VMCB_IO_PORT_SHIFT),
        .size = info >> VMCB_IO_SIZE_SHIFT & 7,
        .in = info & VMCB_IO_IN,
    };
}

/* Pure: what VMCB says about the last exit. */
void svm_decode_exit(const struct vmcb *vmcb, const struct svm_features *features,
                     struct exit *exit);

/*
 * Pure: EFER as it was before an instruction that exited, CR0 being what it was: LMA goes with LME
 * and CR0.PG (14.6.1). An exit comes before its instruction changes anything, but a selective
 * write of CR0 in Bochs 2.7 when LMA has changed already.
 */
uint64_t svm_settle_efer(uint64_t efer, uint64_t cr0);

/*
 * EVENTINJ for EVENT; and the event that EXITINTINFO tells was under way. The error lies above.
 * Mostly there is none: that is found without a call.
 */
static inline uint64_t svm_encode_event(const struct vcpu_event *event)
{
    uint32_t word = event->kind == VCPU_EVENT_NONE ? 0 : vcpu_event_word(event);

    return word & VCPU_EVENT_HAS_ERROR ? word | (uint64_t)event->error << 32 : word;
}

static inline struct vcpu_event svm_decode_event(uint64_t information)
{
    return information & VCPU_EVENT_VALID
               ? vcpu_event_of((uint32_t)information, (uint32_t)(information >> 32))
               : (struct vcpu_event){.kind = VCPU_EVENT_NONE};
}

/* VMSAVE to HOST: what VMLOAD brings back after each exit. */
void svm_save_host(hpa_t host);

/* This CPU's host VMCB, for VMLOAD, and its ASIDs. */
hpa_t svm_host_vmcb(const struct cpu *cpu);
struct asid_pool *svm_asids(const struct cpu *cpu);

/* FIELDS (enum vmcb_clean) were changed since the last exit. */
static inline void svm_changed(struct svm_vcpu *svm, uint32_t fields)
{
    svm->vmcb.clean &= ~fields;
}

#endif
