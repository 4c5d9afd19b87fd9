/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ticket lock: served in order of arrival. Interrupts are the caller's business.
 *
 * Locks are taken in the order of their ranks: docs/architecture.md has the table. A build with
 * PORTOLAN_CHECK_LOCKS (a CMake option) panics where one is not; in others ranks cost nothing.
 */
#ifndef PORTOLAN_VMM_HOST_SPINLOCK_H
#define PORTOLAN_VMM_HOST_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* From the outermost to the innermost. 0 is none: every lock has a rank. */
enum lock_rank {
    LOCK_PLAN = 1,
    LOCK_FILES,
    LOCK_REGISTERS, /* of one function; all of a VM's in the order of its set */
    LOCK_PORTS,
    LOCK_MASTER,
    LOCK_ADMIN,
    LOCK_NESTED, /* a VM's nested tables */
    LOCK_DOMAIN, /* what an IOMMU domain maps */
    LOCK_FAULTS,
    LOCK_IOMMU,
    LOCK_VECTORS,
    LOCK_WINDOWS,
    LOCK_PAGING,
    LOCK_POOL,
    LOCK_FRAMES,
    LOCK_PCI_PORTS,
    LOCK_TRACE, /* of a VM: with interrupts on, so before those that handlers take */
    LOCK_INTERRUPTS,
    LOCK_PC,
    LOCK_LOG,
    LOCK_LINE,
    LOCK_RANKS
};

struct spinlock {
    uint32_t next;
    uint32_t serving;
#ifdef PORTOLAN_CHECK_LOCKS
    enum lock_rank rank;
#endif
};

#ifdef PORTOLAN_CHECK_LOCKS

#define SPINLOCK(of_rank) \
    {                     \
        .rank = (of_rank) \
    }

/* vmm/host/lock_check.c: this CPU takes a lock of that rank, or gives it back. */
void lock_check_acquire(enum lock_rank rank);
void lock_check_release(enum lock_rank rank);

static inline void spinlock_init(struct spinlock *lock, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK(rank);
}

#else

#define SPINLOCK(of_rank) \
    {                     \
        0                 \
    }
#define lock_check_acquire(rank)  ((void)0)
#define lock_check_release(rank)  ((void)0)
#define spinlock_init(lock, rank) ((void)(*(lock) = (struct spinlock){0}))

#endif

static inline void spinlock_acquire(struct spinlock *lock)
{
    lock_check_acquire(lock->rank);

    uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket) {
        __builtin_ia32_pause();
    }
}

/* False: somebody has it. */
static inline bool spinlock_try(struct spinlock *lock)
{
    uint32_t free = __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);

    if (!__atomic_compare_exchange_n(&lock->next, &free, free + 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return false;
    }
    lock_check_acquire(lock->rank);
    return true;
}

static inline void spinlock_release(struct spinlock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
    lock_check_release(lock->rank);
}

#endif
