/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings in the guest's memory, and which requests in them the device still has: for a VF that
 * another one may replace when it dies (docs/migration.md). Split rings of the legacy layout,
 * virtio 1.3, 2.7.
 *
 * What is known is a lower bound for each descriptor chain: how often its head was seen offered
 * and not used since. The bounds are exact when their sum is what the indexes say is in flight;
 * whatever was missed only makes the sum smaller, until what was missed has been used.
 */
#ifndef PORTOLAN_VMM_LEGACY_INFLIGHT_H
#define PORTOLAN_VMM_LEGACY_INFLIGHT_H

#include "vmm/legacy/legacy_state.h"

#include "vmm/base/status.h"

struct legacy_function;

#define LEGACY_HEADS_MAX 0x10000U /* of all queues of a function; those beyond are not followed */

struct legacy_followed {
    uint32_t pfn;   /* of the ring that is followed; 0: none */
    uint32_t first; /* of 'count' */
    uint32_t known; /* the sum of its counts */
    uint16_t size;  /* 0: no counts yet */
    uint16_t avail; /* the indexes up to which its rings were looked at */
    uint16_t used;
};

/* Of one function; under its registers lock. */
struct legacy_inflight {
    struct legacy_followed queue[LEGACY_QUEUES_MAX];
    uint32_t taken; /* of 'count' */
    unsigned turn;  /* the queue that was polled last */
    uint8_t count[LEGACY_HEADS_MAX];
};

/*
 * Does QUEUE's ring, whose size is known, lie in the VM's RAM if it begins at page PFN? Yes where
 * the RAM is not known here.
 */
bool legacy_ring_is_ram(const struct legacy_function *f, unsigned queue, uint32_t pfn);

/* QUEUE's indexes as they are in the guest's memory; 0 where that is no RAM. Any CPU. */
void legacy_indexes(const struct legacy_function *f, unsigned queue, uint16_t *avail,
                    uint16_t *used);

/*
 * See what has come and gone in QUEUE, any number that a guest says, and of a net VF in the other
 * one of its pair. Nothing is done for a function that is not followed. The registers lock is held.
 */
void legacy_inflight_look(struct legacy_function *f, unsigned queue);

/* The next eight queues, unless somebody has the registers lock. CPU 0, from time to time. */
void legacy_inflight_poll(struct legacy_function *f);

/* QUEUE has another ring from here on, or none; or all of them. The registers lock is held. */
void legacy_inflight_restart(struct legacy_function *f, unsigned queue);
void legacy_inflight_forget(struct legacy_function *f);

/*
 * FUNCTION's VF cannot reach memory any more, and no vCPU runs: let the entries of each available
 * ring from the used index on be what is in flight, in the order in which it was offered. May be
 * done again. CONFLICT, and nothing is changed: of *QUEUE it is not known.
 */
enum status legacy_offer_again(struct legacy_function *f, unsigned *queue);

#endif
