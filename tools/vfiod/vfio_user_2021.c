/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The form of 2021: VERSION, and the migration region, which has the states of version 1 of VFIO's:
 * the four bits of vmm/migrate/device_state.h.
 */
#include "tools/vfiod/vfio_user_commands.h"
#include "vmm/base/format.h"

#include <string.h>

#define RUNNING  1U
#define SAVING   2U
#define RESUMING 4U
#define ERROR    (SAVING | RESUMING)
#define NDMA     8U
#define BITS     15U

/* ---- VERSION ---- */

#define MINOR_2021 1U
#define FIXED      32U /* bytes of an answer with data, besides the data */

int vfio_user_2021_capabilities(const struct vfio_user_setup *setup, uint32_t asked, char *text,
                                size_t size)
{
    bool migrates = setup->function->migrates || setup->function->logs;

    return format(text, size, "{\"capabilities\":{\"max_fds\":%u,\"max_msg_size\":%u%s}}",
                  VFIO_USER_HANDLES_MAX, setup->data + VFIO_USER_ENVELOPE,
                  migrates && (asked & CAPABLE_MIGRATION) != 0 ? MIGRATION_TEXT : "");
}

static void begin_2021(struct vfio_user *server, struct message *m,
                       const struct vfio_user_capabilities *client)
{
    struct vfio_user_capabilities c = *client;

    /* What it says is the size of a whole message. */
    c.data = (c.named & CAPABLE_DATA) == 0 ? PAGE_SIZE : c.data;
    c.data = c.data > FIXED ? c.data - FIXED : 0;
    vfio_user_begin(server, m, &c);
    server->form = VFIO_USER_2021;
    bytes_put(m->out + 2, 2, least(bytes_get(m->in + 2, 2), MINOR_2021));
    m->answer = 4 + 1 +
                (uint32_t)vfio_user_2021_capabilities(&server->setup, c.named, (char *)m->out + 4,
                                                      m->room - 4);
    vfio_user_2021_irqs_begin(device_of(server));
}

enum status vfio_user_any_version(struct vfio_user *server, struct message *m)
{
    enum vfio_user_form form = device_of(server)->wanted;
    struct vfio_user_capabilities client;
    enum status status = vfio_user_read_version(server, m, &client);

    if (status != STATUS_OK) {
        return status;
    }
    if (form == VFIO_USER_AUTO && bytes_get(m->in + 2, 2) == MINOR_2021 &&
        (client.named & CAPABLE_2021) != 0) {
        form = VFIO_USER_2021;
    }
    if (form == VFIO_USER_2021) {
        begin_2021(server, m, &client);
    } else {
        vfio_user_begin(server, m, &client);
    }
    return STATUS_OK;
}

/* ---- The migration region ---- */

#define REGION VFIO_USER_PCI_REGIONS /* its index */

#define CAP_TYPE          2U
#define CAP_MIG_NDMA      6U
#define TYPE_MIGRATION    3U
#define SUBTYPE_MIGRATION 1U

#define REGISTER_STATE   0U
#define REGISTER_PENDING 8U
#define REGISTER_OFFSET  16U
#define REGISTER_SIZE    24U
#define REGISTERS        32U
#define DATA             4096U /* where data is, for both ways */

static uint64_t region_size(const struct vfio_user *server)
{
    return DATA + (uint64_t)server->setup.data;
}

static bool bits_are_valid(uint64_t bits)
{
    return bits <= BITS && ((bits & RESUMING) == 0 || (bits & (RUNNING | SAVING)) == 0);
}

/* What is read there; an access of its width. */
static enum status register_read(struct vfio_user_device *device, uint64_t offset, uint64_t *value)
{
    bool saving = (vfio_user_bits(&device->server) & (SAVING | RESUMING)) == SAVING;

    switch (offset) {
    case REGISTER_STATE:
        *value = vfio_user_edge_state(&device->server);
        return STATUS_OK;
    case REGISTER_PENDING: /* what was fetched is consumed */
        device->staged = saving ? 0 : device->staged;
        device->fetched = false;
        *value = saving ? vfio_user_edge_pending(&device->server) : 0;
        return STATUS_OK;
    case REGISTER_OFFSET:
        *value = DATA;
        if (saving && !device->fetched) {
            device->staged = device->server.setup.data;
            enum status status =
                vfio_user_edge_save(&device->server, device->stage, &device->staged);

            device->staged = status == STATUS_OK ? device->staged : 0;
            device->fetched = status == STATUS_OK;
            return status;
        }
        return STATUS_OK;
    default:
        *value = offset == REGISTER_SIZE ? device->staged : 0;
        return STATUS_OK;
    }
}

