/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of the decoder's tables. Private to vmm/emulate. */
#ifndef PORTOLAN_VMM_EMULATE_OPCODES_H
#define PORTOLAN_VMM_EMULATE_OPCODES_H

#include "vmm/emulate/insn.h"

/* Where the operands are, destination first: decode.c has the meaning of each as a table. */
enum opcode_encoding {
    ENC_NONE,    /* no operands, or only implied ones */
    ENC_MR,      /* memory, register */
    ENC_RM,      /* register, memory */
    ENC_M,       /* memory, both source and destination */
    ENC_MI8,     /* memory, sign-extended byte */
    ENC_MIZ,     /* memory, immediate of the operand size but at most 4 bytes, sign-extended */
    ENC_MU8,     /* memory, byte */
    ENC_AO,      /* accumulator, memory at an absolute offset (moffs) */
    ENC_OA,      /* the same, the other way */
    ENC_SI,      /* string at rSI */
    ENC_DI,      /* string at rDI, always in ES */
    ENC_PORT8,   /* port number as a byte */
    ENC_CONTROL, /* control register by ModRM.reg, general register by ModRM.rm */
    ENC_RM16,    /* register or memory of 16 bits: LMSW */
    ENC_COUNT
};

enum opcode_size {
    SIZE_NONE,
    SIZE_BYTE,
    SIZE_OPERAND, /* 2, 4 or 8 */
    SIZE_DWORD,   /* 4, or 8 with REX.W: 66h does not count */
    SIZE_PORT,    /* 2 or 4: REX.W does not count */
    SIZE_STACK,   /* as SIZE_OPERAND, but 8 instead of 4 in 64-bit mode */
    SIZE_NATIVE   /* 8 in 64-bit mode, otherwise 4 */
};

#define OPCODE_LOCK      0x001U /* LOCK is allowed with a memory destination */
#define OPCODE_MEM_8     0x002U /* the memory operand is smaller than the register: a byte, */
#define OPCODE_MEM_16    0x004U /* 2 bytes, */
#define OPCODE_MEM_32    0x008U /* at most 4 bytes */
#define OPCODE_ONLY_64   0x010U /* in 64-bit mode only */
#define OPCODE_NOT_64    0x020U /* not in 64-bit mode */
#define OPCODE_NEED_F3   0x040U /* F3h is part of the opcode */
#define OPCODE_NO_66     0x080U /* 66h makes another instruction of it, or none */
#define OPCODE_NO_REPEAT 0x100U /* F2h and F3h do */

struct opcode {
    uint8_t op;       /* enum insn_op; INSN_NONE: not supported, or see group */
    uint8_t encoding; /* enum opcode_encoding */
    uint8_t size;     /* enum opcode_size */
    uint8_t group;    /* enum opcode_group: look up ModRM.reg there, keep this row's size */
    uint16_t flags;
};

enum opcode_group {
    GROUP_NONE,
    GROUP_ALU_IMM8,     /* 80, 82, 83 */
    GROUP_ALU_IMMZ,     /* 81 */
    GROUP_POP,          /* 8F */
    GROUP_MOV_IMM,      /* C6, C7 */
    GROUP_UNARY,        /* F6, F7 */
    GROUP_INC_DEC,      /* FE */
    GROUP_INC_DEC_PUSH, /* FF */
    GROUP_SYSTEM,       /* 0F 01 */
    GROUP_BIT_IMM,      /* 0F BA */
    GROUP_COUNT
};

extern const struct opcode opcodes_1[256];    /* one byte */
extern const struct opcode opcodes_0f[256];   /* after 0F */
extern const struct opcode opcodes_0f38[256]; /* after 0F 38 */
extern const struct opcode opcode_xsetbv;
extern const struct opcode opcode_groups[GROUP_COUNT][8];

#endif
