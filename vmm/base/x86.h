/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits of the CPU's registers, exceptions and segments, once for the host's CPUs, the guests' and
 * the loaders. AMD APM 2, chapters 3, 4 and 8. For C: the assembler knows no suffixes of numbers,
 * so vmm/host/trampoline.S and boot/multiboot2/start.S have the few that they use themselves.
 */
#ifndef PORTOLAN_VMM_BASE_X86_H
#define PORTOLAN_VMM_BASE_X86_H

#include <stdint.h>

#define CR0_PE (1ULL << 0)
#define CR0_MP (1ULL << 1)
#define CR0_EM (1ULL << 2)
#define CR0_TS (1ULL << 3)
#define CR0_ET (1ULL << 4)
#define CR0_NE (1ULL << 5)
#define CR0_WP (1ULL << 16)
#define CR0_AM (1ULL << 18)
#define CR0_NW (1ULL << 29)
#define CR0_CD (1ULL << 30)
#define CR0_PG (1ULL << 31)

#define CR4_PSE        (1ULL << 4)
#define CR4_PAE        (1ULL << 5)
#define CR4_MCE        (1ULL << 6)
#define CR4_PGE        (1ULL << 7)
#define CR4_OSFXSR     (1ULL << 9)
#define CR4_OSXMMEXCPT (1ULL << 10)
#define CR4_LA57       (1ULL << 12)
#define CR4_VMXE       (1ULL << 13)
#define CR4_PCIDE      (1ULL << 17)
#define CR4_OSXSAVE    (1ULL << 18)
#define CR4_SMEP       (1ULL << 20)
#define CR4_SMAP       (1ULL << 21)

#define EFER_SCE  (1ULL << 0)
#define EFER_LME  (1ULL << 8)
#define EFER_LMA  (1ULL << 10)
#define EFER_NXE  (1ULL << 11)
#define EFER_SVME (1ULL << 12)

#define RFLAGS_CF      (1ULL << 0)
#define RFLAGS_FIXED   (1ULL << 1)
#define RFLAGS_DEFINED 0x3f7fd7ULL
#define RFLAGS_PF      (1ULL << 2)
#define RFLAGS_AF      (1ULL << 4)
#define RFLAGS_ZF      (1ULL << 6)
#define RFLAGS_SF      (1ULL << 7)
#define RFLAGS_TF      (1ULL << 8)
#define RFLAGS_IF      (1ULL << 9)
#define RFLAGS_DF      (1ULL << 10)
#define RFLAGS_OF      (1ULL << 11)
#define RFLAGS_IOPL    (3ULL << 12)
#define RFLAGS_NT      (1ULL << 14)
#define RFLAGS_RF      (1ULL << 16)
#define RFLAGS_VM      (1ULL << 17)
#define RFLAGS_AC      (1ULL << 18)

#define DR6_HITS  0xfULL /* one for each breakpoint */
#define DR6_BS    (1ULL << 14)
#define DR6_RESET 0xffff0ff0ULL
#define DR7_GD    (1ULL << 13)
#define DR7_RESET 0x400ULL

#define VECTOR_DE         0U
#define VECTOR_DB         1U
#define VECTOR_NMI        2U
#define VECTOR_BP         3U
#define VECTOR_OF         4U
#define VECTOR_UD         6U
#define VECTOR_DF         8U
#define VECTOR_TS         10U
#define VECTOR_NP         11U
#define VECTOR_SS         12U
#define VECTOR_GP         13U
#define VECTOR_PF         14U
#define VECTOR_AC         17U
#define VECTOR_MC         18U
#define VECTOR_EXCEPTIONS 32U

/* Vectors of exceptions that push an error code; the others that do no guest can raise. */
#define VECTORS_WITH_ERROR                                                                     \
    (1U << VECTOR_DF | 1U << VECTOR_TS | 1U << VECTOR_NP | 1U << VECTOR_SS | 1U << VECTOR_GP | \
     1U << VECTOR_PF | 1U << VECTOR_AC)

/*
 * Segment attributes in the order of a VMCB (APM 2 15.5.1): descriptor bits 55:52 and 47:40. For
 * VMX: (rights & 0xff) | (rights >> 4 & 0xf00), and 0 for a segment that is marked unusable.
 */
#define SEGMENT_CODE16 0x09bU /* these are whole: of ring 0, and loaded */
#define SEGMENT_CODE32 0xc9bU
#define SEGMENT_CODE64 0xa9bU
#define SEGMENT_DATA16 0x093U
#define SEGMENT_DATA32 0xc93U
#define SEGMENT_LDT    0x082U
#define SEGMENT_TSS    0x08bU

#define SEGMENT_TYPE_WRITE  0x002U /* data: writable; code: readable */
#define SEGMENT_TYPE_DOWN   0x004U /* data: expand-down */
#define SEGMENT_TYPE_CODE   0x008U
#define SEGMENT_PRESENT     0x080U
#define SEGMENT_LONG        0x200U
#define SEGMENT_DEFAULT_BIG 0x400U

/* In the order of a VMCB. */
struct x86_segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit; /* bytes - 1, already scaled by G */
    uint64_t base;
};

#endif
