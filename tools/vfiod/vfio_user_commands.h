/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of struct vfio_user_device share. */
#ifndef PORTOLAN_TOOLS_VFIOD_VFIO_USER_COMMANDS_H
#define PORTOLAN_TOOLS_VFIOD_VFIO_USER_COMMANDS_H

#include "tools/vfiod/vfio_user_device.h"
#include "vmm/vfio_user/vfio_user_internal.h"

/* PCI's kinds of interrupts. */
enum vfio_user_irq_index {
    VFIO_USER_INTX,
    VFIO_USER_MSI,
    VFIO_USER_MSIX,
    VFIO_USER_ERR,
    VFIO_USER_REQ,
    VFIO_USER_IRQS
};

static inline struct vfio_user_device *device_of(struct vfio_user *server)
{
    return (struct vfio_user_device *)((uintptr_t)server -
                                       offsetof(struct vfio_user_device, server));
}

/* Send a command of our own, without handles: the SIZE bytes at MESSAGE, of which the first HEADER
 * are filled in here. Returns its id. */
uint16_t vfio_user_send_command(struct vfio_user_device *device, enum command command,
                                uint8_t *message, uint32_t size);

/* As struct vfio_user_more has it. */
void vfio_user_dma_answer(struct vfio_user *server, const struct message *m, bool ok);

/* How many regions the client may see. */
uint32_t vfio_user_regions(const struct vfio_user *server);

/* The interrupts of a client that comes in the form of 2021, and of one that goes. */
void vfio_user_2021_irqs_begin(struct vfio_user_device *device);
void vfio_user_irqs_end(struct vfio_user_device *device);

/* The commands, as in vfio_user_internal.h. */
enum status vfio_user_irq_info(struct vfio_user *server, struct message *m);
enum status vfio_user_set_irqs(struct vfio_user *server, struct message *m);
enum status vfio_user_dma_map(struct vfio_user *server, struct message *m);
enum status vfio_user_dma_unmap(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_map(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_unmap(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_dirty(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_region_info(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_region_read(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_region_write(struct vfio_user *server, struct message *m);

/* VERSION of either form, which it chooses. */
enum status vfio_user_any_version(struct vfio_user *server, struct message *m);

#endif
