/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol of 2021: the table of commands, and the class that changes,
 * saves and restores the state of VFs.
 */
#include "protocol_2021.h"
#include "blob.h"
#include "hold.h"
#include "staged.h"
#include "qemu/log.h"

#define VERSION_MAJOR   1
#define VERSION_MINOR   0
#define VERSION_TER     0

#define STATE_MAX       (1024 * 1024)

typedef enum Status {
    STATUS_INIT = 0,
    STATUS_RUNNING = 1,
    STATUS_QUIESCED = 2,
    STATUS_FREEZED = 3,
} Status;

/* Data of SAVE and RESTORE; the latter's bytes follow. */
typedef struct QEMU_PACKED StateRange {
    uint16_t vf;
    uint16_t reserved[3];
    uint64_t offset;
    uint64_t length;
} StateRange;

static Status status_of(PCIDevice *vf)
{
    switch (vf_state(vf)->halt.phase) {
    case PHASE_HALTED:
        return STATUS_QUIESCED;
    case PHASE_FROZEN:
        return STATUS_FREEZED;
    default:
        return vf_state(vf)->told ? STATUS_RUNNING : STATUS_INIT;
    }
}

static void refuse(Command *c, const char *why)
{
    qemu_log_mask(LOG_GUEST_ERROR, "%s %u: state refused: %s\n", c->vf->name,
                  vf_number(c->vf), why);
    old_fail(c, OLD_ERR | OLD_DNR);
}

static void identity(Command *c)
{
    uint8_t result[8] = { VERSION_MAJOR, 0, VERSION_MINOR, 0, VERSION_TER };

    admin_set_result(c, result, sizeof(result));
}

static void get_status(Command *c)
{
    uint8_t result[4] = { status_of(c->vf) };

    admin_set_result(c, result, sizeof(result));
}

/* Frozen state */

static void drop_restored(Freeze *f)
{
    if (f->restored) {
        g_byte_array_free(f->restored, true);
        g_byte_array_free(f->covered, true);
    }
    f->restored = f->covered = NULL;
}

static void drop_saved(Freeze *f)
{
    if (f->saved) {
        g_byte_array_free(f->saved, true);
    }
    f->saved = NULL;
}

void old_reset(PCIDevice *vf)
{
    drop_saved(&vf_state(vf)->freeze);
    drop_restored(&vf_state(vf)->freeze);
    dirty_stop_all(vf);
    vf_state(vf)->told = false;
}

/* What is to be taken up counts as the VF's state. */
static void freeze(Command *c)
{
    VFState *s = vf_state(c->vf);
    Image *image = s->staged;

    if (!image) {
        image = image_capture(c->vf);
        hold_list(c->vf, image);
    }
    s->freeze.saved = blob_encode(image);
    if (image != s->staged) {
        image_free(image);
    }
    halt_freeze(c->vf, true);
}

/* How many bytes from the start on have been written. */
static size_t covered_prefix(const Freeze *f)
{
    const uint8_t *gap = f->covered->len
                         ? memchr(f->covered->data, 0, f->covered->len) : NULL;

    return gap ? gap - f->covered->data : f->covered->len;
}

static Image *restored_image(Command *c, const char **why)
{
    const Freeze *f = &vf_state(c->vf)->freeze;
    size_t prefix = covered_prefix(f);
    size_t length = blob_length(f->restored->data, prefix);

    *why = !length ? "it is not complete"
           : length != f->restored->len ? "there is more behind its end" : NULL;
    return *why ? NULL : blob_decode(c->vf, f->restored->data, why);
}

static void thaw(Command *c)
{
    VFState *s = vf_state(c->vf);
    const char *why;
    Image *image;

    if (s->freeze.restored) {
        image = restored_image(c, &why);
        drop_restored(&s->freeze);
        if (!image) {
            refuse(c, why);
            return;
        }
        staged_set(c->vf, image);
    }
    drop_saved(&s->freeze);
    halt_freeze(c->vf, false);
}

/* Status */

static void quiesce(Command *c)
{
    halt_begin(c->vf, c);
}

static void run(Command *c)
{
    const char *why = staged_resume(c->vf);

    if (why) {
        refuse(c, why);
    }
}

static void note_told(Command *c)
{
}

typedef struct Transition {
    Status from, to;
    void (*make)(Command *c);
} Transition;

/* Step by step; INIT is only what FLR leads to. */
static const Transition transitions[] = {
    { STATUS_INIT, STATUS_RUNNING, note_told },
    { STATUS_INIT, STATUS_QUIESCED, quiesce },
    { STATUS_RUNNING, STATUS_QUIESCED, quiesce },
    { STATUS_QUIESCED, STATUS_RUNNING, run },
    { STATUS_QUIESCED, STATUS_FREEZED, freeze },
    { STATUS_FREEZED, STATUS_QUIESCED, thaw },
};

static void modify_status(Command *c)
{
    Status from = status_of(c->vf), to = lduw_le_p(c->data + 2);

    if (vf_state(c->vf)->halt.phase == PHASE_DRAINING) {
        old_fail(c, OLD_ERR);
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(transitions); i++) {
        if (transitions[i].from == from && transitions[i].to == to) {
            vf_state(c->vf)->told = true;
            transitions[i].make(c);
            return;
        }
    }
    if (to != from) {
        old_fail(c, OLD_ERR | OLD_DNR);
    }
}

/* State */

static bool is_frozen(Command *c)
{
    if (vf_state(c->vf)->halt.phase == PHASE_FROZEN) {
        return true;
    }
    old_fail(c, OLD_ERR | OLD_DNR);
    return false;
}

