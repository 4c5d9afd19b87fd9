/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/shared.h"

#define CACHE_LINE 64U /* of every CPU with VT-d or AMD-Vi */

uint64_t shared_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void shared_store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void shared_clear(uint64_t *word, uint64_t bits)
{
    __atomic_fetch_and(word, ~bits, __ATOMIC_SEQ_CST);
}

void shared_write_back(const void *memory, uint64_t size)
{
    uintptr_t first = (uintptr_t)memory & ~(uintptr_t)(CACHE_LINE - 1);
    uintptr_t end = (uintptr_t)memory + size;

    for (uintptr_t line = first; line < end; line += CACHE_LINE) {
        __asm__ volatile("clflush (%0)" ::"r"(line) : "memory");
    }
    __asm__ volatile("mfence" ::: "memory");
}
