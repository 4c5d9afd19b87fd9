/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU's VMCB: set-up, reset, and entering the guest. */
#include "vmm/host/cpuid.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/pool.h"
#include "vmm/svm/maps.h"
#include "vmm/svm/svm.h"
#include "vmm/vm/notify.h"
#include "vmm/vm/vm.h"

#include <string.h>

/*
 * #DB and #AC: a guest whose handler's stack raises them again would loop inside the CPU for ever,
 * with no exit that an interrupt could make (CVE-2015-8104, CVE-2015-5307). #MC is the machine's.
 */
#define EXCEPTION_DB (1U << 1)
#define EXCEPTION_AC (1U << 17)
#define EXCEPTION_MC (1U << 18)

#define CR_WATCHED_READS  (1U << 4)
#define CR_WATCHED_WRITES (1U << 4)
#define CR8_WRITE         (1U << 8)

#define PAUSES_IN_A_ROW  3000U
#define PAUSE_GAP_CYCLES 128U
#define LEAF_ADDRESSES   0x80000008U
#define ADDRESS_BITS_MAX 52U
#define CS_LONG_AND_BIG  0x600U
#define CS_BIG           0x400U

extern void svm_enter(struct vcpu *vcpu, hpa_t vmcb, hpa_t host);
bool svm_notify(struct vcpu *vcpu);

enum status svm_vcpu_create(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = pool_allocate(sizeof(*svm), PAGE_SIZE);

    vcpu->svm = svm;
    if (svm) {
        svm->vmcb = pool_allocate(sizeof(*svm->vmcb), PAGE_SIZE);
    }
    if (!svm || !svm->vmcb) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    svm->vmcb_at = pool_hpa(svm->vmcb);
    svm->clean = svm_features()->clean_bits ? VMCB_CLEAN_ALL : 0;
    return STATUS_OK;
}

void svm_vcpu_destroy(struct vcpu *vcpu)
{
    if (vcpu->svm && vcpu->svm->vmcb) {
        pool_free(vcpu->svm->vmcb, sizeof(*vcpu->svm->vmcb));
    }
    if (vcpu->svm) {
        pool_free(vcpu->svm, sizeof(*vcpu->svm));
        vcpu->svm = NULL;
    }
}

/* What exits, whatever the guest does; sections 15.9 to 15.14. */
static void set_intercepts(struct vmcb *vmcb)
{
    vmcb->cr_reads = CR_WATCHED_READS;
    vmcb->cr_writes = CR_WATCHED_WRITES;
    vmcb->exceptions = EXCEPTION_DB | EXCEPTION_AC | EXCEPTION_MC;
    vmcb->intercepts = VMCB_INTERCEPT_INTR | VMCB_INTERCEPT_NMI | VMCB_INTERCEPT_SMI |
                       VMCB_INTERCEPT_INIT | VMCB_INTERCEPT_CR0_SELECTIVE | VMCB_INTERCEPT_RDPMC |
                       VMCB_INTERCEPT_CPUID | VMCB_INTERCEPT_RSM | VMCB_INTERCEPT_INVD |
                       VMCB_INTERCEPT_HLT | VMCB_INTERCEPT_INVLPGA | VMCB_INTERCEPT_IOIO |
                       VMCB_INTERCEPT_MSR | VMCB_INTERCEPT_FERR_FREEZE | VMCB_INTERCEPT_SHUTDOWN;
    vmcb->intercepts2 = VMCB_INTERCEPT_VMRUN | VMCB_INTERCEPT_VMMCALL | VMCB_INTERCEPT_VMLOAD |
                        VMCB_INTERCEPT_VMSAVE | VMCB_INTERCEPT_STGI | VMCB_INTERCEPT_CLGI |
                        VMCB_INTERCEPT_SKINIT | VMCB_INTERCEPT_WBINVD | VMCB_INTERCEPT_MONITOR |
                        VMCB_INTERCEPT_MWAIT | VMCB_INTERCEPT_XSETBV | VMCB_INTERCEPT_RDPRU;
    if (svm_features()->pause_filter) {
        /* A vCPU has its CPU to itself, so a spinning one hurts nobody: it is only counted. */
        vmcb->intercepts |= VMCB_INTERCEPT_PAUSE;
        vmcb->pause_count = PAUSES_IN_A_ROW;
        vmcb->pause_threshold = PAUSE_GAP_CYCLES;
    }
}

