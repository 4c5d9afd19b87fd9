/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All VFs of a VM that goes to another host, or comes from there: vmm/vm/vm_move.h. Unless it says
 * otherwise a function is called on the CPU of the VM's vCPU 0, its vCPUs parked, its functions
 * paused, no lock held.
 */
#ifndef PORTOLAN_VMM_MIGRATE_MIGRATE_WHOLE_H
#define PORTOLAN_VMM_MIGRATE_MIGRATE_WHOLE_H

#include "vmm/vf/vf.h"

/* Can all of SET be saved and loaded? UNSUPPORTED: a PF cannot; DEVICE: one is lost; STATE: a PF
 * owes an answer, or the operator has frozen one. Any CPU. */
enum status migrate_whole_check(const struct vf_set *set);

/*
 * Note what SET writes. A report marks it in the VM's RAM; of a VF that was not tracked, or was
 * reset since, all RAM is marked, and it is from then on. The first failure is told, of the others
 * all that is not known counts as written.
 */
enum status migrate_whole_track(struct vf_set *set);
enum status migrate_whole_report(struct vf_set *set);
void migrate_whole_untrack(struct vf_set *set);

/*
 * Quiesce all of SET, then freeze all. From here to migrate_whole_go_on() no 'vf' order touches
 * them. As migrate_whole_check(), and as the devices fail: then all run again. STATE also: another
 * VM's are stopped to be saved.
 */
enum status migrate_whole_stop(struct vf_set *set);

/* Make the record of VF, which is stopped. STATE: somebody else has the memory for it. */
enum status migrate_whole_save(struct vf_set *set, uint32_t vf);

/* Keep no records and texts of SET: all that is to be saved is. Any CPU. */
void migrate_whole_free(const struct vf_set *set);

/* SET waits for what its devices are to be like: no 'vf' order touches it. */
void migrate_whole_await(struct vf_set *set);

/* VF's record becomes its device's state. CONFLICT: it is another kind of VF, as the log says;
 * INVALID: it is damaged; others as the device fails. */
enum status migrate_whole_load(struct vf_set *set, uint32_t vf);

/* All devices are loaded, and so are the functions: make them ready, but for DMA. */
enum status migrate_whole_settle(struct vf_set *set);

/* SET runs; a VF that does not is lost. NEWS: its guest is to look at its configuration anew. */
void migrate_whole_go_on(struct vf_set *set, bool news);

/* SET's VM has ended: nothing is kept of it. Any CPU, after vf_unbind(). */
void migrate_whole_forget(struct vf_set *set);

/* The text of VF. DRIVER: of one that waits, as a driver that took these features finds it; NULL:
 * of one that runs, or was stopped to be moved; STATE: the operator has frozen it. Any CPU. */
enum status migrate_whole_text(struct vf_set *set, uint32_t vf, const uint32_t *driver, char *text);

/*
 * The record of VF; NULL: the memory is not VF's. Append to it: RANGE, or STATE: somebody else has
 * the memory. Give the memory back. Any CPU, one at a time for all VMs.
 */
const uint8_t *migrate_whole_record(const struct vf_set *set, uint32_t vf, uint32_t *size);
enum status migrate_whole_record_add(struct vf_set *set, uint32_t vf, const uint8_t *bytes,
                                     uint32_t size);
void migrate_whole_record_free(const struct vf_set *set, uint32_t vf);

#endif
