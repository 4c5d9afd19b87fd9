/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/page_chunk.h"

#include "vmm/base/little_endian.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define ENTRY     8U
#define PATTERN   8U
#define KIND_MASK 3U
#define LEVEL     1 /* zstd's fastest but for the negative ones */

enum how { HOW_PLAIN, HOW_ZSTD };

/* A trial of compression, and for how many chunks none is made after one that did not pay. */
#define TRIAL     8U
#define PAUSE     64U
#define PAUSE_MAX 512U

void chunk_clear(struct chunk_writer *w)
{
    w->used = w->entry = w->pages = 0;
}

static enum chunk_kind kind_of(const uint8_t *page, uint64_t *filler)
{
    /* Its first bytes are those behind them, and so on. */
    memcpy(filler, page, PATTERN);
    if (memcmp(page, page + PATTERN, PAGE_SIZE - PATTERN) != 0) {
        return CHUNK_DATA;
    }
    return *filler == 0 ? CHUNK_ZERO : CHUNK_PATTERN;
}

static uint32_t bytes_of(enum chunk_kind kind)
{
    return kind == CHUNK_DATA ? PAGE_SIZE : kind == CHUNK_PATTERN ? PATTERN : 0;
}

/* Can the page be one more of the last entry's? */
static bool continues(const struct chunk_writer *w, uint64_t address, enum chunk_kind kind,
                      uint64_t filler)
{
    return w->pages != 0 && w->pages < CHUNK_RUN_MAX && kind == w->kind &&
           address == w->first + (uint64_t)w->pages * PAGE_SIZE &&
           (kind != CHUNK_PATTERN || filler == w->filler);
}

bool chunk_add(struct chunk_writer *w, uint64_t address, const uint8_t *page)
{
    uint64_t filler;
    enum chunk_kind kind = kind_of(page, &filler);
    bool more = continues(w, address, kind, filler);
    uint32_t bytes = more && kind != CHUNK_DATA ? 0 : bytes_of(kind);

    if (bytes + (more ? 0 : ENTRY) > CHUNK_BODY_MAX - w->used) {
        return false;
    }
    if (!more) {
        w->entry = w->used;
        w->used += ENTRY;
        w->pages = 0;
        w->kind = kind;
        w->first = address;
        w->filler = filler;
    }
    w->pages++;
    bytes_put(w->body + w->entry, ENTRY, w->first | (uint64_t)(w->pages - 1) << 2 | kind);
    memcpy(w->body + w->used, page, bytes);
    w->used += bytes;
    *(kind == CHUNK_ZERO ? &w->zero : kind == CHUNK_PATTERN ? &w->pattern : &w->data) += 1;
    return true;
}

uint32_t chunk_finish(const struct chunk_writer *w, bool compress, uint8_t *out)
{
    static ZSTD_CCtx *context;

    bytes_put(out, 4, HOW_PLAIN);
    bytes_put(out + 4, 4, w->used);
    if (compress && context == NULL) {
        context = ZSTD_createCCtx();
    }
    if (compress && context != NULL) {
        size_t size = ZSTD_compressCCtx(context, out + CHUNK_HEADER, CHUNK_OUT_MAX - CHUNK_HEADER,
                                        w->body, w->used, LEVEL);

        if (!ZSTD_isError(size) && size < w->used) {
            bytes_put(out, 4, HOW_ZSTD);
            return CHUNK_HEADER + (uint32_t)size;
        }
    }
    memcpy(out + CHUNK_HEADER, w->body, w->used);
    return CHUNK_HEADER + w->used;
}

bool chunk_open(struct chunk_reader *r, const uint8_t *payload, uint32_t size, char *why)
{
    static ZSTD_DCtx *context;
    uint32_t how = (uint32_t)bytes_get(payload, 4), body = (uint32_t)bytes_get(payload + 4, 4);

    r->at = 0;
    r->size = body;
    r->body = payload + CHUNK_HEADER;
    if (how == HOW_PLAIN && body <= CHUNK_BODY_MAX && body == size - CHUNK_HEADER) {
        return true;
    }
    context = context != NULL ? context : ZSTD_createDCtx();
    r->body = r->buffer;
    if (how == HOW_ZSTD && context != NULL && body <= CHUNK_BODY_MAX &&
        ZSTD_decompressDCtx(context, r->buffer, sizeof(r->buffer), payload + CHUNK_HEADER,
                            size - CHUNK_HEADER) == body) {
        return true;
    }
    r->size = 0;
    (void)snprintf(why, AGENT_TEXT_MAX, "pages of the stream cannot be unpacked");
    return false;
}

bool chunk_next(struct chunk_reader *r, struct chunk_entry *entry, char *why)
{
    uint64_t word, bytes;

    if (r->at == r->size) {
        return false;
    }
    (void)snprintf(why, AGENT_TEXT_MAX, "pages of the stream make no sense");
    if (r->size - r->at < ENTRY) {
        return false;
    }
    word = bytes_get(r->body + r->at, ENTRY);
    if ((word & KIND_MASK) > CHUNK_DATA) {
        return false;
    }
    entry->kind = (enum chunk_kind)(word & KIND_MASK);
    entry->pages = (uint32_t)(word >> 2 & (CHUNK_RUN_MAX - 1)) + 1;
    entry->address = word & ~(PAGE_SIZE - 1);
    entry->data = r->body + r->at + ENTRY;
    bytes = entry->kind == CHUNK_DATA ? (uint64_t)entry->pages * PAGE_SIZE : bytes_of(entry->kind);
    if (bytes > r->size - r->at - ENTRY) {
        return false;
    }
    r->at += ENTRY + (uint32_t)bytes;
    why[0] = '\0';
    return true;
}

bool compress_is_wanted(struct compress_judge *j)
{
    if (j->how != COMPRESS_AUTO || j->skip == 0) {
        return j->how != COMPRESS_NEVER;
    }
    j->skip--;
    return false;
}

void compress_was_done(struct compress_judge *j, uint64_t ns, uint32_t before, uint32_t after,
                       uint64_t wire_ns)
{
    j->ns += ns;
    j->saved += before - after;
    if (++j->seen < TRIAL) {
        return;
    }
    if (j->saved / 1024 * wire_ns > j->ns) {
        j->pause = 0;
    } else {
        j->pause = j->pause == 0 ? PAUSE : j->pause < PAUSE_MAX ? j->pause * 2 : PAUSE_MAX;
    }
    j->skip = j->pause;
    j->seen = 0;
    j->ns = j->saved = 0;
}
