/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages that come, into the VM's RAM. */
#include "guest/agent/move.h"

#include <string.h>

#define YIELD_PAGES 1024U /* after so many others have their turn */

static void write_page(uint8_t *page, const struct chunk_entry *entry, uint64_t index)
{
    static uint8_t now[PAGE_SIZE];
    uint64_t filler = 0;

    if (entry->kind == CHUNK_DATA) {
        memcpy(page, entry->data + index * PAGE_SIZE, PAGE_SIZE);
        return;
    }
    if (entry->kind == CHUNK_PATTERN) {
        memcpy(&filler, entry->data, sizeof(filler));
    }
    /* Pages that are so already are not written: the VMM need not give them memory. */
    portal_bus_load_page(now, page);
    if (memcmp(now, &filler, sizeof(filler)) == 0 &&
        memcmp(now, now + sizeof(filler), PAGE_SIZE - sizeof(filler)) == 0) {
        return;
    }
    for (uint64_t at = 0; at < PAGE_SIZE; at += sizeof(filler)) {
        memcpy(page + at, &filler, sizeof(filler));
    }
}

static bool lies_in_ram(const struct move *m, uint64_t address)
{
    for (uint32_t i = 0; i < m->vm.runs; i++) {
        if (address - m->vm.run[i].address < m->vm.run[i].size) {
            return true;
        }
    }
    return false;
}

/* In a round each page comes once at most. A source that has more to say never ends. */
static bool pages_are_due(struct move *m, uint64_t pages)
{
    uint64_t times = m->figures.rounds + 1;

    times = times < MOVE_RAM_TIMES ? times : MOVE_RAM_TIMES;
    return move_pages(m) + pages <= times * (m->figures.total / PAGE_SIZE) ||
           move_fail(m,
                     "more pages come than the VM's RAM has in %lu rounds: the source does not "
                     "end",
                     (unsigned long)times);
}

static bool take_entry(struct move *m, const struct chunk_entry *entry)
{
    uint64_t size, *counts[] = {&m->chunk.zero, &m->chunk.pattern, &m->chunk.data};

    if (!pages_are_due(m, entry->pages)) {
        return false;
    }
    for (uint64_t i = 0; i < entry->pages; i++) {
        uint64_t address = entry->address + i * PAGE_SIZE;

        if (!lies_in_ram(m, address)) {
            return move_fail(m, "a page for %#lx came, where the VM has no RAM",
                             (unsigned long)address);
        }
        uint8_t *page = move_show(m, address, &size);

        if (page == NULL) {
            return false;
        }
        write_page(page, entry, i);
    }
    *counts[entry->kind] += entry->pages;
    m->figures.remaining -=
        entry->pages < m->figures.remaining ? entry->pages : m->figures.remaining;
    /* A record may be about all RAM. */
    m->unyielded += entry->pages;
    if (m->unyielded < YIELD_PAGES) {
        return true;
    }
    m->unyielded = 0;
    return move_yield(m);
}

bool move_take_pages(struct move *m, const struct stream_record *record)
{
    char why[AGENT_TEXT_MAX] = "";
    struct chunk_entry entry;

    if (m->loaded != 0 || m->open_device != 0) { /* devices look at RAM when they are loaded */
        return move_fail(m, "pages come out of turn");
    }
    if (!chunk_open(&m->reader, record->payload, record->length, why)) {
        return move_fail(m, "%s", why);
    }
    if (m->reader.size == 0) {
        return move_fail(m, "a record of pages has none");
    }
    while (chunk_next(&m->reader, &entry, why)) {
        if (!take_entry(m, &entry)) {
            return false;
        }
    }
    move_sample(m);
    return why[0] == '\0' || move_fail(m, "%s", why);
}
