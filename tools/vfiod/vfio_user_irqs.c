/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts. INTA is a level that masks itself when it is signalled, and is signalled again if it
 * is still there when it is unmasked. A vector of MSI-X is a signal each time.
 */
#include "tools/vfiod/vfio_user_commands.h"

#define IRQ_EVENTFD    1U /* flags of GET_IRQ_INFO */
#define IRQ_MASKABLE   2U
#define IRQ_AUTOMASKED 4U

#define DATA_NONE    1U /* and of SET_IRQS */
#define DATA_BOOL    2U
#define DATA_EVENTFD 4U
#define DATA_BITS    7U
#define MASK         8U
#define UNMASK       16U
#define TRIGGER      32U
#define ACTION_BITS  56U

#define SET_IRQS 20U /* bytes before the data: argsz u32, flags, index, start, count */

struct change {
    uint32_t flags, index, start, count;
    const uint8_t *which; /* DATA_BOOL */
};

static uint32_t irq_count(const struct vfio_user *server, uint32_t index)
{
    const struct vfio_user_function *f = server->setup.function;

    return index == VFIO_USER_INTX ? f->intx : index == VFIO_USER_MSIX ? f->vectors : 0;
}

enum status vfio_user_irq_info(struct vfio_user *server, struct message *m)
{
    uint32_t index = bytes_get32(m->in + 8);

    if (bytes_get32(m->in) < 16 || index >= VFIO_USER_IRQS) {
        return STATUS_INVALID;
    }
    bytes_put32(m->out, 16);
    bytes_put32(m->out + 4, irq_count(server, index) == 0 ? 0
                            : index == VFIO_USER_INTX ? IRQ_EVENTFD | IRQ_MASKABLE | IRQ_AUTOMASKED
                                                      : IRQ_EVENTFD);
    bytes_put32(m->out + 8, index);
    bytes_put32(m->out + 12, irq_count(server, index));
    m->answer = 16;
    return STATUS_OK;
}

/* In the form of 2021 a message tells the client what no handle does. */
static bool notify_client(struct vfio_user_device *device, int handle, uint32_t sub_index)
{
    uint8_t message[HEADER + 4];

    if (handle != NO_HANDLE) {
        vfio_user_edge_signal(&device->server, handle);
        return true;
    }
    if (device->server.form != VFIO_USER_2021) {
        return false;
    }
    bytes_put32(message + HEADER, sub_index);
    (void)vfio_user_send_command(device, COMMAND_2021_VM_INTERRUPT, message, sizeof(message));
    return true;
}

static void look_at_intx(struct vfio_user_device *device)
{
    if (device->intx_level && !device->intx_masked &&
        notify_client(device, device->intx.trigger, 0)) {
        device->intx_masked = true;
    }
}

void vfio_user_set_intx(struct vfio_user_device *device, bool level)
{
    device->intx_level = level;
    look_at_intx(device);
}

void vfio_user_unmask_intx(struct vfio_user_device *device)
{
    device->intx_masked = false;
    look_at_intx(device);
}

void vfio_user_send_vector(struct vfio_user_device *device, uint32_t vector)
{
    if (vector < device->server.setup.function->vectors) {
        (void)notify_client(device, device->vector[vector], vector);
    }
}

/* Put HANDLE where *PLACE is, and close what was there. */
static void replace(struct vfio_user_device *device, int *place, int handle)
{
    if (*place != NO_HANDLE) {
        vfio_user_edge_close(&device->server, *place);
    }
    *place = handle;
}

static void set_trigger(struct vfio_user_device *device, uint32_t index, uint32_t i, int handle)
{
    if (index == VFIO_USER_INTX) {
        replace(device, &device->intx.trigger, handle);
        if (handle == NO_HANDLE) {
            replace(device, &device->intx.unmask, NO_HANDLE);
        }
        device->intx_masked = false;
        look_at_intx(device);
        return;
    }
    bool wanted = device->vector[i] != NO_HANDLE, wants = handle != NO_HANDLE;

    replace(device, &device->vector[i], handle);
    if (wanted != wants && device->server.form != VFIO_USER_2021) {
        vfio_user_edge_vector(&device->server, i, wants);
    }
}

