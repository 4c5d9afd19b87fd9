/* SPDX-License-Identifier: BSD-2-Clause */
/* A simulated PF and its VFs, all frozen, for tests of their state. */
#ifndef PORTOLAN_TESTS_UNIT_VIRTIO_VF_DATA_UNIT_H
#define PORTOLAN_TESTS_UNIT_VIRTIO_VF_DATA_UNIT_H

#include "tests/unit/fakes/log.h"
#include "tests/unit/virtio/sim_state.h"
#include "tests/unit/virtio/vf_state_to.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct virtio_pf pf;
static struct vf_state_pf control;
static struct vf_state vfs[8];
static struct vf_state *const vf = &vfs[0];
static uint8_t buffer[SIM_STATE_MAX];

static inline void start(void)
{
    struct virtio_dma memory = sim_memory();
    uint64_t used;

    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
    (void)virtio_admin_use(&pf.admin, VIRTIO_GROUP_SRIOV, VF_STATE_COMMANDS, &used);
    vf_state_probe(&control, &pf, used);
    for (unsigned i = 0; i < ARRAY_SIZE(vfs); i++) {
        vf_state_open(&vfs[i], &control, (uint16_t)(i + 1));
        assert_int_equal(vf_state_to(&vfs[i], VF_STATE_FROZEN), STATUS_OK);
    }
    fake_log_clear();
}

static inline void set_up(enum vf_state_kind kind, uint32_t size)
{
    sim_state_reset(kind, size);
    start();
    assert_int_equal(control.kind, kind);
}

static inline void tear_down(void)
{
    assert_int_equal(sim_state_objects(), 0);
    assert_int_equal(control.ids, 0);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

/* The whole state, STEP bytes at a time; what is behind the buffer stays as it is. */
static inline enum status read_all(uint32_t step, uint32_t *size)
{
    uint32_t most, got = 1, at = 0;
    enum status status = vf_state_open_save(vf, &most);

    memset(buffer, 0xa5, sizeof(buffer));
    for (; status == STATUS_OK && got > 0; at += got) {
        status = vf_state_read(vf, at, buffer + at, step, &got);
        if (status == STATUS_OK) {
            assert_true(got <= step && (got == step || at + got == sim_state.size || got == 0));
        }
    }
    *size = at;
    vf_state_close(vf);
    return status;
}

#endif
