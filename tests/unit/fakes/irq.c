/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/host/irq.h on the host, where there is nothing to turn off. */
#include "tests/unit/fakes/irq.h"

#include "vmm/host/irq.h"

static unsigned off;

uint64_t irq_save(void)
{
    return off++;
}

void irq_restore(uint64_t flags)
{
    off = (unsigned)flags;
}

bool fake_irqs_are_off(void)
{
    return off > 0;
}
