/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/emulate/engine.h"

#include <string.h>

/* Decode what has been fetched; fetch on while that is not enough. At most two pages are needed. */
static bool fetch_and_decode(struct engine *engine)
{
    const struct emulate_cpu *cpu = engine->cpu;
    struct emulate_result *result = engine->result;
    unsigned count = cpu->byte_count <= INSN_MAX ? cpu->byte_count : INSN_MAX;
    enum insn_result decoded = INSN_TRUNCATED;

    if (recall_insn(engine)) {
        return true;
    }
    memcpy(result->bytes, cpu->bytes, count);
    for (unsigned fetches = 0; fetches <= 2; fetches++) {
        if (count > 0) { /* else the hardware gave none */
            decoded = insn_decode(result->bytes, count, emulate_mode(cpu), &engine->insn);
        }
        result->byte_count = (uint8_t)count;
        if (decoded != INSN_TRUNCATED) {
            break;
        }
        if (!memory_fetch(engine, result->bytes, &count)) {
            return false;
        }
    }
    switch (decoded) {
    case INSN_OK:
        recall_keep_insn(engine);
        return true;
    case INSN_TOO_LONG:
        return memory_raise(engine, VECTOR_GP, 0);
    case INSN_INVALID:
        return memory_raise(engine, VECTOR_UD, 0);
    case INSN_TRUNCATED:
    case INSN_UNSUPPORTED:
        break;
    }
    return memory_stop(engine, EMULATE_UNSUPPORTED);
}

static struct engine begin(struct emulate_cpu *cpu, struct emulate_result *result)
{
    *result = (struct emulate_result){.outcome = EMULATE_DONE};
    return (struct engine){.cpu = cpu, .result = result};
}

/* Step over the instruction. */
static void advance(struct emulate_cpu *cpu, const struct insn *insn, struct emulate_result *result)
{
    cpu->rip += insn->length;
    if (emulate_mode(cpu) != INSN_MODE_64) {
        cpu->rip &= 0xffffffff;
    }
    cpu->rflags &= ~RFLAGS_RF;
    result->single_step = (cpu->rflags & RFLAGS_TF) != 0;
}

/* INS and OUTS that no I/O exit has checked. */
static bool port_is_allowed(const struct emulate_cpu *cpu)
{
    unsigned iopl = (unsigned)((cpu->rflags & RFLAGS_IOPL) >> 12);

    return !(cpu->cr0 & CR0_PE) || (cpu->cpl <= iopl && !(cpu->rflags & RFLAGS_VM));
}

void emulate_memory(struct emulate_cpu *cpu, struct emulate_result *result)
{
    struct engine engine = begin(cpu, result);
    bool done;

    if (!fetch_and_decode(&engine)) {
        return;
    }
    enum insn_op op = (enum insn_op)engine.insn.op;
    bool port = op == INSN_INS || op == INSN_OUTS;
    if (op > INSN_OUTS || (port && !port_is_allowed(cpu))) {
        memory_stop(&engine, EMULATE_UNSUPPORTED);
        return;
    }
    done = op >= INSN_MOVS ? execute_string(&engine) : execute_operands(&engine);
    if (done) {
        advance(cpu, &engine.insn, result);
    }
}

void emulate_string(struct emulate_cpu *cpu, const struct emulate_string_io *expected,
                    struct emulate_result *result)
{
    struct engine engine = begin(cpu, result);

    if (!fetch_and_decode(&engine)) {
        return;
    }
    if (engine.insn.op != (expected->in ? INSN_INS : INSN_OUTS) ||
        engine.insn.operand_size != expected->size) {
        memory_stop(&engine, EMULATE_RETRY);
    } else if (execute_string(&engine)) {
        advance(cpu, &engine.insn, result);
    }
}

bool emulate_decode(struct emulate_cpu *cpu, const enum insn_op *ops, unsigned count,
                    struct insn *insn, struct emulate_result *result)
{
    struct engine engine = begin(cpu, result);

    if (!fetch_and_decode(&engine)) {
        return false;
    }
    *insn = engine.insn;
    for (unsigned i = 0; i < count; i++) {
        if (insn->op == ops[i]) {
            return true;
        }
    }
    return memory_stop(&engine, EMULATE_RETRY);
}

bool emulate_operand_read(struct emulate_cpu *cpu, const struct insn *insn, uint64_t *value,
                          struct emulate_result *result)
{
    struct engine engine = begin(cpu, result);
    struct span span;

    if (insn->destination == INSN_OPERAND_REGISTER) {
        *value = execute_register(cpu, insn->reg, insn->memory_size);
        return true;
    }
    if (!memory_prepare(&engine, (enum insn_segment)insn->segment, execute_offset(cpu, insn),
                        insn->memory_size, false, &span)) {
        return false;
    }
    *value = memory_read(&engine, &span);
    return true;
}
