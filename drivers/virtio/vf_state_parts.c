/* SPDX-License-Identifier: BSD-2-Clause */
/* The form of a saved state: docs/migration-abi.md, 2.3 and 3.3. Pure. */
#include "drivers/virtio/vf_state.h"
#include "vmm/base/log.h"

#include <string.h>

#define COUNT_SIZE    4U    /* before the fields of 2021 */
#define PARTS_MAX     1024U /* that a device with the most queues needs a few hundred of */
#define PART_OPTIONAL 1U

/* 1.4: type, flags, zero, selector, length. */
struct __attribute__((packed)) part_header {
    uint16_t type;
    uint8_t flags;
    uint8_t reserved;
    uint64_t selector;
    uint32_t length;
};

struct field_header { /* 2021 */
    uint32_t type;
    uint32_t length;
};

_Static_assert(sizeof(struct part_header) == 16, "docs/migration-abi.md, 2.3");
_Static_assert(sizeof(struct field_header) == 8, "docs/migration-abi.md, 3.3");

/* Types that are known, in the order of the protocol. */
struct known {
    uint32_t type;
    bool of_queue; /* 2021: the value begins with the queue's index */
    const char *name;
};

static const struct known parts[] = {
    {0x100, false, "DEV_FEATURES"  },
    {0x101, false, "DRV_FEATURES"  },
    {0x102, false, "PCI_COMMON_CFG"},
    {0x103, false, "DEVICE_STATUS" },
    {0x104, false, "VQ_CFG"        },
    {0x105, false, "VQ_NOTIFY_CFG" },
    {0x200, false, "CVQ_CFG"       },
};

#define OPTIONAL_FROM 3U /* of the fields */
#define RUN_STATE     3U /* a field: index, last_avail_idx, last_used_idx */
#define INDEX_SIZE    2U

static const struct known fields[] = {
    {0,  false, "PCI_COMMON_CFG"    },
    {1,  false, "DEV_CFG_SPACE"     },
    {2,  true,  "QUEUE_CFG"         },
    {3,  true,  "SPLIT_Q_RUN_STATE" },
    {4,  false, "NET_RX_MODE"       },
    {5,  false, "NET_VLAN"          },
    {6,  false, "NET_MAC_UNICAST"   },
    {7,  false, "NET_MAC_MULTICAST" },
    {8,  true,  "IN_FLIGHT_DESC"    },
    {9,  true,  "COMPLETED_DESC"    },
    {10, false, "SUBVENDOR_SPECIFIC"},
};

static const struct known *find_known(const struct known *list, unsigned count, uint32_t type)
{
    static const struct known unknown = {.name = "unknown"};

    for (unsigned i = 0; i < count; i++) {
        if (list[i].type == type) {
            return &list[i];
        }
    }
    return &unknown;
}

static uint32_t read_part(const uint8_t *from, struct vf_state_part *part)
{
    struct part_header header;

    memcpy(&header, from, sizeof(header));
    *part = (struct vf_state_part){.type = header.type,
                                   .name = find_known(parts, ARRAY_SIZE(parts), header.type)->name,
                                   .optional = (header.flags & PART_OPTIONAL) != 0,
                                   .selector = header.selector,
                                   .value = from + sizeof(header),
                                   .length = header.length};
    return sizeof(header);
}

static uint32_t read_field(const uint8_t *from, struct vf_state_part *part)
{
    struct field_header header;

    memcpy(&header, from, sizeof(header));
    *part =
        (struct vf_state_part){.type = header.type,
                               .name = find_known(fields, ARRAY_SIZE(fields), header.type)->name,
                               .optional = header.type >= OPTIONAL_FROM,
                               .value = from + sizeof(header),
                               .length = header.length};
    return sizeof(header);
}

/* 2021 counts its fields, and many are of one queue each. */
static void find_selector(struct vf_state_part *part)
{
    uint16_t queue;

    if (find_known(fields, ARRAY_SIZE(fields), part->type)->of_queue &&
        part->length >= sizeof(queue)) {
        memcpy(&queue, part->value, sizeof(queue));
        part->selector = queue;
    }
}

enum status vf_state_next(enum vf_state_kind kind, const void *state, uint32_t size, uint32_t *at,
                          struct vf_state_part *part)
{
    bool fielded = kind == VF_STATE_2021;
    uint32_t header = fielded ? sizeof(struct field_header) : sizeof(struct part_header);
    uint32_t start = fielded && *at == 0 ? COUNT_SIZE : *at;

    if (start == size) {
        return STATUS_NOT_FOUND;
    }
    if (start > size || size - start < header) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    start += fielded ? read_field((const uint8_t *)state + start, part)
                     : read_part((const uint8_t *)state + start, part);
    if (part->length > size - start) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (fielded) {
        find_selector(part);
    }
    *at = start + part->length;
    return STATUS_OK;
}

/* Is there another part of the type and selector of the one at BEFORE, in front of it? */
static bool is_repeated(enum vf_state_kind kind, const void *state, uint32_t size, uint32_t before,
                        const struct vf_state_part *part)
{
    struct vf_state_part other;
    uint32_t at = 0;

    while (vf_state_next(kind, state, size, &at, &other) == STATUS_OK && at < before) {
        if (other.type == part->type && other.selector == part->selector) {
            return true;
        }
    }
    return false;
}

/* What is wrong with it? NULL: nothing. */
static const char *find_fault(enum vf_state_kind kind, const void *state, uint32_t size)
{
    uint32_t count, found = 0, at = 0, type = 0;
    struct vf_state_part part = {0};
    enum status status;

    if (kind == VF_STATE_NONE || size < COUNT_SIZE) {
        return "has no parts";
    }
    while ((status = vf_state_next(kind, state, size, &at, &part)) == STATUS_OK) {
        bool parted = kind == VF_STATE_PARTS;

        if (++found > PARTS_MAX) {
            return "has too many parts";
        }
        if ((parted && part.type < type) || (!parted && found == 1 && part.type != 0)) {
            return "is out of order";
        }
        if (is_repeated(kind, state, size, at, &part)) {
            return "has a part twice";
        }
        type = part.type;
    }
    if (found == 0) {
        return "has no parts";
    }
    memcpy(&count, state, sizeof(count));
    if (status != STATUS_NOT_FOUND || (kind == VF_STATE_2021 && count != found)) {
        return "does not add up";
    }
    return NULL;
}

enum status vf_state_check(enum vf_state_kind kind, const void *state, uint32_t size)
{
    const char *fault = find_fault(kind, state, size);

    if (fault) {
        log_warn("a VF's state (%s, %u bytes) %s", vf_state_facts(kind)->name, size, fault);
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

void vf_state_rewind(enum vf_state_kind kind, uint8_t *state, uint32_t size, const uint16_t *used,
                     unsigned queues)
{
    struct vf_state_part part = {0};
    uint32_t at = 0;

    while (kind == VF_STATE_2021 && vf_state_next(kind, state, size, &at, &part) == STATUS_OK) {
        if (part.type == RUN_STATE && part.length == 3 * INDEX_SIZE && part.selector < queues) {
            uint8_t *taken_at = state + at - 2UL * INDEX_SIZE, *used_at = taken_at + INDEX_SIZE;
            uint16_t taken, was;

            memcpy(&taken, taken_at, sizeof(taken));
            memcpy(&was, used_at, sizeof(was));
            taken = (uint16_t)(taken + used[part.selector] - was);
            memcpy(taken_at, &taken, sizeof(taken));
            memcpy(used_at, &used[part.selector], INDEX_SIZE);
        }
    }
}
