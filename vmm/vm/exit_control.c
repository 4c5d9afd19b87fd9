/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID, model registers and control registers: what a guest asks of its CPU. */
#include "vmm/host/fpu.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/exit_table.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"

#define EFER_LME_BIT (1ULL << 8)
#define EFER_LMA_BIT (1ULL << 10)
#define CR0_KNOWN                                                                              \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)
#define XCR0_X87    1ULL
#define XCR0_SSE    2ULL
#define XCR0_AVX    4ULL
#define XCR0_AVX512 0xe0ULL

static uint64_t edx_eax(const struct vcpu *vcpu)
{
    return vcpu->gpr[INSN_RDX] << 32 | (vcpu->gpr[INSN_RAX] & UINT32_MAX);
}

void handle_cpuid(struct vcpu *vcpu, const struct exit *exit)
{
    static const enum insn_op ops[] = {INSN_CPUID};
    struct insn insn;
    unsigned length = vcpu_length(vcpu, exit, ops, ARRAY_SIZE(ops), &insn);
    struct model_view view = {
        .vcpu = vcpu->index,
        .vcpu_count = vcpu->vm->vcpu_count,
        .osxsave = backend_read_cr(vcpu, 4) & CR4_OSXSAVE,
        .apic = vcpu->vm->pc.lapic[vcpu->index].mode != LAPIC_DISABLED,
    };

    if (length == 0) {
        return;
    }
    struct cpuid out =
        model_cpuid(&view, (uint32_t)vcpu->gpr[INSN_RAX], (uint32_t)vcpu->gpr[INSN_RCX]);

    vcpu->gpr[INSN_RAX] = out.eax;
    vcpu->gpr[INSN_RBX] = out.ebx;
    vcpu->gpr[INSN_RCX] = out.ecx;
    vcpu->gpr[INSN_RDX] = out.edx;
    vcpu_skip(vcpu, length);
}

void handle_msr_read(struct vcpu *vcpu, const struct exit *exit)
{
    static const enum insn_op ops[] = {INSN_RDMSR};
    struct insn insn;
    unsigned length = vcpu_length(vcpu, exit, ops, ARRAY_SIZE(ops), &insn);
    uint32_t msr = (uint32_t)vcpu->gpr[INSN_RCX];
    uint64_t value = 0;

    if (length == 0) {
        return;
    }
    if (model_msr_read(vcpu, msr, &value) != STATUS_OK) {
        vm_complain(vcpu->vm, "vCPU %u reads model register 0x%x at rip 0x%lx: #GP", vcpu->index,
                    msr, vcpu->rip);
        vcpu_raise_gp(vcpu);
        return;
    }
    vcpu->gpr[INSN_RAX] = value & UINT32_MAX;
    vcpu->gpr[INSN_RDX] = value >> 32;
    vcpu_skip(vcpu, length);
}

void handle_msr_write(struct vcpu *vcpu, const struct exit *exit)
{
    static const enum insn_op ops[] = {INSN_WRMSR};
    struct insn insn;
    unsigned length = vcpu_length(vcpu, exit, ops, ARRAY_SIZE(ops), &insn);
    uint32_t msr = (uint32_t)vcpu->gpr[INSN_RCX];

    if (length == 0) {
        return;
    }
    if (model_msr_write(vcpu, msr, edx_eax(vcpu)) != STATUS_OK) {
        vm_complain(vcpu->vm, "vCPU %u writes 0x%lx to model register 0x%x at rip 0x%lx: #GP",
                    vcpu->index, edx_eax(vcpu), msr, vcpu->rip);
        vcpu_raise_gp(vcpu);
        return;
    }
    vcpu_skip(vcpu, length);
}

/* Entering and leaving long mode goes with CR0.PG: AMD APM 2, 14.6. False: #GP. */
static bool change_mode(struct vcpu *vcpu, uint64_t value)
{
    uint64_t efer = backend_read_efer(vcpu);
    bool on = value & CR0_PG, was_on = backend_read_cr(vcpu, 0) & CR0_PG;
    struct emulate_cpu cpu;

    if (on == was_on || !(efer & EFER_LME_BIT)) {
        return true;
    }
    backend_context(vcpu, &cpu);
    bool long_code = cpu.segment[INSN_SEGMENT_CS].attributes & EMULATE_SEGMENT_LONG;

    if (on && (!(backend_read_cr(vcpu, 4) & CR4_PAE) || long_code)) {
        return false;
    }
    if (!on && long_code) {
        return false;
    }
    backend_write_efer(vcpu, on ? efer | EFER_LMA_BIT : efer & ~EFER_LMA_BIT);
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
    backend_write_cr(vcpu, 0, value);
    backend_flush(vcpu);
    return true;
}

static bool write_cr4(struct vcpu *vcpu, uint64_t value)
{
    bool long_mode = backend_read_efer(vcpu) & EFER_LMA_BIT;

    if ((value & ~model_cr4_mask()) || (long_mode && !(value & CR4_PAE))) {
        return false;
    }
    backend_write_cr(vcpu, 4, value);
    backend_flush(vcpu);
    return true;
}

