/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/smp.h"

#include "vmm/host/instructions.h"

#include <stdbool.h>

#define ROUNDS   16U
#define PATIENCE 10000000000ULL /* ticks: seconds, whatever the TSC's rate */

/* Wait until *WORD is ROUND. */
static bool wait_for(const uint32_t *word, uint32_t round)
{
    uint64_t from = cpu_read_tsc();

    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != round) {
        if (cpu_read_tsc() - from > PATIENCE) {
            return false;
        }
        cpu_relax();
    }
    return true;
}

void skew_answer(struct skew *skew)
{
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        if (!wait_for(&skew->asked, round)) {
            return;
        }
        skew->there = cpu_read_tsc();
        __atomic_store_n(&skew->answered, round, __ATOMIC_RELEASE);
    }
}

int64_t skew_of(uint64_t before, uint64_t there, uint64_t after)
{
    if (there < before) {
        return (int64_t)(there - before);
    }
    return there > after ? (int64_t)(there - after) : 0;
}

static uint64_t magnitude(int64_t ticks)
{
    return ticks < 0 ? -(uint64_t)ticks : (uint64_t)ticks;
}

/* A round that took long shows little: the one that shows most is nearest to the truth. */
enum status skew_measure(struct skew *skew, int64_t *ticks)
{
    *ticks = 0;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint64_t before = cpu_read_tsc();

        __atomic_store_n(&skew->asked, round, __ATOMIC_RELEASE);
        if (!wait_for(&skew->answered, round)) {
            return STATUS_NOTE(STATUS_DEVICE);
        }
        int64_t shown = skew_of(before, skew->there, cpu_read_tsc());

        if (magnitude(shown) > magnitude(*ticks)) {
            *ticks = shown;
        }
    }
    return STATUS_OK;
}
