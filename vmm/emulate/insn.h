/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder: bytes and a mode in, one struct insn out. It reads nothing else.
 *
 * It knows the memory forms that kernels and drivers use on device memory, string I/O, and the
 * instructions that exit without telling their length; opcodes.c lists every one.
 * Encoding: Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3, chapter 1, appendix A.
 */
#ifndef PORTOLAN_VMM_EMULATE_INSN_H
#define PORTOLAN_VMM_EMULATE_INSN_H

#include "vmm/base/types.h"

/* A longer one raises #GP (SDM 2.3.11, APM 3 1.1). */
#define INSN_MAX 15U

/* The default operand and address size that CS gives: CS.D = 0, CS.D = 1, or CS.L = 1. */
enum insn_mode { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };

enum insn_result {
    INSN_OK,
    INSN_TRUNCATED,  /* more bytes are needed than were given, and fewer than INSN_MAX were */
    INSN_TOO_LONG,   /* #GP(0) */
    INSN_INVALID,    /* #UD: LOCK on what cannot be locked, or a register that does not exist */
    INSN_UNSUPPORTED /* not in opcodes.c */
};

enum insn_op {
    INSN_NONE = 0,
    /* In the order of the opcode's bits 5:3. */
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    /* In the order of bits 4:3 of 0F A3 and of ModRM.reg in 0F BA. */
    INSN_BT,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_TEST,
    INSN_NOT,
    INSN_NEG,
    INSN_INC,
    INSN_DEC,
    INSN_XCHG,
    INSN_XADD,
    INSN_CMPXCHG,
    INSN_MOV,
    INSN_MOVZX,
    INSN_MOVSX,
    INSN_MOVSXD,
    INSN_MOVBE,
    INSN_MOVNTI,
    INSN_CMOV,
    INSN_SET,
    INSN_PUSH,
    INSN_POP,
    /* String instructions; the element size is operand_size. */
    INSN_MOVS,
    INSN_CMPS,
    INSN_STOS,
    INSN_LODS,
    INSN_SCAS,
    INSN_INS,
    INSN_OUTS,
    /* Known for their length and registers only: the exit that they cause says the rest. */
    INSN_IN,
    INSN_OUT,
    INSN_MOV_FROM_CR,
    INSN_MOV_TO_CR,
    INSN_LMSW,
    INSN_CLTS,
    INSN_HLT,
    INSN_PAUSE,
    INSN_CPUID,
    INSN_RDMSR,
    INSN_WRMSR,
    INSN_XSETBV,
    INSN_INVD,
    INSN_WBINVD,
    INSN_OP_COUNT
};

enum insn_operand {
    INSN_OPERAND_NONE,
    INSN_OPERAND_REGISTER,
    INSN_OPERAND_MEMORY,
    INSN_OPERAND_IMMEDIATE
};

/* As ModRM and the Sreg field number them. */
enum insn_segment {
    INSN_SEGMENT_ES,
    INSN_SEGMENT_CS,
    INSN_SEGMENT_SS,
    INSN_SEGMENT_DS,
    INSN_SEGMENT_FS,
    INSN_SEGMENT_GS,
    INSN_SEGMENT_COUNT
};

enum insn_repeat { INSN_REPEAT_NONE, INSN_REPEAT_E, INSN_REPEAT_NE };

/* General registers have the numbers of their encoding, 0..15. */
#define INSN_RAX 0U
#define INSN_RCX 1U
#define INSN_RDX 2U
#define INSN_RBX 3U
#define INSN_RSP 4U
#define INSN_RBP 5U
#define INSN_RSI 6U
#define INSN_RDI 7U

/* As 'reg': bits 15:8 of registers 0..3 (AH, CH, DH, BH). */
#define INSN_HIGH_BYTE 16U
/* As 'base': the address of the next instruction. As 'base' or 'index': there is none. */
#define INSN_BASE_RIP    32U
#define INSN_NO_REGISTER 33U

struct insn {
    uint8_t op;           /* enum insn_op */
    uint8_t length;       /* bytes, 1..INSN_MAX */
    uint8_t destination;  /* enum insn_operand; with two operands both are read if op does so */
    uint8_t source;       /* enum insn_operand */
    uint8_t operand_size; /* bytes: of the operation, the register and the immediate */
    uint8_t memory_size;  /* bytes that one access of the memory operand has */
    uint8_t address_size; /* bytes: 2, 4 or 8 */
    uint8_t segment;      /* enum insn_segment: of the memory operand; overrides applied */
    uint8_t base;         /* register, INSN_BASE_RIP or INSN_NO_REGISTER */
    uint8_t index;        /* register or INSN_NO_REGISTER */
    uint8_t scale;        /* 1, 2, 4 or 8 */
    uint8_t reg;          /* 0..15, or INSN_HIGH_BYTE + 0..3 */
    uint8_t control;      /* number of the control register */
    uint8_t condition;    /* 0..15, of CMOVcc and SETcc */
    uint8_t repeat;       /* enum insn_repeat; string instructions only */
    bool lock;
    int64_t displacement; /* the address for a moffs operand */
    uint64_t immediate;   /* sign-extended where the instruction does so; the port of IN and OUT */
};

/*
 * Decode the instruction at the start of BYTES, COUNT of which (at most INSN_MAX are looked at) are
 * there. *INSN is complete for INSN_OK only. Any CPU; no side effects.
 */
enum insn_result insn_decode(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                             struct insn *insn);

#endif
