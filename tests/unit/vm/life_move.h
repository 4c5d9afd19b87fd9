/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs, dirty pages and streams for vm_move.c, on the host: each can fail, and holds its order. */
#ifndef PORTOLAN_TESTS_UNIT_VM_LIFE_MOVE_H
#define PORTOLAN_TESTS_UNIT_VM_LIFE_MOVE_H

#include "tests/unit/vm/life.h"

#define MOVE_VFS    2U
#define MOVE_STREAM 4096U

enum move_part {
    PART_CLAIM,
    PART_DIRTY,
    PART_TRACK,
    PART_REPORT,
    PART_STOP,
    PART_SAVE,
    PART_SAVE_VF,
    PART_LOAD_VF,
    PART_LOAD,
    PART_SETTLE,
    PARTS
};

enum move_vfs { VFS_RUN, VFS_STAND, VFS_AWAIT, VFS_READY };

extern struct life_move {
    enum status status[PARTS];
    enum status check; /* of migrate_whole_check() */
    enum move_vfs vfs;
    bool dirty, tracked; /* the CPUs' writes; the VFs' */
    bool claimed;        /* dirty_claim() */
    bool record;         /* somebody has the memory for it */
    unsigned ended;      /* calls of vm_edge_move_ended(); atomic */
    unsigned news;       /* VFs that go on were told to look at their configuration */
} life_move;

#define VCPUS 3U

extern struct vm *mover; /* the one that there is */

/* VM has VFs, and room for streams. */
void life_move_equip(struct vm *vm);

/* VM and its CPUs are there; and go. For cmocka. */
int begin_life(void **state);
int end_life(void **state);

/* VM is off; all its vCPUs are in their guests. */
void await_off(void);
void await_guests(void);

#endif
