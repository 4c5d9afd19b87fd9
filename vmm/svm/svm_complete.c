/* SPDX-License-Identifier: BSD-2-Clause */
/* What a CPU without next-RIP save or decode assists does not say is decoded from guest memory. */
#include "vmm/svm/svm.h"

#define OPS_MAX 3U

/* Instructions that make an exit. */
static const struct {
    uint8_t count;
    uint8_t op[OPS_MAX];
} makers[EXIT_REASONS] = {
    [EXIT_IO] = {2, {INSN_IN, INSN_OUT}                   },
    [EXIT_HLT] = {1, {INSN_HLT}                            },
    [EXIT_CPUID] = {1, {INSN_CPUID}                          },
    [EXIT_MSR_READ] = {1, {INSN_RDMSR}                          },
    [EXIT_MSR_WRITE] = {1, {INSN_WRMSR}                          },
    [EXIT_CR_READ] = {1, {INSN_MOV_FROM_CR}                    },
    [EXIT_CR_WRITE] = {3, {INSN_MOV_TO_CR, INSN_LMSW, INSN_CLTS}},
    [EXIT_XSETBV] = {1, {INSN_XSETBV}                         },
    [EXIT_CACHE] = {2, {INSN_WBINVD, INSN_INVD}              },
    [EXIT_PAUSE] = {1, {INSN_PAUSE}                          },
};

static bool makes(const struct exit *exit, unsigned op)
{
    for (unsigned i = 0; i < makers[exit->reason].count; i++) {
        if (makers[exit->reason].op[i] == op) {
            return true;
        }
    }
    return false;
}

/* False: it is not to be carried out, and that is seen to. */
static bool decode(struct vcpu *vcpu, struct emulate_cpu *cpu, struct exit *exit, struct insn *insn)
{
    enum insn_op ops[OPS_MAX];
    struct emulate_result result;

    for (unsigned i = 0; i < OPS_MAX; i++) {
        ops[i] = (enum insn_op)makers[exit->reason].op[i];
    }
    if (emulate_decode(cpu, ops, makers[exit->reason].count, insn, &result)) {
        exit->length = insn->length;
        return true;
    }
    vcpu_fail(vcpu, &result);
    exit->reason = EXIT_RETRY;
    return false;
}

/* Outside of 64-bit code a MOV to a control register has 32 bits. */
static uint64_t operand(const struct emulate_cpu *cpu, unsigned reg)
{
    return emulate_mode(cpu) == INSN_MODE_64 ? cpu->gpr[reg] : cpu->gpr[reg] & UINT32_MAX;
}

/* LMSW sets PE and never clears it, and leaves all above TS alone. */
static uint64_t lmsw_value(const struct emulate_cpu *cpu, uint64_t word)
{
    return (cpu->cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (word & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
}

static void complete_control(struct vcpu *vcpu, struct exit *exit)
{
    struct emulate_cpu cpu;
    struct emulate_result result;
    struct insn insn = {.op = INSN_MOV_TO_CR, .reg = exit->control.reg};

    vcpu_context(vcpu, &cpu);
    if (exit->length > 0) {
        insn.control = exit->control.number;
    } else if (!decode(vcpu, &cpu, exit, &insn)) {
        return;
    }
    exit->control.reg = insn.reg;
    if (insn.op == INSN_LMSW) {
        if (!emulate_operand_read(&cpu, &insn, &exit->control.value, &result)) {
            vcpu_fail(vcpu, &result);
            exit->reason = EXIT_RETRY;
        }
        exit->control.value = lmsw_value(&cpu, exit->control.value);
    } else if (insn.op == INSN_CLTS) {
        exit->control.value = cpu.cr0 & ~CR0_TS;
    } else if (insn.control != exit->control.number) {
        exit->reason = EXIT_RETRY; /* the guest has changed its code meanwhile */
    } else {
        exit->control.value = operand(&cpu, insn.reg);
    }
}

/* The instruction at rip, if it is known from before. */
static const struct insn *recall(struct vcpu *vcpu)
{
    struct emulate_cpu cpu;

    cpu.memo = &vcpu->memo;
    cpu.rip = vcpu->rip;
    cpu.rflags = vcpu->rflags;
    cpu.byte_count = 0;
    svm_code_context(vcpu->backend, &cpu);
    return emulate_recall(&cpu);
}

void svm_complete_exit(struct vcpu *vcpu, struct exit *exit)
{
    struct emulate_cpu cpu;
    struct insn insn;

    if (exit->reason == EXIT_CR_READ || exit->reason == EXIT_CR_WRITE) {
        complete_control(vcpu, exit);
    } else if (exit->length == 0 && makers[exit->reason].count > 0) {
        const struct insn *known = recall(vcpu);

        if (known && makes(exit, known->op)) {
            exit->length = known->length;
        } else {
            vcpu_context(vcpu, &cpu);
            (void)decode(vcpu, &cpu, exit, &insn);
        }
    }
}

void svm_finish_hlt(struct vcpu *vcpu, struct exit *exit)
{
    static const enum insn_op ops[] = {INSN_HLT};
    struct emulate_cpu cpu;
    struct emulate_result result;
    struct insn insn;

    vcpu_context(vcpu, &cpu);
    if (cpu.cpl == 0 && emulate_decode(&cpu, ops, ARRAY_SIZE(ops), &insn, &result)) {
        exit->reason = EXIT_HLT;
        exit->length = insn.length;
    }
}
