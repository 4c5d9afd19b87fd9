/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet, ARP, IPv4 and ICMP as far as it takes to get one's own bytes back from the gateway. */
#ifndef PORTOLAN_GUEST_DRIVERS_PACKETS_H
#define PORTOLAN_GUEST_DRIVERS_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#define PACKET_ECHOES 32U /* that a run sends, numbered from 0; a multiple of any depth */

/* From here on we have ADDRESS (6 bytes), the gateway has none, and no echo has come; RUN tells
 * runs apart. */
void packet_set_up(const uint8_t *address, unsigned run);

/* Frames may come late, or again, from here on: those are no echoes. */
void packet_allow_repeats(void);

/* The question for the gateway's address, in FRAME; its length. */
unsigned packet_ask(uint8_t *frame);
/* Is it the answer? Then the address is known from now on. */
bool packet_is_answer(const uint8_t *frame, unsigned length);

/* Echo request NUMBER, in FRAME; its length. */
unsigned packet_echo(uint8_t *frame, unsigned number);
/* Is it an answer to one? Checks all of it, and that it is the first. */
bool packet_is_echo(const uint8_t *frame, unsigned length);
unsigned packet_echoes(void);

#endif
