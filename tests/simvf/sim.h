/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated VF: see simvf.c. */
#ifndef PORTOLAN_TESTS_SIMVF_SIM_H
#define PORTOLAN_TESTS_SIMVF_SIM_H

#include "vmm/host/percpu.h"
#include "vmm/vf/vf_internal.h"

#define SIM_ENTRIES    3U
#define SIM_QUEUE_SIZE 128U
#define SIM_SECTOR     512U
#define SIM_SECTORS    1792U
#define SIM_KEPT_FIRST 1024U /* those before hold what guest/vblk wants to find, and stay so */
#define SIM_MASKED     1U
#define SIM_PENDING    2U

struct sim_queue {
    uint32_t pfn;
    uint16_t vector;
    uint16_t seen; /* of what the driver has offered */
};

struct sim_entry {
    struct cpu *cpu; /* NULL: it is closed */
    uint8_t vector;
    uint32_t state; /* SIM_MASKED, SIM_PENDING; atomic */
};

struct sim {
    struct vf vf; /* for the counters that the console shows */
    struct vf_set *set;
    struct sim_entry entry[SIM_ENTRIES];
    struct sim_queue queue;
    uint32_t guest_features;
    uint16_t select, config_vector;
    uint8_t status;
    bool master, msix;
    bool live;     /* it is in a VM that runs; atomic */
    uint16_t bell; /* the queue of the last notification; atomic */
};

/* Serve all that the queue holds. True: the driver wants an interrupt for it. */
bool sim_queue_serve(struct sim *sim);

#endif
