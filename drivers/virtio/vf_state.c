/* SPDX-License-Identifier: BSD-2-Clause */
/* What a PF can do, and bringing VFs from one level to another. */
#include "drivers/virtio/vf_state_internal.h"

#include "vmm/base/log.h"

#include <string.h>

#define DRAIN_MS       30000U /* that a VF may take to stop or run, if nobody said otherwise */
#define VERSION_MAJOR  1U     /* of 2021 */
#define OBJECTS_MAX    32U    /* of a kind: a word has both */
#define LOG_PAGES_MIN  6U     /* pages of a range are words of a bitmap */
#define LOG_PAGES_MAX  36U    /* a map of more makes no sense */
#define ANY_PAGES      (1ULL << LOG_PAGES_MAX)
#define CAP_DEV_PARTS  0U
#define MODE_STOPPED   1U
#define STATUS_AT      4U /* in a handle's data: what GET_INTERNAL_STATUS says */
#define STEPS_MAX      4U /* of a change: its present level, and from the top to the bottom */
#define BITS(from, to) ((2ULL << (to)) - (1ULL << (from)))
#define CAP_COMMANDS   BITS(VIRTIO_ADMIN_CAP_LIST_QUERY, VIRTIO_ADMIN_CAP_SET)
#define PARTS_COMMANDS                                          \
    (BITS(VIRTIO_ADMIN_OBJECT_DESTROY, VIRTIO_ADMIN_MODE_SET) | \
     1ULL << VIRTIO_ADMIN_OBJECT_CREATE) /* MODIFY and QUERY are unsure */

_Static_assert(VF_STATE_COMMANDS == BITS(VIRTIO_ADMIN_CAP_LIST_QUERY, VIRTIO_ADMIN_MODE_SET), "");

/* clang-format off */
static const struct vf_state_facts facts[VF_STATE_KINDS] = {
    /*                   name    migrate config */
    [VF_STATE_NONE]  = {"none", false,  false, 0},
    [VF_STATE_PARTS] = {"1.4",  true,   false, VIRTIO_ADMIN_RESULT_MAX},
    [VF_STATE_2021]  = {"2021", true,   true,  VF_STATE_SIZE_MAX},
};
/* clang-format on */

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    return &facts[kind];
}

/* Lengths as in docs/migration-abi.md; of 1.4 in multiples of 8. */
static const struct {
    uint16_t opcode;
    uint8_t group;
    uint8_t data, result;
} ops[] = {
    [OP_CAP_LIST] = {VIRTIO_ADMIN_CAP_LIST_QUERY, VIRTIO_GROUP_SELF,  0,  8},
    [OP_CAP_GET] = {VIRTIO_ADMIN_CAP_GET,        VIRTIO_GROUP_SELF,  8,  8},
    [OP_CAP_SET] = {VIRTIO_ADMIN_CAP_SET,        VIRTIO_GROUP_SELF,  16, 0},
    [OP_CREATE] = {VIRTIO_ADMIN_OBJECT_CREATE,  VIRTIO_GROUP_SRIOV, 24, 0},
    [OP_DESTROY] = {VIRTIO_ADMIN_OBJECT_DESTROY, VIRTIO_GROUP_SRIOV, 8,  0},
    [OP_METADATA] = {VIRTIO_ADMIN_PARTS_METADATA, VIRTIO_GROUP_SRIOV, 16, 8},
    [OP_GET] = {VIRTIO_ADMIN_PARTS_GET,      VIRTIO_GROUP_SRIOV, 16, 0},
    [OP_SET] = {VIRTIO_ADMIN_PARTS_SET,      VIRTIO_GROUP_SRIOV, 8,  0},
    [OP_MODE] = {VIRTIO_ADMIN_MODE_SET,       VIRTIO_GROUP_SRIOV, 8,  0},
    [OP_IDENTITY] = {VIRTIO_2021_IDENTITY,        VIRTIO_GROUP_SRIOV, 0,  8},
    [OP_STATUS] = {VIRTIO_2021_GET_STATUS,      VIRTIO_GROUP_SRIOV, 4,  4},
    [OP_MODIFY] = {VIRTIO_2021_MODIFY_STATUS,   VIRTIO_GROUP_SRIOV, 4,  0},
    [OP_PENDING] = {VIRTIO_2021_PENDING_BYTES,   VIRTIO_GROUP_SRIOV, 4,  8},
    [OP_SAVE] = {VIRTIO_2021_SAVE,            VIRTIO_GROUP_SRIOV, 24, 0},
    [OP_RESTORE] = {VIRTIO_2021_RESTORE,         VIRTIO_GROUP_SRIOV, 24, 0},
    [OP_DIRTY_IDENTITY] = {VIRTIO_2021_DIRTY_IDENTITY,  VIRTIO_GROUP_SRIOV, 0,  8},
    [OP_START] = {VIRTIO_2021_START_TRACK,     VIRTIO_GROUP_SRIOV, 24, 0},
    [OP_STOP] = {VIRTIO_2021_STOP_TRACK,      VIRTIO_GROUP_SRIOV, 16, 0},
    [OP_MAP_PENDING] = {VIRTIO_2021_MAP_PENDING,     VIRTIO_GROUP_SRIOV, 16, 8},
    [OP_REPORT] = {VIRTIO_2021_REPORT_MAP,      VIRTIO_GROUP_SRIOV, 32, 0},
};

