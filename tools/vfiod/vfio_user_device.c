/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device has that a VMM drives, and its commands that need no file of their own. */
#include "tools/vfiod/vfio_user_commands.h"

#include <string.h>

#define DEVICE_RESET 1U /* flags of GET_INFO */

#define NOTIFY_INFO  16U /* bytes of an answer of GET_REGION_IO_FDS, and of one of its entries */
#define NOTIFY_ENTRY 40U
#define NOTIFY_MATCH 1U /* flags of KVM_IOEVENTFD */
#define NOTIFY_IO    2U

#define WRITE 24U /* of a WRITE_MULTI: an access, and 8 bytes */

uint32_t vfio_user_regions(const struct vfio_user *server)
{
    bool more = server->form == VFIO_USER_2021 && server->setup.function->migrates;

    return VFIO_USER_PCI_REGIONS + (more ? 1 : 0);
}

static enum status info(struct vfio_user *server, struct message *m)
{
    enum status status = vfio_user_info(server, m);

    if (status == STATUS_OK) {
        bytes_put32(m->out + 4, bytes_get32(m->out + 4) | DEVICE_RESET);
        bytes_put32(m->out + 8, vfio_user_regions(server));
        bytes_put32(m->out + 12, VFIO_USER_IRQS);
    }
    return status;
}

static void forget_stage(struct vfio_user_device *device)
{
    device->staged = 0;
    device->fetched = false;
}

static enum status reset(struct vfio_user *server, struct message *m)
{
    forget_stage(device_of(server));
    return vfio_user_edge_reset(server);
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

static enum status io_fds(struct vfio_user *server, struct message *m)
{
    const struct vfio_user_function *f = server->setup.function;
    uint32_t argsz = bytes_get32(m->in), region = bytes_get32(m->in + 8), count = 0;

    if (argsz < NOTIFY_INFO || bytes_get32(m->in + 4) != 0 || region >= vfio_user_regions(server) ||
        bytes_get32(m->in + 12) != 0) {
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
        bytes_put64(out, n->offset);
        bytes_put64(out + 8, n->size);
        bytes_put32(out + 16, index);
        bytes_put32(out + 20, 0); /* an ioeventfd */
        bytes_put32(out + 24, NOTIFY_MATCH | (n->io ? NOTIFY_IO : 0));
        bytes_put32(out + 28, 0);
        bytes_put64(out + 32, n->match);
        count++;
    }
    m->answer = NOTIFY_INFO + count * NOTIFY_ENTRY;
    bytes_put32(m->out, m->answer);
    bytes_put32(m->out + 4, 0);
    bytes_put32(m->out + 8, region);
    bytes_put32(m->out + 12, count);
    if (m->answer > argsz) {
        m->answer = NOTIFY_INFO;
        m->handles = 0;
    }
    return STATUS_OK;
}

static enum status write_multi(struct vfio_user *server, struct message *m)
{
    uint64_t count = bytes_get64(m->in), done = 0;

