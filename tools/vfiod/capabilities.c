/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON in a client's VERSION. */
#include "tools/vfiod/vfiod.h"
#include "vmm/vfio_user/vfio_user_edge.h"

#include <jansson.h>

/* Names of numbers, today's and those of 2021. */
static const struct {
    const char *name;
    uint32_t bits;
} numbers[] = {
    {"max_msg_fds",        CAPABLE_FDS                },
    {"max_data_xfer_size", CAPABLE_DATA               },
    {"max_fds",            CAPABLE_2021 | CAPABLE_FDS },
    {"max_msg_size",       CAPABLE_2021 | CAPABLE_DATA},
};

/* Its tables' seed comes from the system, once, which is not there any more in the sandbox. */
void capabilities_init(void)
{
    json_object_seed(0);
}

enum status vfio_user_edge_parse(struct vfio_user *server, const char *text, uint32_t length,
                                 struct vfio_user_capabilities *found)
{
    json_t *all = json_loadb(text, length, 0, NULL), *said = json_object_get(all, "capabilities");

    (void)server;
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        const json_t *value = json_object_get(said, numbers[i].name);

        if (json_is_integer(value) && json_integer_value(value) >= 0) {
            uint64_t number = (uint64_t)json_integer_value(value);

            found->named |= numbers[i].bits;
            *((numbers[i].bits & CAPABLE_FDS) != 0 ? &found->fds : &found->data) = number;
        }
    }
    if (json_is_true(json_object_get(said, "write_multiple"))) {
        found->named |= CAPABLE_MULTI;
    }
    if (json_is_object(json_object_get(said, "migration"))) {
        found->named |= CAPABLE_MIGRATION;
    }
    bool valid = json_is_object(all);

    json_decref(all);
    return valid ? STATUS_OK : STATUS_INVALID;
}
