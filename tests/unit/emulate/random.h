/* SPDX-License-Identifier: BSD-2-Clause */
/* A small repeatable generator of random numbers (xorshift64*), the same on every machine. */
#ifndef PORTOLAN_TESTS_UNIT_EMULATE_RANDOM_H
#define PORTOLAN_TESTS_UNIT_EMULATE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* not 0 */
};

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1dULL;
}

/* A number below LIMIT, which is small. */
static inline unsigned random_below(struct random *random, unsigned limit)
{
    return (unsigned)((random_next(random) >> 32) * limit >> 32);
}

#endif