static bool write_cr8(struct vcpu *vcpu, uint64_t value)
{
    if (value > 0xf) {
        return false;
    }
    pc_cr8_write(&vcpu->vm->pc, vcpu->index, (uint8_t)value);
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

/* LMSW sets PE and never clears it, and leaves all above TS alone. */
static uint64_t lmsw_value(const struct vcpu *vcpu, uint64_t word)
{
    uint64_t cr0 = backend_read_cr(vcpu, 0);

    return (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (word & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
}

/* Outside of 64-bit code a MOV to or from a control register has 32 bits. */
static uint64_t operand_mask(const struct emulate_cpu *cpu)
{
    return emulate_mode(cpu) == INSN_MODE_64 ? UINT64_MAX : UINT32_MAX;
}

/*
 * The control register, its new value and the length of the instruction, from the hardware or by
 * decoding. 0: not to be carried out.
 */
static unsigned fetch_cr_write(struct vcpu *vcpu, const struct exit *exit, unsigned *number,
                               uint64_t *value)
{
    static const enum insn_op ops[] = {INSN_MOV_TO_CR, INSN_LMSW, INSN_CLTS};
    struct emulate_cpu cpu;
    struct emulate_result result;
    struct insn insn;

    vcpu_context(vcpu, exit, &cpu);
    *number = exit->control.number;
    if (exit->length > 0 && exit->control.instruction) {
        *value = vcpu->gpr[exit->control.reg] & operand_mask(&cpu);
        return exit->length;
    }
    if (!emulate_decode(&cpu, ops, ARRAY_SIZE(ops), &insn, &result)) {
        vcpu_store(vcpu, &cpu, &result);
        return 0;
    }
    if (insn.op == INSN_LMSW) {
        if (!emulate_operand_read(&cpu, &insn, value, &result)) {
            vcpu_store(vcpu, &cpu, &result);
            return 0;
        }
        *value = lmsw_value(vcpu, *value);
    } else if (insn.op == INSN_CLTS) {
        *value = backend_read_cr(vcpu, 0) & ~CR0_TS;
    } else {
        *number = insn.control;
        *value = vcpu->gpr[insn.reg] & operand_mask(&cpu);
    }
    return insn.length;
}

void handle_cr_write(struct vcpu *vcpu, const struct exit *exit)
{
    unsigned number;
    uint64_t value;
    unsigned length = fetch_cr_write(vcpu, exit, &number, &value);

    if (length == 0) {
        return;
    }
    if (write_cr(vcpu, number, value)) {
        vcpu_skip(vcpu, length);
    } else {
        vcpu_raise_gp(vcpu);
    }
}

void handle_cr_read(struct vcpu *vcpu, const struct exit *exit)
{
    static const enum insn_op ops[] = {INSN_MOV_FROM_CR};
    struct insn insn = {.control = exit->control.number, .reg = exit->control.reg};
    unsigned length;

    if (exit->length > 0 && exit->control.instruction) {
        length = exit->length;
    } else {
        struct exit unknown = *exit;

        unknown.length = 0;
        length = vcpu_length(vcpu, &unknown, ops, ARRAY_SIZE(ops), &insn);
    }
    if (length > 0) {
        vcpu->gpr[insn.reg] = backend_read_cr(vcpu, insn.control);
        vcpu_skip(vcpu, length);
    }
}

/* Which components must come together: Intel SDM 1, 13.3. */
static bool xcr0_is_valid(uint64_t value)
{
    return (value & ~model_xcr0_mask()) == 0 && (value & XCR0_X87) &&
           (!(value & XCR0_AVX) || (value & XCR0_SSE)) &&
           (!(value & XCR0_AVX512) || ((value & XCR0_AVX512) == XCR0_AVX512 && (value & XCR0_AVX)));
}

static bool is_privileged(const struct vcpu *vcpu)
{
    struct emulate_cpu cpu;

    backend_context(vcpu, &cpu);
    return cpu.cpl == 0;
}

/* Nothing here relies on what the CPU has checked before it makes this exit. */
void handle_xsetbv(struct vcpu *vcpu, const struct exit *exit)
{
    static const enum insn_op ops[] = {INSN_XSETBV};
    struct insn insn;
    unsigned length = vcpu_length(vcpu, exit, ops, ARRAY_SIZE(ops), &insn);

    if (length == 0) {
        return;
    }
    if (!(backend_read_cr(vcpu, 4) & CR4_OSXSAVE)) {
        vcpu_raise_ud(vcpu);
    } else if (!is_privileged(vcpu) || (uint32_t)vcpu->gpr[INSN_RCX] != 0 ||
               !xcr0_is_valid(edx_eax(vcpu)) || !fpu_write_xcr0(edx_eax(vcpu))) {
        vcpu_raise_gp(vcpu);
    } else {
        vcpu_skip(vcpu, length);
    }
}
