/* SPDX-License-Identifier: BSD-2-Clause */
/* Entering the guest. */
#include "vmm/base/x86.h"
#include "vmm/host/instructions.h"
#include "vmm/svm/svm.h"
#include "vmm/vm/notify.h"

#define CR8_WRITE (1U << 8)
#define IO_SIZES  (1U << 1 | 1U << 2 | 1U << 4)

/* A virtual interrupt that is never delivered: taking it exits (AMD APM 2, 15.21.4). */
#define WINDOW_REQUEST (VMCB_V_IRQ | VMCB_V_PRIORITY | VMCB_V_IGNORE_TPR)

static void set_asid(struct svm_vcpu *svm)
{
    struct vmcb *vmcb = &svm->vmcb;

    if (asid_is_good(svm->asids, &svm->asid)) {
        vmcb->tlb_control = VMCB_TLB_KEEP;
        return;
    }
    vmcb->tlb_control = asid_choose(svm->asids, &svm->asid);
    if (vmcb->asid != svm->asid.number) {
        vmcb->asid = svm->asid.number;
        svm_changed(svm, VMCB_CLEAN_ASID);
    }
}

/*
 * An access to a port that is not single-stepped or resumed behind a breakpoint, and the CPU says
 * where the next instruction is.
 */
static inline bool is_simple_io(const struct vmcb *vmcb)
{
    return vmcb->exit_code == VMCB_EXIT_IOIO && vmcb->exit_info2 - vmcb->rip - 1 < INSN_MAX &&
           !(vmcb->rflags & (RFLAGS_TF | RFLAGS_RF));
}

static inline void step_over_io(struct vmcb *vmcb)
{
    vmcb->rip = vmcb->exit_info2;
    vmcb->interrupt_shadow = 0;
}

static inline bool enter_again(struct svm_vcpu *svm)
{
    svm->vmcb.inject = 0;
    svm->vmcb.tlb_control = 0;
    svm->vmcb.clean = svm->clean;
    svm->entered = true;
    return true;
}

static __attribute__((noinline)) bool serve_io(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->backend;
    struct vmcb *vmcb = &svm->vmcb;
    struct exit_io io = svm_decode_io((uint32_t)vmcb->exit_info1);

    if ((vmcb->exit_info1 & VMCB_IO_STRING) || !(1U << io.size & IO_SIZES) || svm->iret ||
        !vcpu_io_quick(vcpu, &io, &vmcb->rax)) {
        return false;
    }
    step_over_io(vmcb);
    svm->served = vcpu->look;
    return !svm->served && enter_again(svm);
}

/*
 * From svm_enter.S: if the guest notifies a queue, or accesses a port behind which nothing is to be
 * waited for, do it, step over it and be ready to enter again. Nothing can interrupt since the
 * exit, so nothing that is new is missed: what comes from outside ends the next run before its
 * first instruction, and what the access itself has brought sets vcpu->look.
 */
bool svm_quick(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->backend;
    struct vmcb *vmcb = &svm->vmcb;

    if (!is_simple_io(vmcb)) {
        return false;
    }
    if ((vmcb->exit_info1 & VMCB_IO_KIND) == VMCB_IO_OUT_2 &&
        vcpu_notify_fast(vcpu, (uint16_t)((uint32_t)vmcb->exit_info1 >> VMCB_IO_PORT_SHIFT),
                         (uint16_t)vmcb->rax)) {
        step_over_io(vmcb);
        return enter_again(svm);
    }
    return serve_io(vcpu);
}

static void settle_efer(struct svm_vcpu *svm)
{
    uint64_t efer = svm_settle_efer(svm->vmcb.efer, svm->vmcb.cr0);

    if (efer != svm->vmcb.efer) {
        svm->vmcb.efer = efer;
        svm_changed(svm, VMCB_CLEAN_CR);
    }
}

/*
 * A CPU leaves the field as it was where it refuses the state. QEMU 7.2 clears all of it: then it
 * counts what was loaded first, and an offer that was taken between two queue notifications comes
 * twice, rather than never.
 */
static void settle_refused(struct svm_vcpu *svm)
{
    if (!(svm->vmcb.interrupt_control & VMCB_V_INTR_MASKING)) {
        svm->vmcb.interrupt_control = svm->interrupt_control;
    }
}

/* Does an NMI wait for what a window of interrupts may tell: a shadow's end, a return to a task? */
static bool nmi_wants_window(const struct vcpu *vcpu, bool at_iret)
{
    return vcpu->nmi_pending && (at_iret || !vcpu->nmi_blocked);
}

/* A virtual interrupt that is delivered. Writes to CR8 exit meanwhile, so it need not be compared.
 */
static uint64_t offer_request(uint8_t vector)
{
    return VMCB_V_IRQ | VMCB_V_IGNORE_TPR | (uint64_t)(vector & 0xf0U) << VMCB_V_CLASS_SHIFT |
           (uint64_t)vector << VMCB_V_VECTOR_SHIFT;
}

/*
 * Was the offer taken? Then V_IRQ is clear (15.21.4), or, in QEMU, is not yet while the delivery is
 * under way; the event is the CPU's then, as no other one has this vector.
 */
