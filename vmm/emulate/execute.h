/* SPDX-License-Identifier: BSD-2-Clause */
/* The two halves of the engine. Private to vmm/emulate. */
#ifndef PORTOLAN_VMM_EMULATE_EXECUTE_H
#define PORTOLAN_VMM_EMULATE_EXECUTE_H

#include "vmm/emulate/memory.h"

/* General register REG (as in struct insn) at SIZE bytes. 4-byte writes clear the upper half. */
uint64_t execute_register(const struct emulate_cpu *cpu, unsigned reg, unsigned size);
void execute_set_register(struct emulate_cpu *cpu, unsigned reg, unsigned size, uint64_t value);

/* The offset of the memory operand within its segment, cut to the address size. */
uint64_t execute_offset(const struct emulate_cpu *cpu, const struct insn *insn);

/* INSN_ADD .. INSN_POP. False: the outcome is set and nothing was changed. */
bool execute_operands(struct engine *engine);

/*
 * INSN_MOVS .. INSN_OUTS, with REP. False: the outcome is set, and the registers tell how many
 * elements are done.
 */
bool execute_string(struct engine *engine);

#endif
