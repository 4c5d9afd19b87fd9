/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of RAM in a record: a chunk.
 *
 *   how u32 (0 plain, 1 zstd), size u32 of the body; then the body, as it is or compressed
 *   body: entries: u64: address of a page | (pages - 1) << 2 | kind; then
 *     kind 0  nothing: the pages are zero
 *     kind 1  8 bytes: the pages consist of nothing else
 *     kind 2  the pages
 *
 * An entry has up to 1024 pages one behind the other, a body at most CHUNK_BODY_MAX bytes.
 */
#ifndef PORTOLAN_GUEST_AGENT_PAGE_CHUNK_H
#define PORTOLAN_GUEST_AGENT_PAGE_CHUNK_H

#include "guest/agent/agent.h"

#define CHUNK_HEADER   8U
#define CHUNK_RUN_MAX  1024U
#define CHUNK_BODY_MAX (64U * 4096U + 1024U)
#define CHUNK_MAX      (CHUNK_HEADER + CHUNK_BODY_MAX)
#define CHUNK_OUT_MAX  (CHUNK_MAX + 4096U) /* what zstd wants, if it cannot make it shorter */

enum chunk_kind { CHUNK_ZERO, CHUNK_PATTERN, CHUNK_DATA };

struct chunk_writer {
    uint32_t used;                /* of the body */
    uint32_t entry;               /* where the last entry is */
    uint32_t pages;               /* of that; 0: there is none */
    enum chunk_kind kind;         /* of that */
    uint64_t first, filler;       /* its first page's address; what it is filled with */
    uint64_t zero, pattern, data; /* pages, of all chunks */
    uint8_t body[CHUNK_BODY_MAX];
};

/* Empty it; the counts go on. */
void chunk_clear(struct chunk_writer *w);

/* Append the page at ADDRESS, whose bytes do not change meanwhile. False: it is full. */
bool chunk_add(struct chunk_writer *w, uint64_t address, const uint8_t *page);

/* The payload into OUT, of CHUNK_OUT_MAX bytes, compressed if COMPRESS and if that is shorter. */
uint32_t chunk_finish(const struct chunk_writer *w, bool compress, uint8_t *out);

struct chunk_entry {
    enum chunk_kind kind;
    uint32_t pages;
    uint64_t address;
    const uint8_t *data; /* of CHUNK_PATTERN 8 bytes, of CHUNK_DATA the pages */
};

struct chunk_reader {
    const uint8_t *body;
    uint32_t size, at;
    uint8_t buffer[CHUNK_BODY_MAX];
};

/* The payload of SIZE bytes, which stays as it is while it is read. False: it is none. */
bool chunk_open(struct chunk_reader *r, const uint8_t *payload, uint32_t size, char *why);

/* The next entry. False: there is none; or it is wrong, and WHY, empty before, says what. */
bool chunk_next(struct chunk_reader *r, struct chunk_entry *entry, char *why);

/* ---- Does compressing pay? ---- */

struct compress_judge {
    enum compress how;
    uint32_t seen, skip; /* chunks: of this trial; until the next */
    uint32_t pause;      /* how many are sent as they are after a trial that did not pay */
    uint64_t ns, saved;  /* time that compressing took, bytes that it saved */
};

/* Should the next chunk be compressed? */
bool compress_is_wanted(struct compress_judge *j);

/*
 * One was, in NS, from BEFORE to AFTER bytes; the network needs WIRE_NS for 1024 bytes. It pays if
 * the network would have needed longer for what was saved.
 */
void compress_was_done(struct compress_judge *j, uint64_t ns, uint32_t before, uint32_t after,
                       uint64_t wire_ns);

#endif
