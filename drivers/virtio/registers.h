/* SPDX-License-Identifier: BSD-2-Clause */
/* The edge to a virtio device's registers. On the host, tests link a simulated device instead. */
#ifndef PORTOLAN_DRIVERS_VIRTIO_REGISTERS_H
#define PORTOLAN_DRIVERS_VIRTIO_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One access of WIDTH = 1, 2 or 4 bytes to a mapped register at ADDRESS, a multiple of WIDTH. Of a
 * device that is gone all ones are read. Any CPU.
 */
uint32_t virtio_register_read(const volatile void *address, unsigned width);
void virtio_register_write(volatile void *address, unsigned width, uint32_t value);

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
