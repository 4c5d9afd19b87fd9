/* SPDX-License-Identifier: BSD-2-Clause */
/* This CPU's interrupts off for a while. On the host, tests link a fake. */
#ifndef PORTOLAN_VMM_HOST_IRQ_H
#define PORTOLAN_VMM_HOST_IRQ_H

#include <stdint.h>

/* Turn interrupts off and tell what to give irq_restore(). */
uint64_t irq_save(void);

/* Turn interrupts on again if they were on at irq_save(). */
void irq_restore(uint64_t flags);

#endif
