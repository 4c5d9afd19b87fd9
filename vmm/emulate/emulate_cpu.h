/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of a vCPU's state that emulation reads and changes, the same for SVM and VMX. */
#ifndef PORTOLAN_VMM_EMULATE_EMULATE_CPU_H
#define PORTOLAN_VMM_EMULATE_EMULATE_CPU_H

#include "vmm/emulate/insn.h"

struct vcpu;

#define EMULATE_CR0_PE   (1ULL << 0)
#define EMULATE_CR0_WP   (1ULL << 16)
#define EMULATE_CR0_AM   (1ULL << 18)
#define EMULATE_CR0_PG   (1ULL << 31)
#define EMULATE_CR4_PSE  (1ULL << 4)
#define EMULATE_CR4_PAE  (1ULL << 5)
#define EMULATE_CR4_LA57 (1ULL << 12)
#define EMULATE_CR4_SMEP (1ULL << 20)
#define EMULATE_CR4_SMAP (1ULL << 21)
#define EMULATE_EFER_LMA (1ULL << 10)
#define EMULATE_EFER_NXE (1ULL << 11)

#define EMULATE_CF   (1ULL << 0)
#define EMULATE_PF   (1ULL << 2)
#define EMULATE_AF   (1ULL << 4)
#define EMULATE_ZF   (1ULL << 6)
#define EMULATE_SF   (1ULL << 7)
#define EMULATE_TF   (1ULL << 8)
#define EMULATE_DF   (1ULL << 10)
#define EMULATE_OF   (1ULL << 11)
#define EMULATE_IOPL (3ULL << 12)
#define EMULATE_RF   (1ULL << 16)
#define EMULATE_VM   (1ULL << 17)
#define EMULATE_AC   (1ULL << 18)

/*
 * Segment attributes in the order of a VMCB (APM 2 15.5.1): descriptor bits 55:52 and 47:40. For
 * VMX: (rights & 0xff) | (rights >> 4 & 0xf00), and 0 for a segment that is marked unusable.
 */
#define EMULATE_SEGMENT_TYPE_WRITE  0x002U /* data: writable; code: readable */
#define EMULATE_SEGMENT_TYPE_DOWN   0x004U /* data: expand-down */
#define EMULATE_SEGMENT_TYPE_CODE   0x008U
#define EMULATE_SEGMENT_PRESENT     0x080U
#define EMULATE_SEGMENT_LONG        0x200U
#define EMULATE_SEGMENT_DEFAULT_BIG 0x400U

struct emulate_segment {
    uint64_t base;
    uint32_t limit; /* bytes - 1, already scaled by G */
    uint16_t attributes;
};

/*
 * Filled in by the exit handler, which owns it and writes gpr, rip and rflags back afterwards;
 * nothing else is changed by emulation.
 */
struct emulate_cpu {
    struct vcpu *vcpu; /* handed to the edges (vmm/emulate/emulate_edge.h) */
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0, cr3, cr4, efer;
    uint64_t pdpte[4]; /* used if pdpte_cached: VMX keeps them in the VMCS, SVM in memory */
    struct emulate_segment segment[INSN_SEGMENT_COUNT];
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

    if ((cpu->efer & EMULATE_EFER_LMA) && (code & EMULATE_SEGMENT_LONG)) {
        return INSN_MODE_64;
    }
    return code & EMULATE_SEGMENT_DEFAULT_BIG ? INSN_MODE_32 : INSN_MODE_16;
}

#endif
