/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID, model registers and control registers: what a guest asks of its CPU. */
#include "vmm/base/x86.h"
#include "vmm/host/fpu.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/exit_table.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"

static uint64_t edx_eax(const struct vcpu *vcpu)
{
    return vcpu->gpr[INSN_RDX] << 32 | (vcpu->gpr[INSN_RAX] & UINT32_MAX);
}

void handle_cpuid(struct vcpu *vcpu, const struct exit *exit)
{
    uint32_t leaf = (uint32_t)vcpu->gpr[INSN_RAX];
    struct model_view view = {
        .level = &vcpu->vm->level,
        .vcpu = vcpu->index,
        .vcpu_count = vcpu->vm->vcpu_count,
        .osxsave = leaf == 1 && (backend->read(vcpu, BACKEND_CR4) & CR4_OSXSAVE),
        .apic = vcpu->vm->pc.lapic[vcpu->index].state.mode != LAPIC_DISABLED,
        .tsc_hz = vcpu->vm->pc.config.tsc_hz,
    };
    struct cpuid out = model_cpuid(&view, leaf, (uint32_t)vcpu->gpr[INSN_RCX]);

    vcpu->gpr[INSN_RAX] = out.eax;
    vcpu->gpr[INSN_RBX] = out.ebx;
    vcpu->gpr[INSN_RCX] = out.ecx;
    vcpu->gpr[INSN_RDX] = out.edx;
    vcpu_skip(vcpu, exit->length);
}

void handle_msr_read(struct vcpu *vcpu, const struct exit *exit)
{
    uint32_t msr = (uint32_t)vcpu->gpr[INSN_RCX];
    uint64_t value = 0;

    if (model_msr_read(vcpu, msr, &value) != STATUS_OK) {
        vm_complain(vcpu->vm, "vCPU %u reads model register 0x%x at rip 0x%lx: #GP", vcpu->index,
                    msr, vcpu->rip);
        vcpu_raise_gp(vcpu);
        return;
    }
    vcpu->gpr[INSN_RAX] = value & UINT32_MAX;
    vcpu->gpr[INSN_RDX] = value >> 32;
    vcpu_skip(vcpu, exit->length);
}

void handle_msr_write(struct vcpu *vcpu, const struct exit *exit)
{
    uint32_t msr = (uint32_t)vcpu->gpr[INSN_RCX];

    if (model_msr_write(vcpu, msr, edx_eax(vcpu)) != STATUS_OK) {
        vm_complain(vcpu->vm, "vCPU %u writes 0x%lx to model register 0x%x at rip 0x%lx: #GP",
                    vcpu->index, edx_eax(vcpu), msr, vcpu->rip);
        vcpu_raise_gp(vcpu);
        return;
    }
    vcpu_skip(vcpu, exit->length);
}

/* Entering and leaving long mode goes with CR0.PG: AMD APM 2, 14.6. False: #GP. */
static bool change_mode(struct vcpu *vcpu, uint64_t value)
{
    uint64_t efer = backend->read(vcpu, BACKEND_EFER);
    bool on = value & CR0_PG, was_on = backend->read(vcpu, BACKEND_CR0) & CR0_PG;
    struct emulate_cpu cpu;

    if (on == was_on || !(efer & EFER_LME)) {
        return true;
    }
    backend->context(vcpu, &cpu);
    bool long_code = cpu.segment[INSN_SEGMENT_CS].attributes & SEGMENT_LONG;

    if (on && (!(backend->read(vcpu, BACKEND_CR4) & CR4_PAE) || long_code)) {
        return false;
    }
    if (!on && long_code) {
        return false;
    }
    backend->write(vcpu, BACKEND_EFER, on ? efer | EFER_LMA : efer & ~EFER_LMA);
    return true;
}

static bool write_cr0(struct vcpu *vcpu, uint64_t value)
{
    if (value > UINT32_MAX || ((value & CR0_PG) && !(value & CR0_PE)) ||
        ((value & CR0_NW) && !(value & CR0_CD))) {
        return false;
    }
    value = (value & CR0_KNOWN) | CR0_ET;
    if (!change_mode(vcpu, value)) {
        return false;
    }
    backend->write(vcpu, BACKEND_CR0, value);
    backend->flush(vcpu);
    return true;
}

static bool write_cr4(struct vcpu *vcpu, uint64_t value)
{
    bool long_mode = backend->read(vcpu, BACKEND_EFER) & EFER_LMA;

    if ((value & (~model_facts.cr4 | vcpu->vm->level.cr4)) || (long_mode && !(value & CR4_PAE))) {
        return false;
    }
    backend->write(vcpu, BACKEND_CR4, value);
    backend->flush(vcpu);
    return true;
}

static bool write_cr8(struct vcpu *vcpu, uint64_t value)
{
    if (value > 0xf) {
        return false;
    }
    pc_cr8_write(&vcpu->vm->pc, vcpu->index, (uint8_t)value);
    vcpu->look = true;
    return true;
}

static bool write_cr(struct vcpu *vcpu, unsigned number, uint64_t value)
{
    switch (number) {
    case 0:
        return write_cr0(vcpu, value);
    case 4:
        return write_cr4(vcpu, value);
    case 8:
        return write_cr8(vcpu, value);
    default:
        return false;
    }
}

void handle_cr_write(struct vcpu *vcpu, const struct exit *exit)
{
    if (write_cr(vcpu, exit->control.number, exit->control.value)) {
        vcpu_skip(vcpu, exit->length);
    } else {
        vcpu_raise_gp(vcpu);
    }
}

/* No other one is watched. */
void handle_cr_read(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu->gpr[exit->control.reg] = backend->read(vcpu, BACKEND_CR4);
    vcpu_skip(vcpu, exit->length);
}

static bool is_privileged(const struct vcpu *vcpu)
{
    struct emulate_cpu cpu;

    backend->context(vcpu, &cpu);
    return cpu.cpl == 0;
}

/* Nothing here relies on what the CPU has checked before it makes this exit. */
void handle_xsetbv(struct vcpu *vcpu, const struct exit *exit)
{
    if (!(backend->read(vcpu, BACKEND_CR4) & CR4_OSXSAVE)) {
        vcpu_raise_ud(vcpu);
    } else if (!is_privileged(vcpu) || (uint32_t)vcpu->gpr[INSN_RCX] != 0 ||
               !model_xcr0_is_valid(edx_eax(vcpu)) || (edx_eax(vcpu) & vcpu->vm->level.xcr0) ||
               !fpu_write_xcr0(edx_eax(vcpu))) {
        vcpu_raise_gp(vcpu);
    } else {
        vcpu_skip(vcpu, exit->length);
    }
}
