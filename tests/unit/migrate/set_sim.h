/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM with VFs and as many spares, whose devices take their time, and do not do what they are told
 * to fail at. */
#ifndef PORTOLAN_TESTS_UNIT_MIGRATE_SET_SIM_H
#define PORTOLAN_TESTS_UNIT_MIGRATE_SET_SIM_H

#include "vmm/migrate/migrate_internal.h"

#define MEMBERS       CONFIG_VM_VFS_MAX /* at most */
#define SET_RING_PAGE 4096U

/* What may fail. A source is VF n, from 0, its target n + MEMBERS. */
enum set_what { NOTHING, ADD, DESCRIBE, DIFFER, LEVEL, OPEN, READ, WRITE, LOAD, VECTORS };

struct set_sim {
    unsigned count; /* members of the set */
    struct vf vfs[2 * MEMBERS];
    struct vf_set set;
    struct vf *spares[MEMBERS], *sources[MEMBERS];
    bool lent[MEMBERS];
    uint16_t rewound; /* the index that the last state to be written was to have */
    bool retired[2 * MEMBERS], given_up[2 * MEMBERS], rebound[2 * MEMBERS], asleep[2 * MEMBERS];
    bool told[2 * MEMBERS]; /* of what its source has sent since it was saved */
    bool left[2 * MEMBERS]; /* its writes were reported for the last time */
    unsigned pokes[2 * MEMBERS], looks[2 * MEMBERS], changes[2 * MEMBERS];
    uint8_t state_of[2 * MEMBERS]; /* what its device would go on with; 0: nothing sensible */
    struct legacy_state shown[MEMBERS];
    uint8_t rings[MEMBERS][2 * SET_RING_PAGE] __attribute__((aligned(4096)));
    uint64_t now_ns;

    uint16_t type;         /* of all VFs */
    uint8_t kept[MEMBERS]; /* last byte of the address that its target is to have; 0: its own */

    enum set_what fails;
    uint32_t fails_of;              /* bit n: of VF n */
    unsigned fails_change;          /* LEVEL: which change of such a VF's */
    bool fails_blindly, fails_late; /* nobody knows; after it was carried out and ran */
};

extern struct set_sim set_sim;
extern struct vf_state_pf set_control;

static inline unsigned number(const struct vf *vf)
{
    return (unsigned)(vf - set_sim.vfs);
}

static inline bool is_target(const struct vf *vf)
{
    return number(vf) >= MEMBERS;
}

static inline bool hit(enum set_what what, const struct vf *vf)
{
    return set_sim.fails == what && (set_sim.fails_of >> number(vf) & 1) != 0;
}

/* A VM with MEMBERS VFs that work; nothing fails. As long as nothing does, the order of
 * all changes is checked. */
void set_begin(unsigned members);

#endif
