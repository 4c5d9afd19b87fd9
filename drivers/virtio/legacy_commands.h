/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy registers of a VF through its PF's administration queue: commands 2 to 6. Virtio 1.3,
 * section 2.12.1.1 and docs/mmr-device.md, section 9.
 *
 * For VFs that have no registers of their own for it. An access costs a round trip to the device.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_LEGACY_COMMANDS_H
#define PORTOLAN_DRIVERS_VIRTIO_LEGACY_COMMANDS_H

#include "drivers/virtio/admin.h"

/* What a VF needs to be driven this way, for virtio_admin_use(); NOTIFY_INFO is optional. */
#define VIRTIO_LEGACY_COMMANDS                                                            \
    (1ULL << VIRTIO_ADMIN_LEGACY_COMMON_WRITE | 1ULL << VIRTIO_ADMIN_LEGACY_COMMON_READ | \
     1ULL << VIRTIO_ADMIN_LEGACY_DEVICE_WRITE | 1ULL << VIRTIO_ADMIN_LEGACY_DEVICE_READ)
#define VIRTIO_LEGACY_NOTIFY (1ULL << VIRTIO_ADMIN_LEGACY_NOTIFY_INFO)

/*
 * Execute one of these commands, as virtio_admin_execute(). The data of a read is the offset, one
 * byte (INVALID: it is not), which is padded here. A register's value is whole or the command has
 * failed: DEVICE when the device gives fewer bytes than asked for; zeroes in their place would be
 * taken for the register's. A list of doorbells may be short.
 */
enum status virtio_legacy_execute(struct virtio_admin *admin, struct virtio_admin_command *command);

#endif
