/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder against Zydis, over generated instructions in all three modes.
 *
 * Whatever our decoder accepts, Zydis must accept with the same length, operation and operands;
 * whatever Zydis calls one of our operations on memory, ours must accept; what is not an
 * instruction for one of them must not be one for the other.
 *
 * Usage: unit-emulate-zydis [INSTRUCTIONS [SEED]]
 */
#include "tests/unit/emulate/random.h"
#include "vmm/emulate/opcodes.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTRUCTIONS  12000000UL
#define FAILURES_SHOW 20UL

static const enum insn_op operations[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
    [ZYDIS_MNEMONIC_ADD] = INSN_ADD,     [ZYDIS_MNEMONIC_OR] = INSN_OR,
    [ZYDIS_MNEMONIC_ADC] = INSN_ADC,     [ZYDIS_MNEMONIC_SBB] = INSN_SBB,
    [ZYDIS_MNEMONIC_AND] = INSN_AND,     [ZYDIS_MNEMONIC_SUB] = INSN_SUB,
    [ZYDIS_MNEMONIC_XOR] = INSN_XOR,     [ZYDIS_MNEMONIC_CMP] = INSN_CMP,
    [ZYDIS_MNEMONIC_BT] = INSN_BT,       [ZYDIS_MNEMONIC_BTS] = INSN_BTS,
    [ZYDIS_MNEMONIC_BTR] = INSN_BTR,     [ZYDIS_MNEMONIC_BTC] = INSN_BTC,
    [ZYDIS_MNEMONIC_TEST] = INSN_TEST,   [ZYDIS_MNEMONIC_NOT] = INSN_NOT,
    [ZYDIS_MNEMONIC_NEG] = INSN_NEG,     [ZYDIS_MNEMONIC_INC] = INSN_INC,
    [ZYDIS_MNEMONIC_DEC] = INSN_DEC,     [ZYDIS_MNEMONIC_XCHG] = INSN_XCHG,
    [ZYDIS_MNEMONIC_XADD] = INSN_XADD,   [ZYDIS_MNEMONIC_CMPXCHG] = INSN_CMPXCHG,
    [ZYDIS_MNEMONIC_MOV] = INSN_MOV,     [ZYDIS_MNEMONIC_MOVZX] = INSN_MOVZX,
    [ZYDIS_MNEMONIC_MOVSX] = INSN_MOVSX, [ZYDIS_MNEMONIC_MOVSXD] = INSN_MOVSXD,
    [ZYDIS_MNEMONIC_MOVBE] = INSN_MOVBE, [ZYDIS_MNEMONIC_MOVNTI] = INSN_MOVNTI,
    [ZYDIS_MNEMONIC_CMOVO] = INSN_CMOV,  [ZYDIS_MNEMONIC_CMOVNO] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVB] = INSN_CMOV,  [ZYDIS_MNEMONIC_CMOVNB] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVZ] = INSN_CMOV,  [ZYDIS_MNEMONIC_CMOVNZ] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVBE] = INSN_CMOV, [ZYDIS_MNEMONIC_CMOVNBE] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVS] = INSN_CMOV,  [ZYDIS_MNEMONIC_CMOVNS] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVP] = INSN_CMOV,  [ZYDIS_MNEMONIC_CMOVNP] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVL] = INSN_CMOV,  [ZYDIS_MNEMONIC_CMOVNL] = INSN_CMOV,
    [ZYDIS_MNEMONIC_CMOVLE] = INSN_CMOV, [ZYDIS_MNEMONIC_CMOVNLE] = INSN_CMOV,
    [ZYDIS_MNEMONIC_SETO] = INSN_SET,    [ZYDIS_MNEMONIC_SETNO] = INSN_SET,
    [ZYDIS_MNEMONIC_SETB] = INSN_SET,    [ZYDIS_MNEMONIC_SETNB] = INSN_SET,
    [ZYDIS_MNEMONIC_SETZ] = INSN_SET,    [ZYDIS_MNEMONIC_SETNZ] = INSN_SET,
    [ZYDIS_MNEMONIC_SETBE] = INSN_SET,   [ZYDIS_MNEMONIC_SETNBE] = INSN_SET,
    [ZYDIS_MNEMONIC_SETS] = INSN_SET,    [ZYDIS_MNEMONIC_SETNS] = INSN_SET,
    [ZYDIS_MNEMONIC_SETP] = INSN_SET,    [ZYDIS_MNEMONIC_SETNP] = INSN_SET,
    [ZYDIS_MNEMONIC_SETL] = INSN_SET,    [ZYDIS_MNEMONIC_SETNL] = INSN_SET,
    [ZYDIS_MNEMONIC_SETLE] = INSN_SET,   [ZYDIS_MNEMONIC_SETNLE] = INSN_SET,
    [ZYDIS_MNEMONIC_PUSH] = INSN_PUSH,   [ZYDIS_MNEMONIC_POP] = INSN_POP,
    [ZYDIS_MNEMONIC_MOVSB] = INSN_MOVS,  [ZYDIS_MNEMONIC_MOVSW] = INSN_MOVS,
    [ZYDIS_MNEMONIC_MOVSD] = INSN_MOVS,  [ZYDIS_MNEMONIC_MOVSQ] = INSN_MOVS,
    [ZYDIS_MNEMONIC_CMPSB] = INSN_CMPS,  [ZYDIS_MNEMONIC_CMPSW] = INSN_CMPS,
    [ZYDIS_MNEMONIC_CMPSD] = INSN_CMPS,  [ZYDIS_MNEMONIC_CMPSQ] = INSN_CMPS,
    [ZYDIS_MNEMONIC_STOSB] = INSN_STOS,  [ZYDIS_MNEMONIC_STOSW] = INSN_STOS,
    [ZYDIS_MNEMONIC_STOSD] = INSN_STOS,  [ZYDIS_MNEMONIC_STOSQ] = INSN_STOS,
    [ZYDIS_MNEMONIC_LODSB] = INSN_LODS,  [ZYDIS_MNEMONIC_LODSW] = INSN_LODS,
    [ZYDIS_MNEMONIC_LODSD] = INSN_LODS,  [ZYDIS_MNEMONIC_LODSQ] = INSN_LODS,
    [ZYDIS_MNEMONIC_SCASB] = INSN_SCAS,  [ZYDIS_MNEMONIC_SCASW] = INSN_SCAS,
    [ZYDIS_MNEMONIC_SCASD] = INSN_SCAS,  [ZYDIS_MNEMONIC_SCASQ] = INSN_SCAS,
    [ZYDIS_MNEMONIC_INSB] = INSN_INS,    [ZYDIS_MNEMONIC_INSW] = INSN_INS,
    [ZYDIS_MNEMONIC_INSD] = INSN_INS,    [ZYDIS_MNEMONIC_OUTSB] = INSN_OUTS,
    [ZYDIS_MNEMONIC_OUTSW] = INSN_OUTS,  [ZYDIS_MNEMONIC_OUTSD] = INSN_OUTS,
    [ZYDIS_MNEMONIC_IN] = INSN_IN,       [ZYDIS_MNEMONIC_OUT] = INSN_OUT,
    [ZYDIS_MNEMONIC_LMSW] = INSN_LMSW,   [ZYDIS_MNEMONIC_CLTS] = INSN_CLTS,
    [ZYDIS_MNEMONIC_HLT] = INSN_HLT,     [ZYDIS_MNEMONIC_PAUSE] = INSN_PAUSE,
    [ZYDIS_MNEMONIC_CPUID] = INSN_CPUID, [ZYDIS_MNEMONIC_RDMSR] = INSN_RDMSR,
    [ZYDIS_MNEMONIC_WRMSR] = INSN_WRMSR, [ZYDIS_MNEMONIC_XSETBV] = INSN_XSETBV,
    [ZYDIS_MNEMONIC_INVD] = INSN_INVD,   [ZYDIS_MNEMONIC_WBINVD] = INSN_WBINVD,
};

