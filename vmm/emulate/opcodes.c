/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the decoder supports: one row per opcode.
 *
 * Intel SDM volume 2, appendix A, tables; AMD APM volume 3, appendix A.
 */
#include "vmm/emulate/opcodes.h"

#define LOCK OPCODE_LOCK

/* The four memory forms of an operation of the first quarter of the map. */
#define ALU(first, operation, lock)                                                        \
    [(first) + 0] = {.op = (operation), ENC_MR, SIZE_BYTE, .flags = (lock)},               \
               [(first) + 1] = {.op = (operation), ENC_MR, SIZE_OPERAND, .flags = (lock)}, \
               [(first) + 2] = {.op = (operation), ENC_RM, SIZE_BYTE},                     \
               [(first) + 3] = {.op = (operation), ENC_RM, SIZE_OPERAND}

/* clang-format off */
const struct opcode opcodes_1[256] = {
    ALU(0x00, INSN_ADD, LOCK),
    ALU(0x08, INSN_OR,  LOCK),
    ALU(0x10, INSN_ADC, LOCK),
    ALU(0x18, INSN_SBB, LOCK),
    ALU(0x20, INSN_AND, LOCK),
    ALU(0x28, INSN_SUB, LOCK),
    ALU(0x30, INSN_XOR, LOCK),
    ALU(0x38, INSN_CMP, 0),
    [0x63] = {INSN_MOVSXD,  ENC_RM,    SIZE_OPERAND, 0, OPCODE_MEM_32 | OPCODE_ONLY_64},
    [0x6c] = {INSN_INS,     ENC_DI,    SIZE_BYTE,    0, 0},
    [0x6d] = {INSN_INS,     ENC_DI,    SIZE_PORT,    0, 0},
    [0x6e] = {INSN_OUTS,    ENC_SI,    SIZE_BYTE,    0, 0},
    [0x6f] = {INSN_OUTS,    ENC_SI,    SIZE_PORT,    0, 0},
    [0x80] = {0,            0,         SIZE_BYTE,    GROUP_ALU_IMM8, 0},
    [0x81] = {0,            0,         SIZE_OPERAND, GROUP_ALU_IMMZ, 0},
    [0x82] = {0,            0,         SIZE_BYTE,    GROUP_ALU_IMM8, OPCODE_NOT_64},
    [0x83] = {0,            0,         SIZE_OPERAND, GROUP_ALU_IMM8, 0},
    [0x84] = {INSN_TEST,    ENC_MR,    SIZE_BYTE,    0, 0},
    [0x85] = {INSN_TEST,    ENC_MR,    SIZE_OPERAND, 0, 0},
    [0x86] = {INSN_XCHG,    ENC_MR,    SIZE_BYTE,    0, LOCK},
    [0x87] = {INSN_XCHG,    ENC_MR,    SIZE_OPERAND, 0, LOCK},
    [0x88] = {INSN_MOV,     ENC_MR,    SIZE_BYTE,    0, 0},
    [0x89] = {INSN_MOV,     ENC_MR,    SIZE_OPERAND, 0, 0},
    [0x8a] = {INSN_MOV,     ENC_RM,    SIZE_BYTE,    0, 0},
    [0x8b] = {INSN_MOV,     ENC_RM,    SIZE_OPERAND, 0, 0},
    [0x8f] = {0,            0,         SIZE_STACK,   GROUP_POP, 0},
    [0x90] = {INSN_PAUSE,   ENC_NONE,  SIZE_NONE,    0, OPCODE_NEED_F3},
    [0xa0] = {INSN_MOV,     ENC_AO,    SIZE_BYTE,    0, 0},
    [0xa1] = {INSN_MOV,     ENC_AO,    SIZE_OPERAND, 0, 0},
    [0xa2] = {INSN_MOV,     ENC_OA,    SIZE_BYTE,    0, 0},
    [0xa3] = {INSN_MOV,     ENC_OA,    SIZE_OPERAND, 0, 0},
    [0xa4] = {INSN_MOVS,    ENC_SI,    SIZE_BYTE,    0, 0},
    [0xa5] = {INSN_MOVS,    ENC_SI,    SIZE_OPERAND, 0, 0},
    [0xa6] = {INSN_CMPS,    ENC_SI,    SIZE_BYTE,    0, 0},
    [0xa7] = {INSN_CMPS,    ENC_SI,    SIZE_OPERAND, 0, 0},
    [0xaa] = {INSN_STOS,    ENC_DI,    SIZE_BYTE,    0, 0},
    [0xab] = {INSN_STOS,    ENC_DI,    SIZE_OPERAND, 0, 0},
    [0xac] = {INSN_LODS,    ENC_SI,    SIZE_BYTE,    0, 0},
    [0xad] = {INSN_LODS,    ENC_SI,    SIZE_OPERAND, 0, 0},
    [0xae] = {INSN_SCAS,    ENC_DI,    SIZE_BYTE,    0, 0},
    [0xaf] = {INSN_SCAS,    ENC_DI,    SIZE_OPERAND, 0, 0},
    [0xc6] = {0,            0,         SIZE_BYTE,    GROUP_MOV_IMM, 0},
    [0xc7] = {0,            0,         SIZE_OPERAND, GROUP_MOV_IMM, 0},
    [0xe4] = {INSN_IN,      ENC_PORT8, SIZE_BYTE,    0, 0},
    [0xe5] = {INSN_IN,      ENC_PORT8, SIZE_PORT,    0, 0},
    [0xe6] = {INSN_OUT,     ENC_PORT8, SIZE_BYTE,    0, 0},
    [0xe7] = {INSN_OUT,     ENC_PORT8, SIZE_PORT,    0, 0},
    [0xec] = {INSN_IN,      ENC_NONE,  SIZE_BYTE,    0, 0},
    [0xed] = {INSN_IN,      ENC_NONE,  SIZE_PORT,    0, 0},
    [0xee] = {INSN_OUT,     ENC_NONE,  SIZE_BYTE,    0, 0},
    [0xef] = {INSN_OUT,     ENC_NONE,  SIZE_PORT,    0, 0},
    [0xf4] = {INSN_HLT,     ENC_NONE,  SIZE_NONE,    0, 0},
    [0xf6] = {0,            0,         SIZE_BYTE,    GROUP_UNARY, 0},
    [0xf7] = {0,            0,         SIZE_OPERAND, GROUP_UNARY, 0},
    [0xfe] = {0,            0,         SIZE_BYTE,    GROUP_INC_DEC, 0},
    [0xff] = {0,            0,         SIZE_OPERAND, GROUP_INC_DEC_PUSH, 0},
};