static void set_segments(struct vmcb *vmcb, const struct vcpu_state *state)
{
    for (unsigned i = 0; i < VMCB_SEGMENTS; i++) {
        const struct state_segment *from = &state->segment[i];

        vmcb->segment[i] =
            (struct vmcb_segment){from->selector, from->attributes, from->limit, from->base};
    }
}

_Static_assert((unsigned)STATE_TR == (unsigned)VMCB_TR &&
                   (unsigned)STATE_GDTR == (unsigned)VMCB_GDTR,
               "the neutral state numbers segments as the VMCB does");

void svm_vcpu_reset(struct vcpu *vcpu, const struct vcpu_state *state)
{
    struct svm_vcpu *svm = vcpu->svm;
    struct vmcb *vmcb = svm->vmcb;

    memset(vmcb, 0, sizeof(*vmcb));
    set_intercepts(vmcb);
    set_segments(vmcb, state);
    vmcb->iopm = maps_io().raw;
    vmcb->msrpm = maps_msr().raw;
    vmcb->interrupt_control = VMCB_V_INTR_MASKING;
    vmcb->nested_enable = 1;
    vmcb->nested_cr3 = vcpu->vm->nested.root.raw;
    vmcb->efer = state->efer | EFER_SVME;
    vmcb->cr0 = state->cr0;
    vmcb->cr3 = state->cr3;
    vmcb->dr6 = state->dr6;
    vmcb->dr7 = state->dr7;
    vmcb->pat = state->pat;
    vmcb->rsp = state->rsp;
    svm_vcpu_write_cr(vcpu, 4, state->cr4);
    asid_flush(&svm->asid);
}

void svm_vcpu_write_cr(struct vcpu *vcpu, unsigned number, uint64_t value)
{
    struct svm_vcpu *svm = vcpu->svm;

    switch (number) {
    case 0:
        svm->vmcb->cr0 = value;
        break;
    case 3:
        svm->vmcb->cr3 = value;
        break;
    case 4:
        svm->cr4 = value;
        svm->vmcb->cr4 = value | CR4_MCE; /* a machine check is never the guest's to miss */
        break;
    default:
        return;
    }
    svm_changed(svm, VMCB_CLEAN_CR);
}

static void set_asid(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->svm;
    struct vmcb *vmcb = svm->vmcb;

    vmcb->tlb_control = asid_choose(svm_asids(vcpu->cpu), &svm->asid);
    if (vmcb->asid != svm->asid.number) {
        vmcb->asid = svm->asid.number;
        svm_changed(svm, VMCB_CLEAN_ASID);
    }
}

/*
 * OUT of two bytes from AX, not single-stepped or resumed behind a breakpoint, and the CPU says
 * where the next instruction is.
 */
static inline bool is_notify_like(const struct vmcb *vmcb)
{
    return vmcb->exit_code == VMCB_EXIT_IOIO &&
           (vmcb->exit_info1 & VMCB_IO_KIND) == VMCB_IO_OUT_2 &&
           vmcb->exit_info2 - vmcb->rip - 1 < INSN_MAX && !(vmcb->rflags & (RFLAGS_TF | RFLAGS_RF));
}

/*
 * From enter.S: if the guest notifies a queue, do it, step over its OUT and be ready to enter
 * again. Nothing can interrupt since the exit, so nothing that is new is missed.
 */
bool svm_notify(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->svm;
    struct vmcb *vmcb = svm->vmcb;

    if (!is_notify_like(vmcb)) {
        return false;
    }
    uint64_t left = cpu_read_tsc();

    if (!vcpu_notify_fast(vcpu, (uint16_t)(vmcb->exit_info1 >> VMCB_IO_PORT_SHIFT),
                          (uint16_t)vmcb->rax)) {
        return false;
    }
    vmcb->rip = vmcb->exit_info2;
    vmcb->interrupt_shadow = 0;
    vmcb->inject = 0;
    vmcb->tlb_control = 0;
    vmcb->clean = svm->clean;
    uint64_t spent = cpu_read_tsc() - left;

    vcpu->counter[EXIT_NOTIFY].cycles += spent;
    vcpu->entered += spent;
    return true;
}