struct sample {
    uint8_t bytes[20];
    unsigned count;
    enum insn_mode mode;
    ZyanStatus zydis_status;
    ZydisDecodedInstruction zydis;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    enum insn_result result;
    struct insn insn;
};

static ZydisDecoder decoders[3];
static uint64_t failures;
static uint64_t accepted[INSN_OP_COUNT];

static void fail(const struct sample *s, const char *what)
{
    static const unsigned widths[] = {16, 32, 64};

    if (failures++ >= FAILURES_SHOW) {
        return;
    }
    printf("FAIL %s: %u-bit mode, bytes", what, widths[s->mode]);
    for (unsigned i = 0; i < s->count; i++) {
        printf(" %02x", s->bytes[i]);
    }
    printf("; ours %d (op %u, length %u), Zydis %08x (%s, length %u)\n", (int)s->result, s->insn.op,
           s->insn.length, s->zydis_status,
           ZYAN_SUCCESS(s->zydis_status) ? ZydisMnemonicGetString(s->zydis.mnemonic) : "-",
           s->zydis.length);
}

/* ---- generation ---- */

static unsigned put_prefixes(struct random *random, uint8_t *to, enum insn_mode mode)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26,
                                       0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned chance = random_below(random, 16);
    unsigned count = chance < 6    ? 0
                     : chance < 13 ? 1 + random_below(random, 3)
                                   : random_below(random, 14);

    for (unsigned i = 0; i < count; i++) {
        to[i] = mode == INSN_MODE_64 && random_below(random, 8) == 0
                    ? (uint8_t)(0x40 + random_below(random, 16))
                    : prefixes[random_below(random, sizeof(prefixes))];
    }
    if (mode == INSN_MODE_64 && count < 14 && random_below(random, 2) == 0) {
        to[count++] = (uint8_t)(0x40 + random_below(random, 16));
    }
    return count;
}

