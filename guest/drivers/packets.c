/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 826, 791, 792. The gateway is QEMU's: 10.0.2.2, and we are 10.0.2.15. */
#include "guest/drivers/packets.h"

#include "guest/lib/guest.h"

#include <string.h>

#define ETHERNET     14U
#define ARP_BYTES    28U
#define IP_BYTES     20U
#define ICMP_BYTES   8U
#define MINIMUM      60U
#define TYPE_ARP     0x0806
#define TYPE_IP      0x0800
#define PROTOCOL     1
#define ECHO_REQUEST 8
#define ECHO_REPLY   0
#define TTL          64
#define IDENTIFIER   0x5600U

static const uint8_t our_ip[4] = {10, 0, 2, 15};
static const uint8_t gateway_ip[4] = {10, 0, 2, 2};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* Bytes behind the ICMP header: the least, odd ones, and what fills a frame. */
static const uint16_t lengths[] = {0, 1, 18, 57, 472, 1023, 1471, 1472};

static uint8_t ours[6], gateway[6];
static uint16_t identifier;
static bool seen[PACKET_ECHOES];

void packet_set_up(const uint8_t *address, unsigned run)
{
    memcpy(ours, address, sizeof(ours));
    memset(gateway, 0, sizeof(gateway));
    memset(seen, 0, sizeof(seen));
    identifier = (uint16_t)(IDENTIFIER + run);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Over bytes that hold a checksum: 0 if it is right. */
static uint16_t checksum(const uint8_t *bytes, unsigned length)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < length; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void put_ethernet(uint8_t *frame, const uint8_t *to, unsigned type)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, ours, 6);
    put16(frame + 12, type);
}

unsigned packet_ask(uint8_t *frame)
{
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, request */
    uint8_t *arp = frame + ETHERNET;

    memset(frame, 0, MINIMUM);
    put_ethernet(frame, broadcast, TYPE_ARP);
    memcpy(arp, head, sizeof(head));
    memcpy(arp + 8, ours, 6);
    memcpy(arp + 14, our_ip, 4);
    memcpy(arp + 24, gateway_ip, 4);
    return MINIMUM;
}

bool packet_is_answer(const uint8_t *frame, unsigned length)
{
    const uint8_t *arp = frame + ETHERNET;

    if (length < ETHERNET + ARP_BYTES || get16(frame + 12) != TYPE_ARP || get16(arp + 6) != 2 ||
        memcmp(arp + 14, gateway_ip, 4) != 0) {
        return false;
    }
    CHECK(memcmp(frame, ours, 6) == 0);
    CHECK(memcmp(arp + 18, ours, 6) == 0);
    CHECK(memcmp(arp + 24, our_ip, 4) == 0);
    memcpy(gateway, arp + 8, 6);
    return true;
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
    uint8_t *ip = frame + ETHERNET, *icmp = ip + IP_BYTES;
    unsigned bytes = payload(number);
    unsigned length = ETHERNET + IP_BYTES + ICMP_BYTES + bytes;

    memset(frame, 0, MINIMUM);
    put_ethernet(frame, gateway, TYPE_IP);
    ip[0] = 0x45;
    put16(ip + 2, IP_BYTES + ICMP_BYTES + bytes);
    put16(ip + 4, number);
    ip[8] = TTL;
    ip[9] = PROTOCOL;
    memcpy(ip + 12, our_ip, 4);
    memcpy(ip + 16, gateway_ip, 4);
    put16(ip + 10, checksum(ip, IP_BYTES));
    icmp[0] = ECHO_REQUEST;
    put16(icmp + 4, identifier);
    put16(icmp + 6, number);
    for (unsigned i = 0; i < bytes; i++) {
        icmp[ICMP_BYTES + i] = pattern(number, i);
    }
    put16(icmp + 2, checksum(icmp, ICMP_BYTES + bytes));
    return length > MINIMUM ? length : MINIMUM;
}

static void check_echo(const uint8_t *frame, unsigned number)
{
    const uint8_t *ip = frame + ETHERNET, *icmp = ip + IP_BYTES;
    unsigned bytes = payload(number), wrong = 0;

    CHECK(memcmp(frame, ours, 6) == 0);
    CHECK(memcmp(frame + 6, gateway, 6) == 0);
    CHECK(memcmp(ip + 12, gateway_ip, 4) == 0);
    CHECK(memcmp(ip + 16, our_ip, 4) == 0);
    CHECK_EQUAL(checksum(ip, IP_BYTES), 0);
    CHECK_EQUAL(checksum(icmp, ICMP_BYTES + bytes), 0);
    for (unsigned i = 0; i < bytes; i++) {
        wrong += icmp[ICMP_BYTES + i] != pattern(number, i) ? 1 : 0;
    }
    CHECK_EQUAL(wrong, 0);
}

bool packet_is_echo(const uint8_t *frame, unsigned length)
{
    const uint8_t *ip = frame + ETHERNET, *icmp = ip + IP_BYTES;
    unsigned number;

    if (length < ETHERNET + IP_BYTES + ICMP_BYTES || get16(frame + 12) != TYPE_IP ||
        ip[0] != 0x45 || ip[9] != PROTOCOL || icmp[0] != ECHO_REPLY) {
        return false;
    }
    number = get16(icmp + 6);
    if (!CHECK_EQUAL(get16(icmp + 4), identifier) || !CHECK(number < PACKET_ECHOES) ||
        !CHECK(!seen[number]) ||
        !CHECK_EQUAL(get16(ip + 2), IP_BYTES + ICMP_BYTES + payload(number)) ||
        !CHECK(length >= ETHERNET + get16(ip + 2))) {
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
