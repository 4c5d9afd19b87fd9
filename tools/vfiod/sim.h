/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated VF with a real back end: the device of docs/mmr-device.md as far as a VF's user sees
 * it, net or block. What it sends (messages of MSI-X) is left in 'entry'; sim_take_message() hands
 * it out. One thread.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_SIM_H
#define PORTOLAN_TOOLS_VFIOD_SIM_H

#include "tools/vfiod/back_end.h"
#include "tools/vfiod/ring.h"

#include "drivers/virtio/vf_state.h"
#include "vmm/legacy/legacy.h"

#define SIM_QUEUES  2U
#define SIM_ENTRIES 3U /* configuration, and each queue */

/* Feature bits, virtio 1.3, chapters 5 and 6. */
#define SIM_F_ANY_LAYOUT (1U << 27)
#define SIM_F_INDIRECT   (1U << 28)
#define SIM_F_EVENT_IDX  (1U << 29)

/* What is asked for on the command line. */
struct sim_options {
    uint16_t type;
    enum legacy_transport transport;
    enum vf_state_kind abi;
    uint16_t queue_size;
    struct back_end_options back_end;
};

struct sim_queue {
    uint32_t pfn; /* 0: no ring */
    uint16_t vector;
    bool notified;
    bool again;    /* it is served again when an answer has come (far.h) */
    bool owed;     /* an interrupt, once the client has all that it is for */
    bool away;     /* its ring could not be read: later, perhaps */
    bool restored; /* its indexes are to be compared with memory, or taken from there, ... */
    bool indexed;  /* ... since the state has none */
    struct ring ring;
};

struct sim_entry {
    bool open, masked, pending;
};

struct sim {
    struct sim_options options;
    struct back_end back_end;
    uint32_t features; /* that it offers */
    uint8_t config_size;
    uint8_t config[BACK_END_CONFIG_MAX];
    unsigned queues;

    uint32_t driver_features;
    uint16_t select, config_vector;
    uint8_t status;
    bool bus_master, msix;
    struct sim_queue queue[SIM_QUEUES];
    struct sim_entry entry[SIM_ENTRIES];

    enum vf_state_level level; /* RUNNING, or no DMA and no messages; FROZEN: nor does it change */
    bool config_news;          /* while it was stopped */
};

/* Make SIM the device that OPTIONS describe. False: a message says why. */
bool sim_open(struct sim *sim, const struct sim_options *options);
void sim_close(struct sim *sim);

/* ---- Registers: the block of docs/mmr-device.md, 5; OFFSET is as if MSI-X were enabled ---- */

uint32_t sim_read(struct sim *sim, uint32_t offset, unsigned width);
void sim_write(struct sim *sim, uint32_t offset, unsigned width, uint32_t value);
void sim_notify(struct sim *sim, unsigned queue);

/* The whole function. */
void sim_flr(struct sim *sim);

/* ---- What it does ---- */

/* In how many ms sim_run() has something to do; -1: when something comes. */
int sim_delay_ms(const struct sim *sim);

/* Serve what it was notified of, a bounded number of requests. */
void sim_run(struct sim *sim);

/* The next message that may be sent; -1: none. */
int sim_take_message(struct sim *sim);

/* ---- Its state (docs/migration-abi.md, 2.3 and 3.3) ---- */

/* Stop it, freeze it, let it run. INVALID: what was restored cannot run. */
enum status sim_set_level(struct sim *sim, enum vf_state_level level);

#define SIM_STATE_MAX 1024U

/* The state, of SIM_STATE_MAX bytes at most; returns its size. */
uint32_t sim_save(const struct sim *sim, uint8_t *buffer);

/* Take over a state that has passed vf_state_check(). INVALID: it does not fit, nothing is changed.
 */
enum status sim_restore(struct sim *sim, const uint8_t *state, uint32_t size);

#endif
