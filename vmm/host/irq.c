/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/irq.h"

#include "vmm/base/x86.h"
#include "vmm/host/instructions.h"

uint64_t irq_save(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return flags;
}

void irq_restore(uint64_t flags)
{
    if (flags & RFLAGS_IF) {
        cpu_irq_enable();
    }
}
