/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a vCPU apart from its general registers, as a reset or a loader sets it. */
#ifndef PORTOLAN_VMM_VM_CPU_STATE_H
#define PORTOLAN_VMM_VM_CPU_STATE_H

#include "vmm/base/types.h"

/* Attributes as in vmm/emulate/emulate_cpu.h: descriptor bits 55:52 and 47:40. */
struct state_segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit;
    uint64_t base;
};

/* The first six as ModRM numbers them. */
enum state_segment_index {
    STATE_ES,
    STATE_CS,
    STATE_SS,
    STATE_DS,
    STATE_FS,
    STATE_GS,
    STATE_GDTR,
    STATE_LDTR,
    STATE_IDTR,
    STATE_TR,
    STATE_SEGMENTS
};

struct vcpu_state {
    struct state_segment segment[STATE_SEGMENTS];
    uint64_t rip;
    uint64_t rsp;
    uint64_t rflags;
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t dr6;
    uint64_t dr7;
    uint64_t pat;
};

#define CR0_PE       (1ULL << 0)
#define CR0_MP       (1ULL << 1)
#define CR0_EM       (1ULL << 2)
#define CR0_TS       (1ULL << 3)
#define CR0_ET       (1ULL << 4)
#define CR0_NE       (1ULL << 5)
#define CR0_WP       (1ULL << 16)
#define CR0_AM       (1ULL << 18)
#define CR0_NW       (1ULL << 29)
#define CR0_CD       (1ULL << 30)
#define CR0_PG       (1ULL << 31)
#define CR4_PAE      (1ULL << 5)
#define CR4_MCE      (1ULL << 6)
#define CR4_FSGSBASE (1ULL << 16)
#define CR4_PCIDE    (1ULL << 17)
#define CR4_OSXSAVE  (1ULL << 18)
#define RFLAGS_FIXED (1ULL << 1)
#define RFLAGS_TF    (1ULL << 8)
#define RFLAGS_IF    (1ULL << 9)
#define RFLAGS_RF    (1ULL << 16)
#define DR6_RESET    0xffff0ff0ULL
#define DR6_BS       (1ULL << 14)
#define DR7_RESET    0x400ULL
#define PAT_RESET    0x0007040600070406ULL

/* What the CPU holds after power-on or reset (AMD APM 2, table 14-1). */
void state_set_reset(struct vcpu_state *state);

/* After a SIPI with VECTOR: real mode at VECTOR << 12. */
void state_set_startup(struct vcpu_state *state, uint8_t vector);

#endif
