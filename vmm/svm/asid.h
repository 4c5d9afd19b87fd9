/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address space identifiers of one CPU, and with them all TLB flushes of its guests: AMD APM 2,
 * sections 15.15 and 15.16. Pure, so that the host tests see every obligation to flush.
 */
#ifndef PORTOLAN_VMM_SVM_ASID_H
#define PORTOLAN_VMM_SVM_ASID_H

#include <stdbool.h>
#include <stdint.h>

/* Of a CPU; only that CPU uses it. */
struct asid_pool {
    uint32_t count; /* ASIDs 1..count - 1 are guests' (CPUID 8000000Ah EBX); 0 is the VMM's */
    uint32_t next;
    uint64_t generation; /* how often all were used up; from 1 on */
    bool by_asid;        /* TLB_CONTROL can flush a single one */
};

/* Of a vCPU; all zero: it has none yet. */
struct asid {
    uint32_t number;
    uint64_t generation;
    bool stale; /* its translations must not be used any more */
};

/* COUNT >= 2. The first VMRUN flushes what was in the TLB before. */
void asid_pool_init(struct asid_pool *pool, uint32_t count, bool by_asid);

/* The guest's translations are out of date: asid_choose() sees to it. */
void asid_flush(struct asid *asid);

/*
 * Before each VMRUN: make *ASID one that holds no stale translation, and return what TLB_CONTROL
 * must be for it. The ASID may have changed.
 */
uint8_t asid_choose(struct asid_pool *pool, struct asid *asid);

/*
 * VMRUN refused the guest's state after asid_choose(): it carries TLB_CONTROL out after its checks,
 * so the flush is still to be done.
 */
void asid_failed(struct asid_pool *pool, struct asid *asid);

#endif
