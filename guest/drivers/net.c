/* SPDX-License-Identifier: BSD-2-Clause */
/* A network card: its rings, its control queue, and frames to and from the gateway (packets.c). */
#include "guest/drivers/drivers.h"
#include "guest/drivers/packets.h"

#include <string.h>

#define RECEIVE        0
#define TRANSMIT       1
#define RX_SLOTS       32U
#define TX_SLOTS       8U /* BURST_MAX at once */
#define HEADER         10U
#define HEADER_MERGED  12U
#define FEATURE_MERGE  (1U << 15)
#define FEATURE_CTRL   (FEATURE_NET_CONTROL | 1U << 18) /* and CTRL_RX */
#define BUFFER         2048U
#define CLASS_RX       0
#define RX_PROMISCUOUS 0
#define RX_ALL_MULTI   1
#define CLASS_MAC      1
#define MAC_TABLE_SET  0
#define CLASS_PAIRS    4
#define PAIRS_SET      0

/* With merged buffers the header is in front of the frame, else in a descriptor of its own. */
static uint8_t received[RX_SLOTS][BUFFER] __attribute__((aligned(16)));
static uint8_t received_header[RX_SLOTS][HEADER];
static uint8_t sent[TX_SLOTS][BUFFER] __attribute__((aligned(16)));
static uint8_t sent_header[TX_SLOTS][HEADER_MERGED];
static uint8_t frame[BUFFER];

static bool merges(const struct driver *driver)
{
    return (driver->features & FEATURE_MERGE) != 0;
}

static void post(struct driver *driver, unsigned slot)
{
    struct virtio_queue *queue = &driver->queue[RECEIVE];
    uint16_t head = (uint16_t)(2 * slot);

    if (merges(driver)) {
        virtio_describe(queue->descriptor, head, received[slot], BUFFER, VIRTIO_WRITE);
    } else {
        virtio_describe(queue->descriptor, head, received_header[slot], HEADER,
                        VIRTIO_NEXT | VIRTIO_WRITE);
        virtio_describe(queue->descriptor, (uint16_t)(head + 1), received[slot], BUFFER,
                        VIRTIO_WRITE);
    }
    virtio_put(queue, head);
}

void net_post(struct driver *driver)
{
    for (unsigned slot = 0; slot < RX_SLOTS; slot++) {
        post(driver, slot);
    }
    wait_kick(driver, RECEIVE);
}

/* Only what was asked for may be in it: no segments to be made, one buffer. */
static void check_header(struct driver *driver, const uint8_t *header)
{
    CHECK_EQUAL(header[1], 0);
    if (merges(driver)) {
        CHECK_EQUAL(header[10] | header[11] << 8, 1);
    }
}

/* The next frame from the device, in FRAME; its length. */
static unsigned receive(struct driver *driver)
{
    uint32_t length;
    unsigned slot = wait_for(driver, RECEIVE, &length) / 2U;
    unsigned header = merges(driver) ? HEADER_MERGED : HEADER;

    if (!CHECK(slot < RX_SLOTS) || !CHECK(length > header && length <= BUFFER)) {
        test_end();
    }
    check_header(driver, merges(driver) ? received[slot] : received_header[slot]);
    memcpy(frame, received[slot] + (merges(driver) ? header : 0), length - header);
    post(driver, slot);
    wait_kick(driver, RECEIVE);
    return length - header;
}

/* Pairs send in turn; what comes back comes by the first one. */
static unsigned transmitter(const struct driver *driver, unsigned slot)
{
    return TRANSMIT + slot % driver->pairs * 2;
}

/* Send what is in sent[SLOT]. */
static void transmit(struct driver *driver, unsigned slot, unsigned length)
{
    struct virtio_queue *queue = &driver->queue[transmitter(driver, slot)];
    uint16_t head = (uint16_t)(2 * slot);

    memset(sent_header[slot], 0, HEADER_MERGED);
    virtio_describe(queue->descriptor, head, sent_header[slot],
                    merges(driver) ? HEADER_MERGED : HEADER, VIRTIO_NEXT);
    virtio_describe(queue->descriptor, (uint16_t)(head + 1), sent[slot], length, 0);
    virtio_put(queue, head);
    wait_kick(driver, transmitter(driver, slot));
}

