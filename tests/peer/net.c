/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames: who has the gateway's address? QEMU's user network answers. */
#include "peer.h"

#include <string.h>

#define RX             0
#define TX             1
#define BUFFERS        0x80000U /* in memory */
#define BUFFER_SIZE    2048U
#define BUFFERS_POSTED 8U
#define QUESTION       (BUFFERS + 0x8000U)
#define HEADER_MODERN  12U
#define HEADER_LEGACY  10U

struct arp {
    uint8_t to[6], from[6];
    uint8_t ether_type[2];
    uint8_t hardware[2], protocol[2], lengths[2], operation[2];
    uint8_t sender_mac[6], sender_ip[4];
    uint8_t target_mac[6], target_ip[4];
};

static const uint8_t our_ip[4] = {10, 0, 2, 15}, gateway[4] = {10, 0, 2, 2};

static uint32_t header_size(const struct driver *driver)
{
    return driver->is_legacy ? HEADER_LEGACY : HEADER_MODERN;
}

static uint8_t *buffer_of(unsigned number)
{
    return memory + BUFFERS + (size_t)(number % BUFFERS_POSTED) * BUFFER_SIZE;
}

static void post_buffer(struct driver *driver)
{
    struct queue *queue = &driver->queues[RX];
    uint8_t *at = buffer_of(queue->posted);
    const struct part parts[] = {
        {at,                 header_size(driver),         true},
        {at + HEADER_MODERN, BUFFER_SIZE - HEADER_MODERN, true}
    };

    (void)queue_post(queue, parts, 2);
}

void net_post_buffers(struct driver *driver)
{
    for (unsigned i = 0; i < BUFFERS_POSTED; i++) {
        post_buffer(driver);
    }
    driver_notify(driver, RX);
}

void net_post_question(struct driver *driver, const uint8_t *mac)
{
    uint8_t *at = memory + QUESTION;
    struct arp arp = {
        .ether_type = {0x08, 0x06},
        .hardware = {0,    1   },
        .protocol = {0x08, 0x00},
        .lengths = {6,    4   },
        .operation = {0,    1   },
    };
    const struct part parts[] = {
        {at,                 header_size(driver), false},
        {at + HEADER_MODERN, sizeof(arp),         false}
    };

    memset(arp.to, 0xff, 6);
    memcpy(arp.from, mac, 6);
    memcpy(arp.sender_mac, mac, 6);
    memcpy(arp.sender_ip, our_ip, 4);
    memcpy(arp.target_ip, gateway, 4);
    memset(at, 0, HEADER_MODERN);
    memcpy(at + HEADER_MODERN, &arp, sizeof(arp));
    (void)queue_post(&driver->queues[TX], parts, 2);
}

/* Frames of others' may come in between. */
void net_finish(struct driver *driver, const uint8_t *mac)
{
    uint32_t length;
    struct arp arp;

    (void)queue_wait(&driver->queues[TX], &length);
    do {
        const uint8_t *at = buffer_of(driver->queues[RX].seen);

        (void)queue_wait(&driver->queues[RX], &length);
        if (length < header_size(driver) + sizeof(arp)) {
            fail("%s: a frame of %u bytes", driver->vf->bdf, length);
        }
        memcpy(&arp, at + HEADER_MODERN, sizeof(arp));
        post_buffer(driver);
        driver_notify(driver, RX);
    } while (arp.ether_type[1] != 0x06 || arp.operation[1] != 2 ||
             memcmp(arp.sender_ip, gateway, 4) != 0);
    if (memcmp(arp.to, mac, 6) != 0 || memcmp(arp.target_mac, mac, 6) != 0) {
        fail("%s: the gateway answered another", driver->vf->bdf);
    }
}

void net_ask(struct driver *driver, const uint8_t *mac)
{
    net_post_question(driver, mac);
    driver_notify(driver, TX);
    net_finish(driver, mac);
}
