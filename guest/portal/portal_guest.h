/* SPDX-License-Identifier: BSD-2-Clause */
/* A service VM's program, as small as it can be: docs/portal.md. One thing at a time. */
#ifndef PORTOLAN_GUEST_PORTAL_PORTAL_GUEST_H
#define PORTOLAN_GUEST_PORTAL_PORTAL_GUEST_H

#include "guest/lib/guest.h"

enum {
    SENT = 0x10,
    TAKEN = 0x14,
    COME = 0x18,
    READ = 0x1c,
    STATUS = 0x20,
    ENABLE = 0x24,
    SESSION = 0x28
};

/* VFIO's states, version 2. */
enum { STOP = 1, RUNNING = 2, STOP_COPY = 3, RESUMING = 4, PRE_COPY = 6 };

#define WINDOW_SIZE (64UL << 20)
#define DATA_MAX    16384U
#define PIECE       4096U /* of a state: as a VF's channel takes it */

extern uint64_t portal_registers, portal_rings, portal_window;

/* ---- The rings ---- */

void session_begin(void);

/* Bytes as they are into the ring, and the doorbell. */
void ring_put(const void *bytes, uint32_t size);

/* ---- Lines ---- */

/* A request; its answer, until the next. */
const char *request(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print and count a failure if the answer does not begin with WANTED. */
#define CHECK_REQUEST(wanted, ...) check_answer(__LINE__, (wanted), request(__VA_ARGS__))
void check_answer(int line, const char *wanted, const char *answer);

/* ---- A device on a channel ---- */

/* The error of the answer, 0: none. */
uint32_t device_version(unsigned channel);
uint32_t device_set_state(unsigned channel, uint32_t state);
uint32_t device_track(unsigned channel);

/* SIZE bytes of REGION at OFFSET, to TO. */
uint32_t device_read(unsigned channel, uint32_t region, uint64_t offset, void *to, uint32_t size);
uint64_t device_region_size(unsigned channel, uint32_t region);

/* A bit for each page of SIZE bytes of RAM. */
uint32_t device_report(unsigned channel, uint64_t address, uint64_t size, uint8_t *bitmap);

/* All data of the state: *SIZE bytes, at most *SIZE; and back. */
uint32_t device_save(unsigned channel, uint8_t *data, uint32_t *size);
uint32_t device_load(unsigned channel, const uint8_t *data, uint32_t size);

#endif