/* The device has let go of COUNT frames that it was given. */
static void reap(struct driver *driver, unsigned count)
{
    uint32_t length;

    for (unsigned i = 0; i < count; i++) {
        CHECK(wait_for(driver, transmitter(driver, i), &length) < 2 * TX_SLOTS);
    }
}

/* ---- the control queue ---- */

/* A command with its data in SECOND descriptors of SIZE bytes. */
static void control(struct driver *driver, uint8_t class, uint8_t command, const uint8_t *bytes,
                    unsigned size, unsigned parts)
{
    static uint8_t header[2];
    static volatile uint8_t ack;
    unsigned number = driver->queues - 1;
    struct virtio_queue *queue = &driver->queue[number];
    uint16_t at = 0;
    uint32_t length;

    header[0] = class;
    header[1] = command;
    ack = 0xff;
    virtio_describe(queue->descriptor, at++, header, sizeof(header), VIRTIO_NEXT);
    for (unsigned i = 0; i < parts; i++) {
        virtio_describe(queue->descriptor, at++, bytes + (size_t)i * size, size, VIRTIO_NEXT);
    }
    virtio_describe(queue->descriptor, at, &ack, 1, VIRTIO_WRITE);
    virtio_put(queue, 0);
    wait_kick(driver, number);
    (void)wait_for(driver, number, &length);
    CHECK_EQUAL(ack, 0);
}

/* No frames from now on but our own and broadcasts. All pairs are used. */
void net_control(struct driver *driver)
{
    const uint8_t pairs[2] = {(uint8_t)driver->pairs};
    static const uint8_t off[1];
    static const uint8_t tables[8]; /* two, each of 0 addresses */

    if ((driver->features & FEATURE_CTRL) != FEATURE_CTRL) {
        return;
    }
    control(driver, CLASS_RX, RX_PROMISCUOUS, off, 1, 1);
    control(driver, CLASS_RX, RX_ALL_MULTI, off, 1, 1);
    control(driver, CLASS_MAC, MAC_TABLE_SET, tables, 4, 2);
    if (driver->pairs > 1) {
        control(driver, CLASS_PAIRS, PAIRS_SET, pairs, sizeof(pairs), 1);
    }
}

void net_write_address(struct driver *driver)
{
    const uint8_t address[6] = {2, 'p', 'o', 'r', 't', (uint8_t)driver->index};
    uint16_t base = virtio_config(&driver->pci);

    for (unsigned i = 0; i < sizeof(address); i++) {
        outb((uint16_t)(base + i), address[i]);
    }
    for (unsigned i = 0; i < sizeof(address); i++) {
        CHECK_EQUAL(inb((uint16_t)(base + i)), address[i]);
    }
    memcpy(driver->config, address, sizeof(address));
}

/* ---- traffic ---- */

static void find_gateway(struct driver *driver)
{
    transmit(driver, 0, packet_ask(sent[0]));
    while (!packet_is_answer(frame, receive(driver))) {
    }
    reap(driver, 1);
}

/* COUNT echoes at once; each must come back, in any order, as it was. */
static void echo(struct driver *driver, unsigned round, unsigned count)
{
    unsigned left = count;

    for (unsigned i = 0; i < count; i++) {
        transmit(driver, i, packet_echo(sent[i], round * count + i));
    }
    while (left > 0) {
        left -= packet_is_echo(frame, receive(driver)) ? 1 : 0;
    }
    reap(driver, count);
}

void net_exercise(struct driver *driver)
{
    packet_set_up(driver->config, driver->index);
    find_gateway(driver);
    for (unsigned round = 0; round < PACKET_ECHOES / driver->style->depth; round++) {
        echo(driver, round, driver->style->depth);
    }
    CHECK_EQUAL(packet_echoes(), PACKET_ECHOES);
}
