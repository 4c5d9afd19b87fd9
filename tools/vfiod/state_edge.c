/* SPDX-License-Identifier: BSD-2-Clause */
/* drivers/virtio/vf_state.h for vmm/migrate, over the simulated VF: at once, where a PF's commands
 * take their time. */
#include "tools/vfiod/function.h"

#include <string.h>

/* clang-format off */
static const struct vf_state_facts facts[VF_STATE_KINDS] = {
    /*                   name    migrate config */
    [VF_STATE_NONE]  = {"none", false,  false, 0},
    [VF_STATE_PARTS] = {"1.4",  true,   false, SIM_STATE_MAX},
    [VF_STATE_2021]  = {"2021", true,   true,  SIM_STATE_MAX},
};
/* clang-format on */

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    return &facts[kind];
}

enum status vf_state_begin(struct vf_state *vf, enum vf_state_level target)
{
    if (vf->control->kind == VF_STATE_NONE && target != VF_STATE_RUNNING) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    vf->target = target;
    return STATUS_OK;
}

bool vf_state_done(struct vf_state *vf, uint32_t passed_us, enum status *status)
{
    *status = sim_set_level(&function.sim, vf->target);
    vf->level = function.sim.level;
    return true;
}

enum status vf_state_open_save(struct vf_state *vf, uint32_t *size)
{
    if (vf->level != VF_STATE_FROZEN) {
        return STATUS_NOTE(STATUS_STATE);
    }
    *size = vf->size = sim_save(&function.sim, function.saved);
    return STATUS_OK;
}

enum status vf_state_read(struct vf_state *vf, uint32_t offset, void *buffer, uint32_t length,
                          uint32_t *got)
{
    *got = offset >= vf->size ? 0 : length < vf->size - offset ? length : vf->size - offset;
    memcpy(buffer, function.saved + offset, *got);
    return STATUS_OK;
}

enum status vf_state_write(struct vf_state *vf, const void *state, uint32_t size)
{
    return vf->level == VF_STATE_FROZEN ? sim_restore(&function.sim, state, size)
                                        : STATUS_NOTE(STATUS_STATE);
}

void vf_state_close(struct vf_state *vf)
{
    vf->size = 0;
}
