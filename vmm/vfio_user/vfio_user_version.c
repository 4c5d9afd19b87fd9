/* SPDX-License-Identifier: BSD-2-Clause */
/* VERSION: which form is spoken, and what either side can. */
#include "vmm/base/format.h"
#include "vmm/vfio_user/vfio_user_internal.h"

#define JSON_MAX 4096U

#define MAJOR       0U
#define MINOR_MAX   2U /* what others of today have at most */
#define MINOR_2021  1U
#define PAGE_4K     4096U
#define DEFAULT_FDS 1U
#define FIXED       32UL /* bytes of an answer with data, besides the data */

int vfio_user_capabilities(const struct vfio_user_setup *setup, enum vfio_user_form form,
                           uint32_t asked, char *text, size_t size)
{
    bool migrates = setup->function->migrates || setup->function->logs;
    const char *migration =
        migrates && (asked & CAPABLE_MIGRATION) != 0 ? ",\"migration\":{\"pgsize\":4096}" : "";

    if (form == VFIO_USER_2021) {
        return format(text, size, "{\"capabilities\":{\"max_fds\":%u,\"max_msg_size\":%u%s}}",
                      VFIO_USER_HANDLES_MAX, setup->data + VFIO_USER_ENVELOPE, migration);
    }
    return format(text, size,
                  "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
                  "\"max_dma_maps\":%u,\"pgsizes\":%u%s%s}}",
                  VFIO_USER_HANDLES_MAX, setup->data, VFIO_USER_MAPS_MAX, PAGE_4K,
                  (asked & CAPABLE_MULTI) != 0 ? ",\"write_multiple\":true" : "", migration);
}

/* What the client says it can receive. */
static void take_limits(struct vfio_user *server, const struct vfio_user_capabilities *c)
{
    uint64_t data = c->data;

    if (server->form == VFIO_USER_2021) { /* of a whole message */
        data = (c->named & CAPABLE_DATA) == 0 ? PAGE_4K : data;
        data = data > FIXED ? data - FIXED : 0;
    }
    server->client_data = least(data, server->setup.data);
    server->client_handles = least(c->fds, VFIO_USER_HANDLES_MAX);
}

enum status vfio_user_version(struct vfio_user *server, struct message *m)
{
    uint32_t minor = (uint32_t)bytes_get(m->in + 2, 2), from = 4;
    struct vfio_user_capabilities c = {.fds = DEFAULT_FDS, .data = VFIO_USER_DATA_MAX};

    if (bytes_get(m->in, 2) != MAJOR) {
        return STATUS_UNSUPPORTED;
    }
    /* By its table the text of 2021 begins two bytes later, by its sum of sizes here. */
    while (from < 6 && from < m->size && m->in[from] == '\0') {
        from++;
    }
    if (m->size > from) {
        uint32_t length = m->size - from - 1;

        if (m->in[m->size - 1] != '\0' || length > JSON_MAX ||
            vfio_user_edge_parse(server, (const char *)m->in + from, length, &c) != STATUS_OK) {
            return STATUS_INVALID;
        }
    }
    server->form = server->setup.form;
    if (server->form == VFIO_USER_AUTO) {
        server->form =
            minor == MINOR_2021 && (c.named & CAPABLE_2021) != 0 ? VFIO_USER_2021 : VFIO_USER_TODAY;
    }
    take_limits(server, &c);
    bytes_put(m->out, 2, MAJOR);
    bytes_put(m->out + 2, 2, least(minor, server->form == VFIO_USER_2021 ? MINOR_2021 : MINOR_MAX));
    m->answer = 4 + 1 +
                (uint32_t)vfio_user_capabilities(&server->setup, server->form, c.named,
                                                 (char *)m->out + 4, m->room - 4);
    vfio_user_irqs_begin(server);
    return STATUS_OK;
}
