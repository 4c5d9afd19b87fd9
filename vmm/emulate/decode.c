/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From bytes to struct insn: prefixes, opcode row, ModRM and SIB, displacement, immediate.
 *
 * Intel SDM volume 2, 2.1 to 2.2; AMD APM volume 3, 1.2 to 1.8.
 */
#include "vmm/emulate/opcodes.h"

#include <string.h>

enum modrm_use {
    MODRM_NONE,
    MODRM_MEMORY, /* register forms are not supported: they cannot cause the exits we serve */
    MODRM_EITHER, /* memory or a register */
    MODRM_CONTROL /* always a register, whatever 'mod' says (SDM 2B, MOV to/from CR) */
};

enum immediate_use { IMM_NONE, IMM_I8, IMM_U8, IMM_Z, IMM_OFFSET };

static const struct {
    uint8_t destination, source; /* enum insn_operand */
    uint8_t modrm;               /* enum modrm_use */
    uint8_t immediate;           /* enum immediate_use */
} encodings[ENC_COUNT] = {
    [ENC_MR] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_REGISTER,  MODRM_MEMORY,  IMM_NONE  },
    [ENC_RM] = {INSN_OPERAND_REGISTER, INSN_OPERAND_MEMORY,    MODRM_MEMORY,  IMM_NONE  },
    [ENC_M] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_NONE,      MODRM_MEMORY,  IMM_NONE  },
    [ENC_MI8] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_IMMEDIATE, MODRM_MEMORY,  IMM_I8    },
    [ENC_MIZ] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_IMMEDIATE, MODRM_MEMORY,  IMM_Z     },
    [ENC_MU8] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_IMMEDIATE, MODRM_MEMORY,  IMM_U8    },
    [ENC_AO] = {INSN_OPERAND_REGISTER, INSN_OPERAND_MEMORY,    MODRM_NONE,    IMM_OFFSET},
    [ENC_OA] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_REGISTER,  MODRM_NONE,    IMM_OFFSET},
    [ENC_PORT8] = {INSN_OPERAND_NONE,     INSN_OPERAND_IMMEDIATE, MODRM_NONE,    IMM_U8    },
    [ENC_CONTROL] = {INSN_OPERAND_NONE,     INSN_OPERAND_NONE,      MODRM_CONTROL, IMM_NONE  },
    [ENC_RM16] = {INSN_OPERAND_MEMORY,   INSN_OPERAND_NONE,      MODRM_EITHER,  IMM_NONE  },
};

/* SDM 2A table 2-1: base and index of 16-bit addressing by ModRM.rm. */
static const struct {
    uint8_t base, index;
} address16[8] = {
    {INSN_RBX, INSN_RSI        },
    {INSN_RBX, INSN_RDI        },
    {INSN_RBP, INSN_RSI        },
    {INSN_RBP, INSN_RDI        },
    {INSN_RSI, INSN_NO_REGISTER},
    {INSN_RDI, INSN_NO_REGISTER},
    {INSN_RBP, INSN_NO_REGISTER},
    {INSN_RBX, INSN_NO_REGISTER},
};

#define REX_W 8U
#define REX_R 4U
#define REX_X 2U
#define REX_B 1U

struct decoder {
    const uint8_t *bytes;
    unsigned count;
    unsigned at;
    enum insn_mode mode;
    bool operand_override; /* 66h */
    bool address_override; /* 67h */
    bool lock;
    uint8_t repeat;  /* F2h, F3h, whichever comes last, or 0 */
    uint8_t segment; /* override, or INSN_SEGMENT_COUNT */
    uint8_t rex;     /* 0: none */
    uint8_t modrm;
    uint8_t code;            /* last byte of the opcode */
    enum insn_result result; /* the first failure */
    struct insn *insn;
};

/* No more bytes: the first failure stands, and from there on all bytes are 0. */
static void fail(struct decoder *d, enum insn_result result)
{
    d->result = d->result == INSN_OK ? result : d->result;
    d->count = d->at;
}

