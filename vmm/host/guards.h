/* SPDX-License-Identifier: BSD-2-Clause */
/* What this CPU has to be told so that guests learn nothing of what it did before: vm.md, vmx.md.
 */
#ifndef PORTOLAN_VMM_HOST_GUARDS_H
#define PORTOLAN_VMM_HOST_GUARDS_H

#include <stdint.h>

/* What CPUID and IA32_ARCH_CAPABILITIES say. */
enum guard_fact {
    FACT_INTEL,
    FACT_AMD,
    FACT_RTM,
    FACT_MD_CLEAR,
    FACT_L1D_FLUSH,
    FACT_RRSBA_CTRL,
    FACT_BHI_CTRL,
    FACT_AUTO_IBRS,
    FACT_RDCL_NO,
    FACT_IBRS_ALL,
    FACT_SKIP_L1DFL,
    FACT_MDS_NO,
    FACT_TAA_NO,
    FACT_SBDR_NO,
    FACT_FBSDP_NO,
    FACT_PSDP_NO,
    FACT_FB_CLEAR,
    FACT_RRSBA,
    FACT_BHI_NO,
    FACT_RFDS_NO,
    FACT_RFDS_CLEAR,
    FACTS
};

/* What is to be done. */
enum guard_action {
    GUARD_FLUSH_L1 = 1 << 0,  /* at entries, by IA32_FLUSH_CMD; it clears the buffers too */
    GUARD_BUFFERS = 1 << 1,   /* clear them at entries, by VERW */
    GUARD_IBRS = 1 << 2,      /* in SPEC_CTRL, once; the next two likewise */
    GUARD_BHI_DIS = 1 << 3,   /* what guests branched before steers none of our branches */
    GUARD_RRSBA_DIS = 1 << 4, /* returns are not predicted as jumps */
    GUARD_AUTO_IBRS = 1 << 5, /* in EFER, once */
    GUARD_LACKS = 1 << 6      /* nothing can be: its microcode is too old */
};

/* THE table: where all facts of NEED and none of UNLESS are, this is done. Bits are 1 << FACT_...
 */
struct guard_row {
    const char *name; /* as its vendor has it */
    uint32_t need, unless;
    uint32_t action;
};

extern const struct guard_row guard_rows[];
extern const unsigned guard_row_count;

/* Pure: enum guard_action's bits for FACTS; GUARD_BUFFERS is not beside GUARD_FLUSH_L1. */
uint32_t guards_choose(uint32_t facts);

/* Do both for this CPU, and warn of each row that GUARD_LACKS. Boot CPU. */
uint32_t guards_init(void);

#endif
