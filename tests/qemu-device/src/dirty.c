/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Maps of the pages that a VF has written to.
 */
#include "device.h"
#include "dirty.h"

static bool is_bitmap(DirtyMode mode)
{
    return mode == DIRTY_PUSH_BITMAP || mode == DIRTY_PULL_BITMAP;
}

uint64_t dirty_map_length(DirtyMode mode, uint64_t pages)
{
    return is_bitmap(mode) ? DIV_ROUND_UP(pages, 8) : pages;
}

static Dirty *dirty_of(PCIDevice *vf)
{
    return &vf_state(vf)->dirty;
}

static DirtyRange *range_at(PCIDevice *vf, unsigned i)
{
    return &g_array_index(dirty_of(vf)->ranges, DirtyRange, i);
}

unsigned dirty_count(PCIDevice *vf)
{
    return dirty_of(vf)->ranges ? dirty_of(vf)->ranges->len : 0;
}

DirtyRange *dirty_find(PCIDevice *vf, uint64_t start)
{
    for (unsigned i = 0; i < dirty_count(vf); i++) {
        if (range_at(vf, i)->start == start) {
            return range_at(vf, i);
        }
    }
    return NULL;
}

bool dirty_overlaps(PCIDevice *vf, uint64_t start, uint64_t length)
{
    for (unsigned i = 0; i < dirty_count(vf); i++) {
        const DirtyRange *r = range_at(vf, i);

        if (start - r->start < r->length || r->start - start < length) {
            return true;
        }
    }
    return false;
}

void dirty_start(PCIDevice *vf, DirtyRange range)
{
    Dirty *d = dirty_of(vf);

    if (!d->ranges) {
        d->ranges = g_array_new(false, false, sizeof(DirtyRange));
    }
    range.map = range.segments ? NULL : g_malloc0(range.map_length);
    g_array_append_val(d->ranges, range);
}

void dirty_stop(PCIDevice *vf, DirtyRange *range)
{
    g_free(range->map);
    g_free(range->segments);
    g_array_remove_index_fast(dirty_of(vf)->ranges,
                              range - range_at(vf, 0));
}

void dirty_stop_all(PCIDevice *vf)
{
    while (dirty_count(vf)) {
        dirty_stop(vf, range_at(vf, 0));
    }
    g_clear_pointer(&dirty_of(vf)->ranges, g_array_unref);
}

/*
 * The host may clear the byte at any time: at worst a page is told twice.
 */
static bool push(PCIDevice *vf, const DirtyRange *r, uint64_t offset,
                 uint8_t bits)
{
    AddressSpace *as = virtio_of(pf_of(vf))->dma_as;
    const DirtySegment *s = r->segments;
    uint8_t byte;

    /* There is room for the whole map. */
    while (offset >= s->length) {
        offset -= s->length;
        s++;
    }
    if (address_space_read(as, s->address + offset, MEMTXATTRS_UNSPECIFIED,
                           &byte, 1)) {
        return false;
    }
    byte |= bits;
    return !address_space_write(as, s->address + offset,
                                MEMTXATTRS_UNSPECIFIED, &byte, 1);
}

static void mark_page(PCIDevice *vf, DirtyRange *r, uint64_t page)
{
    uint64_t offset = is_bitmap(r->mode) ? page / 8 : page;
    uint8_t bits = is_bitmap(r->mode) ? 1 << page % 8 : 1;

    if (r->map) {
        r->map[offset] |= bits;
    } else if (!push(vf, r, offset, bits)) {
        r->failed = true;
    }
}

static void mark_range(PCIDevice *vf, DirtyRange *r, uint64_t iova,
                       uint64_t last)
{
    uint64_t end = r->start + (r->length - 1);

    if (last < r->start || iova > end) {
        return;
    }
    for (uint64_t page = (MAX(iova, r->start) - r->start) / r->page_size;
         page <= (MIN(last, end) - r->start) / r->page_size; page++) {
        mark_page(vf, r, page);
    }
}

void dirty_mark(PCIDevice *vf, uint64_t iova, uint64_t length)
{
    for (unsigned i = 0; i < dirty_count(vf); i++) {
        mark_range(vf, range_at(vf, i), iova, iova + (length - 1));
    }
}
