/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record of a VF: all that is needed to go on with another one.
 *
 *   magic u32, version u16, 0 u16, length u32, parts u32; the parts; CRC-32C of all before it, u32
 *   part: type u16, flags u16 (bit 0: optional), length u32, LENGTH bytes, zeroes up to a multiple
 *   of 8
 *
 * Little-endian; LENGTH counts the whole record. Parts come in the order of their types, each once.
 * One that the reader does not know is skipped if it is optional; else the record is refused. A
 * record may hold anything; it must not change while it is read.
 */
#ifndef PORTOLAN_VMM_MIGRATE_RECORD_H
#define PORTOLAN_VMM_MIGRATE_RECORD_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define RECORD_MAGIC    0x52465650U /* "PVFR" */
#define RECORD_VERSION  1U
#define RECORD_HEADER   16U
#define RECORD_PART     8U /* its header */
#define RECORD_OPTIONAL 1U

enum record_type {
    RECORD_COMPATIBILITY = 1, /* text, without a NUL */
    RECORD_FUNCTION = 2,      /* a stream of vmm/state: the legacy function */
    RECORD_KIND = 3,          /* u32, enum vf_state_kind: of what follows */
    RECORD_DEVICE = 4,        /* opaque */
    RECORD_TYPES
};

struct record_writer {
    uint8_t *at;
    uint32_t room, used, part; /* where the open part begins */
    uint32_t parts;
    bool full; /* something did not fit */
};

void record_begin(struct record_writer *w, void *buffer, uint32_t room);

/* Where the bytes of a part of TYPE go: *ROOM of them fit. record_close() says how many there are.
 */
uint8_t *record_open(struct record_writer *w, enum record_type type, uint32_t *room);
void record_close(struct record_writer *w, uint32_t length);

/* The size of the whole; 0: it did not fit. */
uint32_t record_end(struct record_writer *w);

struct record {
    const uint8_t *part[RECORD_TYPES];
    uint32_t size[RECORD_TYPES];
    const char *problem; /* why it is INVALID */
};

/* Find the parts of the record of SIZE bytes at BYTES. INVALID: it is damaged, or lacks one. */
enum status record_parse(const void *bytes, uint32_t size, struct record *record);

#endif