/* Take SIZE bytes, little-endian. */
static uint64_t take(struct decoder *d, unsigned size)
{
    uint64_t value = 0;

    if (size > d->count - d->at) {
        fail(d, size > INSN_MAX - d->at ? INSN_TOO_LONG : INSN_TRUNCATED);
    } else {
        memcpy(&value, d->bytes + d->at, size);
        d->at += size;
    }
    return value;
}

static uint8_t take_byte(struct decoder *d)
{
    if (d->at == d->count) {
        return (uint8_t)take(d, 1);
    }
    return d->bytes[d->at++];
}

static int64_t take_signed(struct decoder *d, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return size == 0 ? 0 : (int64_t)(take(d, size) << shift) >> shift;
}

static bool take_prefix(struct decoder *d, uint8_t byte)
{
    switch (byte) {
    case 0x26: /* ES, CS, SS, DS: no meaning in 64-bit mode (SDM 1 3.3.7.1) */
    case 0x2e:
    case 0x36:
    case 0x3e:
        if (d->mode != INSN_MODE_64) {
            d->segment = (byte >> 3) & 3;
        }
        return true;
    case 0x64:
    case 0x65:
        d->segment = byte == 0x64 ? INSN_SEGMENT_FS : INSN_SEGMENT_GS;
        return true;
    case 0x66:
        d->operand_override = true;
        return true;
    case 0x67:
        d->address_override = true;
        return true;
    case 0xf0:
        d->lock = true;
        return true;
    case 0xf2:
    case 0xf3:
        d->repeat = byte;
        return true;
    default:
        return false;
    }
}

/*
 * Prefixes, in any order and number up to INSN_MAX; a REX prefix counts only right in front of the
 * opcode.
 */
static void decode_prefixes(struct decoder *d)
{
    for (;;) {
        uint8_t byte = take_byte(d); /* 0, when there is none left, is no prefix */

        if (take_prefix(d, byte)) {
            d->rex = 0;
        } else if (d->mode == INSN_MODE_64 && (byte & 0xf0) == 0x40) {
            d->rex = byte;
        } else {
            d->code = byte;
            return;
        }
    }
}

/* The row of the opcode: a copy, completed from its group. */
static struct opcode find_row(struct decoder *d)
{
    const struct opcode *table = opcodes_1;

    if (d->code == 0x0f) {
        table = opcodes_0f;
        d->code = take_byte(d);
        if (d->code == 0x38) {
            table = opcodes_0f38;
            d->code = take_byte(d);
        }
    }
    struct opcode row = table[d->code];

    if (row.group != GROUP_NONE || encodings[row.encoding].modrm != MODRM_NONE) {
        d->modrm = take_byte(d);
    }
    if (row.group == GROUP_SYSTEM && d->modrm == 0xd1) {
        return opcode_xsetbv;
    }
    if (row.group != GROUP_NONE) {
        const struct opcode *member = &opcode_groups[row.group][(d->modrm >> 3) & 7];

        row.op = member->op;
        row.encoding = member->encoding;
        row.size = member->size == SIZE_NONE ? row.size : member->size;
        row.flags |= member->flags;
    }
    return row;
}

static bool row_applies(const struct decoder *d, const struct opcode *row)
{
    bool long_mode = d->mode == INSN_MODE_64;

    return row->op != INSN_NONE && !((row->flags & OPCODE_ONLY_64) && !long_mode) &&
           !((row->flags & OPCODE_NOT_64) && long_mode) &&
           !((row->flags & OPCODE_NEED_F3) && d->repeat != 0xf3) &&
           !((row->flags & OPCODE_NO_66) && d->operand_override) &&
           !((row->flags & OPCODE_NO_REPEAT) && d->repeat != 0);
}

