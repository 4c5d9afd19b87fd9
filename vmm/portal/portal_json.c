/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client says of itself: {"capabilities":{"max_data_xfer_size":16384,...}}. All that is
 * looked for is numbers behind two names; whether the rest is JSON is not, for nothing hangs on it.
 */
#include "vmm/portal/portal_internal.h"
#include "vmm/vfio_user/vfio_user_edge.h"

#include <string.h>

#define DIGITS_MAX 9U

/* The number behind "NAME" and a colon; false: there is none. */
static bool find_number(const char *text, uint32_t length, const char *name, uint64_t *value)
{
    uint32_t size = (uint32_t)strlen(name), at = 0, digits = 0;

    while (at + size <= length && memcmp(text + at, name, size) != 0) {
        at++;
    }
    at += size;
    while (at < length && (text[at] == ':' || text[at] == ' ')) {
        at++;
    }
    for (*value = 0; at < length && text[at] >= '0' && text[at] <= '9' && digits < DIGITS_MAX;
         at++, digits++) {
        *value = *value * 10 + (uint64_t)(text[at] - '0');
    }
    return digits != 0;
}

enum status vfio_user_edge_parse(struct vfio_user *server, const char *text, uint32_t length,
                                 struct vfio_user_capabilities *found)
{
    uint64_t value;

    if (length == 0 || text[0] != '{') {
        return STATUS_INVALID;
    }
    found->fds = 0; /* none pass here */
    if (find_number(text, length, "\"max_data_xfer_size\"", &value)) {
        found->named |= CAPABLE_DATA;
        found->data = value;
    }
    if (find_number(text, length, "\"pgsize\"", &value)) {
        found->named |= CAPABLE_MIGRATION;
    }
    return STATUS_OK;
}
