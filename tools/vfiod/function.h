/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one function of a daemon: vmm/legacy over a simulated VF, or over one of this machine. Its
 * files share this; device.h is what the rest of the daemon sees.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_FUNCTION_H
#define PORTOLAN_TOOLS_VFIOD_FUNCTION_H

#include "tools/vfiod/sim.h"

#include "vmm/migrate/device_state.h"
#include "vmm/vfio_user/vfio_user.h"

/* Bits of the Command register that a client's driver has, and where it put the BARs: to vmm/legacy
 * both are decoded all the time, at a place of their own, since the client decodes addresses. */
struct shown_registers {
    uint16_t command; /* I/O and memory space */
    uint32_t bar[2];
};

struct function {
    bool hosted;    /* the VF is hostvf.h's, ... */
    struct sim sim; /* ... not this */
    struct legacy_set set;
    struct legacy_function legacy;
    struct shown_registers shown;
    uint8_t table[LEGACY_VECTORS_MAX * 16UL]; /* of MSI-X, as the client has written it */
    uint8_t held[LEGACY_CONFIG_SIZE];  /* written to configuration space while it was frozen, ... */
    bool held_set[LEGACY_CONFIG_SIZE]; /* ... where this is */
    bool line;                         /* INTA, as vmm/legacy drives it */
    unsigned notifies;                 /* eventfds, of the first queues */
    int notify[VFIO_USER_NOTIFY_MAX];
    uint64_t wanted[LEGACY_VECTOR_WORDS]; /* vectors that the client listens to */

    struct vf_state_pf pf; /* of the state */
    struct vf_state vf;
    uint8_t state; /* enum device_state */
    struct device device;
    uint8_t saved[SIM_STATE_MAX];
};

extern struct function function;

/* What the VF sent goes to vmm/legacy, and so to the client. */
void function_deliver(void);

/* Its state does not change: the client is not to write registers. */
static inline bool function_is_frozen(void)
{
    return function.sim.level == VF_STATE_FROZEN;
}

/* Write to configuration space what came while it was frozen. */
void function_replay_config(void);

/* Tell vmm/legacy's table what the client listens to. Not while it is paused. */
void function_apply_vectors(void);

/* ---- function_state.c ---- */

/* It is RUNNING, and no state is on its way in or out. */
void function_state_open(void);

#endif
