/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's memory: maps, in the form of today and in tables as in 2021, and what was written.
 */
#include "tools/vfiod/vfio_user_commands.h"

#include <string.h>

#define READABLE  1U /* flags of DMA_MAP; those of 2021 are PROT_READ and PROT_WRITE */
#define WRITABLE  2U
#define MAPPABLE  4U /* by its handle; said by newer clients, meant by all */
#define UNMAP_ALL 2U

#define ENTRY         32U /* 2021: address u64, size, offset; protections u32, flags */
#define ENTRY_FLAG    1U  /* of a map: there is a handle; of an unmap: and a bitmap's header */
#define BITMAP_HEADER 24U /* pgsize u64, size, unused */

#define DIRTY_START 1U
#define DIRTY_STOP  2U
#define DIRTY_GET   4U

static bool range_is_valid(uint64_t address, uint64_t size)
{
    return size != 0 && ((address | size) & (PAGE_SIZE - 1)) == 0 &&
           size - 1 <= UINT64_MAX - address;
}

/* MAP's handle is taken. */
static enum status map_one(struct vfio_user *server, const struct vfio_user_map *map)
{
    uint32_t *maps = &device_of(server)->maps;
    enum status status = STATUS_INVALID;

    if (!range_is_valid(map->address, map->size) || (map->offset & (PAGE_SIZE - 1)) != 0 ||
        map->offset > UINT64_MAX - map->size || (!map->readable && !map->writable)) {
        status = STATUS_INVALID;
    } else if (*maps == VFIO_USER_MAPS_MAX) {
        status = STATUS_NO_ROOM;
    } else {
        status = vfio_user_edge_map(server, map);
        *maps += status == STATUS_OK ? 1 : 0;
        return status;
    }
    if (map->handle != NO_HANDLE) {
        vfio_user_edge_close(server, map->handle);
    }
    return status;
}

/* At most LEFT maps are left of the one that these are a part of; 0: they are a map. */
static enum status unmap_one(struct vfio_user *server, uint64_t address, uint64_t size,
                             uint32_t left)
{
    enum status status = vfio_user_edge_unmap(server, address, size, &left);

    device_of(server)->maps -= status == STATUS_OK ? 1 - left : 0;
    return status;
}

enum status vfio_user_dma_map(struct vfio_user *server, struct message *m)
{
    uint32_t flags = bytes_get32(m->in + 4);
    struct vfio_user_map map = {.offset = bytes_get64(m->in + 8),
                                .address = bytes_get64(m->in + 16),
                                .size = bytes_get64(m->in + 24),
                                .readable = (flags & READABLE) != 0,
                                .writable = (flags & WRITABLE) != 0,
                                .handle = NO_HANDLE};

    if (bytes_get32(m->in) < ENTRY || (flags & ~(READABLE | WRITABLE | MAPPABLE)) != 0 ||
        server->handles > 1 || (server->handles == 0 && (flags & MAPPABLE) != 0)) {
        return STATUS_INVALID;
    }
    if (server->handles == 1) {
        map.handle = vfio_user_take(server, 0);
    }
    return map_one(server, &map);
}

enum status vfio_user_dma_unmap(struct vfio_user *server, struct message *m)
{
    uint32_t flags = bytes_get32(m->in + 4);
    uint64_t address = bytes_get64(m->in + 8), size = bytes_get64(m->in + 16);

    if (bytes_get32(m->in) < 24 || (flags & ~UNMAP_ALL) != 0) {
        return STATUS_INVALID;
    }
    memcpy(m->out, m->in, 24);
    m->answer = 24;
    if (flags == 0) {
        return range_is_valid(address, size) ? unmap_one(server, address, size, 0) : STATUS_INVALID;
    }
    if (address != 0 || size != 0) {
        return STATUS_INVALID;
    }
    vfio_user_edge_unmap_all(server);
    device_of(server)->maps = 0;
    return STATUS_OK;
}

/* ---- 2021 ---- */

/* The table is carried out as a whole, or not at all. */
enum status vfio_user_2021_map(struct vfio_user *server, struct message *m)
{
    uint32_t count = m->size / ENTRY, wanted = 0, used = 0, done;
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < count; i++) {
        wanted += bytes_get32(m->in + (size_t)i * ENTRY + 28) & ENTRY_FLAG;
    }
    if (m->size % ENTRY != 0 || wanted != server->handles) {
        return STATUS_INVALID;
    }
    for (done = 0; done < count; done++) {
        const uint8_t *e = m->in + (size_t)done * ENTRY;
        uint32_t protections = bytes_get32(e + 24), flags = bytes_get32(e + 28);
        struct vfio_user_map map = {.address = bytes_get64(e),
                                    .size = bytes_get64(e + 8),
                                    .offset = bytes_get64(e + 16),
                                    .readable = (protections & READABLE) != 0,
                                    .writable = (protections & WRITABLE) != 0,
                                    .handle = NO_HANDLE};

        if ((protections & ~(READABLE | WRITABLE)) != 0 || (flags & ~ENTRY_FLAG) != 0) {
            status = STATUS_INVALID;
            break;
        }
        if (flags != 0) {
            map.handle = vfio_user_take(server, used++);
        }
        status = map_one(server, &map);
        if (status != STATUS_OK) {
            break;
        }
    }
    while (status != STATUS_OK && done-- > 0) {
        (void)unmap_one(server, bytes_get64(m->in + (size_t)done * ENTRY),
                        bytes_get64(m->in + (size_t)done * ENTRY + 8), 0);
    }
    return status;
}

