/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and writing the state of a VF. */
#include "drivers/virtio/vf_state_internal.h"

#include <string.h>

#define OBJECT_SIZE   8U /* of its header */
#define KIND_GET      0U
#define KIND_SET      1U
#define METADATA_SIZE 0U
#define GET_ALL       1U
#define SAVE_MAX      VIRTIO_ADMIN_RESULT_MAX
#define STATE_MIN     4U /* 2021: the number of fields */

/* Data of the commands about objects, as long as any of them is. docs/migration-abi.md, 2.1. */
struct object {
    uint16_t type; /* 0: device parts */
    uint16_t reserved;
    uint32_t id;
    uint64_t what;    /* METADATA and GET; CREATE: flags */
    uint64_t of_kind; /* CREATE */
};

static bool is_parts(const struct vf_state *vf)
{
    return vf->control->kind == VF_STATE_PARTS;
}

/* ---- Resource objects ---- */

/* Ids of objects to get come first. Take one, and say that it may exist. */
static int take_free_id(struct vf_state_pf *control, unsigned kind)
{
    unsigned first = kind == KIND_GET ? 0 : control->objects[KIND_GET];

    for (unsigned id = first; id < first + control->objects[kind]; id++) {
        if ((__atomic_fetch_or(&control->ids, 1ULL << id, __ATOMIC_RELAXED) >> id & 1) == 0) {
            return (int)id;
        }
    }
    return -1;
}

static void free_id(struct vf_state_pf *control, unsigned id)
{
    __atomic_fetch_and(&control->ids, ~(1ULL << id), __ATOMIC_RELAXED);
}

/* The id is used again when it is certain that the object is gone. */
static void destroy_object(struct vf_state_pf *control, uint16_t member, unsigned id)
{
    struct object object = {.id = id};
    enum status status = vf_state_execute(control, OP_DESTROY, member, &object, NULL);

    if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
        free_id(control, id);
    } else {
        __atomic_store_n(&control->left[id], member, __ATOMIC_RELAXED);
    }
}

/* If there is none, those that could not be destroyed before may be by now. */
static int take_id(struct vf_state_pf *control, unsigned kind)
{
    int id = take_free_id(control, kind);

    for (unsigned i = 0; i < ARRAY_SIZE(control->left) && id < 0; i++) {
        uint16_t member = __atomic_exchange_n(&control->left[i], 0, __ATOMIC_RELAXED);

        if (member != 0) {
            destroy_object(control, member, i);
            id = take_free_id(control, kind);
        }
    }
    return id;
}

/*
 * Make an object of KIND. An id that is taken at the device is left alone; so is, for now, one of
 * which nobody knows, as the answer did not come.
 */
static enum status create_object(struct vf_state *vf, unsigned kind)
{
    for (int id = take_id(vf->control, kind); id >= 0; id = take_id(vf->control, kind)) {
        struct object object = {.id = (uint32_t)id, .of_kind = kind};
        struct virtio_admin_command create = vf_state_command(OP_CREATE, vf->member, &object, NULL);
        enum status status = virtio_admin_execute(&vf->control->pf->admin, &create);

        if (status == STATUS_OK) {
            vf->object = (int16_t)id;
            return STATUS_OK;
        }
        if (create.status == VIRTIO_ADMIN_EEXIST) {
            continue;
        }
        if (virtio_admin_was_refused(&create) || !create.slot) { /* it was not even sent */
            free_id(vf->control, (unsigned)id);
        } else {
            __atomic_store_n(&vf->control->left[id], vf->member, __ATOMIC_RELAXED);
        }
        return status;
    }
    return STATUS_NOTE(STATUS_NO_MEMORY);
}

void vf_state_close(struct vf_state *vf)
{
    if (vf->object >= 0 && vf_state_current(vf) == STATUS_OK) {
        destroy_object(vf->control, vf->member, (unsigned)vf->object);
    }
    vf->object = -1;
    vf->size = 0;
    vf->size_known = false;
}

/* ---- Reading ---- */

static enum status check_frozen(const struct vf_state *vf)
{
    enum status status = vf_state_current(vf);

    if (status == STATUS_OK && vf->control->kind == VF_STATE_NONE) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (status == STATUS_OK && (vf->busy || vf->level != VF_STATE_FROZEN)) {
        return STATUS_NOTE(STATUS_STATE);
    }
    return status;
}

static enum status ask_size(struct vf_state *vf, uint64_t *size)
{
    const uint16_t member[2] = {vf->member};
    struct object object = {.what = METADATA_SIZE};
    enum status status;

    if (!is_parts(vf)) {
        return vf_state_execute(vf->control, OP_PENDING, vf->member, member, size);
    }
    status = create_object(vf, KIND_GET);
    object.id = (uint32_t)vf->object;
    if (status == STATUS_OK) {
        status = vf_state_execute(vf->control, OP_METADATA, vf->member, &object, size);
    }
    *size &= UINT32_MAX;
    return status;
}

enum status vf_state_open_save(struct vf_state *vf, uint32_t *size)
{
    enum status status = check_frozen(vf);
    uint64_t most = 0;