static void pending_bytes(Command *c)
{
    uint64_t pending;

    if (is_frozen(c)) {
        pending = cpu_to_le64(vf_state(c->vf)->freeze.saved->len);
        admin_set_result(c, &pending, sizeof(pending));
    }
}

static void save_state(Command *c)
{
    const StateRange *r = (const StateRange *)c->data;
    const GByteArray *saved = vf_state(c->vf)->freeze.saved;
    uint64_t offset = le64_to_cpu(r->offset), length = le64_to_cpu(r->length);

    if (!is_frozen(c)) {
        return;
    }
    if (offset > saved->len || length > saved->len - offset) {
        old_fail(c, OLD_ERR | OLD_DNR);
    } else if (length > c->room) {
        old_fail(c, OLD_DATA_TRANSFER_ERR | OLD_DNR);
    } else {
        admin_set_result(c, saved->data + offset, length);
    }
}

static void grow(GByteArray *a, size_t len)
{
    size_t before = a->len;

    if (len > before) {
        g_byte_array_set_size(a, len);
        memset(a->data + before, 0, len - before);
    }
}

static void restore_state(Command *c)
{
    const StateRange *r = (const StateRange *)c->data;
    Freeze *f = &vf_state(c->vf)->freeze;
    uint64_t offset = le64_to_cpu(r->offset), length = le64_to_cpu(r->length);
    const char *why;
    Image *image;

    if (!is_frozen(c)) {
        return;
    }
    if (length > c->data_len - sizeof(*r)) {
        old_fail(c, OLD_DATA_TRANSFER_ERR | OLD_DNR);
        return;
    }
    if (offset > STATE_MAX || length > STATE_MAX - offset) {
        old_fail(c, OLD_ERR | OLD_DNR);
        return;
    }
    if (!f->restored) {
        f->restored = g_byte_array_new();
        f->covered = g_byte_array_new();
    }
    grow(f->restored, offset + length);
    grow(f->covered, offset + length);
    memcpy(f->restored->data + offset, r + 1, length);
    memset(f->covered->data + offset, 1, length);
    if (!blob_length(f->restored->data, covered_prefix(f))) {
        return;
    }
    /* Better now than at the end. */
    image = restored_image(c, &why);
    image_free(image);
    if (!image) {
        drop_restored(f);
        refuse(c, why);
    }
}

/* Commands */

typedef struct OldOperation {
    uint8_t class, command;
    void (*run)(Command *c);
    bool of_vf;
    uint8_t data;           /* the least that it needs */
    uint8_t result;         /* the room that it needs */
} OldOperation;

static const OldOperation operations[] = {
    { CLASS_MIGRATION, 0, identity, false, 0, 8 },
    { CLASS_MIGRATION, 1, get_status, true, 4, 4 },
    { CLASS_MIGRATION, 2, modify_status, true, 4, 0 },
    { CLASS_MIGRATION, 3, pending_bytes, true, 4, 8 },
    { CLASS_MIGRATION, 4, save_state, true, sizeof(StateRange), 0 },
    { CLASS_MIGRATION, 5, restore_state, true, sizeof(StateRange), 0 },
    { CLASS_DIRTY, 0, dirty_identity, false, 0, 8 },
    { CLASS_DIRTY, 1, dirty_start_track, true, 24, 0 },
    { CLASS_DIRTY, 2, dirty_stop_track, true, 16, 0 },
    { CLASS_DIRTY, 3, dirty_pending_bytes, true, 16, 8 },
    { CLASS_DIRTY, 4, dirty_report_map, true, 32, 0 },
};

static bool class_known(const Command *c)
{
    uint8_t class = c->opcode >> 8;

    return class == CLASS_MIGRATION ||
           (class == CLASS_DIRTY && pf_state(c->pf)->dirty_modes);
}

static const OldOperation *find_operation(Command *c)
{
    for (int i = 0; class_known(c) && i < ARRAY_SIZE(operations); i++) {
        if (OLD_OPCODE(operations[i].class, operations[i].command) ==
            c->opcode) {
            return &operations[i];
        }
    }
    old_fail(c, (class_known(c) ? OLD_INVALID_COMMAND : OLD_INVALID_CLASS) |
                OLD_DNR);
    return NULL;
}

static bool find_vf(Command *c)
{
    if (c->member == 0 || c->member > pcie_sriov_num_vfs(c->pf)) {
        old_fail(c, OLD_ERR | OLD_DNR);
        return false;
    }
    c->vf = pcie_sriov_get_vf_at_index(c->pf, c->member - 1);
    if (vf_state(c->vf)->is_dead) {
        admin_fail_dead(c);
        return false;
    }
    return true;
}

void old_run(Command *c)
{
    const OldOperation *o = find_operation(c);

    if (!o) {
        return;
    }
    if (c->data_len < o->data || c->room < o->result) {
        old_fail(c, OLD_DATA_TRANSFER_ERR | OLD_DNR);
    } else if (!o->of_vf || find_vf(c)) {
        o->run(c);
    }
}

void old_init(PCIDevice *pf)
{
    VirtIODevice *vdev = virtio_of(pf);

    virtio_add_feature(&vdev->host_features, F_ADMIN_VQ_INDIRECT_DESC);
    virtio_add_feature(&vdev->host_features, F_ADMIN_MIGRATION);
    for (int i = 0; i < OLD_DIRTY_MODES; i++) {
        if (pf_state(pf)->dirty_modes >> i & 1) {
            virtio_add_feature(&vdev->host_features, F_DIRTY_PUSH_BITMAP + i);
        }
    }
}
