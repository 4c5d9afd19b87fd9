/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the state of VFs do with one VF at a time: begin, and wait for the end. */
#ifndef PORTOLAN_TESTS_UNIT_VIRTIO_VF_STATE_TO_H
#define PORTOLAN_TESTS_UNIT_VIRTIO_VF_STATE_TO_H

#include "drivers/virtio/vf_state.h"
#include "drivers/virtio/virtio_wait.h"
#include "vmm/host/time.h"

static inline enum status vf_state_to(struct vf_state *vf, enum vf_state_level target)
{
    enum status status = vf_state_begin(vf, target);
    uint32_t us = 0, passed = 0;

    if (status != STATUS_OK) {
        return status;
    }
    while (!vf_state_done(vf, us, &status)) { /* until it is there, or late */
        us = virtio_wait_step(passed);
        passed += us;
        time_delay_us(us);
    }
    return status;
}

#endif
