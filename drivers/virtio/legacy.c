/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/legacy.h"

#include "vmm/console/log.h"

#include <string.h>

#define ACCESS_WIDTH_MAX 4U
#define NOTIFY_ENTRIES   4U
#define NOTIFY_WIDTH     2U

enum { NOTIFY_END = 0, NOTIFY_OWNER = 1, NOTIFY_MEMBER = 2 };

/*
 * The data of commands 2 to 5. What follows the offset of a read is padding.
 *
 * The length of the value, and of the room for it, is the width of the access. It is sent exactly,
 * not padded to a multiple of 8 as other commands are: a padded length could only mean "the rest of
 * the field", so that a part of one could not be written. Linux's driver sends it like this too.
 */
struct access_data {
    uint8_t offset;
    uint8_t reserved[7];
    uint8_t value[ACCESS_WIDTH_MAX];
};

#define ACCESS_HEADER offsetof(struct access_data, value)

_Static_assert(ACCESS_HEADER == 8, "virtio 1.3, section 2.12.1.1");

struct notify_entry {
    uint8_t flags;
    uint8_t bar;
    uint8_t reserved[6];
    uint64_t offset;
};

_Static_assert(sizeof(struct notify_entry) == 16, "virtio 1.3, section 2.12.1.1");

static bool width_ok(unsigned width)
{
    return width == 1 || width == 2 || width == ACCESS_WIDTH_MAX;
}

enum status virtio_legacy_read(struct virtio_admin *admin, uint32_t member,
                               enum virtio_legacy_part part, uint8_t offset, unsigned width,
                               uint32_t *value)
{
    struct access_data data = {.offset = offset};
    struct virtio_admin_command command = {.opcode = part == VIRTIO_LEGACY_COMMON
                                                         ? VIRTIO_ADMIN_LEGACY_COMMON_READ
                                                         : VIRTIO_ADMIN_LEGACY_DEVICE_READ,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = member,
                                           .data = &data,
                                           .data_size = ACCESS_HEADER,
                                           .result = value,
                                           .result_size = width};
    enum status status;

    *value = 0;
    if (!width_ok(width)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    status = virtio_admin_execute(admin, &command);
    if (status == STATUS_OK && command.result_length != width) {
        status = STATUS_NOTE(STATUS_DEVICE);
    }
    if (status != STATUS_OK) {
        *value = 0;
    }
    return status;
}

enum status virtio_legacy_write(struct virtio_admin *admin, uint32_t member,
                                enum virtio_legacy_part part, uint8_t offset, unsigned width,
                                uint32_t value)
{
    struct access_data data = {.offset = offset};
    struct virtio_admin_command command = {.opcode = part == VIRTIO_LEGACY_COMMON
                                                         ? VIRTIO_ADMIN_LEGACY_COMMON_WRITE
                                                         : VIRTIO_ADMIN_LEGACY_DEVICE_WRITE,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = member,
                                           .data = &data,
                                           .data_size = (uint32_t)ACCESS_HEADER + width};

    if (!width_ok(width)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(data.value, &value, width);
    return virtio_admin_execute(admin, &command);
}

/* Does ENTRY name 2 aligned bytes of a BAR that exists? */
static bool entry_address(const struct notify_entry *entry, const struct virtio_bar *pf_bars,
                          const struct virtio_bar *vf_bars, hpa_t *address)
{
    const struct virtio_bar *bars = entry->flags == NOTIFY_OWNER ? pf_bars : vf_bars;

    if ((entry->flags != NOTIFY_OWNER && entry->flags != NOTIFY_MEMBER) ||
        entry->bar >= PCI_BARS_MAX || entry->offset % NOTIFY_WIDTH != 0 ||
        !range_fits(entry->offset, NOTIFY_WIDTH, bars[entry->bar].size)) {
        return false;
    }
    *address = hpa(bars[entry->bar].base.raw + entry->offset);
    return true;
}

enum status virtio_legacy_notify_address(struct virtio_admin *admin, uint32_t member,
                                         const struct virtio_bar *pf_bars,
                                         const struct virtio_bar *vf_bars, hpa_t *address)
{
    struct notify_entry entries[NOTIFY_ENTRIES];
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LEGACY_NOTIFY_INFO,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = member,
                                           .result = entries,
                                           .result_size = sizeof(entries)};
    enum status status = virtio_admin_execute(admin, &command);

    if (status != STATUS_OK) {
        return status;
    }
    for (unsigned i = 0; i < NOTIFY_ENTRIES && entries[i].flags != NOTIFY_END; i++) {
        if (entry_address(&entries[i], pf_bars, vf_bars, address)) {
            return STATUS_OK;
        }
        log_warn("virtio " BDF_FORMAT ": VF %u: doorbell %u, at %#lx of BAR %u (flags %u), is left "
                 "out: it is not in a BAR",
                 BDF_ARGS(admin->transport->bdf), member, i, entries[i].offset, entries[i].bar,
                 entries[i].flags);
    }
    return STATUS_NOT_FOUND;
}
