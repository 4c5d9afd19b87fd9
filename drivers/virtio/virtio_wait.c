/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/registers.h"
#include "vmm/host/time.h"

#define WAIT_STEP_MAX_US 1000U
#define WAIT_SHARE       16U /* a delay is this part of the time that has passed */

bool virtio_wait_more(struct virtio_wait *wait)
{
    uint32_t step = 1 + wait->passed_us / WAIT_SHARE;

    if (wait->passed_us >= wait->limit_us) {
        return false;
    }
    if (step > WAIT_STEP_MAX_US) {
        step = WAIT_STEP_MAX_US;
    }
    time_delay_us(step);
    wait->passed_us += step;
    return true;
}
