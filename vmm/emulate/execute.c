/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions with one memory operand. */

#include "vmm/emulate/engine.h"

#define READS  1U
#define WRITES 2U

/* What is done to a memory operand in the place of the destination. As a source it is read. */
static unsigned destination_use(enum insn_op op)
{
    if (op == INSN_CMP || op == INSN_BT || op == INSN_TEST) {
        return READS;
    }
    return op < INSN_MOV ? READS | WRITES : WRITES;
}

uint64_t execute_register(const struct emulate_cpu *cpu, unsigned reg, unsigned size)
{
    if (reg >= INSN_HIGH_BYTE) {
        return cpu->gpr[reg - INSN_HIGH_BYTE] >> 8 & 0xff;
    }
    return alu_truncate(cpu->gpr[reg], size);
}

void execute_set_register(struct emulate_cpu *cpu, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t kept = size == 4 ? 0 : ~alu_truncate(~0ULL, size);

    if (reg >= INSN_HIGH_BYTE) {
        uint64_t *wide = &cpu->gpr[reg - INSN_HIGH_BYTE];
        *wide = (*wide & ~0xff00ULL) | (value & 0xff) << 8;
        return;
    }
    cpu->gpr[reg] = (cpu->gpr[reg] & kept) | alu_truncate(value, size);
}

/* BT with a register addresses a bit string: the bit number is signed (SDM 2A, BT). */
static uint64_t bit_string_offset(const struct emulate_cpu *cpu, const struct insn *insn)
{
    int64_t bit = (int64_t)alu_extend(cpu->gpr[insn->reg], insn->operand_size);

    return (uint64_t)((bit >> 3) & -(int64_t)insn->operand_size);
}

