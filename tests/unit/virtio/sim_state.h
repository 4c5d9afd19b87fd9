/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of the simulated PF's VFs, by docs/migration-abi.md: device parts of 1.4, or the
 * protocol of 2021. It aborts when the driver breaks a rule of its form, and refuses what the page
 * says.
 */
#ifndef PORTOLAN_TESTS_UNIT_VIRTIO_SIM_STATE_H
#define PORTOLAN_TESTS_UNIT_VIRTIO_SIM_STATE_H

#include "drivers/virtio/vf_state.h"
#include "tests/unit/virtio/simulated.h"

#define SIM_STATE_VFS  70U
#define SIM_STATE_MAX  (200U << 10)
#define SIM_RANGES     4U
#define SIM_TRACK_SIZE 4096U /* bytes of a pulled map */
#define SIM_OBJECTS    64U

enum sim_level { SIM_INIT, SIM_RUNNING, SIM_QUIESCED, SIM_FREEZED };

struct sim_range {
    bool used;
    uint64_t address, length;
    uint8_t map[SIM_TRACK_SIZE];
    uint64_t push; /* where it is pushed to */
};

struct sim_vf {
    enum sim_level level;
    struct sim_range range[SIM_RANGES];
};

struct sim_state {
    enum vf_state_kind kind;
    uint16_t version;
    uint8_t limits[2], set_limits[2];
    uint16_t log_pages[2];
    uint32_t ranges;
    struct sim_vf vf[SIM_STATE_VFS + 1];
    uint8_t blob[SIM_STATE_MAX]; /* what each VF has */
    uint32_t size;
    uint32_t claimed;                /* size that it says; 0: the right one */
    uint8_t restored[SIM_STATE_MAX]; /* what was last written */
    uint32_t restored_size;
    struct {
        bool used;
        uint8_t kind;
        uint64_t member;
    } object[SIM_OBJECTS];
    unsigned created, most_objects;
    char log[4096]; /* what came, a letter or a number for each: see sim_state.c */
};

extern struct sim_state sim_state;

/* A PF of KIND, its VFs running, with a state that is SIZE bytes long or a little less. */
void sim_state_reset(enum vf_state_kind kind, uint32_t size);

unsigned sim_state_objects(void);

/* VF writes to PAGE: mark it where it is tracked. */
void sim_state_dirty(unsigned vf, uint64_t page);

#endif