struct virtio_admin_command vf_state_command(enum vf_state_op op, uint16_t member, const void *data,
                                             void *result)
{
    return (struct virtio_admin_command){.opcode = ops[op].opcode,
                                         .group = ops[op].group,
                                         .member = member,
                                         .data = data,
                                         .data_size = ops[op].data,
                                         .result = result,
                                         .result_size = ops[op].result,
                                         .whole = true};
}

enum status vf_state_execute(struct vf_state_pf *control, enum vf_state_op op, uint16_t member,
                             const void *data, void *result)
{
    struct virtio_admin_command command = vf_state_command(op, member, data, result);

    return virtio_admin_execute(&control->pf->admin, &command);
}

/* ---- Probing ---- */

static void probe_tracking(struct vf_state_pf *control)
{
    static const struct {
        enum vf_track_mode mode;
        int8_t log; /* which field of IDENTITY limits it; -1: none */
    } by_preference[] = {
        {VF_TRACK_PULL_BITMAP,  0 },
        {VF_TRACK_PULL_BYTEMAP, 1 },
        {VF_TRACK_PUSH_BITMAP,  -1},
        {VF_TRACK_PUSH_BYTEMAP, -1},
    };
    struct {
        uint16_t log_pages[2];
        uint32_t ranges;
    } identity;

    if ((control->pf->transport.features & VIRTIO_F_TRACK_ALL) == 0 ||
        vf_state_execute(control, OP_DIRTY_IDENTITY, 0, NULL, &identity) != STATUS_OK) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(by_preference) && control->mode == VF_TRACK_NONE; i++) {
        unsigned log =
            by_preference[i].log < 0 ? LOG_PAGES_MAX : identity.log_pages[by_preference[i].log];

        if ((control->pf->transport.features & VIRTIO_F_TRACK(by_preference[i].mode)) != 0 &&
            log >= LOG_PAGES_MIN && identity.ranges > 0) {
            control->mode = by_preference[i].mode;
            control->range_pages = log < LOG_PAGES_MAX ? 1ULL << log : ANY_PAGES;
            control->ranges = identity.ranges;
        }
    }
}

static void probe_2021(struct vf_state_pf *control)
{
    uint16_t identity[4];

    if (vf_state_execute(control, OP_IDENTITY, 0, NULL, identity) != STATUS_OK) {
        return;
    }
    memcpy(control->version, identity, sizeof(control->version));
    if (identity[0] != VERSION_MAJOR) {
        log_warn("PF " BDF_FORMAT ": version %u of its commands for the state of VFs is unknown",
                 BDF_ARGS(control->pf->transport.bdf), identity[0]);
        return;
    }
    control->kind = VF_STATE_2021;
    probe_tracking(control);
}

/*
 * Capabilities are of the self group, and a device may want that list, too; Linux takes both from
 * the SR-IOV group's, and a device that suits it may answer so.
 */
static bool has_capabilities(struct vf_state_pf *control, uint64_t used)
{
    uint64_t self;

    (void)virtio_admin_use(&control->pf->admin, VIRTIO_GROUP_SELF, CAP_COMMANDS, &self);
    return ((self | used) & CAP_COMMANDS) == CAP_COMMANDS;
}

static void probe_parts(struct vf_state_pf *control, uint64_t used)
{
    uint8_t set[16] = {CAP_DEV_PARTS}, limits[8];

    if ((used & PARTS_COMMANDS) != PARTS_COMMANDS || !has_capabilities(control, used) ||
        vf_state_execute(control, OP_CAP_LIST, 0, NULL, &control->capabilities) != STATUS_OK) {
        return;
    }
    struct virtio_admin_command get = vf_state_command(OP_CAP_GET, 0, set, limits);

    get.data_size = sizeof(uint64_t);
    get.whole = false;
    if ((control->capabilities & 1ULL << CAP_DEV_PARTS) == 0 ||
        virtio_admin_execute(&control->pf->admin, &get) != STATUS_OK) {
        return;
    }
    for (unsigned kind = 0; kind < 2; kind++) {
        control->objects[kind] = limits[kind] < OBJECTS_MAX ? limits[kind] : OBJECTS_MAX;
        set[8 + kind] = control->objects[kind];
    }
    if (limits[0] == 0 || limits[1] == 0) {
        log_warn("PF " BDF_FORMAT ": no objects to get and set the state of VFs (%u, %u)",
                 BDF_ARGS(control->pf->transport.bdf), limits[0], limits[1]);
    } else if (vf_state_execute(control, OP_CAP_SET, 0, set, NULL) == STATUS_OK) {
        control->kind = VF_STATE_PARTS;
    }
}

/* Bit 44 tells the protocols apart, and nothing else: what either answers to the other's commands
 * can look like success. */