/* Without data, or where the data says so. */
static void act(struct vfio_user_device *device, const struct change *c, uint32_t i)
{
    switch (c->flags & ACTION_BITS) {
    case TRIGGER:
        (void)notify_client(
            device, c->index == VFIO_USER_INTX ? device->intx.trigger : device->vector[i], i);
        break;
    case MASK:
        device->intx_masked = true;
        break;
    case UNMASK:
    default:
        vfio_user_unmask_intx(device);
        break;
    }
}

static bool change_is_valid(const struct vfio_user *server, const struct message *m,
                            const struct change *c)
{
    uint32_t data = c->flags & DATA_BITS, action = c->flags & ACTION_BITS;
    uint32_t all = c->index < VFIO_USER_IRQS ? irq_count(server, c->index) : 0;
    uint32_t room = m->size - SET_IRQS;

    if ((c->flags & ~(DATA_BITS | ACTION_BITS)) != 0 || bit_count(data) != 1 ||
        bit_count(action) != 1 || c->index >= VFIO_USER_IRQS || bytes_get32(m->in) < SET_IRQS ||
        !range_fits(c->start, c->count, all)) {
        return false;
    }
    /* Nothing is "all off". */
    if (c->count == 0 && (c->start != 0 || c->flags != (DATA_NONE | TRIGGER))) {
        return false;
    }
    if (data == DATA_BOOL && c->count > room) {
        return false;
    }
    if (server->handles != 0 && (data != DATA_EVENTFD || server->handles != c->count)) {
        return false;
    }
    /* Only INTA can be masked. A handle for that would tell nobody anything. */
    return action == TRIGGER ||
           (c->index == VFIO_USER_INTX && (data != DATA_EVENTFD || action == UNMASK));
}

enum status vfio_user_set_irqs(struct vfio_user *server, struct message *m)
{
    struct vfio_user_device *device = device_of(server);
    struct change c = {.flags = bytes_get32(m->in + 4),
                       .index = bytes_get32(m->in + 8),
                       .start = bytes_get32(m->in + 12),
                       .count = bytes_get32(m->in + 16),
                       .which = m->in + SET_IRQS};
    bool off = c.count == 0;

    if (!change_is_valid(server, m, &c)) {
        return STATUS_INVALID;
    }
    if (off) {
        c.count = irq_count(server, c.index);
    }
    for (uint32_t i = 0; i < c.count; i++) {
        if (off) {
            set_trigger(device, c.index, i, NO_HANDLE);
        } else if ((c.flags & DATA_EVENTFD) != 0) {
            int handle = server->handles != 0 ? vfio_user_take(server, i) : NO_HANDLE;

            if ((c.flags & UNMASK) != 0) {
                replace(device, &device->intx.unmask, handle);
            } else {
                set_trigger(device, c.index, c.start + i, handle);
            }
        } else if ((c.flags & DATA_BOOL) == 0 || c.which[i] != 0) {
            act(device, &c, c.start + i);
        }
    }
    return STATUS_OK;
}

/* Who has no handles gets messages, from the beginning. */
void vfio_user_2021_irqs_begin(struct vfio_user_device *device)
{
    for (uint32_t i = 0; i < device->server.setup.function->vectors; i++) {
        vfio_user_edge_vector(&device->server, i, true);
    }
}

void vfio_user_irqs_end(struct vfio_user_device *device)
{
    bool in_2021 = device->server.form == VFIO_USER_2021;

    device->server.form = VFIO_USER_AUTO; /* nobody is told anything any more */
    replace(device, &device->intx.trigger, NO_HANDLE);
    replace(device, &device->intx.unmask, NO_HANDLE);
    device->intx_masked = false;
    for (uint32_t i = 0; i < device->server.setup.function->vectors; i++) {
        if (device->vector[i] != NO_HANDLE || in_2021) {
            replace(device, &device->vector[i], NO_HANDLE);
            vfio_user_edge_vector(&device->server, i, false);
        }
    }
}
