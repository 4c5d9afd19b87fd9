/* SPDX-License-Identifier: BSD-2-Clause */
/* What carries an instruction out: arithmetic, the page walk, operands. Private to vmm/emulate. */
#ifndef PORTOLAN_VMM_EMULATE_ENGINE_H
#define PORTOLAN_VMM_EMULATE_ENGINE_H

#include "vmm/emulate/emulate.h"

/* Integer results and flags (Intel SDM volume 1, 3.4.3.1, and volume 2, each instruction). */

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

/*
 * The guest's own page tables, walked by software: no paging, 2-level with PSE, PAE, 4 and 5
 * levels.
 *
 * Intel SDM volume 3, chapter 4; AMD APM volume 2, chapter 5. Protection keys and shadow stacks are
 * not looked at: CPUID policy must not show them to a guest.
 */

/* Bits of a page fault's error code (SDM 3 4.7). WRITE, USER and EXECUTE also name an access. */
#define WALK_PRESENT  0x01U
#define WALK_WRITE    0x02U
#define WALK_USER     0x04U
#define WALK_RESERVED 0x08U
#define WALK_EXECUTE  0x10U

enum walk_result {
    WALK_OK,
    WALK_FAULT,   /* #PF with *error */
    WALK_AGAIN,   /* a table changed under the walk: let the guest do the instruction again */
    WALK_NO_TABLE /* a table does not lie in RAM */
};

/*
 * Translate the linear ADDRESS (canonical; 32 bits outside of long mode) for ACCESS, a combination
 * of the bits that name one; WALK_USER means CPL 3. Sets accessed and dirty bits as the CPU does,
 * but only once the whole access is known to be allowed. *PHYSICAL is valid for WALK_OK, *ERROR for
 * WALK_FAULT. The vCPU's own CPU; no lock.
 */
enum walk_result walk_translate(const struct emulate_cpu *cpu, gva_t address, unsigned access,
                                gpa_t *physical, uint32_t *error);

/*
 * What is remembered (struct emulate_memo). recall_walk(): the walk for ACCESS to LINEAR as it
 * would be now, or NULL if it is to be made. recall_keep_walk(): it was made; PAGE, GPA, COUNT and
 * the entries are filled in, the vCPU has a memo.
 */
const struct emulate_walk *recall_walk(const struct emulate_cpu *cpu, uint64_t linear,
                                       unsigned access);
void recall_keep_walk(const struct emulate_cpu *cpu, const struct emulate_walk *walk,
                      unsigned access);

/*
 * Memory operands: segmentation, paging, operands that cross a page. Private to vmm/emulate.
 *
 * First memory_prepare() makes every check and can fault; then reads and writes cannot fail any
 * more, so no device sees half an instruction.
 */

/* The page that was translated last, for reads and for writes: good for one instruction. */
struct translation {
    bool valid;
    uint64_t page; /* linear */
    gpa_t gpa;
};

/* One instruction in progress. */
struct engine {
    struct emulate_cpu *cpu;
    struct emulate_result *result;
    struct insn insn;
    struct translation last[2]; /* [0] reads, [1] writes */
};

/* An operand as the pieces that lie in one page each; the second one's size is usually 0. */
struct span {
    gpa_t at[2];
    uint8_t size[2];
};

/* Set the outcome; for tail calls in functions that say with false that they did. */
bool memory_raise(struct engine *engine, uint8_t vector, uint32_t error);
bool memory_stop(struct engine *engine, enum emulate_outcome outcome);

/*
 * Check and translate the SIZE (1..8) bytes at OFFSET in SEGMENT for reading or, if WRITE, also for
 * writing. False: the outcome is set.
 */
bool memory_prepare(struct engine *engine, enum insn_segment segment, uint64_t offset,
                    unsigned size, bool write, struct span *span);

uint64_t memory_read(struct engine *engine, const struct span *span);
void memory_write(struct engine *engine, const struct span *span, uint64_t value);

/*
 * Replace OLD, which was read from SPAN, as one locked access if it lies in RAM. False: the outcome
 * is set and memory is as it was.
 */
bool memory_exchange(struct engine *engine, const struct span *span, uint64_t old, uint64_t new);

/* Fetch from *COUNT on as many instruction bytes as lie in one page, at most up to INSN_MAX. */
bool memory_fetch(struct engine *engine, uint8_t *bytes, unsigned *count);

/* Is the instruction at rip one that is remembered? Then engine->insn is, and the result's bytes.
 */
bool recall_insn(struct engine *engine);
void recall_keep_insn(const struct engine *engine);

/* The two halves of the engine. Private to vmm/emulate. */

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
