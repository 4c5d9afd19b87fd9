/* SPDX-License-Identifier: BSD-2-Clause */
/* Between exit handlers and emulation: state, instruction lengths, exceptions. */
#include "vmm/base/format.h"
#include "vmm/emulate/emulate.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"

#include <string.h>

#define VECTOR_DE 0U
#define VECTOR_DB 1U
#define VECTOR_UD 6U
#define VECTOR_DF 8U
#define VECTOR_TS 10U
#define VECTOR_GP 13U
#define VECTOR_PF 14U

void vcpu_context(struct vcpu *vcpu, const struct exit *exit, struct emulate_cpu *cpu)
{
    cpu->vcpu = vcpu;
    memcpy(cpu->gpr, vcpu->gpr, sizeof(cpu->gpr));
    cpu->rip = vcpu->rip;
    cpu->rflags = vcpu->rflags;
    cpu->byte_count = 0;
    cpu->physical_bits = model_physical_bits();
    backend_context(vcpu, cpu);
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
    bool real_mode = !(backend_read_cr(vcpu, 0) & CR0_PE); /* it knows no error codes */

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
    backend_set_dr6(vcpu, DR6_BS);
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

/* Act on an outcome of emulation that is not DONE. */
static void see_to_failure(struct vcpu *vcpu, const struct emulate_result *result)
{
    switch (result->outcome) {
    case EMULATE_FAULT:
        if (result->vector == VECTOR_PF) {
            backend_write_cr2(vcpu, result->address);
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
    memcpy(vcpu->gpr, cpu->gpr, sizeof(vcpu->gpr));
    vcpu->rip = cpu->rip;
    vcpu->rflags = cpu->rflags;
    if (result->outcome == EMULATE_DONE) {
        backend_end_shadow(vcpu);
    } else {
        see_to_failure(vcpu, result);
    }
    if (result->single_step) {
        single_step(vcpu);
    }
}

unsigned vcpu_length(struct vcpu *vcpu, const struct exit *exit, const enum insn_op *ops,
                     unsigned count, struct insn *insn)
{
    struct emulate_cpu cpu;
    struct emulate_result result;

    if (exit->length > 0) {
        return exit->length;
    }
    vcpu_context(vcpu, exit, &cpu);
    if (emulate_decode(&cpu, ops, count, insn, &result)) {
        return insn->length;
    }
    see_to_failure(vcpu, &result);
    return 0;
}

/* In code that is not 64-bit the instruction pointer has 32 bits at most. */
static uint64_t rip_mask(const struct vcpu *vcpu)
{
    struct emulate_cpu cpu;

    backend_context(vcpu, &cpu);
    return emulate_mode(&cpu) == INSN_MODE_64 ? UINT64_MAX : UINT32_MAX;
}

void vcpu_skip(struct vcpu *vcpu, unsigned length)
{
    uint64_t next = vcpu->rip + length;

    vcpu->rip = next > UINT32_MAX ? next & rip_mask(vcpu) : next;
    vcpu->rflags &= ~RFLAGS_RF;
    backend_end_shadow(vcpu);
    if (vcpu->rflags & RFLAGS_TF) {
        single_step(vcpu);
    }
}
