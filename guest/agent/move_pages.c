/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages are to be sent, and sending them. */
#include "guest/agent/agent_task.h"
#include "guest/agent/move.h"
#include "guest/agent/vfu_client.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_PAGES  64U
#define WORD_BYTES  (WORD_PAGES * PAGE_SIZE)
#define YIELD_PAGES 256U         /* after so many that are not sent others have their turn */
#define END_MAX     (1ULL << 42) /* of RAM: so large is no machine of ours */

static uint64_t ram_end(const struct move *m)
{
    const struct stream_run *last = &m->vm.run[m->vm.runs - 1];

    return last->address + last->size;
}

static bool is_ram(const struct move *m, uint64_t address, uint64_t size)
{
    for (uint32_t i = 0; i < m->vm.runs; i++) {
        if (address < m->vm.run[i].address + m->vm.run[i].size &&
            m->vm.run[i].address < address + size) {
            return true;
        }
    }
    return false;
}

bool move_mark_all(struct move *m)
{
    if (ram_end(m) > END_MAX) {
        return move_fail(m, "the VM's RAM ends at %#lx", (unsigned long)ram_end(m));
    }
    m->pages = (ram_end(m) + WORD_BYTES - 1) / WORD_BYTES * WORD_PAGES;
    m->dirty = calloc(m->pages / WORD_PAGES, sizeof(uint64_t));
    if (m->dirty == NULL) {
        return move_fail(m, "no memory for %lu marks of pages", (unsigned long)m->pages);
    }
    if (!page_sums_begin(&m->sums, m->pages)) {
        return move_fail(m, "no memory for the sums of %lu pages", (unsigned long)m->pages);
    }
    m->figures.remaining = 0;
    for (uint32_t i = 0; i < m->vm.runs; i++) {
        uint64_t first = m->vm.run[i].address / PAGE_SIZE, count = m->vm.run[i].size / PAGE_SIZE;

        for (uint64_t page = first; page < first + count; page++) {
            m->dirty[page / WORD_PAGES] |= 1ULL << page % WORD_PAGES;
        }
        m->figures.remaining += count;
    }
    return true;
}

/* The marks of SIZE bytes from ADDRESS on. */
static bool report_part(struct move *m, uint64_t address, uint64_t size)
{
    static uint8_t bitmap[VFU_DATA_MAX];
    uint64_t *word = m->dirty + address / WORD_BYTES;

    if (!move_check(m, 0, "the report of pages",
                    vfu_log_report(MOVE_CHANNEL, address, size, bitmap))) {
        return false;
    }
    for (uint64_t i = 0; i < size / WORD_BYTES; i++) {
        uint64_t bits = bytes_get(bitmap + i * 8, 8) & ~word[i];

        /* Where there is no RAM nothing is sent. */
        while (bits != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(bits);
            uint64_t page = address + i * WORD_BYTES + bit * PAGE_SIZE;

            bits &= bits - 1;
            if (is_ram(m, page, PAGE_SIZE)) {
                word[i] |= 1ULL << bit;
                m->figures.remaining++;
            }
        }
    }
    return true;
}

bool move_report(struct move *m)
{
    uint64_t step = m->data[0] / sizeof(uint64_t) * WORD_BYTES, end = m->pages * PAGE_SIZE;

    for (uint64_t at = 0; at < end; at += step) {
        uint64_t size = end - at < step ? end - at : step;

        if (is_ram(m, at, size) && !report_part(m, at, size)) {
            return false;
        }
    }
    return true;
}

/* ---- Sending ---- */

/* The chunk, if there is something in it. A target that refuses is heard. */
static bool send_chunk(struct move *m)
{
    bool compress = compress_is_wanted(&m->judge);
    uint64_t begun = agent_now();
    struct stream_record record;
    uint32_t length;

    if (m->chunk.used == 0) {
        return true;
    }
    length = chunk_finish(&m->chunk, compress, move_payload(m));
    if (compress) {
        compress_was_done(&m->judge, agent_now() - begun, m->chunk.used + CHUNK_HEADER, length,
                          wire_pace(&m->wire));
    }
    chunk_clear(&m->chunk);
    if (!move_send(m, STREAM_PAGES, length)) {
        return false;
    }
    move_sample(m);
    if (wire_has_input(&m->wire)) {
        m->wire.deadline = agent_now() + MOVE_GREETING;
        return move_receive(m, &record) && move_fail(m, "the target speaks out of turn");
    }
    return move_yield(m);
}

/* In the first round all pages are sent; then those that are not what was sent last. */
static bool send_page(struct move *m, uint64_t address, const uint8_t *page)
{
    /* The guest may be writing to it: what is looked at and what is sent must be the same. */
    static uint8_t copy[PAGE_SIZE];
    uint64_t begun = agent_now();
    bool changed;

    portal_bus_load_page(copy, page);
    changed = page_sums_update(&m->sums, address / PAGE_SIZE, copy) || m->figures.rounds == 1;
    m->look_ns += agent_now() - begun;
    m->looked++;
    if (!changed) {
        m->unchanged++;
        return m->unchanged % YIELD_PAGES != 0 || move_yield(m);
    }
    return chunk_add(&m->chunk, address, copy) ||
           (send_chunk(m) && chunk_add(&m->chunk, address, copy));
}

/* The marked pages of a word of marks. */
static bool send_word(struct move *m, uint64_t index)
{
    while (m->dirty[index] != 0) {
        unsigned bit = (unsigned)__builtin_ctzll(m->dirty[index]);
        uint64_t address = (index * WORD_PAGES + bit) * PAGE_SIZE, size;
        const uint8_t *page = move_show(m, address, &size);

        if (page == NULL || !send_page(m, address, page)) {
            return false;
        }
        m->dirty[index] &= m->dirty[index] - 1;
        m->figures.remaining--;
    }
    return true;
}

bool move_send_pages(struct move *m)
{
    for (uint64_t i = 0; i < m->pages / WORD_PAGES; i++) {
        if (!send_word(m, i)) {
            return false;
        }
    }
    return send_chunk(m);
}
