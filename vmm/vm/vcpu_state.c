/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything of a vCPU that its guest can see, out and in. */
#include "vmm/host/msr.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/vm.h"

#include <string.h>

static bool is_wide(const struct cpu_state *state)
{
    return state->efer & EFER_LMA;
}

void vcpu_save(struct vcpu *vcpu, struct cpu_state *state)
{
    memset(state, 0, sizeof(*state));
    memcpy(state->gpr, vcpu->gpr, sizeof(state->gpr));
    state->rip = vcpu->rip;
    state->rflags = vcpu->rflags;
    state->tsc_offset = vcpu->tsc_offset;
    state->model = vcpu->model;
    state->activity = (uint8_t)vcpu->activity;
    state->shadow = vcpu->shadow;
    state->nmi_pending = vcpu->nmi_pending;
    state->nmi_blocked = vcpu->nmi_blocked;
    if (vcpu->event.kind != VCPU_EVENT_NONE) { /* else nothing of it means anything */
        state->event_kind = (uint8_t)vcpu->event.kind;
        state->event_vector = vcpu->event.vector;
        state->event_has_error = vcpu->event.has_error;
        state->event_error = vcpu->event.error;
    }
    state->held = vcpu->held;
    state->held_vector = vcpu->held_vector;
    backend->get_state(vcpu, state);
    state->cr8 = pc_cr8_read(&vcpu->vm->pc, vcpu->index); /* a CPU that serves the APIC had it */
    fpu_save(&state->fpu, is_wide(state));
    state->fpu.area[FPU_AREA_BV] &= ~vcpu->vm->level.xcr0; /* they are as after a reset */
}

static void put_events(struct vcpu *vcpu, const struct cpu_state *state)
{
    vcpu->activity = (enum vcpu_activity)state->activity;
    vcpu->shadow = state->shadow;
    vcpu->nmi_pending = state->nmi_pending;
    vcpu->nmi_blocked = state->nmi_blocked;
    vcpu->event = (struct vcpu_event){
        .kind = (enum vcpu_event_kind)state->event_kind,
        .vector = state->event_vector,
        .has_error = state->event_has_error,
        .error = state->event_error,
    };
    vcpu->held = state->held;
    vcpu->held_vector = state->held_vector;
    vcpu->look_soon = vcpu->window = vcpu->cr8_watched = false;
}

/* Where there is such a register it may have another VM's. */
static void set_tsc_ratio(struct vcpu *vcpu)
{
    if (backend_offers.tsc_ratio.whole) {
        uint64_t ratio = vcpu->vm->tsc_ratio;

        backend->write(vcpu, BACKEND_TSC_RATIO,
                       ratio ? ratio : 1ULL << backend_offers.tsc_ratio.fraction);
    }
}

void vcpu_load(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct vm *vm = vcpu->vm;

    memcpy(vcpu->gpr, state->gpr, sizeof(vcpu->gpr));
    vcpu->rip = state->rip;
    vcpu->rflags = state->rflags;
    vcpu->model = state->model;
    put_events(vcpu, state);
    backend->set_state(vcpu, state);
    backend->set_root(vcpu, vm->nested.root);
    fpu_load(&state->fpu, is_wide(state));
    (void)msr_write(MSR_TSC_AUX, state->model.tsc_aux); /* a CPU without RDTSCP refuses */
    vcpu->tsc_offset = state->tsc_offset;
    set_tsc_ratio(vcpu);
    backend->write(vcpu, BACKEND_TSC_OFFSET, state->tsc_offset - vm->base_tsc);
    pc_vcpu_set_tsc_offset(&vm->pc, vcpu->index, state->tsc_offset, vm_now(vm));
    if (pc_cr8_read(&vm->pc, vcpu->index) != state->cr8) { /* the TPR has more bits */
        pc_cr8_write(&vm->pc, vcpu->index, state->cr8);
    }
    vcpu->timer_due = vcpu->look = true;
}
