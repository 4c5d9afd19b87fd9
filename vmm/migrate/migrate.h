/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the operator does with VFs of VMs: look at their devices' state, stop and save them, and
 * move a VM from VFs to others, a set of them together. docs/migration.md has the order of steps
 * and what happens when one fails.
 *
 * One order at a time. CPU 0 accepts it and sees to what only takes time (FLRs) while the VM runs;
 * the rest is done on the CPU of the VM's vCPU 0, all vCPUs parked and virtual time standing still,
 * with no lock held. How it ended is said in the log.
 */
#ifndef PORTOLAN_VMM_MIGRATE_MIGRATE_H
#define PORTOLAN_VMM_MIGRATE_MIGRATE_H

#include "vmm/base/format.h"
#include "vmm/vf/vf.h"

enum migrate_action {
    MIGRATE_SHOW,
    MIGRATE_TRACK,
    MIGRATE_REPORT,
    MIGRATE_UNTRACK,
    MIGRATE_QUIESCE,
    MIGRATE_FREEZE,
    MIGRATE_RUN,
    MIGRATE_SAVE,
    MIGRATE_MOVE
};

/* VF INDEX, from 0, of the PF at PF. */
struct migrate_place {
    bdf_t pf;
    uint32_t index;
};

struct migrate_order {
    enum migrate_action action;
    bool own;       /* the VMM has thought of it itself: its lines are within the VM's limit */
    uint32_t count; /* at least 1; more than 1 only for MOVE: VFs of one VM, which go together */
    struct migrate_place vf[CONFIG_VM_VFS_MAX];
    struct migrate_place to[CONFIG_VM_VFS_MAX]; /* MOVE */
};

/* Take the memory for records, if CONFIG has PFs. NO_MEMORY: no order is accepted. Boot CPU, once.
 */
enum status migrate_create(const struct config *config);

/*
 * Begin ORDER. STATE: another is under way, the VM does not run, or the PF owes an answer for its
 * VF; NOT_FOUND: no VM has that VF; INVALID: the VFs are not all of one VM, or one is named twice;
 * CONFLICT: another VF is a VM's; UNSUPPORTED: its PF cannot; DEVICE: another VF cannot be had, as
 * the log says. CPU 0.
 */
enum status migrate_begin(const struct migrate_order *order);

/* Go on with what takes time. Returns the index of the VM that has to park for migrate_act(), or
 * -1. CPU 0, from time to time. */
int migrate_poll(void);

/* That VM does not run any more: the order ends. CPU 0. */
void migrate_cancel(void);

/* Do what is ordered for SET, if there is something: its VM is parked and its functions are paused.
 * STAYS: they are after this, too. */
void migrate_act(struct vf_set *set, bool stays);

/* SET's VM goes on: so do its VFs that were stopped. As migrate_act(). */
void migrate_resume(struct vf_set *set);

/* Print all VFs, for the operator. CPU 0. */
void migrate_list(print_line *print);

#endif