static bool register_width_is_right(uint64_t offset, uint32_t count)
{
    return offset < 8 ? count == 4 && offset % 4 == 0 : count == 8 && offset % 8 == 0;
}

static enum status migration_read(struct vfio_user_device *device, uint64_t offset, uint8_t *data,
                                  uint32_t count)
{
    uint64_t value = 0;

    if (offset >= DATA) {
        if (!range_fits(offset - DATA, count, device->staged)) {
            return STATUS_INVALID;
        }
        memcpy(data, device->stage + (offset - DATA), count);
        return STATUS_OK;
    }
    if (offset >= REGISTERS || !register_width_is_right(offset, count)) {
        return STATUS_INVALID;
    }
    enum status status = register_read(device, offset, &value);

    bytes_put(data, count, value);
    return status;
}

static enum status register_write(struct vfio_user_device *device, uint64_t offset, uint64_t value)
{
    uint32_t size = device->staged;

    switch (offset) {
    case REGISTER_STATE:
        if (!bits_are_valid(value) || (value & ~(uint64_t)NDMA) == ERROR) {
            return STATUS_INVALID;
        }
        device->staged = 0;
        device->fetched = false;
        return vfio_user_set_bits(&device->server, (uint32_t)value);
    case REGISTER_SIZE: /* so much was written to the data */
        if (vfio_user_bits(&device->server) != RESUMING) {
            return STATUS_STATE;
        }
        if (value > size) {
            return STATUS_INVALID;
        }
        device->staged = 0;
        return value == 0 ? STATUS_OK
                          : vfio_user_edge_load(&device->server, device->stage, (uint32_t)value);
    case 4:
        return STATUS_OK; /* reserved: ignored */
    default:
        return STATUS_INVALID; /* to be read only */
    }
}

static enum status migration_write(struct vfio_user_device *device, uint64_t offset,
                                   const uint8_t *data, uint32_t count)
{
    if (offset >= DATA) {
        if (vfio_user_bits(&device->server) != RESUMING) {
            return STATUS_STATE;
        }
        /* Without holes, so that nothing old is taken for new. */
        if (offset - DATA > device->staged) {
            return STATUS_INVALID;
        }
        memcpy(device->stage + (offset - DATA), data, count);
        if (device->staged < offset - DATA + count) {
            device->staged = (uint32_t)(offset - DATA) + count;
        }
        return STATUS_OK;
    }
    if (offset >= REGISTERS || !register_width_is_right(offset, count)) {
        return STATUS_INVALID;
    }
    return register_write(device, offset, bytes_get(data, count));
}

/* ---- Regions, that one among them ---- */

static bool is_migration(const struct vfio_user *server, const struct message *m)
{
    return bytes_get32(m->in + 8) == REGION && vfio_user_regions(server) > REGION;
}

enum status vfio_user_2021_region_info(struct vfio_user *server, struct message *m)
{
    uint32_t end = REGION_INFO;

    if (!is_migration(server, m)) {
        return vfio_user_region_info(server, m);
    }
    if (bytes_get32(m->in) < REGION_INFO) {
        return STATUS_INVALID;
    }
    bytes_put32(m->out + end + CAP_HEADER, TYPE_MIGRATION);
    bytes_put32(m->out + end + CAP_HEADER + 4, SUBTYPE_MIGRATION);
    end = vfio_user_put_cap(m->out, end, CAP_TYPE, CAP_HEADER + 8, true);
    end = vfio_user_put_cap(m->out, end, CAP_MIG_NDMA, CAP_HEADER, false);
    vfio_user_put_region(m, region_size(server), end);
    return STATUS_OK;
}

enum status vfio_user_2021_region_read(struct vfio_user *server, struct message *m)
{
    uint32_t count = bytes_get32(m->in + 12);

    if (!is_migration(server, m)) {
        return vfio_user_region_read(server, m);
    }
    if (!vfio_user_begin_read(server, m, region_size(server))) {
        return STATUS_INVALID;
    }
    return count == 0
               ? STATUS_OK
               : migration_read(device_of(server), bytes_get64(m->in), m->out + ACCESS, count);
}

enum status vfio_user_2021_region_write(struct vfio_user *server, struct message *m)
{
    uint32_t count = bytes_get32(m->in + 12);
    enum status status = STATUS_OK;

    if (!is_migration(server, m)) {
        status = vfio_user_region_write(server, m);
    } else if (!vfio_user_begin_write(m, region_size(server))) {
        status = STATUS_INVALID;
    } else if (count != 0) {
        status = migration_write(device_of(server), bytes_get64(m->in), m->in + ACCESS, count);
    }
    bytes_put32(m->out + 12, 0); /* so many were written, by its text */
    return status;
}
