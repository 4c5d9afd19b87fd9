/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests and answers in the DMA memory, in both framings: virtio 1.3, section 2.12.1, and
 * docs/migration-abi.md, 3.1.
 */
#include "drivers/virtio/admin_internal.h"

#include <string.h>

#define STATUS_FIELD    0U /* of 16 bits each */
#define QUALIFIER_FIELD 1U
#define UNWRITTEN       0xff
#define STATUS_SIZE     4U /* bytes that an answer must have at least */
#define HEADER_2021     2U
#define TAIL_2021       1U

/* The header of a request. Virtio 1.3, section 2.12.1. */
struct request {
    uint16_t opcode;
    uint16_t group;
    uint8_t reserved[12];
    uint64_t member;
};

_Static_assert(sizeof(struct request) == VIRTIO_ADMIN_HEADER, "virtio 1.3, section 2.12.1");

static uint32_t room_of(const struct virtio_admin_command *command)
{
    return command->result_room > command->result_size ? command->result_room
                                                       : command->result_size;
}

static uint32_t readable_size(const struct virtio_admin_command *command)
{
    return (admin_is_2021(command->opcode) ? HEADER_2021 : VIRTIO_ADMIN_HEADER) +
           command->data_size + command->more_size;
}

static uint32_t writable_size(const struct virtio_admin_command *command)
{
    return (admin_is_2021(command->opcode) ? TAIL_2021 : VIRTIO_ADMIN_TAIL) + room_of(command);
}

static unsigned pages_of(uint32_t size)
{
    return (size + (uint32_t)PAGE_SIZE - 1) / (uint32_t)PAGE_SIZE;
}

/* Take enough of them for SIZE bytes, the lowest; there are so many. */
static uint32_t take_pages(struct virtio_admin *admin, uint32_t size)
{
    uint32_t pages = 0;

    for (uint32_t at = 0; at < size; at += PAGE_SIZE) {
        pages |= admin->free_pages & -admin->free_pages;
        admin->free_pages &= admin->free_pages - 1;
    }
    return pages;
}

/* Parts for SIZE bytes in PAGES, one for neighbours; returns how many. */
static unsigned make_parts(const struct virtio_admin *admin, uint32_t pages, uint32_t size,
                           bool writable, struct virtqueue_part *parts)
{
    unsigned count = 0;

    for (; pages != 0; pages &= pages - 1) {
        uint64_t iova = admin->memory.iova + (1 + (uint64_t)__builtin_ctz(pages)) * PAGE_SIZE;
        uint32_t length = size < PAGE_SIZE ? size : (uint32_t)PAGE_SIZE;

        if (count > 0 && parts[count - 1].iova + parts[count - 1].length == iova) {
            parts[count - 1].length += length;
        } else {
            parts[count++] = (struct virtqueue_part){iova, length, writable};
        }
        size -= length;
    }
    return count;
}

/* Make two of the part at WHICH of COUNT, unless one would be empty; returns how many there are. */
static unsigned split_part(struct virtqueue_part *parts, unsigned count, unsigned which,
                           uint32_t first)
{
    struct virtqueue_part *part = &parts[which];

    if (first == 0 || first == part->length) {
        return count;
    }
    memmove(part + 1, part, (count - which) * sizeof(*part));
    part->length = first;
    part[1].iova += first;
    part[1].length -= first;
    return count + 1;
}

unsigned admin_pages_take(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                          const struct virtio_admin_command *command,
                          struct virtqueue_part parts[ADMIN_PARTS_MAX])
{
    uint32_t readable = readable_size(command), writable = writable_size(command);

    if (pages_of(readable) + pages_of(writable) > bit_count(admin->free_pages)) {
        return 0;
    }
    slot->readable = take_pages(admin, readable);
    slot->writable = take_pages(admin, writable);
    unsigned count = make_parts(admin, slot->readable, readable, false, parts);

    /* The devices that have it know the header by its descriptor, and the status by its own. */
    if (admin_is_2021(command->opcode)) {
        count = split_part(parts, count, 0, HEADER_2021);
    }
    count += make_parts(admin, slot->writable, writable, true, parts + count);
    if (admin_is_2021(command->opcode)) {
        count = split_part(parts, count, count - 1, parts[count - 1].length - TAIL_2021);
    }
    return count;
}

void admin_pages_free(struct virtio_admin *admin, struct virtio_admin_slot *slot)
{
    admin->free_pages |= slot->readable | slot->writable;
    *slot = (struct virtio_admin_slot){0};
}

