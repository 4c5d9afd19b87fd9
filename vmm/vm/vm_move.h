/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole VM leaves this host, or comes to it. Who carries the bytes (vmm/portal) gives orders to
 * the VM and fetches or brings its state; docs/migration.md has the order of a move and who runs
 * after what is lost.
 *
 *   source   TRACK, REPORT... | STOP, REPORT, SAVE_VF for each VF | vm_move_hand_over() |
 *            vm_move_confirm(); GO_ON from STOP on until the handover, UNTRACK before
 *   target   vm_move_await() | RAM, LOAD_VF for each VF, LOAD | RUN; DISCARD before RUN
 *
 * Orders are carried out on the CPU of the VM's vCPU 0, all vCPUs parked, time standing still, no
 * lock held. From STOP on, and as long as it waits for its state, a VM stays parked: it can be
 * stopped, and nothing else can be done with it. All functions are called by the CPU of the service
 * VM's vCPU 0 or by CPU 0, without a lock; none waits for the VM.
 */
#ifndef PORTOLAN_VMM_VM_VM_MOVE_H
#define PORTOLAN_VMM_VM_VM_MOVE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

struct vm;

enum vm_move_order {
    VM_MOVE_NONE,

    /* A VM that runs or is stopped for a move. Its CPUs' writes, and those of its VFs, are noted.
     * It stays so, resets included. */
    VM_MOVE_TRACK,
    VM_MOVE_UNTRACK,

    /* What VFs' devices know goes into the marks, which dirty_collect() reads (vmm/vm/dirty.h);
     * what nobody knows counts as written. STATE: it is not tracked. */
    VM_MOVE_REPORT,

    /* A VM that runs: all VFs are quiesced, then all frozen, its state is saved. DEVICE: a VF is
     * lost, or does not do it; others as they come. A failure: it runs on. */
    VM_MOVE_STOP,
    VM_MOVE_SAVE_VF, /* stopped: make the record of VF */
    VM_MOVE_GO_ON,   /* stopped: VFs and VM run. It always does so; a VF that cannot is lost */

    /* A VM that waits for its state. A refusal leaves it to be discarded. */
    VM_MOVE_LOAD_VF, /* check the record of VF, and give the device its state. CONFLICT: another
                        kind of VF, as the log says */
    VM_MOVE_LOAD,    /* after all VFs: check and load the VM; VFs' devices are ready but for DMA.
                        Then it is ready */
    VM_MOVE_RUN,     /* ready: VFs and VM run. As GO_ON */
    VM_MOVE_DISCARD, /* waiting or ready: all is forgotten, it waits again */
    VM_MOVE_ORDERS
};

/* For 'vf' below: the VM itself. */
#define VM_MOVE_WHOLE UINT32_MAX

/* Of a VM's text, with the NUL; that of a VF's is COMPATIBILITY_MAX (vmm/migrate/compatibility.h).
 */
#define VM_MOVE_TEXT_MAX 1024U

/*
 * Begin ORDER for VM; VF, from 0 as in the configuration, for SAVE_VF and LOAD_VF. STATE: not in
 * this state of the VM, another order is under way, or a 'vf' order of the operator has the memory
 * for records: it may be tried again; NOT_FOUND: it has no such VF; UNSUPPORTED: one of its VFs'
 * PFs cannot save or load it.
 */
enum status vm_move_begin(struct vm *vm, enum vm_move_order order, uint32_t vf);

/* Has the last order ended, and how? No order yet: true, OK. vm_edge_move_ended() tells when it is
 * worth asking. STATE: the VM was stopped meanwhile. */
bool vm_move_done(struct vm *vm, enum status *status);

/*
 * The bytes of VM's stream, while it is stopped; or of the record of VF, from the end of SAVE_VF
 * until vm_move_data_clear(): there is one record at a time in all the machine. NULL: there are
 * none.
 */
const uint8_t *vm_move_data(struct vm *vm, uint32_t vf, uint32_t *size);

/*
 * A VM that waits: append SIZE bytes to its stream, or to the record of VF, which LOAD_VF takes.
 * RANGE: too many; STATE: it does not wait, or somebody else has the memory for records.
 */
enum status vm_move_data_add(struct vm *vm, uint32_t vf, const uint8_t *bytes, uint32_t size);

/* Forget what was saved or added. Of a VM that is stopped the stream stays. */
void vm_move_data_clear(struct vm *vm, uint32_t vf);

/*
 * What a target must be like: vmm/migrate/compare.h. TEXT has room for VM_MOVE_TEXT_MAX; or, for a
 * VF, for COMPATIBILITY_MAX. DRIVER, only for VFs of a VM that waits: the features that the guest's
 * driver took, 'driver' of the source's text. Reading it has no effect on a VM that runs. DEVICE:
 * the VF is lost; STATE: the VM is off.
 */
enum status vm_move_text(struct vm *vm, char *text);
enum status vm_move_vf_text(struct vm *vm, uint32_t vf, uint32_t driver, char *text);

/* The source is stopped and all of it is read: from here on the target may run. STATE: it is not.
 */
enum status vm_move_hand_over(struct vm *vm);

/* Handed over, and the target runs: VM is let go, and is off soon. STATE: it is not handed over. */
enum status vm_move_confirm(struct vm *vm);

/* The operator's word for one that is handed over, or ready: it runs HERE, or it does not. Begins
 * an order; the log says how it ends. STATE: it is neither, or an order is under way. */
enum status vm_move_resolve(struct vm *vm, bool here);

/* VM, which is off, is made without a program, and waits for its state. STATE: it is not off;
 * UNSUPPORTED: its configuration has no 'incoming = yes'. As vm_start(), the log says how it ends.
 * CPU 0. */
enum status vm_move_await(struct vm *vm);

/* In a word, for people and for the portal: off, starting, running, paused, moving, handed-over,
 * incoming, ready, stopping. Any CPU. */
const char *vm_move_state_name(const struct vm *vm);

/* Its RAM is tracked for a move, or it is parked for one: nothing else may track it. Any CPU. */
bool vm_move_is_under_way(const struct vm *vm);

/* ---- For vmm/vm ---- */

enum vm_move_state {
    VM_MOVE_IDLE,
    VM_MOVE_STOPPED,
    VM_MOVE_HANDED_OVER,
    VM_MOVE_INCOMING,
    VM_MOVE_READY
};

/* In struct vm. The leader's, but for what is said. */
struct vm_move {
    uint32_t state; /* enum vm_move_state; atomic */
    uint32_t order; /* under way: NONE: none; atomic */
    uint32_t vf;    /* of it */
    enum status status;
    bool tracked;    /* atomic */
    bool spoiled;    /* half loaded: to be discarded */
    uint32_t loaded; /* VFs whose devices have their states, bit i */
    uint32_t size;   /* of the stream */
    uint64_t began;  /* ns: the stop */
};

#endif