#define CMOV(code) [code] = {INSN_CMOV, ENC_RM, SIZE_OPERAND, 0, 0}
#define SET(code)  [code] = {INSN_SET,  ENC_M,  SIZE_BYTE,    0, 0}

const struct opcode opcodes_0f[256] = {
    [0x01] = {0,                ENC_NONE,    SIZE_OPERAND, GROUP_SYSTEM, 0},
    [0x06] = {INSN_CLTS,        ENC_NONE,    SIZE_NONE,    0, 0},
    [0x08] = {INSN_INVD,        ENC_NONE,    SIZE_NONE,    0, 0},
    [0x09] = {INSN_WBINVD,      ENC_NONE,    SIZE_NONE,    0, 0},
    [0x20] = {INSN_MOV_FROM_CR, ENC_CONTROL, SIZE_NATIVE,  0, 0},
    [0x22] = {INSN_MOV_TO_CR,   ENC_CONTROL, SIZE_NATIVE,  0, 0},
    [0x30] = {INSN_WRMSR,       ENC_NONE,    SIZE_NONE,    0, 0},
    [0x32] = {INSN_RDMSR,       ENC_NONE,    SIZE_NONE,    0, 0},
    CMOV(0x40), CMOV(0x41), CMOV(0x42), CMOV(0x43), CMOV(0x44), CMOV(0x45), CMOV(0x46), CMOV(0x47),
    CMOV(0x48), CMOV(0x49), CMOV(0x4a), CMOV(0x4b), CMOV(0x4c), CMOV(0x4d), CMOV(0x4e), CMOV(0x4f),
    SET(0x90),  SET(0x91),  SET(0x92),  SET(0x93),  SET(0x94),  SET(0x95),  SET(0x96),  SET(0x97),
    SET(0x98),  SET(0x99),  SET(0x9a),  SET(0x9b),  SET(0x9c),  SET(0x9d),  SET(0x9e),  SET(0x9f),
    [0xa2] = {INSN_CPUID,       ENC_NONE,    SIZE_NONE,    0, 0},
    [0xa3] = {INSN_BT,          ENC_MR,      SIZE_OPERAND, 0, 0},
    [0xab] = {INSN_BTS,         ENC_MR,      SIZE_OPERAND, 0, LOCK},
    [0xb0] = {INSN_CMPXCHG,     ENC_MR,      SIZE_BYTE,    0, LOCK},
    [0xb1] = {INSN_CMPXCHG,     ENC_MR,      SIZE_OPERAND, 0, LOCK},
    [0xb3] = {INSN_BTR,         ENC_MR,      SIZE_OPERAND, 0, LOCK},
    [0xb6] = {INSN_MOVZX,       ENC_RM,      SIZE_OPERAND, 0, OPCODE_MEM_8},
    [0xb7] = {INSN_MOVZX,       ENC_RM,      SIZE_OPERAND, 0, OPCODE_MEM_16},
    [0xba] = {0,                0,           SIZE_OPERAND, GROUP_BIT_IMM, 0},
    [0xbb] = {INSN_BTC,         ENC_MR,      SIZE_OPERAND, 0, LOCK},
    [0xbe] = {INSN_MOVSX,       ENC_RM,      SIZE_OPERAND, 0, OPCODE_MEM_8},
    [0xbf] = {INSN_MOVSX,       ENC_RM,      SIZE_OPERAND, 0, OPCODE_MEM_16},
    [0xc0] = {INSN_XADD,        ENC_MR,      SIZE_BYTE,    0, LOCK},
    [0xc1] = {INSN_XADD,        ENC_MR,      SIZE_OPERAND, 0, LOCK},
    [0xc3] = {INSN_MOVNTI,      ENC_MR,      SIZE_DWORD,   0, OPCODE_NO_66 | OPCODE_NO_REPEAT},
};

