/* SPDX-License-Identifier: BSD-2-Clause */
/* What the numbers in administration commands mean. Virtio 1.3, section 2.12.1. */
#include "drivers/virtio/admin.h"

static const char *const opcode_names[] = {
    [VIRTIO_ADMIN_LIST_QUERY] = "LIST_QUERY",
    [VIRTIO_ADMIN_LIST_USE] = "LIST_USE",
    [VIRTIO_ADMIN_LEGACY_COMMON_WRITE] = "LEGACY_COMMON_CFG_WRITE",
    [VIRTIO_ADMIN_LEGACY_COMMON_READ] = "LEGACY_COMMON_CFG_READ",
    [VIRTIO_ADMIN_LEGACY_DEVICE_WRITE] = "LEGACY_DEV_CFG_WRITE",
    [VIRTIO_ADMIN_LEGACY_DEVICE_READ] = "LEGACY_DEV_CFG_READ",
    [VIRTIO_ADMIN_LEGACY_NOTIFY_INFO] = "LEGACY_NOTIFY_INFO",
};

static const struct {
    uint16_t number;
    enum status outcome; /* when the qualifier says no more */
    const char *name;
} statuses[] = {
    {VIRTIO_ADMIN_OK,     STATUS_OK,        "OK"    },
    {VIRTIO_ADMIN_ENXIO,  STATUS_NOT_FOUND, "ENXIO" },
    {VIRTIO_ADMIN_EAGAIN, STATUS_DEVICE,    "EAGAIN"},
    {VIRTIO_ADMIN_ENOMEM, STATUS_NO_MEMORY, "ENOMEM"},
    {VIRTIO_ADMIN_EBUSY,  STATUS_CONFLICT,  "EBUSY" },
    {VIRTIO_ADMIN_EEXIST, STATUS_CONFLICT,  "EEXIST"},
    {VIRTIO_ADMIN_EINVAL, STATUS_DEVICE,    "EINVAL"},
    {VIRTIO_ADMIN_ENOSPC, STATUS_NO_MEMORY, "ENOSPC"},
};

static const struct {
    enum status outcome; /* of EINVAL with it */
    const char *name;
} qualifiers[] = {
    [VIRTIO_ADMIN_Q_OK] = {STATUS_DEVICE,      "no qualifier"      },
    [VIRTIO_ADMIN_Q_INVALID_COMMAND] = {STATUS_DEVICE,      "invalid command"   },
    [VIRTIO_ADMIN_Q_INVALID_OPCODE] = {STATUS_UNSUPPORTED, "unsupported opcode"},
    [VIRTIO_ADMIN_Q_INVALID_FIELD] = {STATUS_INVALID,     "invalid field"     },
    [VIRTIO_ADMIN_Q_INVALID_GROUP] = {STATUS_STATE,       "no such group"     },
    [VIRTIO_ADMIN_Q_INVALID_MEMBER] = {STATUS_NOT_FOUND,   "no such member"    },
    [VIRTIO_ADMIN_Q_NO_RESOURCE] = {STATUS_NO_MEMORY,   "out of resources"  },
    [VIRTIO_ADMIN_Q_TRY_AGAIN] = {STATUS_DEVICE,      "try again"         },
};

const char *virtio_admin_opcode_name(uint16_t opcode)
{
    return opcode < ARRAY_SIZE(opcode_names) ? opcode_names[opcode] : "unknown";
}

const char *virtio_admin_status_name(uint16_t status)
{
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
        if (statuses[i].number == status) {
            return statuses[i].name;
        }
    }
    return "unknown status";
}

const char *virtio_admin_qualifier_name(uint16_t qualifier)
{
    return qualifier < ARRAY_SIZE(qualifiers) ? qualifiers[qualifier].name : "unknown qualifier";
}

enum status virtio_admin_outcome(uint16_t status, uint16_t qualifier)
{
    if (status == VIRTIO_ADMIN_EINVAL) {
        return qualifier < ARRAY_SIZE(qualifiers) ? qualifiers[qualifier].outcome : STATUS_DEVICE;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
        if (statuses[i].number == status) {
            return statuses[i].outcome;
        }
    }
    return STATUS_DEVICE;
}

bool virtio_admin_is_transient(uint16_t status, uint16_t qualifier)
{
    if (status == VIRTIO_ADMIN_OK) {
        return false;
    }
    return status == VIRTIO_ADMIN_EAGAIN || qualifier == VIRTIO_ADMIN_Q_NO_RESOURCE ||
           qualifier == VIRTIO_ADMIN_Q_TRY_AGAIN;
}
