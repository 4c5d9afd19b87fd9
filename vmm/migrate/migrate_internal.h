/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of vmm/migrate share. */
#ifndef PORTOLAN_VMM_MIGRATE_MIGRATE_INTERNAL_H
#define PORTOLAN_VMM_MIGRATE_MIGRATE_INTERNAL_H

#include "vmm/base/log.h"
#include "vmm/migrate/compare.h"
#include "vmm/migrate/compatibility.h"
#include "vmm/migrate/device_state.h"
#include "vmm/migrate/migrate.h"
#include "vmm/migrate/record.h"
#include "vmm/vf/vf_spare.h"

#define VF_NAME        BDF_FORMAT ":%u"
#define VF_NAME_OF(vf) BDF_ARGS((vf)->place.pf), (vf)->place.index

/* What the operator has ordered is not the guest's doing: migrate_act() sees to that. */
#define say(...)  log_info(__VA_ARGS__)
#define warn(...) log_warn(__VA_ARGS__)

/* A VF of a VM that is moved, alone or with others of that VM. */
struct member {
    struct vf *from, *to;
    struct device source, target;
    struct legacy_state function;     /* as it was saved */
    char text[COMPATIBILITY_MAX];     /* of 'from' */
    bool news;                        /* 'to' has what the guest's driver wants to know of */
    bool exchanged;                   /* 'to' has its place in the VM */
    bool lost;                        /* nothing can be had from the device of 'from' */
    uint32_t size, device_size;       /* bytes of the record, of the device's state in it */
    enum status status;               /* of the last step */
    uint16_t used[LEGACY_QUEUES_MAX]; /* indexes at the stop */
};

/* What an order works in; one for all. */
struct workspace {
    uint8_t *record, *store; /* the record; what a device's state is read and written through */
    struct member *member;   /* CONFIG_VM_VFS_MAX */
    struct legacy_description here, there;
    char text[COMPATIBILITY_MAX];
    char (*texts)[COMPATIBILITY_MAX]; /* of the VFs of a VM that goes to another host */
    char why[COMPARE_WHY_MAX];
};

#define MIGRATE_LOOK_US 50U /* between two looks at a device */

#define WORKSPACE_RECORD (256U << 10)
#define WORKSPACE_STORE  (256U << 10)

extern struct workspace workspace;

/* Of the order; atomic. */
enum phase {
    PHASE_NONE,
    PHASE_ACCEPTED,  /* it is being looked at */
    PHASE_PREPARING, /* the spares' FLRs */
    PHASE_WAITING,   /* for the VM to park */
    PHASE_ACTING,
    PHASE_CLEANING, /* the spares' FLRs */
    PHASE_WHOLE /* none: the record is one of a VM that goes to another host, or comes from it */
};

/* Let PHASE begin, if it is NONE; false: it is not. And let it be NONE again. Any CPU. */
bool migrate_reserve(enum phase wanted);
void migrate_end_reserve(void);

/* Bring COUNT DEVICEs to WANTED, all at the same time, and wait for them all; CPU 0's service goes
 * on. STATUS[i] is what came of DEVICE[i]. */
void migrate_all_to(struct device *const *device, uint32_t count, unsigned wanted,
                    enum status *status);

/* The same with one. */
enum status migrate_to(struct device *device, unsigned wanted);

/* DEVICE of VF, with the workspace's store. */
void migrate_open(struct device *device, struct vf *vf);

/* The text of VF; with FEATURES, of one that is no VM's, as a driver that takes those finds it. */
enum status migrate_text(struct vf *vf, const uint32_t *features, struct legacy_description *d,
                         char *text);

/*
 * Bring DEVICE of VF to SAVING and write its record, *SIZE bytes; RECORD is where its parts are, if
 * it is not NULL. NO_MEMORY: it is too large; others as the device fails.
 */
enum status migrate_save(struct device *device, struct vf *vf, const char *text, uint32_t *size,
                         struct record *record);

/* Is noted, or counted, what VF writes? */
bool migrate_is_tracked(const struct vf *vf);

/* From now on it is. CONFLICT: it was. What PFs cannot tell is said, and all RAM counts. */
enum status migrate_dirty_begin(struct vf *vf);

/* Add to the marks of its VM's RAM what VF wrote since the last report, and say how many pages. A
 * failure has added all of which nothing was told. STATE: it is not tracked. */
enum status migrate_dirty_report(struct vf *vf);

/* All RAM of VF's VM counts as written. Returns how many pages. */
uint64_t migrate_dirty_mark_all(const struct vf *vf);

/* No longer note it; that it was not OK to is said, and all RAM counts. */
enum status migrate_dirty_end(struct vf *vf);

/* VF, which is stopped, goes from its VM: a last report, if it is tracked. */
void migrate_dirty_leave(struct vf *vf);

/* Notify VF's queues and note an interrupt of each; see legacy_poke(). */
void migrate_poke(struct vf *vf, bool config);

/* VF, which D describes, is to keep its address where the device's state has none: as if the driver
 * had written it to STATE. */
void migrate_keep_address(const struct vf *vf, const struct legacy_description *d,
                          struct legacy_state *state);

/* VF's device was told to run, with STATUS: its guest goes on, NEWS: and looks at the configuration
 * anew. */
void migrate_go_on(struct vf *vf, enum status status, bool news);

/* VF's PF owes an answer: when it has come, let VF run. */
void migrate_wake_later(struct vf *vf);

#define MIGRATE_GONE "is gone from its bus"

/* Does VF not even answer in configuration space? Any CPU. */
bool migrate_is_gone(const struct vf *vf);

/* The text of M's VF that is lost, into TEXT. What only its device knew is taken to be as that of
 * the target, whose description is in the workspace. */
enum status migrate_lost_text(const struct member *m, char *text);

/*
 * Cut M's lost VF off, and reset it if it answers; let the rings offer what it had once more, and
 * take its function's state. CONFLICT: what it had is not known; the VF's, if it cannot be reset.
 * Again after migrate_lost_go_back().
 */
enum status migrate_lost_take(struct member *m);

/*
 * M's target runs without DMA and has the function's state: drive it to where the guest's driver
 * had brought the lost VF. Then RECORD has the state that it is to have, and the target is
 * RESUMING: it is right but for the indexes, which are set back to those used, so that what the
 * lost VF took and did not give back is done once more.
 */
enum status migrate_lost_rebuild(struct member *m, struct record *record);

/*
 * Of the used indexes in M's state, which is in RECORD, and in the guest's memory, the latter are
 * right. They are the same but where the VF is lost or the guest has written to a used ring.
 */
static inline void migrate_rewind(const struct member *m, const struct record *record)
{
    vf_state_rewind(m->to->pf->control.kind,
                    workspace.record + (record->part[RECORD_DEVICE] - workspace.record),
                    record->size[RECORD_DEVICE], m->used, LEGACY_QUEUES_MAX);
}

/* M is not moved: a reset of the VM may bring its VF back. */
void migrate_lost_go_back(struct member *m);

/* Do ACTION, any but MOVE, for VF, and say what came of it; STAYS: its VM is paused and stays so.
 */
void migrate_do_order(enum migrate_action action, struct vf *vf, bool stays);

/* COUNT VFs of a VM are moved together, VF[i] to spare i. */
void migrate_move(struct vf *const *vf, uint32_t count);

#endif
