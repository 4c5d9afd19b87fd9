/* SPDX-License-Identifier: BSD-2-Clause */
/* What the function is, and accesses to its regions. */
#include "vmm/vfio_user/vfio_user_internal.h"

#include <string.h>

#define DEVICE_RESET 1U /* flags of GET_INFO */
#define DEVICE_PCI   2U

#define REGION_READ  1U /* and of GET_REGION_INFO */
#define REGION_WRITE 2U
#define REGION_MMAP  4U
#define REGION_CAPS  8U

#define REGION_INFO  32U /* bytes: argsz u32, flags, index, cap_offset; size u64, offset */
#define CAP_HEADER   8U  /* id u16, version u16, next u32 */
#define CAP_SPARSE   1U
#define CAP_TYPE     2U
#define CAP_MIG_NDMA 6U

#define TYPE_MIGRATION    3U
#define SUBTYPE_MIGRATION 1U

#define NOTIFY_INFO  16U /* bytes of an answer of GET_REGION_IO_FDS, and of one of its entries */
#define NOTIFY_ENTRY 40U
#define NOTIFY_MATCH 1U /* flags of KVM_IOEVENTFD */
#define NOTIFY_IO    2U

#define ACCESS 16U /* offset u64, region u32, count u32 */
#define WRITE  24U /* of a WRITE_MULTI: the same, and 8 bytes */

uint32_t vfio_user_regions(const struct vfio_user *server)
{
    return server->form == VFIO_USER_2021 && server->setup.function->migrates
               ? VFIO_USER_REGIONS
               : VFIO_USER_PCI_REGIONS;
}

uint64_t vfio_user_region_size(const struct vfio_user *server, uint32_t index)
{
    if (index >= vfio_user_regions(server)) {
        return 0;
    }
    return index == VFIO_USER_MIGRATION ? vfio_user_migration_size(server)
                                        : server->setup.function->region[index].size;
}

enum status vfio_user_info(struct vfio_user *server, struct message *m)
{
    if (get32(m->in) < 16) {
        return STATUS_INVALID;
    }
    put32(m->out, 16);
    put32(m->out + 4, DEVICE_PCI | (server->setup.function->fixed ? 0 : DEVICE_RESET));
    put32(m->out + 8, vfio_user_regions(server));
    put32(m->out + 12, VFIO_USER_IRQS);
    m->answer = 16;
    return STATUS_OK;
}

/* A capability of SIZE bytes at AT, whose offset in the answer is OFFSET; MORE come after it. */
static uint32_t put_cap(uint8_t *out, uint32_t offset, uint32_t id, uint32_t size, bool more)
{
    bytes_put(out + offset, 2, id);
    bytes_put(out + offset + 2, 2, 1);
    put32(out + offset + 4, more ? offset + size : 0);
    return offset + size;
}

/* The capabilities of region INDEX, behind the information; returns where they end. */
static uint32_t put_caps(const struct vfio_user *server, uint32_t index, uint8_t *out)
{
    uint32_t end = REGION_INFO;

    if (index == VFIO_USER_MIGRATION) {
        put32(out + end + CAP_HEADER, TYPE_MIGRATION);
        put32(out + end + CAP_HEADER + 4, SUBTYPE_MIGRATION);
        end = put_cap(out, end, CAP_TYPE, CAP_HEADER + 8, true);
        return put_cap(out, end, CAP_MIG_NDMA, CAP_HEADER, false);
    }
    const struct vfio_user_region *r = &server->setup.function->region[index];

    if (r->areas == 0) {
        return end;
    }
    put32(out + end + CAP_HEADER, r->areas);
    put32(out + end + CAP_HEADER + 4, 0);
    for (uint32_t i = 0; i < r->areas; i++) {
        put64(out + end + CAP_HEADER + 8 + (size_t)i * 16, r->area[i].offset);
        put64(out + end + CAP_HEADER + 16 + (size_t)i * 16, r->area[i].size);
    }
    return put_cap(out, end, CAP_SPARSE, CAP_HEADER + 8 + r->areas * 16, false);
}

enum status vfio_user_region_info(struct vfio_user *server, struct message *m)
{
    uint32_t index = get32(m->in + 8), flags = 0, end;

    if (get32(m->in) < REGION_INFO || index >= vfio_user_regions(server)) {
        return STATUS_INVALID;
    }
    memset(m->out, 0, REGION_INFO);
    put32(m->out + 8, index);
    put64(m->out + 16, vfio_user_region_size(server, index));
    end = put_caps(server, index, m->out);
    m->answer = end <= get32(m->in) ? end : REGION_INFO;
    if (vfio_user_region_size(server, index) != 0) {
        flags = REGION_READ | REGION_WRITE;
    }
    if (end != REGION_INFO) {
        flags |= REGION_CAPS;
        put32(m->out + 12, m->answer == end ? REGION_INFO : 0);
    }
    if (index != VFIO_USER_MIGRATION) {
        const struct vfio_user_region *r = &server->setup.function->region[index];

        if (r->size != 0 && r->handle != NO_HANDLE && server->client_handles != 0) {
            flags |= REGION_MMAP;
            put64(m->out + 24, r->offset);
            m->handles = m->answer == end ? 1 : 0; /* the client asks once more */
            m->handle[0] = r->handle;
        }
    }
    put32(m->out, end);
    put32(m->out + 4, flags);
    return STATUS_OK;
}

