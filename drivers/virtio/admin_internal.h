/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the administration queue share. The queue's lock is held for all of it. */
#ifndef PORTOLAN_DRIVERS_VIRTIO_ADMIN_INTERNAL_H
#define PORTOLAN_DRIVERS_VIRTIO_ADMIN_INTERNAL_H

#include "drivers/virtio/admin.h"

#define ADMIN_PARTS_MAX (VIRTIO_ADMIN_PAGES + 2) /* 2021 has a header and a status beside */

static inline bool admin_is_2021(uint16_t opcode)
{
    return opcode >= VIRTIO_2021_OPCODES;
}

/*
 * Take pages for COMMAND into SLOT, and say in PARTS where they are; returns how many parts these
 * are. 0: there are not enough pages, and nothing has happened.
 */
unsigned admin_pages_take(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                          const struct virtio_admin_command *command,
                          struct virtqueue_part parts[ADMIN_PARTS_MAX]);

/* Give the pages of SLOT back; it is free then. */
void admin_pages_free(struct virtio_admin *admin, struct virtio_admin_slot *slot);

/* Write the request of COMMAND, and an answer that is none, to SLOT's pages. */
void admin_request_write(const struct virtio_admin *admin, const struct virtio_admin_slot *slot,
                         const struct virtio_admin_command *command);

/*
 * Copy the answer in SLOT's pages, once: the device can still write to it. False: it has no status,
 * in a framing where that is nonsense.
 */
bool admin_answer_read(const struct virtio_admin *admin, const struct virtio_admin_slot *slot,
                       struct virtio_admin_command *command);

#endif