uint64_t execute_offset(const struct emulate_cpu *cpu, const struct insn *insn)
{
    uint64_t offset = (uint64_t)insn->displacement;

    if (insn->base == INSN_BASE_RIP) {
        offset += cpu->rip + insn->length;
    } else if (insn->base != INSN_NO_REGISTER) {
        offset += cpu->gpr[insn->base];
    }
    if (insn->index != INSN_NO_REGISTER) {
        offset += cpu->gpr[insn->index] * insn->scale;
    }
    if (insn->op >= INSN_BT && insn->op <= INSN_BTC && insn->source == INSN_OPERAND_REGISTER) {
        offset += bit_string_offset(cpu, insn);
    }
    return alu_truncate(offset, insn->address_size);
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

/* What goes to the destination; FLAGS are the flags afterwards. A: destination, B: source. */
static uint64_t compute(const struct engine *engine, uint64_t a, uint64_t b, uint64_t *flags)
{
    const struct insn *insn = &engine->insn;
    enum insn_op op = (enum insn_op)insn->op;
    unsigned size = insn->operand_size;

    if (op <= INSN_CMP || op == INSN_TEST) {
        return alu_binary(op, size, a, b, flags);
    }
    if (op <= INSN_BTC) {
        return alu_bit(op, a, (unsigned)b & (8 * size - 1), flags);
    }
    if (op <= INSN_DEC) {
        return alu_unary(op, size, a, flags);
    }
    if (op == INSN_XADD) {
        return alu_binary(INSN_ADD, size, a, b, flags);
    }
    if (op == INSN_CMPXCHG) {
        alu_binary(INSN_CMP, size, execute_register(engine->cpu, INSN_RAX, size), a, flags);
        return *flags & RFLAGS_ZF ? b : a;
    }
    if (op == INSN_MOVSX || op == INSN_MOVSXD) {
        return alu_extend(b, insn->memory_size);
    }
    if (op == INSN_MOVBE) {
        return swap_bytes(b, size);
    }
    if (op == INSN_CMOV) {
        return alu_condition(insn->condition, *flags) ? b : a;
    }
    if (op == INSN_SET) {
        return alu_condition(insn->condition, *flags);
    }
    return b; /* MOV, MOVZX, MOVNTI, XCHG */
}

static bool to_memory(struct engine *engine, const struct span *span)
{
    struct emulate_cpu *cpu = engine->cpu;
    const struct insn *insn = &engine->insn;
    unsigned use = destination_use((enum insn_op)insn->op), size = insn->operand_size;
    uint64_t old = use & READS ? memory_read(engine, span) : 0;
    uint64_t operand = insn->source == INSN_OPERAND_REGISTER
                           ? execute_register(cpu, insn->reg, size)
                           : insn->immediate;
    uint64_t flags = cpu->rflags;
    uint64_t new = compute(engine, old, operand, &flags);

    if ((insn->lock || insn->op == INSN_XCHG) && (use & WRITES)) {
        if (!memory_exchange(engine, span, old, new)) {
            return false;
        }
    } else if (use & WRITES) {
        memory_write(engine, span, new);
    }
    if (insn->op == INSN_XCHG || insn->op == INSN_XADD) {
        execute_set_register(cpu, insn->reg, size, old);
    } else if (insn->op == INSN_CMPXCHG && !(flags & RFLAGS_ZF)) {
        execute_set_register(cpu, INSN_RAX, size, old);
    }
    cpu->rflags = flags;
    return true;
}

static void to_register(struct engine *engine, const struct span *span)
{
    struct emulate_cpu *cpu = engine->cpu;
    const struct insn *insn = &engine->insn;
    uint64_t old = execute_register(cpu, insn->reg, insn->operand_size);
    uint64_t new = compute(engine, old, memory_read(engine, span), &cpu->rflags);

    if (insn->op != INSN_CMP) {
        execute_set_register(cpu, insn->reg, insn->operand_size, new);
    }
}

static unsigned stack_address_size(const struct emulate_cpu *cpu)
{
    if (emulate_mode(cpu) == INSN_MODE_64) {
        return 8;
    }
    unsigned stack = cpu->segment[INSN_SEGMENT_SS].attributes;
    return stack & SEGMENT_DEFAULT_BIG ? 4 : 2;
}

/* Move rSP and check the stack element; POP's operand is addressed with the new rSP (SDM 2B). */
static bool push_pop(struct engine *engine)
{
    struct emulate_cpu *cpu = engine->cpu;
    const struct insn *insn = &engine->insn;
    unsigned size = insn->operand_size, width = stack_address_size(cpu);
    bool push = insn->op == INSN_PUSH;
    uint64_t rsp = cpu->gpr[INSN_RSP];
    uint64_t moved = alu_truncate(push ? rsp - size : rsp + size, width);
    uint64_t element = push ? moved : alu_truncate(rsp, width);
    struct span stack, operand;

    if (!memory_prepare(engine, INSN_SEGMENT_SS, element, size, push, &stack)) {
        return false;
    }
    if (!push) {
        execute_set_register(cpu, INSN_RSP, width, moved);
    }
    if (!memory_prepare(engine, (enum insn_segment)insn->segment, execute_offset(cpu, insn), size,
                        !push, &operand)) {
        cpu->gpr[INSN_RSP] = rsp;
        return false;
    }
    uint64_t value = memory_read(engine, push ? &operand : &stack);
    memory_write(engine, push ? &stack : &operand, value);
    if (push) {
        execute_set_register(cpu, INSN_RSP, width, moved);
    }
    return true;
}

bool execute_operands(struct engine *engine)
{
    const struct insn *insn = &engine->insn;
    bool memory_first = insn->destination == INSN_OPERAND_MEMORY;
    bool write = memory_first && (destination_use((enum insn_op)insn->op) & WRITES);
    struct span span;

    if (insn->op == INSN_PUSH || insn->op == INSN_POP) {
        return push_pop(engine);
    }
    if (!memory_prepare(engine, (enum insn_segment)insn->segment, execute_offset(engine->cpu, insn),
                        insn->memory_size, write, &span)) {
        return false;
    }
    if (memory_first) {
        return to_memory(engine, &span);
    }
    to_register(engine, &span);
    return true;
}
