/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy registers of a VF through its PF's administration queue: commands 2 to 6. Virtio 1.3,
 * section 2.12.1.1 and docs/mmr-device.md, section 9.
 *
 * For VFs that have no registers of their own for it. An access costs a round trip to the device.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_LEGACY_H
#define PORTOLAN_DRIVERS_VIRTIO_LEGACY_H

#include "drivers/virtio/admin.h"

/* What a VF needs to be driven this way, for virtio_admin_use(); NOTIFY_INFO is optional. */
#define VIRTIO_LEGACY_COMMANDS                                                            \
    (1ULL << VIRTIO_ADMIN_LEGACY_COMMON_WRITE | 1ULL << VIRTIO_ADMIN_LEGACY_COMMON_READ | \
     1ULL << VIRTIO_ADMIN_LEGACY_DEVICE_WRITE | 1ULL << VIRTIO_ADMIN_LEGACY_DEVICE_READ)
#define VIRTIO_LEGACY_NOTIFY (1ULL << VIRTIO_ADMIN_LEGACY_NOTIFY_INFO)

/* Which registers: the header, or the device configuration, each counted from its own start. */
enum virtio_legacy_part { VIRTIO_LEGACY_COMMON, VIRTIO_LEGACY_DEVICE };

/*
 * Read or write WIDTH = 1, 2 or 4 bytes at OFFSET of PART of the VF with number MEMBER (from 1).
 * The bytes must lie in one register or field; a part of one will do. Any CPU, not in an
 * interrupt; takes ADMIN's lock. Errors as virtio_admin_execute(); DEVICE also when the device
 * gives fewer bytes than asked for. *VALUE is 0 on failure.
 */
enum status virtio_legacy_read(struct virtio_admin *admin, uint32_t member,
                               enum virtio_legacy_part part, uint8_t offset, unsigned width,
                               uint32_t *value);
enum status virtio_legacy_write(struct virtio_admin *admin, uint32_t member,
                                enum virtio_legacy_part part, uint8_t offset, unsigned width,
                                uint32_t value);

/*
 * Find where a 2-byte write of a queue's index notifies the VF MEMBER, without a command: *ADDRESS,
 * which lies within a BAR of the PF (PF_BARS) or of that VF (VF_BARS), PCI_BARS_MAX each. The
 * first entry that makes sense counts. NOT_FOUND: there is none; then 2-byte writes of the legacy
 * register "queue notify" have to do. Other errors as virtio_admin_execute().
 */
enum status virtio_legacy_notify_address(struct virtio_admin *admin, uint32_t member,
                                         const struct virtio_bar *pf_bars,
                                         const struct virtio_bar *vf_bars, hpa_t *address);

#endif
