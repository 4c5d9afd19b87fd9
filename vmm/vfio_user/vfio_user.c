/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: from bytes to commands, and from statuses to answers. */
#include "vmm/vfio_user/vfio_user_internal.h"

#include <string.h>

/* clang-format off */
static const struct row commands[COMMANDS] = {
    [COMMAND_VERSION]         = {4,  false, vfio_user_version},
    [COMMAND_GET_INFO]        = {16, false, vfio_user_info},
    [COMMAND_GET_REGION_INFO] = {32, false, vfio_user_region_info},
    [COMMAND_REGION_READ]     = {16, false, vfio_user_region_read},
    [COMMAND_REGION_WRITE]    = {16, false, vfio_user_region_write},
    [COMMAND_FEATURE]         = {8,  false, vfio_user_feature},
    [COMMAND_MIG_DATA_READ]   = {8,  false, vfio_user_mig_read},
    [COMMAND_MIG_DATA_WRITE]  = {8,  false, vfio_user_mig_write},
    [COMMAND_PRECOPY_INFO]    = {24, false, vfio_user_precopy_info},
};

/* What a status is on the wire: error numbers of Linux. */
static const uint8_t error_of[STATUS_COUNT] = {
    [STATUS_INVALID]     = 22, /* EINVAL */
    [STATUS_RANGE]       = 7,  /* E2BIG */
    [STATUS_CONFLICT]    = 17, /* EEXIST */
    [STATUS_NOT_FOUND]   = 2,  /* ENOENT */
    [STATUS_NO_MEMORY]   = 12, /* ENOMEM */
    [STATUS_NO_ROOM]     = 28, /* ENOSPC */
    [STATUS_UNSUPPORTED] = 95, /* ENOTSUP */
    [STATUS_STATE]       = 16, /* EBUSY */
    [STATUS_TIMEOUT]     = 110, /* ETIMEDOUT */
    [STATUS_DEVICE]      = 5,  /* EIO */
    [STATUS_AGAIN]       = 11, /* EAGAIN: from an edge that may not say so */
};
/* clang-format on */

enum status vfio_user_init(struct vfio_user *server, const struct vfio_user_setup *setup)
{
    const struct vfio_user_function *f = setup->function;

    if (setup->data < VFIO_USER_DATA_MIN || setup->data > VFIO_USER_DATA_MAX) {
        return STATUS_RANGE;
    }
    for (unsigned i = 0; i < VFIO_USER_PCI_REGIONS; i++) {
        if (f->region[i].areas > VFIO_USER_AREAS_MAX) {
            return STATUS_RANGE;
        }
    }
    memset(server, 0, sizeof(*server));
    server->setup = *setup;
    return STATUS_OK;
}

/* ---- Out ---- */

void vfio_user_put_header(uint8_t *at, uint16_t id, uint16_t command, uint32_t size, uint32_t flags)
{
    bytes_put(at, 2, id);
    bytes_put(at + 2, 2, command);
    bytes_put32(at + 4, size);
    bytes_put32(at + 8, flags);
    bytes_put32(at + 12, 0);
}

static void answer(struct vfio_user *server, const struct message *m, enum status status)
{
    uint8_t *out = server->setup.output;
    uint32_t size = HEADER + m->answer;

    if (status != STATUS_OK) {
        vfio_user_put_header(out, m->id, m->command, HEADER, FLAG_ANSWER | FLAG_ERROR);
        bytes_put32(out + 12, error_of[status]);
        vfio_user_edge_send(server, out, HEADER, NULL, 0);
        return;
    }
    vfio_user_put_header(out, m->id, m->command, size, FLAG_ANSWER);
    vfio_user_edge_send(server, out, size, m->handle, m->handles);
}

/* ---- In ---- */

int vfio_user_take(struct vfio_user *server, uint32_t i)
{
    int handle = server->handle[i];

    server->handle[i] = NO_HANDLE;
    return handle;
}

static void close_handles(struct vfio_user *server)
{
    for (uint32_t i = 0; i < server->handles; i++) {
        int handle = vfio_user_take(server, i);

        if (handle != NO_HANDLE) {
            vfio_user_edge_close(server, handle);
        }
    }
    server->handles = 0;
}

