/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <string.h>

#define BUFFERS  0x80000U /* in memory */
#define SECTOR   512U
#define COUNT    8U
#define TYPE_IN  0U
#define TYPE_OUT 1U
#define CAPACITY 4096U /* sectors; peer.py makes the disk */

struct request {
    uint32_t type, priority;
    uint64_t sector;
};

/* Requests in turn have one of two places, since two are the most that are under way. */
static struct place {
    struct request request;
    uint8_t data[COUNT * SECTOR];
    uint8_t status;
} * place_of(unsigned number)
{
    return (struct place *)(void *)(memory + BUFFERS + (size_t)(number % 2) * 0x2000);
}

static void fill(uint8_t *data, uint32_t first, unsigned seed)
{
    for (uint32_t i = 0; i < COUNT * SECTOR; i++) {
        data[i] = (uint8_t)(first * 31 + seed * 7 + i * 13 + (i >> 8));
    }
}

static void post(struct driver *driver, uint32_t type, uint32_t first)
{
    struct place *place = place_of(driver->queues[0].posted);
    const struct part parts[] = {
        {&place->request, sizeof(place->request), false          },
        {place->data,     sizeof(place->data),    type == TYPE_IN},
        {&place->status,  1,                      true           }
    };

    place->request = (struct request){.type = type, .sector = first};
    place->status = 0xff;
    (void)queue_post(&driver->queues[0], parts, 3);
}

void block_post_write(struct driver *driver, uint32_t first, unsigned seed)
{
    fill(place_of(driver->queues[0].posted)->data, first, seed);
    post(driver, TYPE_OUT, first);
}

void block_finish(struct driver *driver)
{
    unsigned number = driver->queues[0].seen;
    uint32_t length;

    (void)queue_wait(&driver->queues[0], &length);
    expect_value("status of the request", place_of(number)->status, 0);
}

void block_write(struct driver *driver, uint32_t first, unsigned seed)
{
    block_post_write(driver, first, seed);
    driver_notify(driver, 0);
    block_finish(driver);
}

void block_check(struct driver *driver, uint32_t first, unsigned seed)
{
    static uint8_t wanted[COUNT * SECTOR];
    struct place *place = place_of(driver->queues[0].posted);

    fill(wanted, first, seed);
    memset(place->data, 0, sizeof(place->data));
    post(driver, TYPE_IN, first);
    driver_notify(driver, 0);
    block_finish(driver);
    if (memcmp(place->data, wanted, sizeof(wanted)) != 0) {
        fail("%s: sectors %u and on are not what was written with %u", driver->vf->bdf, first,
             seed);
    }
}

void block_check_config(const struct driver *driver)
{
    expect_value("capacity", modern_config(driver, 0, 4), CAPACITY);
}