static uint8_t operand_size(const struct decoder *d, enum opcode_size rule)
{
    bool wide = (d->rex & REX_W) != 0;
    bool word = (d->mode == INSN_MODE_16) != d->operand_override;

    switch (rule) {
    case SIZE_BYTE:
        return 1;
    case SIZE_OPERAND:
        return wide ? 8 : word ? 2 : 4;
    case SIZE_DWORD:
        return wide ? 8 : 4;
    case SIZE_PORT:
        return word && !wide ? 2 : 4;
    case SIZE_STACK:
        if (d->mode == INSN_MODE_64) {
            return word && !wide ? 2 : 8;
        }
        return word ? 2 : 4;
    case SIZE_NATIVE:
        return d->mode == INSN_MODE_64 ? 8 : 4;
    case SIZE_NONE:
        break;
    }
    return 0;
}

static void decode_sizes(const struct decoder *d, const struct opcode *row)
{
    static const uint8_t address[][2] = {
        [INSN_MODE_16] = {2, 4},
          [INSN_MODE_32] = {4, 2},
          [INSN_MODE_64] = {8, 4}
    };
    struct insn *insn = d->insn;

    insn->operand_size = operand_size(d, (enum opcode_size)row->size);
    insn->address_size = address[d->mode][d->address_override];
    insn->memory_size = insn->operand_size;
    if (row->flags & OPCODE_MEM_8) {
        insn->memory_size = 1;
    } else if ((row->flags & OPCODE_MEM_16) || row->encoding == ENC_RM16) {
        insn->memory_size = 2;
    } else if ((row->flags & OPCODE_MEM_32) && insn->operand_size > 4) {
        insn->memory_size = 4;
    }
}

/* Without any REX prefix, byte registers 4..7 are AH, CH, DH and BH (SDM 2A table 3-1). */
static uint8_t general_register(const struct decoder *d, unsigned number)
{
    if (d->insn->operand_size == 1 && d->rex == 0 && number >= 4) {
        return (uint8_t)(INSN_HIGH_BYTE + number - 4);
    }
    return (uint8_t)number;
}

static void decode_sib(struct decoder *d, unsigned mod, unsigned *displacement_size)
{
    struct insn *insn = d->insn;
    uint8_t sib = take_byte(d);
    unsigned index = ((sib >> 3) & 7) | (d->rex & REX_X ? 8 : 0);

    if (index != INSN_RSP) {
        insn->index = (uint8_t)index;
        insn->scale = (uint8_t)(1U << (sib >> 6));
    }
    if ((sib & 7) == INSN_RBP && mod == 0) {
        *displacement_size = 4;
    } else {
        insn->base = (uint8_t)((sib & 7) | (d->rex & REX_B ? 8 : 0));
    }
}

static void decode_address(struct decoder *d)
{
    struct insn *insn = d->insn;
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
    unsigned displacement_size = mod;

    if (insn->address_size == 2) {
        if (mod == 0 && rm == 6) {
            displacement_size = 2;
        } else {
            insn->base = address16[rm].base;
            insn->index = address16[rm].index;
        }
    } else {
        displacement_size = mod == 2 ? 4 : mod;
        if (rm == INSN_RSP) {
            decode_sib(d, mod, &displacement_size);
        } else if (rm == INSN_RBP && mod == 0) {
            displacement_size = 4;
            insn->base = d->mode == INSN_MODE_64 ? INSN_BASE_RIP : INSN_NO_REGISTER;
        } else {
            insn->base = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
        }
    }
    insn->displacement = take_signed(d, displacement_size);
}

/* CR0, 2, 3, 4 and 8 exist; others raise #UD (SDM 2B, MOV). */
static void decode_control(struct decoder *d)
{
    struct insn *insn = d->insn;

    insn->reg = (d->modrm & 7) | (d->rex & REX_B ? 8 : 0);
    insn->control = ((d->modrm >> 3) & 7) | (d->rex & REX_R ? 8 : 0);
    if (d->lock && insn->control == 0) {
        insn->control = 8; /* AMD only: APM 3, MOV CRn; CPUID AltMovCr8 */
    } else if (d->lock || insn->control > 8 || !(0x11dU >> insn->control & 1)) {
        d->result = INSN_INVALID;
    }
}

