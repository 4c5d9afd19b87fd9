/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net_client SOCKET intx|msix ADDRESS: an old driver's network card, served at SOCKET by vfio-user,
 * has ADDRESS, asks the gateway of QEMU's user network for its own some times, and is answered.
 * Then its memory is taken away under a question, it is reset, and asks again.
 */
#include "guest_client.h"

#include <stdio.h>
#include <string.h>

#define QUESTION     FREE /* places in memory */
#define BUFFERS      0x30000U
#define BUFFER_SIZE  2048U
#define BUFFER_COUNT 8U
#define HEADER       10U
#define ROUNDS       20U
#define NET_MAC      (1U << 5)

enum { RX, TX, QUEUES };

struct arp {
    uint8_t to[6], from[6];
    uint8_t ether_type[2];
    uint8_t hardware[2], protocol[2], lengths[2], operation[2];
    uint8_t sender_mac[6], sender_ip[4];
    uint8_t target_mac[6], target_ip[4];
};

static const uint8_t our_ip[4] = {10, 0, 2, 15}, gateway[4] = {10, 0, 2, 2};
static uint8_t mac[6];
static struct ring ring[QUEUES];

static uint32_t buffer_of(unsigned number)
{
    return BUFFERS + number % BUFFER_COUNT * BUFFER_SIZE;
}

/* An old driver's header is a piece of its own. */
static void offer_buffer(void)
{
    uint32_t at = buffer_of(ring[RX].offered);
    const struct piece pieces[] = {
        {at,      HEADER,               true},
        {at + 16, BUFFER_SIZE - HEADER, true}
    };

    ring_offer(&ring[RX], pieces, 2);
}

static void start(void)
{
    client_start(NET_MAC);
    for (uint16_t i = 0; i < QUEUES; i++) {
        ring_open(&ring[i], i);
    }
    client_go();
    for (unsigned i = 0; i < BUFFER_COUNT; i++) {
        offer_buffer();
    }
}

static void check_address(void)
{
    for (uint32_t i = 0; i < sizeof(mac); i++) {
        if (client_config(i, 1) != mac[i]) {
            fail("byte %u of the address is %#x, not %#x", i, client_config(i, 1), mac[i]);
        }
    }
}

static void send_question(void)
{
    struct arp arp = {
        .ether_type = {0x08, 0x06},
        .hardware = {0,    1   },
        .protocol = {0x08, 0x00},
        .lengths = {6,    4   },
        .operation = {0,    1   },
    };
    const struct piece pieces[] = {
        {QUESTION,      HEADER,      false},
        {QUESTION + 16, sizeof(arp), false}
    };

    memset(arp.to, 0xff, sizeof(arp.to));
    memcpy(arp.from, mac, sizeof(mac));
    memcpy(arp.sender_mac, mac, sizeof(mac));
    memcpy(arp.sender_ip, our_ip, sizeof(our_ip));
    memcpy(arp.target_ip, gateway, sizeof(gateway));
    memset(memory + QUESTION, 0, HEADER);
    memcpy(memory + QUESTION + 16, &arp, sizeof(arp));
    ring_offer(&ring[TX], pieces, 2);
}

/* Frames of others' may come in between. */
static void take_answer(void)
{
    struct arp arp;

    do {
        uint32_t at = buffer_of(ring[RX].seen), size = ring_finish(&ring[RX]);

        if (size < HEADER + sizeof(arp)) {
            fail("a frame of %u bytes", size);
        }
        memcpy(&arp, memory + at + 16, sizeof(arp));
        offer_buffer();
    } while (arp.ether_type[1] != 0x06 || arp.operation[1] != 2 ||
             memcmp(arp.sender_ip, gateway, sizeof(gateway)) != 0);
    if (memcmp(arp.to, mac, sizeof(mac)) != 0 || memcmp(arp.target_mac, mac, sizeof(mac)) != 0) {
        fail("the gateway answered another");
    }
}

static void ask_gateway(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        send_question();
        (void)ring_finish(&ring[TX]);
        take_answer();
    }
}

int main(int count, char **arguments)
{
    if (count != 4 || sscanf(arguments[3], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1],
                             &mac[2], &mac[3], &mac[4], &mac[5]) != 6) {
        fail("usage: net_client SOCKET intx|msix ADDRESS");
    }
    client_open(arguments[1], strcmp(arguments[2], "msix") == 0, QUEUES);
    (void)printf("client: device %#x\n", client_get(CLIENT_CONFIG, 2, 2));
    start();
    check_address();
    ask_gateway(ROUNDS);
    client_unmap(IOVA, MEMORY_SIZE);
    send_question();
    client_reset();
    client_map_all();
    start();
    check_address();
    ask_gateway(1);
    (void)printf("client: %u answers by %s\n", ROUNDS + 1, arguments[2]);
    return 0;
}
