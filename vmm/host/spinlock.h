/* SPDX-License-Identifier: BSD-2-Clause */
/* A ticket lock: served in order of arrival. Interrupts are the caller's business. */
#ifndef PORTOLAN_VMM_HOST_SPINLOCK_H
#define PORTOLAN_VMM_HOST_SPINLOCK_H

#include <stdint.h>

struct spinlock {
    uint32_t next;
    uint32_t serving;
};

static inline void spinlock_acquire(struct spinlock *lock)
{
    uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket) {
        __builtin_ia32_pause();
    }
}

static inline void spinlock_release(struct spinlock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
