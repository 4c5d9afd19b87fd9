/* SPDX-License-Identifier: BSD-2-Clause */
/* One ring of a legacy function in the fake guest's RAM, of which requests in flight are found. */
#ifndef PORTOLAN_TESTS_UNIT_LEGACY_INFLIGHT_RING_H
#define PORTOLAN_TESTS_UNIT_LEGACY_INFLIGHT_RING_H

#include "vmm/legacy/inflight.h"
#include "vmm/legacy/legacy_internal.h"

#define RING_QUEUE 3U
#define RING_PFN   16U

extern struct legacy_function ring_function;
extern struct legacy_inflight ring_inflight;
extern unsigned ring_size; /* in entries */

/* The ring's two parts; [1] is the index, entries are from [2] on. */
uint16_t *ring_avail(void);
uint16_t *ring_used(void);

/* A ring of OF_SIZE whose indexes begin at START, which is looked at as its address is written. */
void ring_begin(unsigned of_size, uint16_t start);

/* What the VMM does at a doorbell. */
void ring_look(void);

/* The driver offers HEAD, and with ring_kick() has it looked at; the device is done with HEAD. */
void ring_offer(unsigned head);
void ring_kick(unsigned head);
void ring_complete(unsigned head);

/* What is in flight is offered again, to the next device. */
enum status ring_end(void);

/* What a device that begins at the used index finds: these COUNT, in this order. */
void ring_check(unsigned count, const uint16_t *heads);

#define RING_CHECK_LEFT(...)                            \
    do {                                                \
        const uint16_t left[] = {__VA_ARGS__};          \
        assert_int_equal(ring_end(), STATUS_OK);        \
        ring_check(ARRAY_SIZE(left), left);             \
        assert_int_equal(ring_end(), STATUS_OK);        \
        ring_check(ARRAY_SIZE(left), left); /* again */ \
    } while (0)

#endif
