/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/svm/svm.h"

void asid_pool_init(struct asid_pool *pool, uint32_t count, bool by_asid)
{
    /* As if all were used up: who had this CPU before may have left translations in its TLB. */
    *pool = (struct asid_pool){.count = count, .next = count, .generation = 1, .by_asid = by_asid};
}

void asid_flush(struct asid *asid)
{
    asid->stale = true;
}

/* A number that nobody has used since the last full flush has no translations at all. */
static uint8_t asid_take(struct asid_pool *pool, struct asid *asid)
{
    uint8_t control = VMCB_TLB_KEEP;

    if (pool->next >= pool->count) {
        pool->next = 1;
        pool->generation++;
        control = VMCB_TLB_FLUSH_ALL;
    }
    *asid = (struct asid){.number = pool->next++, .generation = pool->generation};
    return control;
}

uint8_t asid_choose(struct asid_pool *pool, struct asid *asid)
{
    if (asid->number == 0 || asid->generation != pool->generation) {
        return asid_take(pool, asid);
    }
    if (asid_is_good(pool, asid)) {
        return VMCB_TLB_KEEP;
    }
    if (!pool->by_asid) {
        return asid_take(pool, asid);
    }
    asid->stale = false;
    return VMCB_TLB_FLUSH_ASID;
}

void asid_failed(struct asid_pool *pool, struct asid *asid)
{
    pool->next = pool->count;
    asid->number = 0;
}