    if (m->size % WRITE != 8 || count != m->size / WRITE) {
        return STATUS_INVALID;
    }
    while (done < count) {
        const uint8_t *access = m->in + 8 + done * WRITE;
        uint32_t bytes = bytes_get32(access + 12);

        if (bytes > 8 ||
            !range_fits(bytes_get64(access), bytes,
                        vfio_user_region_size(server, bytes_get32(access + 8))) ||
            vfio_user_write_region(server, access) != STATUS_OK) {
            break;
        }
        done++;
    }
    bytes_put64(m->out, done);
    m->answer = 8;
    return STATUS_OK;
}

/* ---- The tables ---- */

/* clang-format off */
static const struct row today[COMMANDS] = {
    [COMMAND_VERSION]           = {4,  false, vfio_user_any_version},
    [COMMAND_DMA_MAP]           = {32, true,  vfio_user_dma_map},
    [COMMAND_DMA_UNMAP]         = {24, false, vfio_user_dma_unmap},
    [COMMAND_GET_INFO]          = {16, false, info},
    [COMMAND_GET_REGION_INFO]   = {32, false, vfio_user_region_info},
    [COMMAND_GET_REGION_IO_FDS] = {16, false, io_fds},
    [COMMAND_GET_IRQ_INFO]      = {16, false, vfio_user_irq_info},
    [COMMAND_SET_IRQS]          = {20, true,  vfio_user_set_irqs},
    [COMMAND_REGION_READ]       = {16, false, vfio_user_region_read},
    [COMMAND_REGION_WRITE]      = {16, false, vfio_user_region_write},
    [COMMAND_RESET]             = {0,  false, reset},
    [COMMAND_WRITE_MULTI]       = {8,  false, write_multi},
    [COMMAND_FEATURE]           = {8,  false, vfio_user_feature},
    [COMMAND_MIG_DATA_READ]     = {8,  false, vfio_user_mig_read},
    [COMMAND_MIG_DATA_WRITE]    = {8,  false, vfio_user_mig_write},
    [COMMAND_PRECOPY_INFO]      = {24, false, vfio_user_precopy_info},
};

static const struct row in_2021[COMMANDS] = {
    [COMMAND_VERSION]           = {4,  false, vfio_user_any_version},
    [COMMAND_DMA_MAP]           = {32, true,  vfio_user_2021_map},
    [COMMAND_DMA_UNMAP]         = {32, false, vfio_user_2021_unmap},
    [COMMAND_GET_INFO]          = {16, false, info},
    [COMMAND_GET_REGION_INFO]   = {32, false, vfio_user_2021_region_info},
    [COMMAND_GET_REGION_IO_FDS] = {16, false, io_fds},
    [COMMAND_GET_IRQ_INFO]      = {16, false, vfio_user_irq_info},
    [COMMAND_SET_IRQS]          = {20, true,  vfio_user_set_irqs},
    [COMMAND_REGION_READ]       = {16, false, vfio_user_2021_region_read},
    [COMMAND_REGION_WRITE]      = {16, false, vfio_user_2021_region_write},
    [COMMAND_2021_RESET]        = {0,  false, reset},
    [COMMAND_2021_DIRTY_PAGES]  = {8,  false, vfio_user_2021_dirty},
};
/* clang-format on */

static void ended(struct vfio_user *server)
{
    struct vfio_user_device *device = device_of(server);

    vfio_user_irqs_end(device);
    vfio_user_edge_unmap_all(server);
    device->maps = 0;
    device->dma.waits = false;
    forget_stage(device);
}

enum status vfio_user_device_init(struct vfio_user_device *device,
                                  const struct vfio_user_setup *setup, enum vfio_user_form wanted,
                                  uint8_t *stage)
{
    static const struct vfio_user_more more = {
        .today = today, .in_2021 = in_2021, .answered = vfio_user_dma_answer, .ended = ended};
    const struct vfio_user_function *f = setup->function;
    struct vfio_user_setup whole = *setup;

    if (f->intx > 1 || f->vectors > VFIO_USER_VECTORS_MAX || f->notifies > VFIO_USER_NOTIFY_MAX) {
        return STATUS_RANGE;
    }
    whole.more = &more;
    *device = (struct vfio_user_device){
        .wanted = wanted, .stage = stage, .intx = {NO_HANDLE, NO_HANDLE}
    };
    for (unsigned i = 0; i < VFIO_USER_VECTORS_MAX; i++) {
        device->vector[i] = NO_HANDLE;
    }
    return vfio_user_init(&device->server, &whole);
}

uint16_t vfio_user_send_command(struct vfio_user_device *device, enum command command,
                                uint8_t *message, uint32_t size)
{
    uint16_t id = device->next_id++;

    vfio_user_put_header(message, id, (uint16_t)command, size, 0);
    vfio_user_edge_send(&device->server, message, size, NULL, 0);
    return id;
}