/* An opcode of one of the maps: usually one that the tables have. */
static unsigned put_opcode(struct random *random, uint8_t *to)
{
    unsigned map = random_below(random, 16);
    unsigned at = 0;
    const struct opcode *table = opcodes_1;

    if (map >= 8) {
        to[at++] = 0x0f;
        table = opcodes_0f;
    }
    if (map >= 15) {
        to[at++] = 0x38;
        table = opcodes_0f38;
    }
    bool known = random_below(random, 16) != 0;
    do {
        to[at] = (uint8_t)random_next(random);
    } while (known && table[to[at]].op == INSN_NONE && table[to[at]].group == GROUP_NONE);
    return at + 1;
}

static void generate(struct random *random, struct sample *s)
{
    for (unsigned i = 0; i < sizeof(s->bytes); i += 4) {
        uint32_t word = (uint32_t)(random_next(random) >> 32);
        memcpy(s->bytes + i, &word, 4);
    }
    s->mode = (enum insn_mode)random_below(random, 3);
    s->count = INSN_MAX;
    if (random_below(random, 32) == 0) {
        return; /* all random */
    }
    unsigned at = put_prefixes(random, s->bytes, s->mode);
    if (random_below(random, 32) == 0) {
        memcpy(s->bytes + at, (const uint8_t[]){0x0f, 0x01, 0xd1}, 3); /* XSETBV */
    } else {
        at += put_opcode(random, s->bytes + at);
        if (random_below(random, 4) != 0) {
            s->bytes[at] &= 0xbf; /* ModRM with memory more often */
        }
    }
    if (random_below(random, 64) == 0) {
        s->count = 1 + random_below(random, INSN_MAX);
    }
}

/* ---- comparison ---- */

static uint8_t register_number(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE) {
        return INSN_NO_REGISTER;
    }
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) {
        return INSN_BASE_RIP;
    }
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
        return (uint8_t)(INSN_HIGH_BYTE + (reg - ZYDIS_REGISTER_AH));
    }
    if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR8) {
        /* Zydis counts AH..BH between BL and SPL. */
        unsigned id = (unsigned)ZydisRegisterGetId(reg);
        return (uint8_t)(reg >= ZYDIS_REGISTER_SPL ? id - 4 : id);
    }
    return (uint8_t)ZydisRegisterGetId(reg);
}

static bool is_control(const struct sample *s)
{
    return s->insn.op >= INSN_MOV_FROM_CR && s->insn.op <= INSN_MOV_TO_CR;
}

static void compare_memory(const struct sample *s, const ZydisDecodedOperand *operand)
{
    const struct insn *insn = &s->insn;
    const ZydisDecodedOperandMem *memory = &operand->mem;
    unsigned unused = 64 - 8U * insn->address_size;
    uint64_t difference = (uint64_t)memory->disp.value - (uint64_t)insn->displacement;

    /* MOVSXD of 16 bits reads 16 (SDM 2B; CPUs do), which this Zydis takes for 32. */
    bool known = insn->op == INSN_MOVSXD && insn->operand_size == 2;
    if (operand->size != 8 * insn->memory_size && !known) {
        fail(s, "memory operand size");
    }
    if (memory->segment != ZYDIS_REGISTER_ES + (ZydisRegister)insn->segment) {
        fail(s, "segment");
    }
    /* No base means no base, also with REX.B (SDM 2A table 2-5; CPUs agree), but this Zydis then
       shows R13D, and no displacement, for a 32-bit address. */
    bool r13d = memory->base == ZYDIS_REGISTER_R13D && insn->base == INSN_NO_REGISTER;
    if ((register_number(memory->base) != insn->base && !r13d) ||
        register_number(memory->index) != insn->index) {
        fail(s, "base or index");
    }
    if (memory->index != ZYDIS_REGISTER_NONE && memory->scale != insn->scale) {
        fail(s, "scale");
    }
    if (!r13d && difference << unused != 0) {
        fail(s, "displacement");
    }
}

