/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often something that a guest or a device can cause at will may be logged: a burst, then a few
 * times a second. What is left out is counted, so that the next message can say so.
 */
#ifndef PORTOLAN_VMM_BASE_LOG_LIMIT_H
#define PORTOLAN_VMM_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_BURST 32U
#define LOG_LIMIT_EACH  250000000ULL /* nanoseconds for one more */

/* All zero: nothing was logged yet. */
struct log_limit {
    uint32_t spent;    /* of the burst */
    uint64_t since_ns; /* from here on time counts towards giving some of it back */
    uint64_t dropped;  /* since the last message that passed */
};

/*
 * May there be a message at NOW_NS, which does not run backwards? If so *DROPPED is how many were
 * left out since the last one that passed. One CPU at a time.
 */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ns, uint64_t *dropped);

#endif
