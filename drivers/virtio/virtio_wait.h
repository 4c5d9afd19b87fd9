/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PORTOLAN_DRIVERS_VIRTIO_VIRTIO_WAIT_H
#define PORTOLAN_DRIVERS_VIRTIO_VIRTIO_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Waiting for a device, bounded without a clock: delays that grow with the time that has passed, so
 * that a quick answer is seen quickly and a slow one costs few reads.
 *
 *   struct virtio_wait wait = {.limit_us = 1000};
 *   while (!condition()) if (!virtio_wait_more(&wait)) return STATUS_NOTE(STATUS_TIMEOUT);
 */
struct virtio_wait {
    uint32_t limit_us;
    uint32_t passed_us;
};

/* How long to delay after PASSED_US, in us. */
uint32_t virtio_wait_step(uint32_t passed_us);

/* Delay for a while; false, at once, when the limit has passed. Any CPU. */
bool virtio_wait_more(struct virtio_wait *wait);

#endif
