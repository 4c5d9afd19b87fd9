/* SPDX-License-Identifier: BSD-2-Clause */
/* What the function is, and accesses to its regions. */
#include "vmm/vfio_user/vfio_user_internal.h"

#include <string.h>

#define DEVICE_PCI 2U /* flags of GET_INFO */

#define REGION_READ  1U /* and of GET_REGION_INFO */
#define REGION_WRITE 2U
#define REGION_MMAP  4U
#define REGION_CAPS  8U

#define CAP_SPARSE 1U

enum status vfio_user_info(struct vfio_user *server, struct message *m)
{
    if (bytes_get32(m->in) < 16) {
        return STATUS_INVALID;
    }
    bytes_put32(m->out, 16);
    bytes_put32(m->out + 4, DEVICE_PCI);
    bytes_put32(m->out + 8, VFIO_USER_PCI_REGIONS);
    bytes_put32(m->out + 12, 0); /* kinds of interrupts */
    m->answer = 16;
    return STATUS_OK;
}

uint32_t vfio_user_put_cap(uint8_t *out, uint32_t offset, uint32_t id, uint32_t size, bool more)
{
    bytes_put(out + offset, 2, id);
    bytes_put(out + offset + 2, 2, 1);
    bytes_put32(out + offset + 4, more ? offset + size : 0);
    return offset + size;
}

/* The capabilities of R, behind the information; returns where they end. */
static uint32_t put_caps(const struct vfio_user_region *r, uint8_t *out)
{
    uint8_t *at = out + REGION_INFO + CAP_HEADER;

    if (r->areas == 0) {
        return REGION_INFO;
    }
    bytes_put32(at, r->areas);
    bytes_put32(at + 4, 0);
    for (uint32_t i = 0; i < r->areas; i++) {
        bytes_put64(at + 8 + (size_t)i * 16, r->area[i].offset);
        bytes_put64(at + 16 + (size_t)i * 16, r->area[i].size);
    }
    return vfio_user_put_cap(out, REGION_INFO, CAP_SPARSE, CAP_HEADER + 8 + r->areas * 16, false);
}

void vfio_user_put_region(struct message *m, uint64_t size, uint32_t end)
{
    bool fits = end <= bytes_get32(m->in); /* or the client asks once more */

    m->answer = fits ? end : REGION_INFO;
    bytes_put32(m->out, end);
    bytes_put32(m->out + 4, (size != 0 ? REGION_READ | REGION_WRITE : 0) |
                                (end != REGION_INFO ? REGION_CAPS : 0));
    bytes_put32(m->out + 8, bytes_get32(m->in + 8));
    bytes_put32(m->out + 12, fits && end != REGION_INFO ? REGION_INFO : 0);
    bytes_put64(m->out + 16, size);
    bytes_put64(m->out + 24, 0);
}

enum status vfio_user_region_info(struct vfio_user *server, struct message *m)
{
    uint32_t index = bytes_get32(m->in + 8), end;

    if (bytes_get32(m->in) < REGION_INFO || index >= VFIO_USER_PCI_REGIONS) {
        return STATUS_INVALID;
    }
    const struct vfio_user_region *r = &server->setup.function->region[index];

    end = put_caps(r, m->out);
    vfio_user_put_region(m, r->size, end);
    if (r->size != 0 && r->handle != NO_HANDLE && server->client_handles != 0) {
        bytes_put32(m->out + 4, bytes_get32(m->out + 4) | REGION_MMAP);
        bytes_put64(m->out + 24, r->offset);
        m->handles = m->answer == end ? 1 : 0;
        m->handle[0] = r->handle;
    }
    return STATUS_OK;
}

/* ---- Accesses ---- */

uint64_t vfio_user_region_size(const struct vfio_user *server, uint32_t index)
{
    return index < VFIO_USER_PCI_REGIONS ? server->setup.function->region[index].size : 0;
}

bool vfio_user_begin_read(const struct vfio_user *server, struct message *m, uint64_t size)
{
    uint32_t count = bytes_get32(m->in + 12);

    memcpy(m->out, m->in, ACCESS);
    m->answer = ACCESS + count;
    return m->size == ACCESS && count <= server->client_data &&
           range_fits(bytes_get64(m->in), count, size);
}

bool vfio_user_begin_write(struct message *m, uint64_t size)
{
    uint32_t count = bytes_get32(m->in + 12);

    memcpy(m->out, m->in, ACCESS);
    m->answer = ACCESS;
    return m->size - ACCESS == count && range_fits(bytes_get64(m->in), count, size);
}

enum status vfio_user_region_read(struct vfio_user *server, struct message *m)
{
    uint32_t region = bytes_get32(m->in + 8), count = bytes_get32(m->in + 12);

    if (!vfio_user_begin_read(server, m, vfio_user_region_size(server, region))) {
        return STATUS_INVALID;
    }
    return count == 0
               ? STATUS_OK
               : vfio_user_edge_read(server, region, bytes_get64(m->in), m->out + ACCESS, count);
}

enum status vfio_user_write_region(struct vfio_user *server, const uint8_t *access)
{
    uint32_t count = bytes_get32(access + 12);

    return count == 0 ? STATUS_OK
                      : vfio_user_edge_write(server, bytes_get32(access + 8), bytes_get64(access),
                                             access + ACCESS, count);
}

enum status vfio_user_region_write(struct vfio_user *server, struct message *m)
{
    return vfio_user_begin_write(m, vfio_user_region_size(server, bytes_get32(m->in + 8)))
               ? vfio_user_write_region(server, m->in)
               : STATUS_INVALID;
}
