/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carry out one instruction of a guest in software, where the hardware says only that it exited.
 *
 * The exit handler fills in a struct emulate_cpu, calls one of these functions, writes rip and
 * rflags back whatever the outcome, and acts on the outcome. All run on the vCPU's own CPU, take no
 * lock, and do a bounded amount of work: of a REP also no more than emulate_must_pause() lets them.
 */
#ifndef PORTOLAN_VMM_EMULATE_EMULATE_H
#define PORTOLAN_VMM_EMULATE_EMULATE_H

#include "vmm/base/x86.h"
#include "vmm/emulate/insn.h"

struct vcpu;

struct emulate_memo;

/*
 * Filled in by the exit handler, which owns it and writes rip and rflags back afterwards; nothing
 * else is changed by emulation, but *gpr.
 */
struct emulate_cpu {
    struct vcpu *vcpu;         /* handed to the edges (vmm/emulate/emulate_edge.h) */
    struct emulate_memo *memo; /* the vCPU's, or NULL: nothing is remembered */
    uint64_t *gpr;             /* the 16 general registers, changed in place */
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0, cr3, cr4, efer;
    uint64_t pdpte[4]; /* used if pdpte_cached: VMX keeps them in the VMCS, SVM in memory */
    struct x86_segment segment[INSN_SEGMENT_COUNT]; /* their selectors are not looked at */
    uint8_t cpl;
    uint8_t physical_bits; /* the guest's MAXPHYADDR, 32..52 */
    bool pdpte_cached;
    uint8_t byte_count; /* instruction bytes that the hardware gave (decode assists), or 0 */
    uint8_t bytes[INSN_MAX];
};

/* The decoder's mode for what CS holds. */
static inline enum insn_mode emulate_mode(const struct emulate_cpu *cpu)
{
    unsigned code = cpu->segment[INSN_SEGMENT_CS].attributes;

    if ((cpu->efer & EFER_LMA) && (code & SEGMENT_LONG)) {
        return INSN_MODE_64;
    }
    return code & SEGMENT_DEFAULT_BIG ? INSN_MODE_32 : INSN_MODE_16;
}

/*
 * What a vCPU's emulation remembers: translations of pages, and decoded instructions. Nothing of it
 * is believed: an entry counts only while the guest's memory and registers that it was made from
 * are the same (recall.c), so it may be of any age. All zero: empty.
 */
#define EMULATE_MEMO_WALKS  8U
#define EMULATE_MEMO_INSNS  16U
#define EMULATE_WALK_LEVELS 5U

struct emulate_memo {
    struct emulate_walk {
        uint64_t page; /* linear */
        uint64_t cr3;
        uint64_t rules;       /* what else decides about a walk, and the access */
        uint64_t gpa;         /* of the page */
        const uint8_t *bytes; /* the page in RAM; NULL: a device, or what may become one */
        uint8_t count;        /* entries of page tables, from the top; 0: nothing is remembered */
        uint8_t entry_size;
        struct {
            const void *at;
            uint64_t value;
        } entry[EMULATE_WALK_LEVELS];
    } walk[EMULATE_MEMO_WALKS];
    struct emulate_decoded {
        uint64_t rip;
        uint64_t bytes[2]; /* the first and the last eight of INSN_MAX, as far as they count */
        uint64_t mask[2];
        uint8_t mode;     /* enum insn_mode */
        struct insn insn; /* length 0: nothing is remembered */
    } decoded[EMULATE_MEMO_INSNS];
};

/* The most bytes that one call moves for a REP string instruction. */
#define EMULATE_REP_BYTES 4096U

enum emulate_outcome {
    EMULATE_DONE,  /* rip is behind the instruction */
    EMULATE_RETRY, /* enter the guest again at rip: a REP is not finished yet (the registers show
                      how far it got), or the guest changed the code or its tables under us */
    EMULATE_FAULT, /* raise 'vector', with 'error' if has_error, and 'address' in CR2 for #PF */
    EMULATE_UNSUPPORTED /* not in our list, or page tables outside of RAM: log 'bytes' */
};

struct emulate_result {
    enum emulate_outcome outcome;
    uint8_t vector;
    bool has_error;
    bool single_step; /* after DONE, or RETRY within a REP: RFLAGS.TF asks for #DB with DR6.BS */
    uint32_t error;
    uint64_t address;
    uint8_t byte_count; /* what could be fetched of the instruction */
    uint8_t bytes[INSN_MAX];
};

/* What the hardware said about a string I/O exit, after checking IOPL and the I/O bitmap. */
struct emulate_string_io {
    bool in;
    uint8_t size; /* 1, 2 or 4 */
};

/*
 * The instruction at rip made a nested page fault on a device page. UNSUPPORTED also for INS and
 * OUTS that need the TSS's I/O bitmap: the hardware's I/O exit comes first for those.
 */
void emulate_memory(struct emulate_cpu *cpu, struct emulate_result *result);

/*
 * The instruction at rip, if it was decoded before and is still the same. NULL: perhaps not.
 */
const struct insn *emulate_recall(const struct emulate_cpu *cpu);

/* Where in its page the memory operand of INSN, which is at rip, begins. Nothing is checked. */
uint32_t emulate_page_offset(const struct emulate_cpu *cpu, const struct insn *insn);

/*
 * The instruction at rip is INS or OUTS and made the I/O exit EXPECTED. Anything else at rip gives
 * RETRY: only what the hardware has checked is carried out.
 */
void emulate_string(struct emulate_cpu *cpu, const struct emulate_string_io *expected,
                    struct emulate_result *result);

/*
 * Fetch and decode the instruction at rip for an exit that gives no next rip. True: it is one of
 * the COUNT operations OPS, *INSN is complete, RESULT->outcome is DONE, and nothing was changed.
 * False: RESULT tells why; RETRY if it is another instruction.
 */
bool emulate_decode(struct emulate_cpu *cpu, const enum insn_op *ops, unsigned count,
                    struct insn *insn, struct emulate_result *result);

/*
 * Read the operand of LMSW, register or memory, with all checks. False: RESULT says what to do.
 */
bool emulate_operand_read(struct emulate_cpu *cpu, const struct insn *insn, uint64_t *value,
                          struct emulate_result *result);

#endif
