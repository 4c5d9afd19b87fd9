/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of VF state share. docs/migration-abi.md has all layouts. */
#ifndef PORTOLAN_DRIVERS_VIRTIO_VF_STATE_INTERNAL_H
#define PORTOLAN_DRIVERS_VIRTIO_VF_STATE_INTERNAL_H

#include "drivers/virtio/vf_state.h"

#define VF_STATE_DATA_MAX 32U /* of a command, before a state or the segments of a map */

/* Data of class 65's commands and of SAVE and RESTORE begin with the VF; then come 64-bit words. */
struct vf_state_words {
    uint16_t vf;
    uint16_t mode;      /* START_TRACK */
    uint32_t page_size; /* START_TRACK */
    uint64_t word[3];
};

_Static_assert(sizeof(struct vf_state_words) == VF_STATE_DATA_MAX, "docs/migration-abi.md, 3.4");

/* What commands have in common; the table is in vf_state.c. */
enum vf_state_op {
    OP_CAP_LIST,
    OP_CAP_GET,
    OP_CAP_SET,
    OP_CREATE,
    OP_DESTROY,
    OP_METADATA,
    OP_GET,
    OP_SET,
    OP_MODE,
    OP_IDENTITY,
    OP_STATUS,
    OP_MODIFY,
    OP_PENDING,
    OP_SAVE,
    OP_RESTORE,
    OP_DIRTY_IDENTITY,
    OP_START,
    OP_STOP,
    OP_MAP_PENDING,
    OP_REPORT
};

/*
 * The command OP for VF number MEMBER, with DATA of its length and RESULT with room for its result;
 * where the length is not its own, the caller sets it afterwards.
 */
struct virtio_admin_command vf_state_command(enum vf_state_op op, uint16_t member, const void *data,
                                             void *result);

/* Execute that. */
enum status vf_state_execute(struct vf_state_pf *control, enum vf_state_op op, uint16_t member,
                             const void *data, void *result);

/* Was the PF probed since VF was opened? Then STATE. */
enum status vf_state_current(const struct vf_state *vf);

#endif
