/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * THE table of model-specific registers: what a guest may reach itself, what is emulated and how,
 * and where in struct cpu_state it is kept. The backends' permission maps and lists of registers to
 * switch follow from it, and docs/model-registers.md, which a test holds against it.
 */
#ifndef PORTOLAN_VMM_VM_MSR_TABLE_H
#define PORTOLAN_VMM_VM_MSR_TABLE_H

#include "vmm/base/types.h"

enum msr_kind {
    MSR_KIND_PASSED,   /* the guest's own: no exit; whoever enters the guest switches it */
    MSR_KIND_PLATFORM, /* the virtual PC's, and in its state */
    MSR_KIND_TSC,
    MSR_KIND_EFER,
    MSR_KIND_PAT,
    MSR_KIND_MTRR_DEFAULT,
    MSR_KIND_MTRR_VARIABLE,
    MSR_KIND_MTRR_FIXED,
    MSR_KIND_DEBUGCTL,
    MSR_KIND_TSC_AUX,
    MSR_KIND_HOST,     /* reads as the host's, writes do nothing */
    MSR_KIND_CONSTANT, /* reads as 'value', writes do nothing */
    MSR_KIND_FIXED,    /* reads as 'value', writes give #GP */
    MSR_KIND_IBPB
};

#define MSR_NOT_KEPT 0xffffU

struct msr_row {
    uint32_t first, last;
    uint8_t kind;
    uint16_t kept; /* the word of struct cpu_state that FIRST lies in, or MSR_NOT_KEPT */
    uint64_t value;
    const char *name;
};

/* In order of the numbers; one that is not here gives #GP. */
extern const struct msr_row msr_rows[];
extern const unsigned msr_row_count;

#endif