/* The bytes of PAGES from AT on, at most up to their page's end: *LENGTH of SIZE. */
static uint8_t *piece_at(const struct virtio_admin *admin, uint32_t pages, uint32_t at,
                         uint32_t size, uint32_t *length)
{
    uint32_t offset = at % (uint32_t)PAGE_SIZE, left = (uint32_t)PAGE_SIZE - offset;

    for (uint32_t skip = at / (uint32_t)PAGE_SIZE; skip > 0; skip--) {
        pages &= pages - 1;
    }
    *length = size < left ? size : left;
    return (uint8_t *)admin->memory.va + (1 + (uint64_t)__builtin_ctz(pages)) * PAGE_SIZE + offset;
}

/* FROM NULL: zeroes. Returns what is behind. */
static uint32_t write_pages(const struct virtio_admin *admin, uint32_t pages, uint32_t at,
                            const void *from, uint32_t size)
{
    const uint8_t *bytes = from;
    uint32_t length;

    for (uint32_t done = 0; done < size; done += length) {
        uint8_t *to = piece_at(admin, pages, at + done, size - done, &length);

        if (bytes) {
            memcpy(to, bytes + done, length);
        } else {
            memset(to, 0, length);
        }
    }
    return at + size;
}

static void read_pages(const struct virtio_admin *admin, uint32_t pages, uint32_t at, void *to,
                       uint32_t size)
{
    uint8_t *bytes = to;
    uint32_t length;

    for (uint32_t done = 0; done < size; done += length) {
        const uint8_t *from = piece_at(admin, pages, at + done, size - done, &length);

        memcpy(bytes + done, from, length);
    }
}

void admin_request_write(const struct virtio_admin *admin, const struct virtio_admin_slot *slot,
                         const struct virtio_admin_command *command)
{
    bool old = admin_is_2021(command->opcode);
    const uint8_t class_command[HEADER_2021] = {(uint8_t)(command->opcode >> 8),
                                                (uint8_t)command->opcode};
    const struct request header = {
        .opcode = command->opcode, .group = command->group, .member = command->member};
    uint8_t tail[VIRTIO_ADMIN_TAIL];
    uint32_t at = write_pages(admin, slot->readable, 0,
                              old ? (const void *)class_command : (const void *)&header,
                              old ? HEADER_2021 : VIRTIO_ADMIN_HEADER);

    at = write_pages(admin, slot->readable, at, command->data, command->data_size);
    (void)write_pages(admin, slot->readable, at, command->more, command->more_size);
    /* A status that the device does not write is an error, and a result none of another command's.
     */
    memset(tail, UNWRITTEN, sizeof(tail));
    at = old ? 0 : write_pages(admin, slot->writable, 0, tail, VIRTIO_ADMIN_TAIL);
    at = write_pages(admin, slot->writable, at, NULL, room_of(command));
    (void)write_pages(admin, slot->writable, at, tail, old ? TAIL_2021 : 0);
}

/* The status, and how many bytes the device says that the result has. */
static uint32_t read_status(const struct virtio_admin *admin, const struct virtio_admin_slot *slot,
                            struct virtio_admin_command *command)
{
    uint16_t head[VIRTIO_ADMIN_TAIL / 2];
    uint8_t last = UNWRITTEN;

    if (!admin_is_2021(command->opcode)) {
        read_pages(admin, slot->writable, 0, head, sizeof(head));
        command->status = head[STATUS_FIELD];
        command->qualifier = head[QUALIFIER_FIELD];
        return slot->written > VIRTIO_ADMIN_TAIL ? slot->written - VIRTIO_ADMIN_TAIL : 0;
    }
    if (slot->written == writable_size(command)) {
        read_pages(admin, slot->writable, slot->written - TAIL_2021, &last, TAIL_2021);
    }
    command->status = last & (uint8_t)~VIRTIO_2021_DNR;
    command->qualifier = last & VIRTIO_2021_DNR;
    return room_of(command);
}

bool admin_answer_read(const struct virtio_admin *admin, const struct virtio_admin_slot *slot,
                       struct virtio_admin_command *command)
{
    uint32_t start = admin_is_2021(command->opcode) ? 0 : VIRTIO_ADMIN_TAIL;
    uint32_t at = command->result_at, copied = 0;
    uint8_t *result = command->result;

    if (start != 0 && slot->written < STATUS_SIZE) {
        return false;
    }
    command->result_length = read_status(admin, slot, command);
    if (command->status != VIRTIO_ADMIN_OK) {
        command->result_length = 0;
    }
    if (command->result_size == 0) {
        return true;
    }
    if (at < command->result_length) {
        copied = command->result_length - at;
        copied = copied < command->result_size ? copied : command->result_size;
        read_pages(admin, slot->writable, start + at, result, copied);
    }
    memset(result + copied, 0, command->result_size - copied);
    return true;
}
