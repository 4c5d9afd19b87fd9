/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP echoes (RFC 792) to the gateway of a network that has addresses 10.0.2.0/24. */
#include "guest/lib/apic.h"
#include "guest/lib/frames.h"
#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"
#include "guest/vbench/vbench.h"

#include <string.h>

#define NET          0x1000
#define RECEIVE      0
#define TRANSMIT     1
#define RING_PAGES   24U
#define FRAME_BYTES  2048U
#define BUFFERS      8U /* that the device may fill */
#define HEADER       10U
#define NO_INTERRUPT 1 /* in the available ring's flags: the old drivers' wish for frames sent */

#define IP_BYTES   20U
#define ICMP_BYTES 64U /* 8 of header, 56 of data: a ping */
#define PROTO_ICMP 1
#define ECHO       8
#define ECHO_REPLY 0
#define PING_BYTES (FRAME_ETHERNET + IP_BYTES + ICMP_BYTES)

static struct virtio_device net;
static struct virtio_queue receive, transmit;
static uint8_t rings[2][RING_PAGES * PAGE] __attribute__((aligned(4096)));
static uint8_t frames[BUFFERS][FRAME_BYTES] __attribute__((aligned(4096)));
static uint8_t headers[BUFFERS][16];
static uint8_t sent_header[16], sent[FRAME_BYTES] __attribute__((aligned(4096)));
static uint8_t own_mac[6], gateway_mac[6];
static volatile bool gateway_known;
static volatile unsigned answers;

static void describe(struct virtio_queue *queue, unsigned index, const void *at, unsigned length,
                     unsigned flags)
{
    queue->descriptor[index] = (struct virtio_descriptor){.address = (uint64_t)at,
                                                          .length = length,
                                                          .flags = (uint16_t)flags,
                                                          .next = (uint16_t)(index + 1)};
}

static void send(unsigned bytes)
{
    uint32_t length;

    while (virtio_take(&transmit, &length)) {
    }
    describe(&transmit, 0, sent_header, HEADER, VIRTIO_NEXT);
    describe(&transmit, 1, sent, bytes, 0);
    virtio_offer(&net, &transmit, 0);
}

static void send_echo(unsigned sequence)
{
    uint8_t *ip = sent + FRAME_ETHERNET, *icmp = ip + IP_BYTES;

    memset(icmp, 0, ICMP_BYTES);
    frame_begin(sent, gateway_mac, own_mac, FRAME_IP);
    ip[0] = 0x45;
    frame_put16(ip + 2, IP_BYTES + ICMP_BYTES);
    ip[8] = 64;
    ip[9] = PROTO_ICMP;
    memcpy(ip + 12, frame_our_ip, 4);
    memcpy(ip + 16, frame_gateway_ip, 4);
    frame_put16(ip + 10, frame_checksum(ip, IP_BYTES));
    icmp[0] = ECHO;
    frame_put16(icmp + 6, sequence);
    frame_put16(icmp + 2, frame_checksum(icmp, ICMP_BYTES));
    send(PING_BYTES);
}

static void take_frame(const uint8_t *frame, unsigned bytes)
{
    const uint8_t *ip = frame + FRAME_ETHERNET;

    if (frame_is_answer(frame, bytes, own_mac, gateway_mac)) {
        gateway_known = true;
    } else if (bytes >= PING_BYTES && frame_get16(frame + FRAME_TYPE) == FRAME_IP &&
               ip[9] == PROTO_ICMP && ip[IP_BYTES] == ECHO_REPLY &&
               memcmp(ip + 12, frame_gateway_ip, 4) == 0) {
        answers++;
    }
}

static void offer_buffer(unsigned number)
{
    describe(&receive, 2 * number, headers[number], HEADER, VIRTIO_NEXT | VIRTIO_WRITE);
    describe(&receive, 2 * number + 1, frames[number], FRAME_BYTES, VIRTIO_WRITE);
    virtio_offer(&net, &receive, (uint16_t)(2 * number));
}

static void handle_receive(struct guest_frame *frame)
{
    while (receive.used->index != receive.seen) {
        unsigned number = receive.used->ring[receive.seen % receive.size].id / 2;
        uint32_t length;

        if (virtio_take(&receive, &length) && length > HEADER) {
            take_frame(frames[number], length - HEADER);
        }
        offer_buffer(number);
    }
    mmio_write(APIC_BASE + APIC_EOI, 0);
}

static void set_up_queue(unsigned number, struct virtio_queue *queue)
{
    if (!CHECK(virtio_set_up_queue(&net, (uint16_t)number, rings[number], sizeof(rings[number]),
                                   queue))) {
        test_end();
    }
    outw((uint16_t)(net.base + VIRTIO_QUEUE_VECTOR), number == RECEIVE ? 0 : VIRTIO_NO_VECTOR);
}

void net_start(void)
{
    if (!CHECK(virtio_find(NET, &net)) || !CHECK(net.msix != 0)) {
        test_end();
    }
    uint16_t base = net.base;

    interrupt_set_handler(VECTOR_NET, handle_receive);
    virtio_reset(&net);
    virtio_msix_set(&net, 0, VECTOR_NET, 0);
    virtio_msix_enable(&net, true);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl((uint16_t)(base + VIRTIO_GUEST_FEATURES), 0);
    set_up_queue(RECEIVE, &receive);
    set_up_queue(TRANSMIT, &transmit);
    transmit.available->flags = NO_INTERRUPT;
    for (unsigned i = 0; i < sizeof(own_mac); i++) {
        own_mac[i] = inb((uint16_t)(virtio_config(&net) + i));
    }
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
    for (unsigned i = 0; i < BUFFERS; i++) {
        offer_buffer(i);
    }
    irq_disable();
    frame_ask(sent, own_mac);
    send(FRAME_MINIMUM);
    while (!gateway_known) {
        irq_wait();
    }
}

void net_ping(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned before = answers;

        irq_enable();
        send_echo(i);
        irq_disable();
        while (answers == before) {
            irq_wait();
        }
    }
}
