/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/wait.h"

#include "vmm/host/instructions.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"

void wait_us(uint64_t us)
{
    uint64_t deadline = time_now_ns() + us * 1000;

    timer_set(TIMER_WAIT, deadline);
    for (;;) {
        cpu_irq_disable(); /* or the timer could fire between the look and HLT */
        if (time_now_ns() >= deadline) {
            break;
        }
        if (timer_service_is_due()) {
            cpu_irq_enable();
            timer_service();
        } else {
            wait_for_interrupt();
        }
    }
    cpu_irq_enable();
    timer_set(TIMER_WAIT, TIMER_NEVER);
}

void wait_for_interrupt(void)
{
    cpu_sleep(); /* STI's shadow: an interrupt cannot slip in before HLT */
}