static void compare_operand(const struct sample *s, const ZydisDecodedOperand *operand,
                            enum insn_operand kind)
{
    const struct insn *insn = &s->insn;
    unsigned unused = insn->operand_size == 0 ? 56 : 64 - 8U * insn->operand_size;

    switch (kind) {
    case INSN_OPERAND_NONE:
        break;
    case INSN_OPERAND_REGISTER:
        if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
            fail(s, "operand kind is not register");
        } else if (register_number(operand->reg.value) != insn->reg) {
            fail(s, "register");
        } else if (operand->size != 8 * insn->operand_size && insn->op != INSN_LMSW) {
            fail(s, "register size");
        }
        break;
    case INSN_OPERAND_MEMORY:
        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
            fail(s, "operand kind is not memory");
        } else {
            compare_memory(s, operand);
        }
        break;
    case INSN_OPERAND_IMMEDIATE:
        if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            fail(s, "operand kind is not immediate");
        } else if ((operand->imm.value.u - insn->immediate) << unused != 0) {
            fail(s, "immediate");
        }
        break;
    }
}

/* The operand at rSI or, for those that have only that, at ES:rDI. */
static void compare_string(const struct sample *s)
{
    unsigned sources = 0;

    for (unsigned i = 0; i < s->zydis.operand_count; i++) {
        const ZydisDecodedOperand *operand = &s->operands[i];

        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
            continue;
        }
        bool at_di = register_number(operand->mem.base) == INSN_RDI;
        if (operand->size != 8 * s->insn.operand_size) {
            fail(s, "string element size");
        }
        if (!at_di || s->insn.op == INSN_INS || s->insn.op == INSN_STOS ||
            s->insn.op == INSN_SCAS) {
            sources++;
            if (operand->mem.segment != ZYDIS_REGISTER_ES + (ZydisRegister)s->insn.segment) {
                fail(s, "string segment");
            }
        }
    }
    if (sources != 1) {
        fail(s, "string operands");
    }
    const ZyanU64 repeats = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
    if ((s->insn.repeat != INSN_REPEAT_NONE) != ((s->zydis.attributes & repeats) != 0)) {
        fail(s, "repeat");
    }
    if ((s->insn.op == INSN_CMPS || s->insn.op == INSN_SCAS) &&
        (s->insn.repeat == INSN_REPEAT_NE) !=
            ((s->zydis.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0)) {
        fail(s, "repeat condition");
    }
}

static void compare_control(const struct sample *s)
{
    bool from = s->insn.op == INSN_MOV_FROM_CR;
    const ZydisDecodedOperand *general = &s->operands[from ? 0 : 1];
    const ZydisDecodedOperand *control = &s->operands[from ? 1 : 0];

    if (general->type != ZYDIS_OPERAND_TYPE_REGISTER ||
        register_number(general->reg.value) != s->insn.reg ||
        general->size != 8 * s->insn.operand_size) {
        fail(s, "general register");
    }
    if (control->type != ZYDIS_OPERAND_TYPE_REGISTER ||
        control->reg.value != ZYDIS_REGISTER_CR0 + (ZydisRegister)s->insn.control) {
        fail(s, "control register");
    }
}

/* CMOVcc and SETcc have one operation each and the condition apart. */
static void compare_condition(const struct sample *s)
{
    static const char suffixes[16][4] = {"o", "no", "b", "nb", "z", "nz", "be", "nbe",
                                         "s", "ns", "p", "np", "l", "nl", "le", "nle"};
    const char *name = ZydisMnemonicGetString(s->zydis.mnemonic);
    size_t stem = s->insn.op == INSN_SET ? 3 : 4;

    if (strcmp(name + stem, suffixes[s->insn.condition]) != 0) {
        fail(s, "condition");
    }
}