/* The bitmap that HEADER asks for can be given for SIZE bytes of memory. */
static bool bitmap_is_valid(const uint8_t *header, uint64_t size)
{
    uint64_t page = bytes_get64(header);

    return page_size_is_valid(page) && bytes_get64(header + 8) >= bitmap_bytes(size, page);
}

/* HEADER and the bitmap that it asks for, to OUT. */
static enum status put_bitmap(struct vfio_user *server, const uint8_t *header,
                              const struct vfio_user_area *range, uint8_t *out)
{
    memcpy(out, header, BITMAP_HEADER);
    memset(out + BITMAP_HEADER, 0, bytes_get64(header + 8));
    return vfio_user_edge_log_report(server, range, bytes_get64(header), out + BITMAP_HEADER);
}

/* Can all of this be asked, and answered? */
static enum status check_unmaps(const struct vfio_user *server, const struct message *m)
{
    uint64_t answer = 0, most = server->client_data;

    for (uint32_t at = 0; at < m->size; at += ENTRY) {
        const uint8_t *e = m->in + at;
        bool bitmap = false;

        if (m->size - at >= ENTRY) {
            bitmap = bytes_get32(e + 28) == ENTRY_FLAG;
        }
        if (m->size - at < ENTRY + (bitmap ? BITMAP_HEADER : 0) ||
            (bytes_get32(e + 28) & ~ENTRY_FLAG) != 0 ||
            !range_is_valid(bytes_get64(e), bytes_get64(e + 8))) {
            return STATUS_INVALID;
        }
        answer += ENTRY;
        if (bitmap) {
            if (!server->setup.function->logs || !bitmap_is_valid(e + ENTRY, bytes_get64(e + 8)) ||
                bytes_get64(e + ENTRY + 8) > most) {
                return STATUS_INVALID;
            }
            answer += BITMAP_HEADER + bytes_get64(e + ENTRY + 8);
            at += BITMAP_HEADER;
        }
        if (answer > most) {
            return STATUS_RANGE;
        }
    }
    return STATUS_OK;
}

/* "Removing a portion of a DMA region is possible": so many may then be left of it. */
static uint32_t most_left(struct vfio_user *server)
{
    return !server->setup.function->split                 ? 0
           : device_of(server)->maps < VFIO_USER_MAPS_MAX ? 2
                                                          : 1;
}

/* Entries that went before one that fails stay unmapped. */
enum status vfio_user_2021_unmap(struct vfio_user *server, struct message *m)
{
    enum status status = check_unmaps(server, m);

    for (uint32_t at = 0; at < m->size && status == STATUS_OK; at += ENTRY) {
        const uint8_t *e = m->in + at;
        const struct vfio_user_area range = {bytes_get64(e), bytes_get64(e + 8)};

        memcpy(m->out + m->answer, e, ENTRY);
        m->answer += ENTRY;
        if (bytes_get32(e + 28) == ENTRY_FLAG) {
            status = put_bitmap(server, e + ENTRY, &range, m->out + m->answer);
            m->answer += BITMAP_HEADER + (uint32_t)bytes_get64(e + ENTRY + 8);
            at += BITMAP_HEADER;
        }
        if (status == STATUS_OK) {
            status = unmap_one(server, range.offset, range.size, most_left(server));
        }
    }
    return status;
}

enum status vfio_user_2021_dirty(struct vfio_user *server, struct message *m)
{
    uint64_t page = PAGE_SIZE;
    struct vfio_user_area range;

    if (!server->setup.function->logs) {
        return STATUS_UNSUPPORTED;
    }
    switch (bytes_get32(m->in + 4)) {
    case DIRTY_START:
        return vfio_user_edge_log_start(server, &page, NULL, 0);
    case DIRTY_STOP:
        return vfio_user_edge_log_stop(server);
    case DIRTY_GET:
        break;
    default:
        return STATUS_INVALID;
    }
    if (m->size < 8 + 16 + BITMAP_HEADER) {
        return STATUS_INVALID;
    }
    range = (struct vfio_user_area){bytes_get64(m->in + 8), bytes_get64(m->in + 16)};
    if (!range_is_valid(range.offset, range.size) || !bitmap_is_valid(m->in + 24, range.size)) {
        return STATUS_INVALID;
    }
    if (bytes_get64(m->in + 32) > server->client_data) {
        return STATUS_RANGE;
    }
    m->answer = BITMAP_HEADER + (uint32_t)bytes_get64(m->in + 32);
    return put_bitmap(server, m->in + 24, &range, m->out);
}
