/* SPDX-License-Identifier: BSD-2-Clause */
/* VERSION: what either side can. */
#include "vmm/base/format.h"
#include "vmm/vfio_user/vfio_user_internal.h"

#define JSON_MAX 4096U

#define MAJOR       0U
#define MINOR_MAX   2U /* what others of today have at most */
#define PAGE_4K     4096U
#define DEFAULT_FDS 1U

int vfio_user_capabilities(const struct vfio_user_setup *setup, uint32_t asked, char *text,
                           size_t size)
{
    bool migrates = setup->function->migrates || setup->function->logs;

    return format(text, size,
                  "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
                  "\"max_dma_maps\":%u,\"pgsizes\":%u%s%s}}",
                  VFIO_USER_HANDLES_MAX, setup->data, VFIO_USER_MAPS_MAX, PAGE_4K,
                  (asked & CAPABLE_MULTI) != 0 ? ",\"write_multiple\":true" : "",
                  migrates && (asked & CAPABLE_MIGRATION) != 0 ? MIGRATION_TEXT : "");
}

enum status vfio_user_read_version(struct vfio_user *server, const struct message *m,
                                   struct vfio_user_capabilities *found)
{
    uint32_t from = 4, length;

    *found = (struct vfio_user_capabilities){.fds = DEFAULT_FDS, .data = VFIO_USER_DATA_MAX};
    if (bytes_get(m->in, 2) != MAJOR) {
        return STATUS_UNSUPPORTED;
    }
    /* By the table of 2021 the text begins two bytes later, by its sum of sizes here. */
    while (from < 6 && from < m->size && m->in[from] == '\0') {
        from++;
    }
    if (m->size <= from) {
        return STATUS_OK;
    }
    length = m->size - from - 1;
    if (m->in[m->size - 1] != '\0' || length > JSON_MAX) {
        return STATUS_INVALID;
    }
    return vfio_user_edge_parse(server, (const char *)m->in + from, length, found);
}

void vfio_user_begin(struct vfio_user *server, struct message *m,
                     const struct vfio_user_capabilities *client)
{
    server->form = VFIO_USER_TODAY;
    server->client_data = least(client->data, server->setup.data);
    server->client_handles = least(client->fds, VFIO_USER_HANDLES_MAX);
    bytes_put(m->out, 2, MAJOR);
    bytes_put(m->out + 2, 2, least(bytes_get(m->in + 2, 2), MINOR_MAX));
    m->answer = 4 + 1 +
                (uint32_t)vfio_user_capabilities(&server->setup, client->named, (char *)m->out + 4,
                                                 m->room - 4);
}

enum status vfio_user_version(struct vfio_user *server, struct message *m)
{
    struct vfio_user_capabilities client;
    enum status status = vfio_user_read_version(server, m, &client);

    if (status == STATUS_OK) {
        vfio_user_begin(server, m, &client);
    }
    return status;
}
