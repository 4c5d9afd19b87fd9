/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/virtio_wait.h"
#include "vmm/host/time.h"

#define WAIT_STEP_MAX_US 1000U
#define WAIT_SHARE       16U /* a delay is this part of the time that has passed */

uint32_t virtio_wait_step(uint32_t passed_us)
{
    uint32_t step = 1 + passed_us / WAIT_SHARE;

    return step < WAIT_STEP_MAX_US ? step : WAIT_STEP_MAX_US;
}

bool virtio_wait_more(struct virtio_wait *wait)
{
    uint32_t step = virtio_wait_step(wait->passed_us);

    if (wait->passed_us >= wait->limit_us) {
        return false;
    }
    time_delay_us(step);
    wait->passed_us += step;
    return true;
}
