/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 791, 792; the rest is in guest/lib/frames.c. */
#include "guest/drivers/packets.h"

#include "guest/lib/frames.h"
#include "guest/lib/guest.h"

#include <string.h>

#define IP_BYTES     20U
#define ICMP_BYTES   8U
#define PROTOCOL     1
#define ECHO_REQUEST 8
#define ECHO_REPLY   0
#define TTL          64
#define IDENTIFIER   0x5600U

/* Bytes behind the ICMP header: the least, odd ones, and what fills a frame. */
static const uint16_t lengths[] = {0, 1, 18, 57, 472, 1023, 1471, 1472};

static uint8_t ours[6], gateway[6];
static uint16_t identifier;
static bool seen[PACKET_ECHOES], repeats;

void packet_set_up(const uint8_t *address, unsigned run)
{
    memcpy(ours, address, sizeof(ours));
    memset(gateway, 0, sizeof(gateway));
    memset(seen, 0, sizeof(seen));
    identifier = (uint16_t)(IDENTIFIER + run);
}

void packet_allow_repeats(void)
{
    repeats = true;
}

unsigned packet_ask(uint8_t *frame)
{
    frame_ask(frame, ours);
    return FRAME_MINIMUM;
}

bool packet_is_answer(const uint8_t *frame, unsigned length)
{
    return frame_is_answer(frame, length, ours, gateway);
}

static uint8_t pattern(unsigned number, unsigned at)
{
    return (uint8_t)(number * 31 + at * 7 + (at >> 8) + identifier);
}

static unsigned payload(unsigned number)
{
    return lengths[number % (sizeof(lengths) / sizeof(lengths[0]))];
}

unsigned packet_echo(uint8_t *frame, unsigned number)
{
    uint8_t *ip = frame + FRAME_ETHERNET, *icmp = ip + IP_BYTES;
    unsigned bytes = payload(number);
    unsigned length = FRAME_ETHERNET + IP_BYTES + ICMP_BYTES + bytes;

    frame_begin(frame, gateway, ours, FRAME_IP);
    ip[0] = 0x45;
    frame_put16(ip + 2, IP_BYTES + ICMP_BYTES + bytes);
    frame_put16(ip + 4, number);
    ip[8] = TTL;
    ip[9] = PROTOCOL;
    memcpy(ip + 12, frame_our_ip, 4);
    memcpy(ip + 16, frame_gateway_ip, 4);
    frame_put16(ip + 10, frame_checksum(ip, IP_BYTES));
    icmp[0] = ECHO_REQUEST;
    frame_put16(icmp + 4, identifier);
    frame_put16(icmp + 6, number);
    for (unsigned i = 0; i < bytes; i++) {
        icmp[ICMP_BYTES + i] = pattern(number, i);
    }
    frame_put16(icmp + 2, frame_checksum(icmp, ICMP_BYTES + bytes));
    return length > FRAME_MINIMUM ? length : FRAME_MINIMUM;
}

static void check_echo(const uint8_t *frame, unsigned number)
{
    const uint8_t *ip = frame + FRAME_ETHERNET, *icmp = ip + IP_BYTES;
    unsigned bytes = payload(number), wrong = 0;

    CHECK(memcmp(frame, ours, 6) == 0);
    CHECK(memcmp(frame + 6, gateway, 6) == 0);
    CHECK(memcmp(ip + 12, frame_gateway_ip, 4) == 0);
    CHECK(memcmp(ip + 16, frame_our_ip, 4) == 0);
    CHECK_EQUAL(frame_checksum(ip, IP_BYTES), 0);
    CHECK_EQUAL(frame_checksum(icmp, ICMP_BYTES + bytes), 0);
    for (unsigned i = 0; i < bytes; i++) {
        wrong += icmp[ICMP_BYTES + i] != pattern(number, i) ? 1 : 0;
    }
    CHECK_EQUAL(wrong, 0);
}

bool packet_is_echo(const uint8_t *frame, unsigned length)
{
    const uint8_t *ip = frame + FRAME_ETHERNET, *icmp = ip + IP_BYTES;
    unsigned number;

    if (length < FRAME_ETHERNET + IP_BYTES + ICMP_BYTES || frame_get16(frame + 12) != FRAME_IP ||
        ip[0] != 0x45 || ip[9] != PROTOCOL || icmp[0] != ECHO_REPLY) {
        return false;
    }
    number = frame_get16(icmp + 6);
    if (repeats &&
        (frame_get16(icmp + 4) != identifier || (number < PACKET_ECHOES && seen[number]))) {
        return false;
    }
    if (!CHECK_EQUAL(frame_get16(icmp + 4), identifier) || !CHECK(number < PACKET_ECHOES) ||
        !CHECK(!seen[number]) ||
        !CHECK_EQUAL(frame_get16(ip + 2), IP_BYTES + ICMP_BYTES + payload(number)) ||
        !CHECK(length >= FRAME_ETHERNET + frame_get16(ip + 2))) {
        test_end();
    }
    check_echo(frame, number);
    seen[number] = true;
    return true;
}

unsigned packet_echoes(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PACKET_ECHOES; i++) {
        count += seen[i] ? 1 : 0;
    }
    return count;
}
