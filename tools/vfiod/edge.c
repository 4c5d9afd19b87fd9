/* SPDX-License-Identifier: BSD-2-Clause */
/* vfio_user_edge.h and the edge in vfio_user_device.h by file descriptors, the function and the
 * client's memory. */
#include "tools/vfiod/memory.h"
#include "tools/vfiod/vfiod.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

void vfio_user_edge_send(struct vfio_user *server, const uint8_t *bytes, uint32_t size,
                         const int *handle, uint32_t count)
{
    (void)server;
    connection_send(&connection, bytes, size, handle, count);
}

void vfio_user_edge_close(struct vfio_user *server, int handle)
{
    (void)server;
    (void)close(handle);
}

/* The handle is the client's idea: it may be anything, full, or made to wait. */
void vfio_user_edge_signal(struct vfio_user *server, int handle)
{
    const uint64_t one = 1;
    struct pollfd room = {.fd = handle, .events = POLLOUT};

    (void)server;
    if ((fcntl(handle, F_GETFL) & O_NONBLOCK) == 0 &&
        (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0)) {
        return;
    }
    /* Who does not count any more has been told. */
    (void)!write(handle, &one, sizeof(one));
}

enum status vfio_user_edge_read(struct vfio_user *server, uint32_t region, uint64_t offset,
                                uint8_t *data, uint32_t count)
{
    (void)server;
    return vdev_read(region, offset, data, count);
}

enum status vfio_user_edge_write(struct vfio_user *server, uint32_t region, uint64_t offset,
                                 const uint8_t *data, uint32_t count)
{
    (void)server;
    return vdev_write(region, offset, data, count);
}

void vfio_user_edge_vector(struct vfio_user *server, uint32_t vector, bool wanted)
{
    (void)server;
    vdev_vector_wanted(vector, wanted);
}

enum status vfio_user_edge_reset(struct vfio_user *server)
{
    (void)server;
    return vdev_reset();
}

enum status vfio_user_edge_map(struct vfio_user *server, const struct vfio_user_map *map)
{
    enum status status = memory_map(map);
    void *here = status == STATUS_OK ? memory_base(map->address, map->size) : NULL;
    uint32_t none = 0;

    (void)server;
    if (here != NULL) {
        status = vdev_memory_comes(map, here);
        if (status != STATUS_OK) {
            (void)memory_unmap(map->address, map->size, &none);
        }
    }
    return status;
}

enum status vfio_user_edge_unmap(struct vfio_user *server, uint64_t address, uint64_t size,
                                 uint32_t *left)
{
    (void)server;
    if (memory_base(address, size) != NULL) {
        vdev_memory_leaves(address, size);
    }
    return memory_unmap(address, size, left);
}

void vfio_user_edge_unmap_all(struct vfio_user *server)
{
    (void)server;
    vdev_memory_leaves(0, UINT64_MAX);
    memory_unmap_all();
}

enum status vfio_user_edge_log_start(struct vfio_user *server, uint64_t *page_size,
                                     const struct vfio_user_area *range, uint32_t count)
{
    (void)server;
    return memory_log_start(page_size, range, count);
}

enum status vfio_user_edge_log_stop(struct vfio_user *server)
{
    (void)server;
    return memory_log_stop();
}

enum status vfio_user_edge_log_report(struct vfio_user *server, const struct vfio_user_area *range,
                                      uint64_t page_size, uint8_t *bitmap)
{
    (void)server;
    return memory_log_report(range, page_size, bitmap);
}

enum status vfio_user_edge_set_state(struct vfio_user *server, uint32_t state)
{
    (void)server;
    return vdev_set_state(state);
}

uint32_t vfio_user_edge_state(struct vfio_user *server)
{
    (void)server;
    return vdev_state();
}

uint64_t vfio_user_edge_pending(struct vfio_user *server)
{
    (void)server;
    return vdev_pending();
}

enum status vfio_user_edge_save(struct vfio_user *server, uint8_t *data, uint32_t *size)
{
    (void)server;
    return vdev_save(data, size);
}

enum status vfio_user_edge_load(struct vfio_user *server, const uint8_t *data, uint32_t size)
{
    (void)server;
    return vdev_load(data, size);
}

void vfio_user_edge_dma_done(struct vfio_user *server, bool ok, const uint8_t *data)
{
    (void)server;
    vdev_dma_done(ok, data);
}

uint32_t vfiod_dma(uint64_t address, uint32_t count, const uint8_t *from)
{
    return vfio_user_dma(&vfio_user, address, count, from);
}

void vfiod_intx(bool level)
{
    vfio_user_set_intx(&vfio_user, level);
}

void vfiod_vector(uint32_t vector)
{
    vfio_user_send_vector(&vfio_user, vector);
}