void vf_state_probe(struct vf_state_pf *control, struct virtio_pf *pf, uint64_t used)
{
    *control = (struct vf_state_pf){.pf = pf, .generation = control->generation + 1};
    if (pf->has_admin && (pf->transport.features & VIRTIO_F_MIGRATION) != 0) {
        probe_2021(control);
    } else if (pf->has_admin) {
        probe_parts(control, used);
    }
    log_info("PF " BDF_FORMAT ": state of VFs: %s%s", BDF_ARGS(pf->transport.bdf),
             facts[control->kind].name, control->mode != VF_TRACK_NONE ? ", dirty maps" : "");
}

/* ---- Levels ---- */

enum status vf_state_current(const struct vf_state *vf)
{
    return vf->generation == vf->control->generation ? STATUS_OK : STATUS_NOTE(STATUS_STATE);
}

void vf_state_open(struct vf_state *vf, struct vf_state_pf *control, uint16_t member)
{
    *vf = (struct vf_state){.control = control,
                            .level = control->kind == VF_STATE_NONE ? VF_STATE_RUNNING
                                                                    : VF_STATE_UNKNOWN,
                            .member = member,
                            .generation = control->generation,
                            .object = -1};
}

/* 2021's numbers; INIT, 0, is as good as RUNNING. */
static enum vf_state_level level_of(int status)
{
    return status == 0                     ? VF_STATE_RUNNING
           : status <= 1 + VF_STATE_FROZEN ? (enum vf_state_level)(status - 1)
                                           : VF_STATE_UNKNOWN;
}

/* The next command on the way to the target, if it takes one: it leads to 'next'. */
static bool prepare_step(struct vf_state *vf)
{
    bool stop = vf->target != VF_STATE_RUNNING; /* what is stopped may be told so again */

    memset(vf->data, 0, sizeof(vf->data));
    if (vf->control->kind == VF_STATE_PARTS) {
        vf->next = vf->target;
        if (vf->level != VF_STATE_UNKNOWN && stop == (vf->level != VF_STATE_RUNNING)) {
            return false; /* FROZEN is the host's alone */
        }
        vf->data[0] = stop ? MODE_STOPPED : 0;
        vf->command = vf_state_command(OP_MODE, vf->member, vf->data, NULL);
        return true;
    }
    vf->data[0] = (uint8_t)vf->member;
    vf->data[1] = (uint8_t)(vf->member >> 8);
    if (vf->level == VF_STATE_UNKNOWN) {
        vf->next = VF_STATE_UNKNOWN; /* ask */
        vf->command = vf_state_command(OP_STATUS, vf->member, vf->data, vf->data + STATUS_AT);
        return true;
    }
    vf->next = vf->target > vf->level ? vf->level + 1 : vf->level - 1;
    vf->data[2] = (uint8_t)(vf->next + 1);
    vf->command = vf_state_command(OP_MODIFY, vf->member, vf->data, NULL);
    return true;
}

static void begin_step(struct vf_state *vf)
{
    vf->sent = prepare_step(vf);
    if (vf->sent) {
        vf->command.background = true;
        vf->command.timeout_ms = vf->control->pf->admin.timeout_ms != 0 ? 0 : DRAIN_MS;
        virtio_admin_begin(&vf->command);
    }
}

enum status vf_state_begin(struct vf_state *vf, enum vf_state_level target)
{
    enum status status = vf_state_current(vf);

    if (status != STATUS_OK) {
        return status;
    }
    if (vf->busy || target >= VF_STATE_UNKNOWN) {
        return STATUS_NOTE(vf->busy ? STATUS_CONFLICT : STATUS_INVALID);
    }
    if (vf->control->kind == VF_STATE_NONE && target != VF_STATE_RUNNING) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    vf->busy = true;
    vf->target = target;
    if (vf->level != target) {
        begin_step(vf);
    }
    return STATUS_OK;
}

/* The command of a step has ended with STATUS. */
static enum status end_step(struct vf_state *vf, enum status status)
{
    if (status == STATUS_OK && vf->sent && vf->next == VF_STATE_UNKNOWN) {
        vf->level = level_of(vf->data[STATUS_AT] | vf->data[STATUS_AT + 1] << 8);
        return vf->level != VF_STATE_UNKNOWN ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
    }
    if (status == STATUS_OK) {
        vf->level = vf->next;
    } else if (!virtio_admin_was_refused(&vf->command)) {
        vf->level = VF_STATE_UNKNOWN; /* it may have been carried out */
    }
    return status;
}

bool vf_state_done(struct vf_state *vf, uint32_t passed_us, enum status *status)
{
    *status = vf->busy ? vf_state_current(vf) : STATUS_NOTE(STATUS_STATE);
    for (unsigned i = 0; i < STEPS_MAX && *status == STATUS_OK && vf->level != vf->target; i++) {
        if (vf->sent &&
            !virtio_admin_poll(&vf->control->pf->admin, &vf->command, passed_us, status)) {
            return false;
        }
        passed_us = 0;
        *status = end_step(vf, *status);
        if (*status == STATUS_OK && vf->level != vf->target) {
            begin_step(vf);
        }
    }
    vf->busy = false;
    return true;
}