static void settle_efer(struct svm_vcpu *svm)
{
    uint64_t efer = svm_settle_efer(svm->vmcb->efer, svm->vmcb->cr0);

    if (efer != svm->vmcb->efer) {
        svm->vmcb->efer = efer;
        svm_changed(svm, VMCB_CLEAN_CR);
    }
}

void svm_vcpu_run(struct vcpu *vcpu, struct exit *exit)
{
    struct svm_vcpu *svm = vcpu->svm;
    struct vmcb *vmcb = svm->vmcb;

    set_asid(vcpu);
    vmcb->inject = svm_encode_event(&vcpu->event);
    vmcb->rax = vcpu->gpr[INSN_RAX];
    vmcb->rsp = vcpu->gpr[INSN_RSP];
    vmcb->rip = vcpu->rip;
    vmcb->rflags = vcpu->rflags;
    svm_enter(vcpu, svm->vmcb_at, svm_host_vmcb(vcpu->cpu));
    vmcb->clean = svm->clean;
    cpu_irq_enable();
    if (vmcb->exit_code == VMCB_EXIT_CR0_SELECTIVE) {
        settle_efer(svm);
    }
    vcpu->gpr[INSN_RAX] = vmcb->rax;
    vcpu->gpr[INSN_RSP] = vmcb->rsp;
    vcpu->rip = vmcb->rip;
    vcpu->rflags = vmcb->rflags;
    svm_decode_exit(vmcb, svm_features(), exit);
    if (exit->reason == EXIT_INVALID) { /* nothing was delivered or flushed: it is still to be */
        asid_failed(svm_asids(vcpu->cpu), &svm->asid);
    } else {
        vcpu->event = svm_decode_event(vmcb->exit_event);
    }
}

/* Clear what VMRUN must not see (15.5.1): some CPUs let a guest load it without a fault. */
void svm_vcpu_repair(struct vcpu *vcpu)
{
    struct vmcb *vmcb = vcpu->svm->vmcb;
    unsigned bits = cpuid_read(LEAF_ADDRESSES, 0).eax & 0xff;

    vmcb->cr0 &= UINT32_MAX;
    if (!(vmcb->cr0 & CR0_CD)) {
        vmcb->cr0 &= ~CR0_NW;
    }
    vmcb->cr3 &= (1ULL << (bits < ADDRESS_BITS_MAX ? bits : ADDRESS_BITS_MAX)) - 1;
    vmcb->dr6 &= UINT32_MAX;
    vmcb->dr7 &= UINT32_MAX;
    if ((vmcb->segment[VMCB_CS].attributes & CS_LONG_AND_BIG) == CS_LONG_AND_BIG) {
        vmcb->segment[VMCB_CS].attributes &= (uint16_t)~CS_BIG;
    }
    vmcb->clean = 0;
}

void svm_vcpu_context(const struct vcpu *vcpu, struct emulate_cpu *cpu)
{
    const struct vmcb *vmcb = vcpu->svm->vmcb;

    cpu->cr0 = vmcb->cr0;
    cpu->cr3 = vmcb->cr3;
    cpu->cr4 = vcpu->svm->cr4;
    cpu->efer = vmcb->efer;
    cpu->cpl = vmcb->cpl;
    cpu->pdpte_cached = false;
    for (unsigned i = 0; i < INSN_SEGMENT_COUNT; i++) {
        const struct vmcb_segment *from = &vmcb->segment[i];

        cpu->segment[i] = (struct emulate_segment){from->base, from->limit, from->attributes};
    }
    if (svm_features()->decode_assists && vmcb->exit_code == VMCB_EXIT_NPF &&
        vmcb->fetched <= INSN_MAX) {
        cpu->byte_count = vmcb->fetched;
        memcpy(cpu->bytes, vmcb->bytes, vmcb->fetched);
    }
}
