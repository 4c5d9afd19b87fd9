/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Class 65 of the 2021 protocol: which pages a VF has written to.
 */
#include "protocol_2021.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"

#define LOG_MAX_BITMAP_PAGES    26
#define LOG_MAX_BYTEMAP_PAGES   22
#define MIN_PAGE                4096
#define SEGMENT_SIZE            16
#define MAX_SEGMENTS            64

typedef struct QEMU_PACKED StartData {
    uint16_t vf;
    uint16_t mode;
    uint32_t page_size;
    uint64_t address;
    uint64_t length;
    uint8_t segments[];
} StartData;

typedef struct QEMU_PACKED RangeData {
    uint16_t vf;
    uint16_t reserved[3];
    uint64_t address;
} RangeData;

typedef struct QEMU_PACKED ReportData {
    uint16_t vf;
    uint16_t reserved[3];
    uint64_t offset;
    uint64_t length;
    uint64_t address;
} ReportData;

void dirty_identity(Command *c)
{
    uint8_t result[8];

    stw_le_p(result, LOG_MAX_BITMAP_PAGES);
    stw_le_p(result + 2, LOG_MAX_BYTEMAP_PAGES);
    stl_le_p(result + 4, pf_state(c->pf)->dirty_ranges);
    admin_set_result(c, result, sizeof(result));
}

static bool mode_usable(const Command *c, unsigned mode)
{
    return mode >= DIRTY_PUSH_BITMAP && mode <= DIRTY_PULL_BYTEMAP &&
           virtio_vdev_has_feature(virtio_of(c->pf),
                                   F_DIRTY_PUSH_BITMAP + mode - 1);
}

static bool is_pull(DirtyMode mode)
{
    return mode >= DIRTY_PULL_BITMAP;
}

static bool range_usable(const DirtyRange *r)
{
    unsigned log_max = r->mode == DIRTY_PULL_BITMAP ? LOG_MAX_BITMAP_PAGES
                                                    : LOG_MAX_BYTEMAP_PAGES;

    if (r->page_size < MIN_PAGE || !is_power_of_2(r->page_size) || !r->length ||
        (r->start | r->length) % r->page_size ||
        r->start + (r->length - 1) < r->start) {
        return false;
    }
    return !is_pull(r->mode) || r->length / r->page_size <= 1ULL << log_max;
}

/* The segments that hold the whole map, or NULL. */
static DirtySegment *read_segments(const Command *c, const DirtyRange *r)
{
    size_t given = c->data_len - sizeof(StartData);
    unsigned count = MIN(given / SEGMENT_SIZE, MAX_SEGMENTS);
    const uint8_t *from = ((const StartData *)c->data)->segments;
    DirtySegment *segments = g_new0(DirtySegment, MAX(count, 1));
    uint64_t length = 0;

    for (unsigned i = 0; i < count; i++) {
        segments[i].address = ldq_le_p(from + i * SEGMENT_SIZE);
        segments[i].length = ldl_le_p(from + i * SEGMENT_SIZE + 8);
        length += segments[i].length;
    }
    if (length < r->map_length) {
        g_free(segments);
        return NULL;
    }
    return segments;
}

void dirty_start_track(Command *c)
{
    const StartData *d = (const StartData *)c->data;
    DirtyRange r = {
        .start = le64_to_cpu(d->address), .length = le64_to_cpu(d->length),
        .page_size = le32_to_cpu(d->page_size), .mode = le16_to_cpu(d->mode),
    };

    if (!mode_usable(c, r.mode) || !range_usable(&r) ||
        dirty_overlaps(c->vf, r.start, r.length) ||
        dirty_count(c->vf) >= pf_state(c->pf)->dirty_ranges) {
        old_fail(c, OLD_ERR | OLD_DNR);
        return;
    }
    r.map_length = dirty_map_length(r.mode, r.length / r.page_size);
    if (!is_pull(r.mode)) {
        r.segments = read_segments(c, &r);
        if (!r.segments) {
            old_fail(c, OLD_ERR | OLD_DNR);
            return;
        }
    }
    dirty_start(c->vf, r);
}

static DirtyRange *named_range(Command *c, uint64_t address)
{
    DirtyRange *r = dirty_find(c->vf, address);

    if (!r) {
        old_fail(c, OLD_ERR | OLD_DNR);
    }
    return r;
}

/* If a map in the host's memory is not complete, this is how it is told. */
void dirty_stop_track(Command *c)
{
    const RangeData *d = (const RangeData *)c->data;
    DirtyRange *r = named_range(c, le64_to_cpu(d->address));

    if (!r) {
        return;
    }
    if (r->failed) {
        old_fail(c, OLD_DEVICE_INTERNAL_ERR | OLD_DNR);
    }
    dirty_stop(c->vf, r);
}

static DirtyRange *named_pull_range(Command *c, uint64_t address)
{
    DirtyRange *r = named_range(c, address);

    if (r && !r->map) {
        old_fail(c, OLD_ERR | OLD_DNR);
        r = NULL;
    }
    return r;
}

void dirty_pending_bytes(Command *c)
{
    const RangeData *d = (const RangeData *)c->data;
    DirtyRange *r = named_pull_range(c, le64_to_cpu(d->address));
    uint64_t pending;

    if (r) {
        pending = buffer_is_zero(r->map, r->map_length) ? 0 : r->map_length;
        pending = cpu_to_le64(pending);
        admin_set_result(c, &pending, sizeof(pending));
    }
}

void dirty_report_map(Command *c)
{
    const ReportData *d = (const ReportData *)c->data;
    DirtyRange *r = named_pull_range(c, le64_to_cpu(d->address));
    uint64_t offset = le64_to_cpu(d->offset), length = le64_to_cpu(d->length);

    if (!r) {
        return;
    }
    if (offset > r->map_length || length > r->map_length - offset) {
        old_fail(c, OLD_ERR | OLD_DNR);
    } else if (length > c->room) {
        old_fail(c, OLD_DATA_TRANSFER_ERR | OLD_DNR);
    } else {
        admin_set_result(c, r->map + offset, length);
        memset(r->map + offset, 0, length);
    }
}
