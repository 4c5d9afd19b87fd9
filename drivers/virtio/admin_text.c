/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the numbers in administration commands mean. Virtio 1.4, section 2.12.1, and
 * docs/migration-abi.md, 3.1.
 */
#include "drivers/virtio/admin_internal.h"

static const struct {
    uint16_t opcode;
    const char *name;
} opcodes[] = {
    {VIRTIO_ADMIN_LIST_QUERY,          "LIST_QUERY"                      },
    {VIRTIO_ADMIN_LIST_USE,            "LIST_USE"                        },
    {VIRTIO_ADMIN_LEGACY_COMMON_WRITE, "LEGACY_COMMON_CFG_WRITE"         },
    {VIRTIO_ADMIN_LEGACY_COMMON_READ,  "LEGACY_COMMON_CFG_READ"          },
    {VIRTIO_ADMIN_LEGACY_DEVICE_WRITE, "LEGACY_DEV_CFG_WRITE"            },
    {VIRTIO_ADMIN_LEGACY_DEVICE_READ,  "LEGACY_DEV_CFG_READ"             },
    {VIRTIO_ADMIN_LEGACY_NOTIFY_INFO,  "LEGACY_NOTIFY_INFO"              },
    {VIRTIO_ADMIN_CAP_LIST_QUERY,      "CAP_ID_LIST_QUERY"               },
    {VIRTIO_ADMIN_CAP_GET,             "DEVICE_CAP_GET"                  },
    {VIRTIO_ADMIN_CAP_SET,             "DRIVER_CAP_SET"                  },
    {VIRTIO_ADMIN_OBJECT_CREATE,       "RESOURCE_OBJ_CREATE"             },
    {VIRTIO_ADMIN_OBJECT_DESTROY,      "RESOURCE_OBJ_DESTROY"            },
    {VIRTIO_ADMIN_PARTS_METADATA,      "DEV_PARTS_METADATA_GET"          },
    {VIRTIO_ADMIN_PARTS_GET,           "DEV_PARTS_GET"                   },
    {VIRTIO_ADMIN_PARTS_SET,           "DEV_PARTS_SET"                   },
    {VIRTIO_ADMIN_MODE_SET,            "DEV_MODE_SET"                    },
    {VIRTIO_2021_IDENTITY,             "IDENTITY"                        },
    {VIRTIO_2021_GET_STATUS,           "GET_INTERNAL_STATUS"             },
    {VIRTIO_2021_MODIFY_STATUS,        "MODIFY_INTERNAL_STATUS"          },
    {VIRTIO_2021_PENDING_BYTES,        "GET_INTERNAL_STATE_PENDING_BYTES"},
    {VIRTIO_2021_SAVE,                 "SAVE_INTERNAL_STATE"             },
    {VIRTIO_2021_RESTORE,              "RESTORE_INTERNAL_STATE"          },
    {VIRTIO_2021_DIRTY_IDENTITY,       "IDENTITY of dirty pages"         },
    {VIRTIO_2021_START_TRACK,          "START_TRACK"                     },
    {VIRTIO_2021_STOP_TRACK,           "STOP_TRACK"                      },
    {VIRTIO_2021_MAP_PENDING,          "GET_MAP_PENDING_BYTES"           },
    {VIRTIO_2021_REPORT_MAP,           "REPORT_MAP"                      },
};

#define OTHERS UINT16_MAX /* the last row of each list: all numbers that no row before it has */

struct answer {
    uint16_t number;
    enum status outcome;
    const char *name;
};

/* The outcome is that of a status whose qualifier says no more. */
static const struct answer statuses[] = {
    {VIRTIO_ADMIN_OK,     STATUS_OK,        "OK"            },
    {VIRTIO_ADMIN_ENXIO,  STATUS_NOT_FOUND, "ENXIO"         },
    {VIRTIO_ADMIN_EAGAIN, STATUS_DEVICE,    "EAGAIN"        },
    {VIRTIO_ADMIN_ENOMEM, STATUS_NO_MEMORY, "ENOMEM"        },
    {VIRTIO_ADMIN_EBUSY,  STATUS_CONFLICT,  "EBUSY"         },
    {VIRTIO_ADMIN_EEXIST, STATUS_CONFLICT,  "EEXIST"        },
    {VIRTIO_ADMIN_EINVAL, STATUS_DEVICE,    "EINVAL"        },
    {VIRTIO_ADMIN_ENOSPC, STATUS_NO_MEMORY, "ENOSPC"        },
    {OTHERS,              STATUS_DEVICE,    "unknown status"},
};

