/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/interrupts.h"

#include "vmm/vm/backend.h"
#include "vmm/vm/vm.h"

#define VECTOR_NMI 2U

static void deliver_nmi(struct vcpu *vcpu)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_NMI, .vector = VECTOR_NMI};
    vcpu->nmi_pending = false;
    vcpu->nmi_blocked = true;
    vcpu->nmi_ends = false;
    backend_watch_iret(vcpu, true);
}

static void deliver_interrupt(struct vcpu *vcpu)
{
    int vector = pc_interrupt_take(&vcpu->vm->pc, vcpu->index);

    if (vector >= 0) {
        vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = (uint8_t)vector};
        vcpu->interrupts++;
    }
}

/* The end of the IRET, or of MOV SS's shadow, makes no exit. */
static void nmi_waits(struct vcpu *vcpu)
{
    if (vcpu->nmi_pending && (!vcpu->nmi_blocked || vcpu->nmi_ends)) {
        vcpu->look_soon = true;
    }
}

void interrupts_prepare(struct vcpu *vcpu)
{
    const struct pc *pc = &vcpu->vm->pc;

    if (vcpu->event.kind == VCPU_EVENT_NONE) {
        if (vcpu->nmi_pending && !vcpu->nmi_blocked && !backend_is_in_shadow(vcpu)) {
            deliver_nmi(vcpu);
        } else if (pc_interrupt_pending(pc, vcpu->index) && backend_is_interruptible(vcpu)) {
            deliver_interrupt(vcpu);
        }
    }
    nmi_waits(vcpu);
    bool waits = pc_interrupt_pending(pc, vcpu->index);

    backend_watch_window(vcpu, waits);
    /* A write to CR8 may let an interrupt through, or hold back the one that waits. */
    backend_write_cr8(vcpu, pc_cr8_read(pc, vcpu->index),
                      waits || pc_interrupt_blocked_by_cr8(pc, vcpu->index));
}

bool interrupts_wake(const struct vcpu *vcpu)
{
    return vcpu->event.kind != VCPU_EVENT_NONE || (vcpu->nmi_pending && !vcpu->nmi_blocked) ||
           ((vcpu->rflags & RFLAGS_IF) && pc_interrupt_pending(&vcpu->vm->pc, vcpu->index));
}

void interrupts_see_cr8(struct vcpu *vcpu)
{
    uint8_t cr8 = backend_read_cr8(vcpu);

    if (cr8 != pc_cr8_read(&vcpu->vm->pc, vcpu->index)) {
        pc_cr8_write(&vcpu->vm->pc, vcpu->index, cr8);
    }
}