    *size = 0;
    if (status == STATUS_OK && vf->size != 0) {
        status = STATUS_NOTE(STATUS_CONFLICT);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = ask_size(vf, &most);
    if (status == STATUS_OK &&
        (most < STATE_MIN || most > vf_state_facts(vf->control->kind)->size_max)) {
        status = STATUS_NOTE(STATUS_DEVICE);
    }
    if (status != STATUS_OK) {
        vf_state_close(vf);
        return status;
    }
    vf->size = *size = (uint32_t)most;
    vf->size_known = !is_parts(vf);
    return STATUS_OK;
}

/* All parts come at once; what is not asked for stays behind. */
static enum status read_parts(struct vf_state *vf, uint32_t offset, void *buffer, uint32_t length)
{
    struct object object = {.id = (uint32_t)vf->object, .what = GET_ALL};
    struct virtio_admin_command get = vf_state_command(OP_GET, vf->member, &object, buffer);
    enum status status;

    get.result_size = length;
    get.result_room = vf->size;
    get.result_at = offset;
    get.whole = false;
    status = virtio_admin_execute(&vf->control->pf->admin, &get);
    if (status != STATUS_OK) {
        return status;
    }
    if (get.result_length == 0 || (vf->size_known && get.result_length != vf->size)) {
        return STATUS_NOTE(STATUS_DEVICE); /* it changed, though the VF is stopped */
    }
    vf->size = get.result_length;
    vf->size_known = true;
    return STATUS_OK;
}

static enum status read_2021(struct vf_state *vf, uint32_t offset, uint8_t *buffer, uint32_t length)
{
    enum status status = STATUS_OK;

    for (uint32_t done = 0; done < length && status == STATUS_OK;) {
        uint32_t piece = length - done < SAVE_MAX ? length - done : SAVE_MAX;
        struct vf_state_words data = {
            .vf = vf->member, .word = {offset + done, piece}
        };
        struct virtio_admin_command save =
            vf_state_command(OP_SAVE, vf->member, &data, buffer + done);

        save.result_size = piece;
        status = virtio_admin_execute(&vf->control->pf->admin, &save);
        done += piece;
    }
    return status;
}

enum status vf_state_read(struct vf_state *vf, uint32_t offset, void *buffer, uint32_t length,
                          uint32_t *got)
{
    enum status status = check_frozen(vf);

    *got = 0;
    if (status == STATUS_OK && vf->size == 0) {
        status = STATUS_NOTE(STATUS_STATE); /* it is not open */
    }
    if (status != STATUS_OK || offset >= vf->size || length == 0) {
        return status;
    }
    length = length < vf->size - offset ? length : vf->size - offset;
    status = is_parts(vf) ? read_parts(vf, offset, buffer, length)
                          : read_2021(vf, offset, buffer, length);
    if (status == STATUS_OK && offset < vf->size) {
        *got = length < vf->size - offset ? length : vf->size - offset;
    }
    return status;
}

/* ---- Writing ---- */

/* As many whole parts from AT on as one command takes; one that is longer: none. */
static uint32_t parts_at_once(const uint8_t *state, uint32_t size, uint32_t at)
{
    struct vf_state_part part;
    uint32_t next = at, end = at;

    while (vf_state_next(VF_STATE_PARTS, state, size, &next, &part) == STATUS_OK &&
           next - at <= VIRTIO_ADMIN_DATA_MAX - OBJECT_SIZE) {
        end = next;
    }
    return end - at;
}

static enum status write_parts(struct vf_state *vf, const uint8_t *state, uint32_t size)
{
    enum status status = create_object(vf, KIND_SET);

    for (uint32_t at = 0; at < size && status == STATUS_OK;) {
        struct object object = {.id = (uint32_t)vf->object};
        struct virtio_admin_command set = vf_state_command(OP_SET, vf->member, &object, NULL);

        set.more = state + at;
        set.more_size = parts_at_once(state, size, at);
        status = set.more_size > 0 ? virtio_admin_execute(&vf->control->pf->admin, &set)
                                   : STATUS_NOTE(STATUS_UNSUPPORTED);
        if (status == STATUS_INVALID && at > 0) {
            status = STATUS_NOTE(STATUS_DEVICE); /* some of it has been written */
        }
        at += set.more_size;
    }
    vf_state_close(vf);
    return status;
}

static enum status write_2021(struct vf_state *vf, const uint8_t *state, uint32_t size)
{
    enum status status = STATUS_OK;

    for (uint32_t at = 0; at < size && status == STATUS_OK;) {
        struct vf_state_words data = {.vf = vf->member, .word = {at}};
        struct virtio_admin_command restore = vf_state_command(OP_RESTORE, vf->member, &data, NULL);
        uint32_t room = VIRTIO_ADMIN_DATA_MAX - restore.data_size;

        restore.more = state + at;
        restore.more_size = size - at < room ? size - at : room;
        data.word[1] = restore.more_size;
        status = virtio_admin_execute(&vf->control->pf->admin, &restore);
        at += restore.more_size;
    }
    return status;
}

enum status vf_state_write(struct vf_state *vf, const void *state, uint32_t size)
{
    enum status status = check_frozen(vf);

    if (status == STATUS_OK && vf->size != 0) {
        status = STATUS_NOTE(STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = vf_state_check(vf->control->kind, state, size);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return is_parts(vf) ? write_parts(vf, state, size) : write_2021(vf, state, size);
}
