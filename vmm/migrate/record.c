/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/migrate/record.h"

#include "vmm/state/state.h"

#include <string.h>

static void put(uint8_t *at, unsigned width, uint32_t value)
{
    memcpy(at, &value, width);
}

static uint32_t get(const uint8_t *at, unsigned width)
{
    return (uint32_t)state_number(at, width);
}

/* ---- Writing ---- */

void record_begin(struct record_writer *w, void *buffer, uint32_t room)
{
    *w = (struct record_writer){.at = buffer, .room = room, .used = RECORD_HEADER};
    w->full = room < RECORD_HEADER + STATE_CHECKSUM;
}

uint8_t *record_open(struct record_writer *w, enum record_type type, uint32_t *room)
{
    *room = 0;
    w->full = w->full || w->room - w->used < RECORD_PART + STATE_CHECKSUM;
    if (w->full) {
        return w->at;
    }
    w->part = w->used;
    put(w->at + w->part, 2, type);
    put(w->at + w->part + 2, 2, 0);
    w->used += RECORD_PART;
    *room = (uint32_t)align_down(w->room - w->used - STATE_CHECKSUM, 8);
    return w->at + w->used;
}

void record_close(struct record_writer *w, uint32_t length)
{
    uint32_t padded = (uint32_t)align_up(length, 8);

    w->full = w->full || w->room - w->used - STATE_CHECKSUM < padded;
    if (w->full) {
        return;
    }
    put(w->at + w->part + 4, 4, length);
    memset(w->at + w->used + length, 0, padded - length);
    w->used += padded;
    w->parts++;
}

uint32_t record_end(struct record_writer *w)
{
    if (w->full) {
        return 0;
    }
    put(w->at, 4, RECORD_MAGIC);
    put(w->at + 4, 4, RECORD_VERSION);
    put(w->at + 8, 4, w->used + STATE_CHECKSUM);
    put(w->at + 12, 4, w->parts);
    put(w->at + w->used, 4, state_checksum(w->at, w->used));
    return w->used + STATE_CHECKSUM;
}

/* ---- Reading ---- */

static enum status refuse(struct record *record, const char *problem)
{
    record->problem = problem;
    return STATUS_NOTE(STATUS_INVALID);
}

static enum status check_whole(const uint8_t *at, uint32_t size, struct record *record)
{
    if (size < RECORD_HEADER + STATE_CHECKSUM || get(at, 4) != RECORD_MAGIC) {
        return refuse(record, "it is no record of a VF");
    }
    if (get(at + 4, 4) != RECORD_VERSION) {
        return refuse(record, "its version is not known");
    }
    if (get(at + 8, 4) != size) {
        return refuse(record, "it is cut off, or something follows it");
    }
    if (get(at + size - STATE_CHECKSUM, 4) != state_checksum(at, size - STATE_CHECKSUM)) {
        return refuse(record, "its checksum is wrong");
    }
    return STATUS_OK;
}

/* The part at *OFFSET, which moves on; parts end at END. LAST: the type of the one before. */
static enum status take_part(const uint8_t *at, uint32_t end, uint32_t *offset, uint32_t *last,
                             struct record *record)
{
    if (end - *offset < RECORD_PART) {
        return refuse(record, "a part is cut off");
    }
    const uint8_t *part = at + *offset;
    uint32_t type = get(part, 2), flags = get(part + 2, 2), length = get(part + 4, 4);

    *offset += RECORD_PART;
    if (length > align_down(end - *offset, 8)) {
        return refuse(record, "a part is cut off");
    }
    if (type <= *last) {
        return refuse(record, "a part is there twice, or out of order");
    }
    if (type >= RECORD_TYPES && !(flags & RECORD_OPTIONAL)) {
        return refuse(record, "a part is not known");
    }
    if (type < RECORD_TYPES) {
        record->part[type] = part + RECORD_PART;
        record->size[type] = length;
    }
    *last = type;
    *offset += (uint32_t)align_up(length, 8);
    return STATUS_OK;
}

enum status record_parse(const void *bytes, uint32_t size, struct record *record)
{
    uint32_t offset = RECORD_HEADER, end = size - STATE_CHECKSUM, last = 0, parts = 0;

    *record = (struct record){0};
    enum status status = check_whole(bytes, size, record);

    for (; status == STATUS_OK && offset < end; parts++) {
        status = take_part(bytes, end, &offset, &last, record);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (parts != get((const uint8_t *)bytes + 12, 4)) {
        return refuse(record, "it has more or fewer parts than it says");
    }
    for (unsigned type = 1; type < RECORD_TYPES; type++) {
        if (!record->part[type]) {
            return refuse(record, "a part is missing");
        }
    }
    return record->size[RECORD_KIND] == 4 ? STATUS_OK
                                          : refuse(record, "a part has the wrong length");
}
