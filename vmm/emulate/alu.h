/* SPDX-License-Identifier: BSD-2-Clause */
/* Integer results and flags (Intel SDM volume 1, 3.4.3.1, and volume 2, each instruction). */
#ifndef PORTOLAN_VMM_EMULATE_ALU_H
#define PORTOLAN_VMM_EMULATE_ALU_H

#include "vmm/emulate/insn.h"

/* The low SIZE (1, 2, 4 or 8) bytes of VALUE. */
uint64_t alu_truncate(uint64_t value, unsigned size);
/* The same, sign-extended. */
uint64_t alu_extend(uint64_t value, unsigned size);

/*
 * A OP B for INSN_ADD .. INSN_CMP and INSN_TEST at SIZE bytes: the result, zero-extended; for CMP
 * and TEST it is to be thrown away. *RFLAGS gives the carry in and takes the status flags; AF,
 * which is undefined for logic operations, becomes 0.
 */
uint64_t alu_binary(enum insn_op op, unsigned size, uint64_t a, uint64_t b, uint64_t *rflags);

/* INSN_NOT, INSN_NEG, INSN_INC, INSN_DEC. */
uint64_t alu_unary(enum insn_op op, unsigned size, uint64_t a, uint64_t *rflags);

/* INSN_BT .. INSN_BTC on bit BIT (below 8 * SIZE) of A: the new A, and the old bit in CF. */
uint64_t alu_bit(enum insn_op op, uint64_t a, unsigned bit, uint64_t *rflags);

/* Does condition CODE (0..15, as in Jcc, SETcc, CMOVcc) hold? SDM 1 appendix B. */
bool alu_condition(unsigned code, uint64_t rflags);

#endif
