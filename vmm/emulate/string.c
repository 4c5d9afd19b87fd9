/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String instructions (Intel SDM volume 2, REP/REPE/REPNE; APM 3 1.2.6).
 *
 * An element is done entirely or not at all, and the registers are moved on after each, so that
 * the guest can be entered again, or shown a fault, between any two.
 */
#include "vmm/emulate/emulate_edge.h"
#include "vmm/emulate/engine.h"

enum pointer { USES_SI = 1, USES_DI = 2, WRITES_DI = 4 };

static const uint8_t pointers[INSN_OP_COUNT] = {
    [INSN_MOVS] = USES_SI | USES_DI | WRITES_DI,
    [INSN_CMPS] = USES_SI | USES_DI,
    [INSN_STOS] = USES_DI | WRITES_DI,
    [INSN_LODS] = USES_SI,
    [INSN_SCAS] = USES_DI,
    [INSN_INS] = USES_DI | WRITES_DI,
    [INSN_OUTS] = USES_SI,
};

/* False: the port does not take it now, and nothing has happened. */
static bool perform(struct engine *engine, const struct span *source, const struct span *target)
{
    struct emulate_cpu *cpu = engine->cpu;
    unsigned size = engine->insn.operand_size;
    uint16_t port = (uint16_t)cpu->gpr[INSN_RDX];
    uint64_t value;

    switch (engine->insn.op) {
    case INSN_MOVS:
        memory_write(engine, target, memory_read(engine, source));
        break;
    case INSN_STOS:
        memory_write(engine, target, cpu->gpr[INSN_RAX]);
        break;
    case INSN_LODS:
        execute_set_register(cpu, INSN_RAX, size, memory_read(engine, source));
        break;
    case INSN_CMPS:
        value = memory_read(engine, source);
        alu_binary(INSN_CMP, size, value, memory_read(engine, target), &cpu->rflags);
        break;
    case INSN_SCAS:
        alu_binary(INSN_CMP, size, cpu->gpr[INSN_RAX], memory_read(engine, target), &cpu->rflags);
        break;
    case INSN_INS:
        memory_write(engine, target, emulate_port_read(cpu->vcpu, port, size));
        break;
    case INSN_OUTS:
        return emulate_port_write(cpu->vcpu, port, size, (uint32_t)memory_read(engine, source)) ||
               memory_stop(engine, EMULATE_RETRY);
    default:
        break;
    }
    return true;
}

static void move_on(struct engine *engine, unsigned reg)
{
    struct emulate_cpu *cpu = engine->cpu;
    unsigned width = engine->insn.address_size;
    uint64_t step = engine->insn.operand_size;

    step = cpu->rflags & RFLAGS_DF ? -step : step;
    execute_set_register(cpu, reg, width, cpu->gpr[reg] + step);
}

static bool one_element(struct engine *engine)
{
    const struct insn *insn = &engine->insn;
    struct emulate_cpu *cpu = engine->cpu;
    unsigned use = pointers[insn->op], width = insn->address_size;
    struct span source = {0}, target = {0};

    if ((use & USES_SI) && !memory_prepare(engine, (enum insn_segment)insn->segment,
                                           execute_register(cpu, INSN_RSI, width),
                                           insn->operand_size, false, &source)) {
        return false;
    }
    if ((use & USES_DI) &&
        !memory_prepare(engine, INSN_SEGMENT_ES, execute_register(cpu, INSN_RDI, width),
                        insn->operand_size, use & WRITES_DI, &target)) {
        return false;
    }
    if (!perform(engine, &source, &target)) {
        return false;
    }
    if (use & USES_SI) {
        move_on(engine, INSN_RSI);
    }
    if (use & USES_DI) {
        move_on(engine, INSN_RDI);
    }
    return true;
}

/* After an element of a REP: is there another? */
static bool repeats(struct engine *engine)
{
    const struct insn *insn = &engine->insn;
    struct emulate_cpu *cpu = engine->cpu;
    unsigned width = insn->address_size;
    uint64_t left = execute_register(cpu, INSN_RCX, width) - 1;

    execute_set_register(cpu, INSN_RCX, width, left);
    if (insn->op == INSN_CMPS || insn->op == INSN_SCAS) {
        bool equal = cpu->rflags & RFLAGS_ZF;
        if (equal != (insn->repeat == INSN_REPEAT_E)) {
            return false;
        }
    }
    return left != 0;
}

bool execute_string(struct engine *engine)
{
    const struct insn *insn = &engine->insn;
    struct emulate_cpu *cpu = engine->cpu;

    if (insn->repeat == INSN_REPEAT_NONE) {
        return one_element(engine);
    }
    if (execute_register(cpu, INSN_RCX, insn->address_size) == 0) {
        return true;
    }
    for (unsigned i = 0; i < EMULATE_REP_BYTES / insn->operand_size; i++) {
        if (!one_element(engine)) {
            return false;
        }
        if (!repeats(engine)) {
            return true;
        }
        if (cpu->rflags & RFLAGS_TF) {
            engine->result->single_step = true; /* a trap after every element (SDM 3 17.3.1.2) */
            break;
        }
        if (emulate_must_pause(cpu->vcpu)) {
            break;
        }
    }
    return memory_stop(engine, EMULATE_RETRY);
}
