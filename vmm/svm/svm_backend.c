/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend for AMD's SVM: what is no more than a field of the VMCB is done here. */
#include "vmm/vm/backend.h"

#include "vmm/host/msr.h"
#include "vmm/svm/svm.h"

enum status backend_init(void)
{
    return svm_init();
}

const struct radix_format *backend_nested_format(bool *giant_pages)
{
    *giant_pages = true; /* long mode's 1 GiB pages came before nested paging (CPUID 80000001h) */
    return &svm_nested_format;
}

enum status backend_enable_cpu(void)
{
    return svm_enable_cpu();
}

enum status backend_vcpu_create(struct vcpu *vcpu)
{
    return svm_vcpu_create(vcpu);
}

void backend_vcpu_destroy(struct vcpu *vcpu)
{
    svm_vcpu_destroy(vcpu);
}

void backend_vcpu_reset(struct vcpu *vcpu, const struct vcpu_state *state)
{
    svm_vcpu_reset(vcpu, state);
}

void backend_vcpu_run(struct vcpu *vcpu, struct exit *exit)
{
    svm_vcpu_run(vcpu, exit);
}

bool backend_is_in_shadow(const struct vcpu *vcpu)
{
    return vcpu->svm->vmcb->interrupt_shadow & VMCB_SHADOW;
}

bool backend_is_interruptible(const struct vcpu *vcpu)
{
    return (vcpu->rflags & RFLAGS_IF) && !backend_is_in_shadow(vcpu);
}

void backend_end_shadow(struct vcpu *vcpu)
{
    vcpu->svm->vmcb->interrupt_shadow &= ~VMCB_SHADOW;
}

static void set_intercept(struct vcpu *vcpu, uint32_t bit, bool on)
{
    struct vmcb *vmcb = vcpu->svm->vmcb;
    uint32_t wanted = on ? vmcb->intercepts | bit : vmcb->intercepts & ~bit;

    if (wanted != vmcb->intercepts) {
        vmcb->intercepts = wanted;
        svm_changed(vcpu->svm, VMCB_CLEAN_INTERCEPTS);
    }
}

/* A virtual interrupt that is never delivered: taking it exits (AMD APM 2, 15.21.4). */
void backend_watch_window(struct vcpu *vcpu, bool on)
{
    struct vmcb *vmcb = vcpu->svm->vmcb;
    uint64_t request = VMCB_V_IRQ | VMCB_V_PRIORITY | VMCB_V_IGNORE_TPR;

    if (((vmcb->interrupt_control & VMCB_V_IRQ) != 0) != on) {
        vmcb->interrupt_control ^= request;
        svm_changed(vcpu->svm, VMCB_CLEAN_TPR);
    }
    set_intercept(vcpu, VMCB_INTERCEPT_VINTR, on);
}

void backend_watch_iret(struct vcpu *vcpu, bool on)
{
    set_intercept(vcpu, VMCB_INTERCEPT_IRET, on);
}

uint8_t backend_read_cr8(const struct vcpu *vcpu)
{
    return vcpu->svm->vmcb->interrupt_control & 0xf;
}

void backend_write_cr8(struct vcpu *vcpu, uint8_t value, bool watch)
{
    struct vmcb *vmcb = vcpu->svm->vmcb;
    uint16_t writes = (uint16_t)((vmcb->cr_writes & ~(1U << 8)) | (watch ? 1U << 8 : 0));

    if (writes != vmcb->cr_writes) {
        vmcb->cr_writes = writes;
        svm_changed(vcpu->svm, VMCB_CLEAN_INTERCEPTS);
    }
    if ((vmcb->interrupt_control & VMCB_V_TPR) != value) {
        vmcb->interrupt_control = (vmcb->interrupt_control & ~VMCB_V_TPR) | value;
        svm_changed(vcpu->svm, VMCB_CLEAN_TPR);
    }
}

uint64_t backend_read_cr(const struct vcpu *vcpu, unsigned number)
{
    const struct svm_vcpu *svm = vcpu->svm;

    switch (number) {
    case 0:
        return svm->vmcb->cr0;
    case 3:
        return svm->vmcb->cr3;
    case 4:
        return svm->cr4;
    default:
        return 0;
    }
}

void backend_write_cr(struct vcpu *vcpu, unsigned number, uint64_t value)
{
    svm_vcpu_write_cr(vcpu, number, value);
}

uint64_t backend_read_efer(const struct vcpu *vcpu)
{
    return vcpu->svm->vmcb->efer & ~EFER_SVME;
}

void backend_write_efer(struct vcpu *vcpu, uint64_t value)
{
    vcpu->svm->vmcb->efer = value | EFER_SVME; /* VMRUN wants it set (15.5.1) */
    svm_changed(vcpu->svm, VMCB_CLEAN_CR);
}

uint64_t backend_read_pat(const struct vcpu *vcpu)
{
    return vcpu->svm->vmcb->pat;
}

void backend_write_pat(struct vcpu *vcpu, uint64_t value)
{
    vcpu->svm->vmcb->pat = value;
    svm_changed(vcpu->svm, VMCB_CLEAN_NESTED);
}

void backend_write_cr2(struct vcpu *vcpu, uint64_t value)
{
    vcpu->svm->vmcb->cr2 = value;
    svm_changed(vcpu->svm, VMCB_CLEAN_CR2);
}

void backend_set_dr6(struct vcpu *vcpu, uint64_t bits)
{
    vcpu->svm->vmcb->dr6 |= bits;
    svm_changed(vcpu->svm, VMCB_CLEAN_DR);
}

void backend_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
    vcpu->svm->vmcb->tsc_offset = offset;
    svm_changed(vcpu->svm, VMCB_CLEAN_INTERCEPTS);
}

void backend_context(const struct vcpu *vcpu, struct emulate_cpu *cpu)
{
    svm_vcpu_context(vcpu, cpu);
}

void backend_flush(struct vcpu *vcpu)
{
    asid_flush(&vcpu->svm->asid);
}

void backend_repair(struct vcpu *vcpu)
{
    svm_vcpu_repair(vcpu);
}
