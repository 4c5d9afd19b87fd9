/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a guest's NMI handler. NMIs stay blocked until its IRET has been executed, and one
 * that waits comes before the instruction behind it: the IRET exits, and is then single-stepped.
 * The guest does not see that. IRET takes RFLAGS from its stack; until then nothing reads TF, for
 * each exception leaves the guest before it pushes anything, and is raised anew without TF.
 *
 * An IRET that faults unblocks NMIs all the same, as on CPUs. One that returns to another task is
 * not stepped, for it would put TF into the TSS: it is over when the guest is seen elsewhere.
 */
#include "vmm/svm/svm.h"

void svm_iret_reached(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->backend;

    svm->iret = true;
    svm->iret_rip = vcpu->rip;
}

void svm_iret_begin(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->backend;
    struct vmcb *vmcb = &svm->vmcb;

    if (vcpu->event.kind != VCPU_EVENT_NONE || vcpu->rip != svm->iret_rip) {
        svm->iret = false; /* another handler comes first: the next IRET exits again */
        return;
    }
    if (vcpu->rflags & RFLAGS_NT) {
        return;
    }
    svm->stepping = true;
    svm->step_tf = vcpu->rflags & RFLAGS_TF;
    svm->step_dr6 = vmcb->dr6;
    vmcb->dr6 &= ~(DR6_HITS | DR6_BS);
    vmcb->rflags |= RFLAGS_TF;
    vmcb->exceptions = UINT32_MAX;
    svm_changed(svm, VMCB_CLEAN_INTERCEPTS | VMCB_CLEAN_DR);
}

/* #DB behind the IRET: the guest's, too, if it steps itself or watches the stack. */
static void take_trap(struct svm_vcpu *svm, struct exit *exit)
{
    uint64_t hits = svm->vmcb.dr6 & DR6_HITS;

    svm->vmcb.dr6 = hits ? (svm->step_dr6 & ~DR6_HITS) | hits : svm->step_dr6;
    svm->vmcb.dr6 |= svm->step_tf ? DR6_BS : 0;
    if (!hits && !svm->step_tf) {
        exit->reason = EXIT_NMI_WINDOW;
    }
}

/* An exception of the IRET itself; those that are always watched are raised by their handler. */
static void take_fault(struct vcpu *vcpu, struct exit *exit)
{
    struct svm_vcpu *svm = vcpu->backend;
    unsigned vector = exit->exception.vector;

    if (BACKEND_EXCEPTIONS >> vector & 1) {
        return;
    }
    if (vector == VECTOR_PF) { /* the exit came before CR2 was written: 15.12.15 */
        svm->vmcb.cr2 = exit->info2;
        svm_changed(svm, VMCB_CLEAN_CR2);
    }
    vcpu_raise(vcpu, (uint8_t)vector, VECTORS_WITH_ERROR >> vector & 1, exit->exception.error);
    exit->reason = EXIT_RETRY;
}

void svm_iret_end(struct vcpu *vcpu, struct exit *exit)
{
    struct svm_vcpu *svm = vcpu->backend;
    struct vmcb *vmcb = &svm->vmcb;
    bool elsewhere = vcpu->rip != svm->iret_rip, stepping = svm->stepping;
    bool exception = stepping && exit->reason == EXIT_EXCEPTION;
    bool debug = exception && exit->exception.vector == VECTOR_DB;
    bool trap = debug && (elsewhere || (vmcb->dr6 & DR6_BS)); /* Bochs 2.7 leaves BS out */

    if (elsewhere || trap || (exception && !debug)) {
        vcpu->nmi_blocked = svm->iret = false;
    }
    if (!stepping) {
        return;
    }
    svm->stepping = false;
    vmcb->exceptions = BACKEND_EXCEPTIONS;
    svm_changed(svm, VMCB_CLEAN_INTERCEPTS | VMCB_CLEAN_DR);
    if (trap) {
        take_trap(svm, exit);
        return;
    }
    vmcb->dr6 = svm->step_dr6 | (vmcb->dr6 & DR6_HITS);
    if (!elsewhere && !svm->step_tf) {
        vcpu->rflags &= ~RFLAGS_TF;
    }
    if (exception) {
        take_fault(vcpu, exit);
    }
}