static void decode_modrm(struct decoder *d, enum modrm_use use)
{
    struct insn *insn = d->insn;

    if (use == MODRM_NONE) {
        return;
    }
    if (use == MODRM_CONTROL) {
        decode_control(d);
    } else if (d->modrm < 0xc0) {
        insn->reg = general_register(d, ((d->modrm >> 3) & 7) | (d->rex & REX_R ? 8 : 0));
        decode_address(d);
    } else if (use == MODRM_EITHER) {
        insn->destination = INSN_OPERAND_REGISTER;
        insn->reg = (d->modrm & 7) | (d->rex & REX_B ? 8 : 0);
    } else {
        d->result = INSN_UNSUPPORTED;
    }
}

static void decode_immediate(struct decoder *d, enum immediate_use use)
{
    struct insn *insn = d->insn;

    switch (use) {
    case IMM_NONE:
        break;
    case IMM_OFFSET:
        insn->reg = INSN_RAX;
        insn->displacement = (int64_t)take(d, insn->address_size);
        break;
    case IMM_U8:
        insn->immediate = take_byte(d);
        break;
    case IMM_I8:
        insn->immediate = (uint64_t)take_signed(d, 1);
        break;
    case IMM_Z:
        insn->immediate = (uint64_t)take_signed(d, insn->operand_size < 4 ? insn->operand_size : 4);
        break;
    }
}

static uint8_t memory_segment(const struct decoder *d, enum opcode_encoding encoding)
{
    const struct insn *insn = d->insn;

    if (encoding == ENC_DI) {
        return INSN_SEGMENT_ES; /* cannot be overridden */
    }
    if (d->segment != INSN_SEGMENT_COUNT) {
        return d->segment;
    }
    return insn->base == INSN_RSP || insn->base == INSN_RBP ? INSN_SEGMENT_SS : INSN_SEGMENT_DS;
}

static bool is_string(const struct insn *insn)
{
    return insn->op >= INSN_MOVS && insn->op <= INSN_OUTS;
}

static bool lock_allowed(const struct decoder *d, const struct opcode *row)
{
    bool control = row->op == INSN_MOV_FROM_CR || row->op == INSN_MOV_TO_CR;

    return control || ((row->flags & OPCODE_LOCK) && d->insn->destination == INSN_OPERAND_MEMORY);
}

static void finish(const struct decoder *d, const struct opcode *row)
{
    struct insn *insn = d->insn;

    insn->length = (uint8_t)d->at;
    insn->lock = d->lock;
    insn->condition = d->code & 15;
    insn->segment = memory_segment(d, (enum opcode_encoding)row->encoding);
    if (is_string(insn) && d->repeat != 0) {
        insn->repeat = d->repeat == 0xf3 ? INSN_REPEAT_E : INSN_REPEAT_NE;
    }
}

enum insn_result insn_decode(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                             struct insn *insn)
{
    struct decoder d = {.bytes = bytes,
                        .count = count < INSN_MAX ? count : INSN_MAX,
                        .mode = mode,
                        .segment = INSN_SEGMENT_COUNT,
                        .insn = insn};

    decode_prefixes(&d);
    struct opcode row = find_row(&d);

    if (d.result != INSN_OK || !row_applies(&d, &row)) {
        return d.result != INSN_OK ? d.result : INSN_UNSUPPORTED;
    }
    *insn = (struct insn){.op = row.op,
                          .destination = encodings[row.encoding].destination,
                          .source = encodings[row.encoding].source,
                          .base = INSN_NO_REGISTER,
                          .index = INSN_NO_REGISTER,
                          .scale = 1};
    decode_sizes(&d, &row);
    decode_modrm(&d, (enum modrm_use)encodings[row.encoding].modrm);
    decode_immediate(&d, (enum immediate_use)encodings[row.encoding].immediate);
    if (d.result == INSN_OK && d.lock && !lock_allowed(&d, &row)) {
        return INSN_INVALID;
    }
    finish(&d, &row);
    return d.result;
}
