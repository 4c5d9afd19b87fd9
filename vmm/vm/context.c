/* SPDX-License-Identifier: BSD-2-Clause */
/* Between exit handlers and emulation: state, exceptions. */
#include "vmm/base/format.h"
#include "vmm/emulate/emulate.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"

/* All but #DB, #BP and #OF, which come behind an instruction or set RF themselves, #DF and #MC. */
#define FAULTS (~(1U << 1 | 1U << 3 | 1U << 4 | 1U << 8 | 1U << 18))

void vcpu_context(struct vcpu *vcpu, struct emulate_cpu *cpu)
{
    cpu->vcpu = vcpu;
    cpu->memo = &vcpu->memo;
    cpu->gpr = vcpu->gpr;
    cpu->rip = vcpu->rip;
    cpu->rflags = vcpu->rflags;
    cpu->byte_count = 0;
    cpu->physical_bits = model_facts.physical_bits;
    backend->context(vcpu, cpu);
}

static bool is_contributory(unsigned vector)
{
    return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

/* AMD APM 2, table 8-6: what two exceptions make together. */
static bool makes_double_fault(unsigned first, unsigned second)
{
    return (is_contributory(first) && is_contributory(second)) ||
           (first == VECTOR_PF && (second == VECTOR_PF || is_contributory(second)));
}

/*
 * Something taken that was not delivered must not be lost: an NMI waits again, an interrupt is
 * delivered as soon as the handler of the exception lets it.
 */
static void put_back(struct vcpu *vcpu)
{
    if (vcpu->event.kind == VCPU_EVENT_NMI) {
        vcpu->nmi_pending = vcpu->look = true;
        vcpu->nmi_blocked = false;
    } else if (vcpu->event.kind == VCPU_EVENT_INTERRUPT) {
        vcpu->held = vcpu->look = true;
        vcpu->held_vector = vcpu->event.vector;
    }
}

void vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error)
{
    struct vcpu_event *event = &vcpu->event;
    bool second = event->kind == VCPU_EVENT_EXCEPTION;

    if (second && event->vector == VECTOR_DF && (vector == VECTOR_PF || is_contributory(vector))) {
        vm_complain(vcpu->vm, "triple fault of vCPU %u at rip 0x%lx: reset", vcpu->index,
                    vcpu->rip);
        event->kind = VCPU_EVENT_NONE;
        (void)vm_reset(vcpu->vm, NULL);
        return;
    }
    bool twice = second && makes_double_fault(event->vector, vector);
    bool real_mode = !(backend->read(vcpu, BACKEND_CR0) & CR0_PE); /* it knows no error codes */

    put_back(vcpu);
    if (!twice && (FAULTS >> vector & 1)) {
        vcpu->rflags |= RFLAGS_RF; /* what the CPU pushes for a fault: SDM 3, 18.3.1.1 */
    }
    *event = (struct vcpu_event){
        .kind = VCPU_EVENT_EXCEPTION,
        .vector = twice ? VECTOR_DF : vector,
        .has_error = (twice || has_error) && !real_mode,
        .error = twice ? 0 : error,
    };
}

void vcpu_raise_gp(struct vcpu *vcpu)
{
    vcpu_raise(vcpu, VECTOR_GP, true, 0);
}

void vcpu_raise_ud(struct vcpu *vcpu)
{
    vcpu_raise(vcpu, VECTOR_UD, false, 0);
}

/* The trap after an instruction that was carried out with RFLAGS.TF set. */
static void single_step(struct vcpu *vcpu)
{
    backend->write(vcpu, BACKEND_DR6, backend->read(vcpu, BACKEND_DR6) | DR6_BS);
    vcpu_raise(vcpu, VECTOR_DB, false, 0);
}

static void complain_unsupported(struct vcpu *vcpu, const struct emulate_result *result)
{
    char text[3 * INSN_MAX + 1] = "";
    int used = 0;

    for (unsigned i = 0; i < result->byte_count && i < INSN_MAX; i++) {
        used += format(text + used, sizeof(text) - (size_t)used, " %02x", result->bytes[i]);
    }
    vm_complain(vcpu->vm, "vCPU %u: no emulation of the instruction at rip 0x%lx:%s", vcpu->index,
                vcpu->rip, used ? text : " (its code is not in RAM)");
}

void vcpu_fail(struct vcpu *vcpu, const struct emulate_result *result)
{
    switch (result->outcome) {
    case EMULATE_FAULT:
        if (result->vector == VECTOR_PF) {
            backend->write(vcpu, BACKEND_CR2, result->address);
        }
        vcpu_raise(vcpu, result->vector, result->has_error, result->error);
        break;
    case EMULATE_UNSUPPORTED:
        complain_unsupported(vcpu, result);
        vcpu_raise_ud(vcpu);
        break;
    case EMULATE_DONE:
    case EMULATE_RETRY:
        break;
    }
}

void vcpu_store(struct vcpu *vcpu, const struct emulate_cpu *cpu,
                const struct emulate_result *result)
{
    vcpu->rip = cpu->rip;
    vcpu->rflags = cpu->rflags;
    if (result->outcome == EMULATE_DONE) {
        vcpu->shadow = false;
    } else {
        vcpu_fail(vcpu, result);
    }
    if (result->single_step) {
        /* A trap within a REP goes back to it: RF, as for a fault. */
        vcpu->rflags |= result->outcome == EMULATE_RETRY ? RFLAGS_RF : 0;
        single_step(vcpu);
    }
}

/* In code that is not 64-bit the instruction pointer has 32 bits at most: it matters where they
 * overflow only. */
static uint64_t rip_mask(const struct vcpu *vcpu)
{
    struct emulate_cpu cpu;

    backend->context(vcpu, &cpu);
    return emulate_mode(&cpu) == INSN_MODE_64 ? UINT64_MAX : UINT32_MAX;
}

void vcpu_skip(struct vcpu *vcpu, unsigned length)
{
    uint64_t next = vcpu->rip + length;

    vcpu->rip = (next ^ vcpu->rip) >> 32 ? next & rip_mask(vcpu) : next;
    vcpu->rflags &= ~RFLAGS_RF;
    vcpu->shadow = false;
    if (vcpu->rflags & RFLAGS_TF) {
        single_step(vcpu);
    }
}