/* The outcome is that of EINVAL with it. */
static const struct answer qualifiers[] = {
    {VIRTIO_ADMIN_Q_OK,              STATUS_DEVICE,      "no qualifier"      },
    {VIRTIO_ADMIN_Q_INVALID_COMMAND, STATUS_DEVICE,      "invalid command"   },
    {VIRTIO_ADMIN_Q_INVALID_OPCODE,  STATUS_UNSUPPORTED, "unsupported opcode"},
    {VIRTIO_ADMIN_Q_INVALID_FIELD,   STATUS_INVALID,     "invalid field"     },
    {VIRTIO_ADMIN_Q_INVALID_GROUP,   STATUS_STATE,       "no such group"     },
    {VIRTIO_ADMIN_Q_INVALID_MEMBER,  STATUS_NOT_FOUND,   "no such member"    },
    {VIRTIO_ADMIN_Q_NO_RESOURCE,     STATUS_NO_MEMORY,   "out of resources"  },
    {VIRTIO_ADMIN_Q_TRY_AGAIN,       STATUS_DEVICE,      "try again"         },
    {OTHERS,                         STATUS_DEVICE,      "unknown qualifier" },
};

static const struct answer statuses_2021[] = {
    {VIRTIO_ADMIN_OK,             STATUS_OK,          "OK"                 },
    {VIRTIO_2021_ERR,             STATUS_INVALID,     "ERR"                },
    {VIRTIO_2021_INVALID_CLASS,   STATUS_UNSUPPORTED, "INVALID_CLASS"      },
    {VIRTIO_2021_INVALID_COMMAND, STATUS_UNSUPPORTED, "INVALID_COMMAND"    },
    {VIRTIO_2021_TRANSFER_ERR,    STATUS_DEVICE,      "DATA_TRANSFER_ERR"  },
    {VIRTIO_2021_INTERNAL_ERR,    STATUS_DEVICE,      "DEVICE_INTERNAL_ERR"},
    {OTHERS,                      STATUS_DEVICE,      "unknown status"     },
};

static const struct answer *answer_in(const struct answer *list, uint16_t number)
{
    while (list->number != number && list->number != OTHERS) {
        list++;
    }
    return list;
}

static const struct answer *status_answer(const struct virtio_admin_command *command)
{
    return answer_in(admin_is_2021(command->opcode) ? statuses_2021 : statuses, command->status);
}

const char *virtio_admin_opcode_name(uint16_t opcode)
{
    for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
        if (opcodes[i].opcode == opcode) {
            return opcodes[i].name;
        }
    }
    return "unknown";
}

const char *virtio_admin_status_name(const struct virtio_admin_command *command)
{
    return status_answer(command)->name;
}

const char *virtio_admin_qualifier_name(const struct virtio_admin_command *command)
{
    if (admin_is_2021(command->opcode)) {
        return command->qualifier == VIRTIO_2021_DNR ? "do not retry" : "try again";
    }
    return answer_in(qualifiers, command->qualifier)->name;
}

enum status virtio_admin_outcome(const struct virtio_admin_command *command)
{
    bool qualified = !admin_is_2021(command->opcode) && command->status == VIRTIO_ADMIN_EINVAL;

    return qualified ? answer_in(qualifiers, command->qualifier)->outcome
                     : status_answer(command)->outcome;
}

bool virtio_admin_was_refused(const struct virtio_admin_command *command)
{
    uint16_t unknown = admin_is_2021(command->opcode) ? VIRTIO_2021_UNKNOWN : UINT16_MAX;

    return command->status != VIRTIO_ADMIN_OK && command->status != unknown;
}

bool virtio_admin_is_transient(const struct virtio_admin_command *command)
{
    if (command->status == VIRTIO_ADMIN_OK) {
        return false;
    }
    if (admin_is_2021(command->opcode)) {
        return command->qualifier != VIRTIO_2021_DNR;
    }
    return command->status == VIRTIO_ADMIN_EAGAIN ||
           command->qualifier == VIRTIO_ADMIN_Q_NO_RESOURCE ||
           command->qualifier == VIRTIO_ADMIN_Q_TRY_AGAIN;
}
