/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/interrupts.h"

#include "vmm/vm/backend.h"
#include "vmm/vm/vm.h"

static void deliver_nmi(struct vcpu *vcpu)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_NMI, .vector = VECTOR_NMI};
    vcpu->nmi_pending = false;
    vcpu->nmi_blocked = true;
}

static bool interrupt_waits(const struct vcpu *vcpu)
{
    return vcpu->held || pc_interrupt_pending(&vcpu->vm->pc, vcpu->index);
}

/* One that the CPU does not deliver by itself. */
static bool interrupt_is_ours(const struct vcpu *vcpu)
{
    return vcpu->apic ? vcpu->held || pc_extint_pending(&vcpu->vm->pc, vcpu->index)
                      : interrupt_waits(vcpu);
}

static void note_interrupt(struct vcpu *vcpu, uint8_t vector)
{
    vcpu->interrupts++;
    if (trace_is_on(&vcpu->vm->trace, TRACE_INT)) {
        trace_add(vcpu, TRACE_INT, &(struct trace_entry){.at = vector});
    }
}

/* The guest can take one. True: another one waits behind it. */
static bool deliver_interrupt(struct vcpu *vcpu)
{
    struct pc *pc = &vcpu->vm->pc;
    bool first = vcpu->held || pc_extint_pending(pc, vcpu->index);
    int vector = vcpu->held   ? vcpu->held_vector
                 : vcpu->apic ? (first ? pc_extint_take(pc, vcpu->index) : -1)
                              : pc_interrupt_take(pc, vcpu->index);

    vcpu->held = false;
    if (vector < 0) {
        return false;
    }
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = (uint8_t)vector};
    note_interrupt(vcpu, (uint8_t)vector);
    /* What the local APIC holds besides waits for the end of what it gave. */
    return first && interrupt_is_ours(vcpu);
}

/*
 * What waits is offered to the CPU, if it takes offers and it can be settled what comes of it; else
 * the guest is to be left as soon as it can be delivered.
 */
static void offer_interrupt(struct vcpu *vcpu)
{
    bool under_way = vcpu->event.kind == VCPU_EVENT_INTERRUPT;

    if (backend->takes_offers && !vcpu->apic && !vcpu->held) {
        vcpu->offer =
            pc_interrupt_offer(&vcpu->vm->pc, vcpu->index, under_way ? vcpu->event.vector : 0);
    }
    vcpu->window = vcpu->offer == 0;
}

void interrupts_settle(struct vcpu *vcpu, uint8_t offered)
{
    bool taken = vcpu->offer == 0;

    pc_interrupt_settle(&vcpu->vm->pc, vcpu->index, offered, taken);
    if (taken) {
        note_interrupt(vcpu, offered);
    }
    vcpu->offer = 0;
    vcpu->look = true;
}

/*
 * An NMI that is neither taken nor blocked. Behind an event it comes at the first instruction of
 * that one's handler: what is kicked leaves the guest there. The end of a shadow, and of a handler
 * that is a task, may make no exit.
 */
static void nmi_waits(struct vcpu *vcpu)
{
    if (vcpu->event.kind != VCPU_EVENT_NONE) {
        if (!vcpu->nmi_blocked) {
            vcpu_kick_self(vcpu);
        }
    } else if (!vcpu->nmi_blocked || (vcpu->rflags & RFLAGS_NT)) {
        vcpu->look_soon = true;
    }
}

void interrupts_prepare(struct vcpu *vcpu)
{
    const struct pc *pc = &vcpu->vm->pc;

    vcpu->apic = vcpu->vm->apic_page && pc_lapic_has_page(pc, vcpu->index);
    bool ready = vcpu->event.kind == VCPU_EVENT_NONE && !vcpu->shadow;

    if (ready && vcpu->nmi_pending && !vcpu->nmi_blocked) {
        deliver_nmi(vcpu);
        ready = false;
    }
    bool waits =
        ready && (vcpu->rflags & RFLAGS_IF) ? deliver_interrupt(vcpu) : interrupt_is_ours(vcpu);

    if (vcpu->nmi_pending) {
        nmi_waits(vcpu);
    }
    vcpu->window = false;
    if (waits) {
        offer_interrupt(vcpu);
    }
    vcpu->cr8 = pc_cr8_read(pc, vcpu->index);
    /* A write to CR8 may let an interrupt through, or hold back the one that waits. */
    vcpu->cr8_watched = !vcpu->apic && (waits || pc_interrupt_blocked_by_cr8(pc, vcpu->index));
}

bool interrupts_wake(const struct vcpu *vcpu)
{
    return vcpu->event.kind != VCPU_EVENT_NONE || (vcpu->nmi_pending && !vcpu->nmi_blocked) ||
           ((vcpu->rflags & RFLAGS_IF) && interrupt_waits(vcpu));
}
