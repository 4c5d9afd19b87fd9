/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of the client that only messages reach: commands of ours, alike in both forms. */
#include "tools/vfiod/vfio_user_commands.h"

#include <string.h>

/* Bytes in a message: an answer that the client's socket cannot take at once is one that it has to
 * be good at. */
#define DMA_MAX (64U << 10)

#define PLACE 16U /* address u64, count u64; in the answer, too, and before the data */

uint32_t vfio_user_dma(struct vfio_user_device *device, uint64_t address, uint32_t count,
                       const uint8_t *from)
{
    const struct vfio_user *server = &device->server;
    enum command command = from != NULL ? COMMAND_DMA_WRITE : COMMAND_DMA_READ;
    uint8_t *out = server->setup.output;
    uint32_t size = HEADER + PLACE;

    if (server->form == VFIO_USER_AUTO || server->failed) {
        return 0;
    }
    count = least(count, server->client_data < DMA_MAX ? server->client_data : DMA_MAX);
    if (count == 0) {
        return 0;
    }
    bytes_put64(out + HEADER, address);
    bytes_put64(out + HEADER + 8, count);
    if (from != NULL) {
        memcpy(out + size, from, count);
        size += count;
    }
    device->dma.command = (uint16_t)command;
    device->dma.address = address;
    device->dma.count = count;
    device->dma.waits = true;
    device->dma.id = vfio_user_send_command(device, command, out, size);
    return count;
}

/* Some clients answer a write with its address and count, some with nothing. */
void vfio_user_dma_answer(struct vfio_user *server, const struct message *m, bool ok)
{
    struct vfio_user_device *device = device_of(server);
    bool reads = device->dma.command == COMMAND_DMA_READ;

    if (!device->dma.waits || m->id != device->dma.id || m->command != device->dma.command) {
        return; /* VM_INTERRUPT's, in which there is nothing; or one that is late */
    }
    device->dma.waits = false;
    if (ok && reads) {
        ok = m->size == PLACE + device->dma.count && bytes_get64(m->in) == device->dma.address &&
             bytes_get64(m->in + 8) == device->dma.count;
    }
    vfio_user_edge_dma_done(server, ok, ok && reads ? m->in + PLACE : NULL);
}
