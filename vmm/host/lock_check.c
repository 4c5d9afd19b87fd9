/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of locks, for builds with PORTOLAN_CHECK_LOCKS. */
#include "vmm/base/x86.h"
#include "vmm/host/irq.h"
#include "vmm/host/panic.h"
#include "vmm/host/percpu.h"
#include "vmm/host/spinlock.h"

#ifdef PORTOLAN_CHECK_LOCKS

/* Those that the table has with interrupts off. */
#define MASKED                                                                           \
    (1U << LOCK_FAULTS | 1U << LOCK_IOMMU | 1U << LOCK_VECTORS | 1U << LOCK_INTERRUPTS | \
     1U << LOCK_PC | 1U << LOCK_LOG | 1U << LOCK_LINE)

_Static_assert(LOCK_RANKS <= 32, "one word has a bit for each rank");

static bool interrupts_are_on(void)
{
    uint64_t flags = irq_save();

    irq_restore(flags);
    return (flags & RFLAGS_IF) != 0;
}

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
    if ((MASKED >> rank & 1) != 0 && interrupts_are_on()) {
        panic("a lock of rank %u is taken with interrupts on", (unsigned)rank);
    }
    cpu->locks |= 1U << rank;
    cpu->registers += rank == LOCK_REGISTERS;
}

void lock_check_release(enum lock_rank rank)
{
    if (!cpu_has_area()) {
        return;
    }
    struct cpu *cpu = cpu_current();

    if (rank != LOCK_REGISTERS || --cpu->registers == 0) {
        cpu->locks &= ~(1U << rank);
    }
}

#endif
