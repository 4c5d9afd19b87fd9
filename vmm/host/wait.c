/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/wait.h"

#include "vmm/host/instructions.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"

void wait_us(uint64_t us)
{
    uint64_t deadline = time_now_ns() + us * 1000;

    timer_set(TIMER_WAIT, deadline);
    cpu_irq_disable();
    while (time_now_ns() < deadline) {
        cpu_sleep(); /* STI's shadow: the timer cannot slip in before HLT */
        cpu_irq_disable();
    }
    cpu_irq_enable();
    timer_set(TIMER_WAIT, TIMER_NEVER);
}
