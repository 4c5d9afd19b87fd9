/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What guests know of Ethernet (14 bytes of header), ARP (RFC 826) and the checksum of RFC 1071. We
 * are 10.0.2.15, the gateway is 10.0.2.2, as in QEMU's user network.
 */
#ifndef PORTOLAN_GUEST_LIB_FRAMES_H
#define PORTOLAN_GUEST_LIB_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MINIMUM  60U
#define FRAME_ETHERNET 14U
#define FRAME_TYPE     12U /* its offset */
#define FRAME_ARP      0x0806
#define FRAME_IP       0x0800

extern const uint8_t frame_our_ip[4], frame_gateway_ip[4];

/* 16 bits in network order. */
void frame_put16(uint8_t *at, unsigned value);
unsigned frame_get16(const uint8_t *at);

/* Over bytes that hold a checksum: 0 if it is right. */
unsigned frame_checksum(const uint8_t *bytes, unsigned length);

/* The header of a frame from OURS to TO, 6 bytes each, whose first FRAME_MINIMUM bytes become 0. */
void frame_begin(uint8_t *frame, const uint8_t *to, const uint8_t *ours, unsigned type);

/* The question for the gateway's address; FRAME_MINIMUM bytes. */
void frame_ask(uint8_t *frame, const uint8_t *ours);
/* Is the frame of LENGTH bytes the gateway's answer to OURS? Then its address goes to GATEWAY. */
bool frame_is_answer(const uint8_t *frame, unsigned length, const uint8_t *ours, uint8_t *gateway);

#endif
