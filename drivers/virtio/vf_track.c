/* SPDX-License-Identifier: BSD-2-Clause */
/* What VFs write to memory, as their device says: class 65 of 2021, docs/migration-abi.md, 3.4. */
#include "drivers/virtio/vf_state_internal.h"

#include <string.h>

#define PAGE_SHIFT   12U
#define WORD_PAGES   64U
#define SEGMENT_MAX  (1U << 31) /* bytes */
#define SEGMENTS_MAX 8U
#define REPORT_MAX   2048U /* bytes of a map in one answer: they pass over the stack */

/* Where the device writes a map that is pushed. */
struct segment {
    uint64_t address;
    uint32_t length;
    uint32_t reserved;
};

_Static_assert(sizeof(struct segment) == 16, "docs/migration-abi.md, 3.4");

static bool is_push(const struct vf_state_pf *control)
{
    return control->mode == VF_TRACK_PUSH_BITMAP || control->mode == VF_TRACK_PUSH_BYTEMAP;
}

static bool is_bytemap(const struct vf_state_pf *control)
{
    return control->mode == VF_TRACK_PUSH_BYTEMAP || control->mode == VF_TRACK_PULL_BYTEMAP;
}

/* Bytes of the map of PAGES; a range is a multiple of 64 pages, but for the last one. */
static uint64_t map_bytes(const struct vf_state_pf *control, uint64_t pages)
{
    return is_bytemap(control) ? pages : (pages + 7) / 8;
}

uint64_t vf_state_map_size(const struct vf_state_pf *control, uint64_t pages)
{
    uint64_t words = (pages + WORD_PAGES - 1) / WORD_PAGES;

    return is_push(control)
               ? (map_bytes(control, words * WORD_PAGES) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)
               : 0;
}

/* The range that begins at page FIRST of those that are tracked: *PAGES. */
static struct vf_state_words range_at(const struct vf_state *vf, uint64_t first, uint64_t *pages)
{
    uint64_t left = vf->tracked - first;

    *pages = left < vf->control->range_pages ? left : vf->control->range_pages;
    return (struct vf_state_words){.vf = vf->member, .word = {first << PAGE_SHIFT}};
}

/* End the tracking of the ranges before page END. The first failure. */
static enum status stop_ranges(struct vf_state *vf, uint64_t end)
{
    enum status first = STATUS_OK;
    uint64_t pages;

    for (uint64_t at = 0; at < end; at += pages) {
        struct vf_state_words data = range_at(vf, at, &pages);
        enum status status = vf_state_execute(vf->control, OP_STOP, vf->member, &data, NULL);

        first = first == STATUS_OK ? status : first;
    }
    return first;
}

static unsigned fill_segments(const struct vf_state *vf, uint64_t first, uint64_t pages,
                              struct segment segments[SEGMENTS_MAX])
{
    uint64_t from = map_bytes(vf->control, first), left = map_bytes(vf->control, pages);
    unsigned count = 0;

    for (; left > 0 && count < SEGMENTS_MAX; count++) {
        uint32_t length = left < SEGMENT_MAX ? (uint32_t)left : SEGMENT_MAX;

        segments[count] = (struct segment){.address = vf->map.iova + from, .length = length};
        from += length;
        left -= length;
    }
    return count;
}

/* Begin the range at FIRST. */
static enum status start_range(struct vf_state *vf, uint64_t first, uint64_t *pages)
{
    struct segment segments[SEGMENTS_MAX];
    struct vf_state_words data = range_at(vf, first, pages);
    struct virtio_admin_command start = vf_state_command(OP_START, vf->member, &data, NULL);
    enum status status;

    data.mode = (uint16_t)vf->control->mode;
    data.page_size = (uint32_t)PAGE_SIZE;
    data.word[1] = *pages << PAGE_SHIFT;
    if (is_push(vf->control)) {
        start.more = segments;
        start.more_size =
            (uint32_t)(fill_segments(vf, first, *pages, segments) * sizeof(*segments));
    }
    status = virtio_admin_execute(&vf->control->pf->admin, &start);
    if (status == STATUS_OK) {
        return status;
    }
    /*
     * It may have begun, if nothing is known; and if it was refused, somebody may have left it
     * tracked: then it would be refused for ever.
     */
    struct vf_state_words old = range_at(vf, first, pages);
    bool refused = virtio_admin_was_refused(&start);

    if (vf_state_execute(vf->control, OP_STOP, vf->member, &old, NULL) != STATUS_OK || !refused) {
        return status;
    }
    return virtio_admin_execute(&vf->control->pf->admin, &start);
}