/* How the form that was chosen has COMMAND; NULL: it has not. */
static const struct row *row_of(const struct vfio_user *server, uint16_t command)
{
    const struct vfio_user_more *more = server->setup.more;
    const struct row *rows = more == NULL                     ? commands
                             : server->form == VFIO_USER_2021 ? more->in_2021
                                                              : more->today;

    return command < COMMANDS && rows[command].run != NULL ? &rows[command] : NULL;
}

static enum status run(struct vfio_user *server, struct message *m)
{
    const struct row *row = row_of(server, m->command);

    /* Nothing before the version, which is said once. */
    if ((server->form == VFIO_USER_AUTO) != (m->command == COMMAND_VERSION)) {
        return STATUS_INVALID;
    }
    if (row == NULL) {
        return STATUS_UNSUPPORTED;
    }
    if (m->size < row->bytes || (server->handles != 0 && !row->handles)) {
        return STATUS_INVALID;
    }
    return row->run(server, m);
}

/* The message is whole, or STATUS says why it is passed over. */
static void finish(struct vfio_user *server, enum status status)
{
    const uint8_t *in = server->setup.input;
    uint32_t flags = bytes_get32(in + 8);
    struct message m = {.id = (uint16_t)bytes_get(in, 2),
                        .command = (uint16_t)bytes_get(in + 2, 2),
                        .in = in + HEADER,
                        .size = bytes_get32(in + 4) - HEADER,
                        .out = server->setup.output + HEADER,
                        .room = server->setup.data + VFIO_USER_ENVELOPE - HEADER};

    if ((flags & FLAG_TYPE) == FLAG_ANSWER) { /* to a command of ours */
        server->have = 0;
        close_handles(server);
        if (server->setup.more != NULL) {
            server->setup.more->answered(server, &m,
                                         status == STATUS_OK && (flags & FLAG_ERROR) == 0);
        }
        return;
    }
    if (status == STATUS_OK) {
        status = (flags & ~FLAG_NO_REPLY) != 0 ? STATUS_INVALID : run(server, &m);
    }
    server->waits = status == STATUS_AGAIN;
    if (server->waits) {
        return;
    }
    server->have = 0;
    close_handles(server);
    /* Without a version there is no conversation. */
    server->failed |= server->form == VFIO_USER_AUTO;
    if ((flags & FLAG_NO_REPLY) == 0) {
        answer(server, &m, status);
    }
}

uint8_t *vfio_user_space(struct vfio_user *server, uint32_t *room)
{
    uint8_t *input = server->setup.input;

    *room = 0;
    if (server->failed) {
        return NULL;
    }
    if (server->waits) {
        return input;
    }
    if (server->skip != 0) {
        *room = least(server->skip, server->setup.data);
        return input + HEADER;
    }
    *room = (server->have < HEADER ? HEADER : bytes_get32(input + 4)) - server->have;
    return input + server->have;
}

static void take_handles(struct vfio_user *server, const int *handle, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (server->handles < VFIO_USER_HANDLES_MAX) {
            server->handle[server->handles++] = handle[i];
        } else {
            vfio_user_edge_close(server, handle[i]);
            server->failed = true;
        }
    }
}

void vfio_user_received(struct vfio_user *server, uint32_t size, const int *handle, uint32_t count)
{
    uint32_t whole;

    take_handles(server, handle, count);
    if (server->skip != 0) {
        server->skip -= size;
        if (server->skip == 0) {
            finish(server, STATUS_RANGE);
        }
        return;
    }
    server->have += size;
    if (server->have < HEADER) {
        return;
    }
    whole = bytes_get32(server->setup.input + 4);
    if (whole < HEADER) {
        server->failed = true;
    } else if (whole > server->setup.data + VFIO_USER_ENVELOPE) {
        server->skip = whole - HEADER;
    } else if (server->have == whole && !server->failed) {
        finish(server, STATUS_OK);
    }
}

bool vfio_user_again(struct vfio_user *server)
{
    if (server->waits) {
        finish(server, STATUS_OK);
    }
    return !server->waits;
}

void vfio_user_disconnected(struct vfio_user *server)
{
    close_handles(server);
    if (server->setup.more != NULL) {
        server->setup.more->ended(server);
    }
    if (server->setup.function->logs) {
        (void)vfio_user_edge_log_stop(server);
    }
    server->have = server->skip = 0;
    server->failed = server->waits = false;
    server->form = VFIO_USER_AUTO;
}