static void compare_accepted(const struct sample *s)
{
    accepted[s->insn.op]++;
    if (s->insn.lock && is_control(s) && s->zydis_status == ZYDIS_STATUS_ILLEGAL_LOCK) {
        return; /* AMD's LOCK MOV CR8, which Zydis does not know */
    }
    if (!ZYAN_SUCCESS(s->zydis_status)) {
        fail(s, "Zydis rejects");
        return;
    }
    if (s->insn.length != s->zydis.length) {
        fail(s, "length");
    }
    if (s->insn.address_size != s->zydis.address_width / 8) {
        fail(s, "address size");
    }
    if (is_control(s)) {
        if (s->zydis.mnemonic != ZYDIS_MNEMONIC_MOV) {
            fail(s, "operation");
        }
        compare_control(s);
        return;
    }
    if (operations[s->zydis.mnemonic] != s->insn.op) {
        fail(s, "operation");
        return;
    }
    if (s->insn.op >= INSN_MOVS && s->insn.op <= INSN_OUTS) {
        compare_string(s);
        return;
    }
    if (s->insn.op == INSN_CMOV || s->insn.op == INSN_SET) {
        compare_condition(s);
    }
    if (s->insn.op == INSN_IN || s->insn.op == INSN_OUT) {
        unsigned first = s->insn.op == INSN_OUT ? 0 : 1;
        compare_operand(s, &s->operands[first], (enum insn_operand)s->insn.source);
        if (s->operands[1 - first].size != 8 * s->insn.operand_size) {
            fail(s, "port width");
        }
        return;
    }
    compare_operand(s, &s->operands[0], (enum insn_operand)s->insn.destination);
    compare_operand(s, &s->operands[1], (enum insn_operand)s->insn.source);
}

/* Does one of our operations have an explicit memory operand here, or none at all? */
static bool is_ours(const struct sample *s)
{
    enum insn_op op = operations[s->zydis.mnemonic];
    bool memory = false;

    for (unsigned i = 0; i < s->zydis.operand_count; i++) {
        const ZydisDecodedOperand *operand = &s->operands[i];

        memory = memory || (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
                            operand->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN);
        if (op == INSN_MOV && operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass class = ZydisRegisterGetClass(operand->reg.value);

            if (class == ZYDIS_REGCLASS_SEGMENT || class == ZYDIS_REGCLASS_DEBUG) {
                return false; /* not supported, on purpose */
            }
            if (class == ZYDIS_REGCLASS_CONTROL) {
                return true;
            }
        }
    }
    /* MOVSD and CMPSD also name SSE instructions. */
    if (s->zydis.meta.isa_ext == ZYDIS_ISA_EXT_SSE2 && op != INSN_MOVNTI && op != INSN_PAUSE) {
        return false;
    }
    return op != INSN_NONE && (memory || (op >= INSN_MOVS && op < INSN_OP_COUNT));
}

static void compare(struct sample *s)
{
    if (s->result == INSN_OK) {
        compare_accepted(s);
        return;
    }
    if (ZYAN_SUCCESS(s->zydis_status) && is_ours(s)) {
        fail(s, "a hole");
    }
    if (ZYAN_SUCCESS(s->zydis_status) && s->result != INSN_UNSUPPORTED) {
        fail(s, "rejected wrongly");
    }
    if (s->result == INSN_TRUNCATED && s->zydis_status != ZYDIS_STATUS_NO_MORE_DATA) {
        fail(s, "truncated for us only");
    }
    if (s->result == INSN_TOO_LONG && s->zydis_status != ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
        fail(s, "too long for us only");
    }
}

static void run(struct random *random, uint64_t count)
{
    struct sample s;

    for (uint64_t i = 0; i < count; i++) {
        memset(&s.insn, 0, sizeof(s.insn));
        s.zydis.length = 0;
        generate(random, &s);
        s.result = insn_decode(s.bytes, s.count, s.mode, &s.insn);
        s.zydis_status = ZydisDecoderDecodeFull(&decoders[s.mode], s.bytes,
                                                s.count == INSN_MAX ? sizeof(s.bytes) : s.count,
                                                &s.zydis, s.operands);
        compare(&s);
    }
}

/* A generator that never reached an operation would have checked nothing about it. */
static uint64_t report(uint64_t count)
{
    uint64_t total = 0, unreached = 0;

    for (unsigned op = 1; op < INSN_OP_COUNT; op++) {
        total += accepted[op];
        if (accepted[op] < count / 20000) {
            printf("FAIL operation %u was reached only %lu times\n", op, accepted[op]);
            unreached++;
        }
    }
    printf("%lu instructions, %lu accepted, %lu differences\n", count, total, failures);
    return failures + unreached;
}

int main(int argc, char **argv)
{
    static const ZydisMachineMode modes[3] = {
        ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : INSTRUCTIONS;
    struct random random = {argc > 2 ? strtoull(argv[2], NULL, 0) : 20240917};

    for (unsigned i = 0; i < 3; i++) {
        if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoders[i], modes[i], ZYDIS_STACK_WIDTH_16 + i))) {
            printf("FAIL Zydis does not start\n");
            return 1;
        }
    }
    run(&random, count);
    return report(count) != 0;
}
