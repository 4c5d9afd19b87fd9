/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory operands: segmentation, paging, operands that cross a page. Private to vmm/emulate.
 *
 * First memory_prepare() makes every check and can fault; then reads and writes cannot fail any
 * more, so no device sees half an instruction.
 */
#ifndef PORTOLAN_VMM_EMULATE_MEMORY_H
#define PORTOLAN_VMM_EMULATE_MEMORY_H

#include "vmm/emulate/emulate.h"

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
bool memory_raise(struct engine *engine, enum emulate_vector vector, uint32_t error);
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

/* Base plus offset, cut to 32 bits outside of 64-bit mode, where ES, CS, SS, DS have no base. */
gva_t memory_linear(const struct emulate_cpu *cpu, enum insn_segment segment, uint64_t offset);

#endif