static void see_offer(struct vcpu *vcpu, const struct vmcb *vmcb)
{
    bool under_way = vcpu->event.kind == VCPU_EVENT_INTERRUPT && vcpu->event.vector == vcpu->offer;

    if (!(vmcb->intercepts & VMCB_INTERCEPT(VINTR)) &&
        (!(vmcb->interrupt_control & VMCB_V_IRQ) || under_way)) {
        vcpu->offer = 0;
    }
}

/* Exits, and the task priority, as struct vcpu wants them. */
static void set_watches(struct vcpu *vcpu, struct svm_vcpu *svm)
{
    struct vmcb *vmcb = &svm->vmcb;
    /* While an IRET is stepped nothing may be pushed: svm_iret.c. */
    bool window = vcpu->window || nmi_wants_window(vcpu, svm->iret) || (vcpu->offer && svm->iret);
    uint32_t watches = (window ? VMCB_INTERCEPT(VINTR) : 0) |
                       (vcpu->nmi_blocked && !svm->iret ? VMCB_INTERCEPT(IRET) : 0);
    uint32_t intercepts =
        (vmcb->intercepts & ~(uint32_t)(VMCB_INTERCEPT(VINTR) | VMCB_INTERCEPT(IRET))) | watches;
    uint16_t writes =
        (uint16_t)((vmcb->cr_writes & ~CR8_WRITE) | (vcpu->cr8_watched ? CR8_WRITE : 0));
    uint64_t control = VMCB_V_INTR_MASKING | vcpu->cr8 |
                       (window        ? WINDOW_REQUEST
                        : vcpu->offer ? offer_request(vcpu->offer)
                                      : 0);

    if (intercepts != vmcb->intercepts || writes != vmcb->cr_writes) {
        vmcb->intercepts = intercepts;
        vmcb->cr_writes = writes;
        svm_changed(svm, VMCB_CLEAN_INTERCEPTS);
    }
    if (control != vmcb->interrupt_control) {
        vmcb->interrupt_control = control;
        svm_changed(svm, VMCB_CLEAN_TPR);
    }
    svm->interrupt_control = control;
}

static void prepare(struct vcpu *vcpu, struct svm_vcpu *svm)
{
    struct vmcb *vmcb = &svm->vmcb;

    if (svm->refused) {
        svm_repair(svm);
    }
    set_asid(svm);
    vmcb->inject = svm_encode_event(&vcpu->event);
    vmcb->interrupt_shadow = vcpu->shadow;
    vmcb->rax = vcpu->gpr[INSN_RAX];
    vmcb->rsp = vcpu->gpr[INSN_RSP];
    vmcb->rip = vcpu->rip;
    vmcb->rflags = vcpu->rflags;
    if (svm->iret) {
        svm_iret_begin(vcpu);
    }
    set_watches(vcpu, svm);
}

static void take_over(struct vcpu *vcpu, const struct vmcb *vmcb)
{
    vcpu->gpr[INSN_RAX] = vmcb->rax;
    vcpu->gpr[INSN_RSP] = vmcb->rsp;
    vcpu->rip = vmcb->rip;
    vcpu->rflags = vmcb->rflags;
    vcpu->shadow = vmcb->interrupt_shadow & VMCB_SHADOW;
    vcpu->cr8 = vmcb->interrupt_control & 0xf;
}

/* Nothing was delivered or flushed: it is still to be. */
static void refused(struct svm_vcpu *svm)
{
    asid_failed(svm->asids, &svm->asid);
    svm->refused = true;
}

void svm_run(struct vcpu *vcpu, struct exit *exit)
{
    struct svm_vcpu *svm = vcpu->backend;
    struct vmcb *vmcb = &svm->vmcb;

    svm->entered = false;
    prepare(vcpu, svm);
    svm_enter(vcpu, svm->vmcb_at, svm->host_at);
    vmcb->clean = svm->clean;
    cpu_irq_enable();
    if (vmcb->exit_code == VMCB_EXIT_CR0_SELECTIVE) {
        settle_efer(svm);
    } else if ((uint32_t)vmcb->exit_code == VMCB_EXIT_INVALID) {
        settle_refused(svm);
    }
    take_over(vcpu, vmcb);
    if (svm->served) { /* and there is something to look at */
        svm->served = false;
        vcpu->event.kind = VCPU_EVENT_NONE;
        see_offer(vcpu, vmcb);
        *exit = (struct exit){.reason = EXIT_RETRY};
        return;
    }
    svm_decode_exit(vmcb, svm_features(), exit);
    if (exit->reason != EXIT_INVALID) {
        vcpu->event = svm_decode_event(vmcb->exit_event);
    } else {
        refused(svm);
        if (svm->entered) { /* an entry before was good */
            vcpu->event.kind = VCPU_EVENT_NONE;
        }
    }
    see_offer(vcpu, vmcb);
    if (svm->iret) {
        svm_iret_end(vcpu, exit);
    } else if (exit->reason == EXIT_NMI_WINDOW) {
        svm_iret_reached(vcpu);
    }
    if (exit->reason != EXIT_INTERRUPT) {
        if (svm_is_incomplete(exit)) {
            svm_complete_exit(vcpu, exit);
        }
    } else if (vcpu->shadow && vcpu->event.kind == VCPU_EVENT_NONE) {
        svm_finish_hlt(vcpu, exit);
    }
}
