/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of locks, for builds with PORTOLAN_CHECK_LOCKS. */
#include "vmm/host/panic.h"
#include "vmm/host/percpu.h"
#include "vmm/host/spinlock.h"

#ifdef PORTOLAN_CHECK_LOCKS

_Static_assert(LOCK_RANKS <= 32, "one word has a bit for each rank");

void lock_check_acquire(enum lock_rank rank)
{
    if (!cpu_has_area()) {
        return; /* there is one CPU yet */
    }
    struct cpu *cpu = cpu_current();
    unsigned lowest = rank == LOCK_REGISTERS ? LOCK_REGISTERS + 1 : rank;

    if (rank == 0 || cpu->locks >> lowest != 0) {
        panic("a lock of rank %u is taken under those of the set 0x%x", (unsigned)rank, cpu->locks);
    }
    cpu->locks |= 1U << rank;
}

void lock_check_release(enum lock_rank rank)
{
    if (cpu_has_area()) {
        cpu_current()->locks &= ~(1U << rank);
    }
}

#endif
