/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/emulate/engine.h"

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

uint64_t alu_truncate(uint64_t value, unsigned size)
{
    return value & (~0ULL >> (64 - 8 * size));
}

uint64_t alu_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return (uint64_t)((int64_t)(value << shift) >> shift);
}

static uint64_t top_bit(uint64_t value, unsigned size)
{
    return value >> (8 * size - 1) & 1;
}

/* ZF, SF and PF of a truncated result; PF counts only the low byte. */
static uint64_t result_flags(uint64_t result, unsigned size)
{
    uint64_t flags = result == 0 ? RFLAGS_ZF : 0;

    flags |= top_bit(result, size) ? RFLAGS_SF : 0;
    flags |= __builtin_popcountll(result & 0xff) % 2 == 0 ? RFLAGS_PF : 0;
    return flags;
}

static void set_flags(uint64_t *rflags, uint64_t which, uint64_t flags)
{
    *rflags = (*rflags & ~which) | (flags & which);
}

/* WHICH flags of A + B + CARRY, or of A - B - CARRY. Carries out of each bit give CF and AF. */
static uint64_t add_or_subtract(bool subtract, unsigned size, uint64_t a, uint64_t b,
                                uint64_t carry, uint64_t which, uint64_t *rflags)
{
    uint64_t result = alu_truncate(subtract ? a - b - carry : a + b + carry, size);
    uint64_t carries = subtract ? (~a & b) | ((~a | b) & result) : (a & b) | ((a | b) & ~result);
    uint64_t overflow = subtract ? (a ^ b) & (a ^ result) : (a ^ result) & (b ^ result);
    uint64_t flags = result_flags(result, size);

    flags |= top_bit(carries, size) ? RFLAGS_CF : 0;
    flags |= carries & 8 ? RFLAGS_AF : 0;
    flags |= top_bit(overflow, size) ? RFLAGS_OF : 0;
    set_flags(rflags, which, flags);
    return result;
}

static uint64_t logic(uint64_t result, unsigned size, uint64_t *rflags)
{
    set_flags(rflags, STATUS_FLAGS, result_flags(result, size));
    return result;
}

uint64_t alu_binary(enum insn_op op, unsigned size, uint64_t a, uint64_t b, uint64_t *rflags)
{
    bool subtract = op == INSN_SUB || op == INSN_CMP || op == INSN_SBB;
    uint64_t carry = op == INSN_ADC || op == INSN_SBB ? *rflags & RFLAGS_CF : 0;

    a = alu_truncate(a, size);
    b = alu_truncate(b, size);
    if (op == INSN_AND || op == INSN_TEST) {
        return logic(a & b, size, rflags);
    }
    if (op == INSN_OR) {
        return logic(a | b, size, rflags);
    }
    if (op == INSN_XOR) {
        return logic(a ^ b, size, rflags);
    }
    return add_or_subtract(subtract, size, a, b, carry, STATUS_FLAGS, rflags);
}

uint64_t alu_unary(enum insn_op op, unsigned size, uint64_t a, uint64_t *rflags)
{
    a = alu_truncate(a, size);
    if (op == INSN_NOT) {
        return alu_truncate(~a, size);
    }
    if (op == INSN_NEG) {
        return add_or_subtract(true, size, 0, a, 0, STATUS_FLAGS, rflags);
    }
    return add_or_subtract(op == INSN_DEC, size, a, 1, 0, STATUS_FLAGS & ~RFLAGS_CF, rflags);
}

uint64_t alu_bit(enum insn_op op, uint64_t a, unsigned bit, uint64_t *rflags)
{
    uint64_t mask = 1ULL << bit;

    set_flags(rflags, RFLAGS_CF, a & mask ? RFLAGS_CF : 0);
    if (op == INSN_BTS) {
        return a | mask;
    }
    if (op == INSN_BTR) {
        return a & ~mask;
    }
    return op == INSN_BTC ? a ^ mask : a;
}

bool alu_condition(unsigned code, uint64_t rflags)
{
    bool carry = rflags & RFLAGS_CF, zero = rflags & RFLAGS_ZF;
    bool less = !(rflags & RFLAGS_SF) != !(rflags & RFLAGS_OF);
    const bool holds[8] = {
        (rflags & RFLAGS_OF) != 0, carry, zero,        carry || zero, (rflags & RFLAGS_SF) != 0,
        (rflags & RFLAGS_PF) != 0, less,  less || zero};

    return holds[code >> 1 & 7] != (code & 1);
}
