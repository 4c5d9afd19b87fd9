/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/frames.h"

#include <string.h>

#define ARP_BYTES 28U
#define ARP_REPLY 2

const uint8_t frame_our_ip[4] = {10, 0, 2, 15};
const uint8_t frame_gateway_ip[4] = {10, 0, 2, 2};

void frame_put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

unsigned frame_get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

unsigned frame_checksum(const uint8_t *bytes, unsigned length)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < length; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum & 0xffff;
}

void frame_begin(uint8_t *frame, const uint8_t *to, const uint8_t *ours, unsigned type)
{
    memset(frame, 0, FRAME_MINIMUM);
    memcpy(frame, to, 6);
    memcpy(frame + 6, ours, 6);
    frame_put16(frame + FRAME_TYPE, type);
}

void frame_ask(uint8_t *frame, const uint8_t *ours)
{
    static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, request */
    uint8_t *arp = frame + FRAME_ETHERNET;

    frame_begin(frame, everyone, ours, FRAME_ARP);
    memcpy(arp, head, sizeof(head));
    memcpy(arp + 8, ours, 6);
    memcpy(arp + 14, frame_our_ip, 4);
    memcpy(arp + 24, frame_gateway_ip, 4);
}

bool frame_is_answer(const uint8_t *frame, unsigned length, const uint8_t *ours, uint8_t *gateway)
{
    const uint8_t *arp = frame + FRAME_ETHERNET;

    if (length < FRAME_ETHERNET + ARP_BYTES || frame_get16(frame + FRAME_TYPE) != FRAME_ARP ||
        frame_get16(arp + 6) != ARP_REPLY || memcmp(arp + 14, frame_gateway_ip, 4) != 0 ||
        memcmp(frame, ours, 6) != 0 || memcmp(arp + 18, ours, 6) != 0 ||
        memcmp(arp + 24, frame_our_ip, 4) != 0) {
        return false;
    }
    memcpy(gateway, arp + 8, 6);
    return true;
}