/* Which of the message's handles HANDLE is, added if it is none yet. False: there are too many. */
static bool handle_index(const struct vfio_user *server, struct message *m, int handle,
                         uint32_t *index)
{
    for (*index = 0; *index < m->handles; ++*index) {
        if (m->handle[*index] == handle) {
            return true;
        }
    }
    if (m->handles == server->client_handles) {
        return false;
    }
    m->handle[m->handles++] = handle;
    return true;
}

enum status vfio_user_io_fds(struct vfio_user *server, struct message *m)
{
    const struct vfio_user_function *f = server->setup.function;
    uint32_t argsz = get32(m->in), region = get32(m->in + 8), count = 0;

    if (argsz < NOTIFY_INFO || get32(m->in + 4) != 0 || region >= vfio_user_regions(server) ||
        get32(m->in + 12) != 0) {
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < f->notifies; i++) {
        const struct vfio_user_notify *n = &f->notify[i];
        uint8_t *out = m->out + NOTIFY_INFO + (size_t)count * NOTIFY_ENTRY;
        uint32_t index;

        /* What does not fit the client's handles is written by messages. */
        if (n->region != region || !handle_index(server, m, n->handle, &index)) {
            continue;
        }
        put64(out, n->offset);
        put64(out + 8, n->size);
        put32(out + 16, index);
        put32(out + 20, 0); /* an ioeventfd */
        put32(out + 24, NOTIFY_MATCH | (n->io ? NOTIFY_IO : 0));
        put32(out + 28, 0);
        put64(out + 32, n->match);
        count++;
    }
    m->answer = NOTIFY_INFO + count * NOTIFY_ENTRY;
    put32(m->out, m->answer);
    put32(m->out + 4, 0);
    put32(m->out + 8, region);
    put32(m->out + 12, count);
    if (m->answer > argsz) {
        m->answer = NOTIFY_INFO;
        m->handles = 0;
    }
    return STATUS_OK;
}

/* ---- Accesses ---- */

static bool access_fits(const struct vfio_user *server, const uint8_t *access, uint32_t most)
{
    uint32_t count = get32(access + 12);

    return count <= most &&
           range_fits(get64(access), count, vfio_user_region_size(server, get32(access + 8)));
}

static enum status write_region(struct vfio_user *server, const uint8_t *access)
{
    uint64_t offset = get64(access);
    uint32_t region = get32(access + 8), count = get32(access + 12);

    if (count == 0) {
        return STATUS_OK;
    }
    return region == VFIO_USER_MIGRATION
               ? vfio_user_migration_write(server, offset, access + ACCESS, count)
               : vfio_user_edge_write(server, region, offset, access + ACCESS, count);
}

enum status vfio_user_region_read(struct vfio_user *server, struct message *m)
{
    uint32_t region = get32(m->in + 8), count = get32(m->in + 12);

    if (m->size != ACCESS || !access_fits(server, m->in, server->client_data)) {
        return STATUS_INVALID;
    }
    memcpy(m->out, m->in, ACCESS);
    m->answer = ACCESS + count;
    if (count == 0) {
        return STATUS_OK;
    }
    return region == VFIO_USER_MIGRATION
               ? vfio_user_migration_read(server, get64(m->in), m->out + ACCESS, count)
               : vfio_user_edge_read(server, region, get64(m->in), m->out + ACCESS, count);
}

enum status vfio_user_region_write(struct vfio_user *server, struct message *m)
{
    if (!access_fits(server, m->in, m->size - ACCESS) || m->size != ACCESS + get32(m->in + 12)) {
        return STATUS_INVALID;
    }
    memcpy(m->out, m->in, ACCESS);
    if (server->form == VFIO_USER_2021) {
        put32(m->out + 12, 0);
    }
    m->answer = ACCESS;
    return write_region(server, m->in);
}

enum status vfio_user_write_multi(struct vfio_user *server, struct message *m)
{
    uint64_t count = get64(m->in), done = 0;

    if (m->size % WRITE != 8 || count != m->size / WRITE) {
        return STATUS_INVALID;
    }
    while (done < count) {
        const uint8_t *access = m->in + 8 + done * WRITE;

        if (!access_fits(server, access, 8) || write_region(server, access) != STATUS_OK) {
            break;
        }
        done++;
    }
    put64(m->out, done);
    m->answer = 8;
    return STATUS_OK;
}