/* 0F 01 D1: the ModRM byte is part of the opcode. */
const struct opcode opcode_xsetbv = {INSN_XSETBV, ENC_NONE, SIZE_NONE, 0, OPCODE_NO_66 | OPCODE_NO_REPEAT};

const struct opcode opcodes_0f38[256] = {
    [0xf0] = {INSN_MOVBE, ENC_RM, SIZE_OPERAND, 0, OPCODE_NO_REPEAT},
    [0xf1] = {INSN_MOVBE, ENC_MR, SIZE_OPERAND, 0, OPCODE_NO_REPEAT},
};

#define SAME(operation, where, row_flags) {.op = (operation), .encoding = (where), .flags = (row_flags)}
#define ALU_GROUP(where) { \
        SAME(INSN_ADD, where, LOCK), SAME(INSN_OR,  where, LOCK), \
        SAME(INSN_ADC, where, LOCK), SAME(INSN_SBB, where, LOCK), \
        SAME(INSN_AND, where, LOCK), SAME(INSN_SUB, where, LOCK), \
        SAME(INSN_XOR, where, LOCK), SAME(INSN_CMP, where, 0) }

const struct opcode opcode_groups[GROUP_COUNT][8] = {
    [GROUP_ALU_IMM8]     = ALU_GROUP(ENC_MI8),
    [GROUP_ALU_IMMZ]     = ALU_GROUP(ENC_MIZ),
    [GROUP_POP]          = {[0] = SAME(INSN_POP, ENC_M, 0)},
    [GROUP_MOV_IMM]      = {[0] = SAME(INSN_MOV, ENC_MIZ, 0)},
    /* /1 is an undocumented second TEST on every CPU (APM 3, table A-6, lists it). */
    [GROUP_UNARY]        = {[0] = SAME(INSN_TEST, ENC_MIZ, 0), [1] = SAME(INSN_TEST, ENC_MIZ, 0),
                            [2] = SAME(INSN_NOT, ENC_M, LOCK), [3] = SAME(INSN_NEG, ENC_M, LOCK)},
    [GROUP_INC_DEC]      = {[0] = SAME(INSN_INC, ENC_M, LOCK), [1] = SAME(INSN_DEC, ENC_M, LOCK)},
    [GROUP_INC_DEC_PUSH] = {[0] = SAME(INSN_INC, ENC_M, LOCK), [1] = SAME(INSN_DEC, ENC_M, LOCK),
                            [6] = {INSN_PUSH, ENC_M, SIZE_STACK, 0, 0}},
    [GROUP_SYSTEM]       = {[6] = SAME(INSN_LMSW, ENC_RM16, 0)},
    [GROUP_BIT_IMM]      = {[4] = SAME(INSN_BT,  ENC_MU8, 0),    [5] = SAME(INSN_BTS, ENC_MU8, LOCK),
                            [6] = SAME(INSN_BTR, ENC_MU8, LOCK), [7] = SAME(INSN_BTC, ENC_MU8, LOCK)},
};
/* clang-format on */
