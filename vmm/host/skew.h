/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Do two CPUs' TSCs agree? They take turns to read theirs, so that each reading of the one lies
 * between two of the other.
 */
#ifndef PORTOLAN_VMM_HOST_SKEW_H
#define PORTOLAN_VMM_HOST_SKEW_H

#include "vmm/base/status.h"

#include <stdint.h>

struct skew {
    uint32_t asked, answered; /* the rounds; atomic */
    uint64_t there;           /* the answer of this round */
};

/*
 * On the CPU that is compared, while the other is in skew_measure(): answer it. Ends by itself when
 * no questions come.
 */
void skew_answer(struct skew *skew);

/*
 * *TICKS: by how much the other CPU's TSC is at least ahead of ours (negative: behind); 0 where
 * nothing shows. DEVICE: it does not answer.
 */
enum status skew_measure(struct skew *skew, int64_t *ticks);

/* Pure: what one reading THERE says, which was taken between BEFORE and AFTER here. */
int64_t skew_of(uint64_t before, uint64_t there, uint64_t after);

#endif