static enum status check_track(const struct vf_state *vf, uint64_t pages,
                               const struct virtio_dma *map)
{
    const struct vf_state_pf *control = vf->control;
    enum status status = vf_state_current(vf);

    if (status != STATUS_OK) {
        return status;
    }
    if (control->mode == VF_TRACK_NONE) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (vf->tracked != 0) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    if (pages > UINT64_MAX >> PAGE_SHIFT ||
        (pages + control->range_pages - 1) / control->range_pages > control->ranges) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (pages == 0 ||
        (is_push(control) && (!map || map->size < vf_state_map_size(control, pages)))) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

enum status vf_state_track(struct vf_state *vf, const struct ram *ram, const struct virtio_dma *map)
{
    uint64_t pages = ram_end(ram) / PAGE_SIZE, length = 0;
    enum status status = check_track(vf, pages, map);

    if (status != STATUS_OK) {
        return status;
    }
    vf->tracked = pages;
    vf->ram = ram;
    if (is_push(vf->control)) {
        vf->map = *map;
        memset(map->va, 0, map->size);
    }
    for (uint64_t at = 0; at < pages; at += length) {
        status = start_range(vf, at, &length);
        if (status != STATUS_OK) {
            (void)stop_ranges(vf, at);
            vf->tracked = 0;
            return status;
        }
    }
    return STATUS_OK;
}

/* ---- Reports ---- */

/* Mark the pages of BITS, of those from PAGE on, a multiple of 64, that are tracked. */
static void add(struct vf_state *vf, uint64_t page, uint64_t bits)
{
    uint64_t left = vf->tracked - page;

    if (bits == 0) { /* most are: the pause is as long as it takes to look at them */
        return;
    }
    vf->reported +=
        ram_mark_word(vf->ram, page, left < WORD_PAGES ? bits & ((1ULL << left) - 1) : bits);
}

static void add_all(struct vf_state *vf, uint64_t first)
{
    for (uint64_t page = first - first % WORD_PAGES; page < vf->tracked; page += WORD_PAGES) {
        add(vf, page, UINT64_MAX);
    }
}

/* Bytes of a bytemap, 0 or not, to bits. */
static uint64_t gather(const uint8_t *bytes, unsigned count)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < count; i++) {
        bits |= (uint64_t)(bytes[i] != 0) << i;
    }
    return bits;
}

/* LENGTH bytes of a map that begin at page FIRST, a multiple of 64. */
static void add_bytes(struct vf_state *vf, uint64_t first, const uint8_t *bytes, uint32_t length)
{
    uint32_t step = is_bytemap(vf->control) ? WORD_PAGES : sizeof(uint64_t);

    for (uint32_t at = 0; at < length; at += step) {
        uint64_t page = first + (uint64_t)at / step * WORD_PAGES, bits = 0;
        uint32_t left = length - at < step ? length - at : step;

        if (is_bytemap(vf->control)) {
            bits = gather(bytes + at, left);
        } else {
            memcpy(&bits, bytes + at, left);
        }
        if (bits != 0) {
            add(vf, page, bits);
        }
    }
}

/* The range at FIRST, of PAGES; when it fails, *DONE of them were reported. */
static enum status pull_range(struct vf_state *vf, uint64_t first, uint64_t pages, uint64_t *done)
{
    uint8_t bytes[REPORT_MAX];
    uint64_t size = map_bytes(vf->control, pages), pending = 0;
    struct vf_state_words data = {.vf = vf->member, .word = {first << PAGE_SHIFT}};
    enum status status = vf_state_execute(vf->control, OP_MAP_PENDING, vf->member, &data, &pending);

    *done = 0;
    for (uint64_t at = 0; at < size && pending != 0 && status == STATUS_OK; at += REPORT_MAX) {
        uint32_t length = size - at < REPORT_MAX ? (uint32_t)(size - at) : REPORT_MAX;
        struct vf_state_words range = {
            .vf = vf->member, .word = {at, length, first << PAGE_SHIFT}
        };
        struct virtio_admin_command report = vf_state_command(OP_REPORT, vf->member, &range, bytes);

        report.result_size = length;
        *done = is_bytemap(vf->control) ? at : at * 8;
        status = virtio_admin_execute(&vf->control->pf->admin, &report);
        if (status == STATUS_OK) {
            add_bytes(vf, first + *done, bytes, length);
        }
    }
    return status;
}

/* The device sets what is cleared here, word by word. */
static void take_pushed(struct vf_state *vf)
{
    uint64_t *words = vf->map.va;
    uint64_t size = map_bytes(vf->control, vf->tracked);
    uint32_t step = sizeof(*words) * (is_bytemap(vf->control) ? 1 : 8); /* pages of a word */

    for (uint64_t i = 0; i * sizeof(*words) < size; i++) {
        uint64_t page = i * step, value;

        if (words[i] == 0) { /* most are: the time is that of what was written */
            continue;
        }
        value = __atomic_exchange_n(&words[i], 0, __ATOMIC_ACQ_REL);
        if (is_bytemap(vf->control)) {
            value = gather((const uint8_t *)&value, sizeof(value)) << page % WORD_PAGES;
        }
        add(vf, page - page % WORD_PAGES, value);
    }
}

enum status vf_state_report(struct vf_state *vf)
{
    enum status status = vf_state_current(vf);
    uint64_t pages, done = 0;

    vf->reported = 0;
    if (status == STATUS_OK && vf->tracked == 0) {
        status = STATUS_NOTE(STATUS_STATE);
    }
    if (status == STATUS_OK && is_push(vf->control)) {
        take_pushed(vf);
        return STATUS_OK;
    }
    for (uint64_t at = 0; at < vf->tracked && status == STATUS_OK; at += pages) {
        (void)range_at(vf, at, &pages);
        status = pull_range(vf, at, pages, &done);
        done += at;
    }
    if (status != STATUS_OK) {
        add_all(vf, done);
    }
    return status;
}

enum status vf_state_untrack(struct vf_state *vf)
{
    enum status status = vf_state_current(vf);

    if (vf->tracked != 0 && status == STATUS_OK) {
        status = stop_ranges(vf, vf->tracked);
    }
    vf->tracked = 0;
    return status;
}
