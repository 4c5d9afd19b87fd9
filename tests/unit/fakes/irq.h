/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_IRQ_H
#define PORTOLAN_TESTS_UNIT_FAKES_IRQ_H

#include <stdbool.h>

/* Is the code between irq_save() and irq_restore()? */
bool fake_irqs_are_off(void);

#endif
