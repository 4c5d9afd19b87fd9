/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a VM's RAM have been written: one bit for each 4 KiB. While a VM is tracked its
 * RAM is write-protected in the nested tables; the first write to a page exits, is marked, and
 * goes on at full speed. What the VMM writes itself is marked where it is done
 * (vmm/host/guest_ram.c, exit_io.c). DMA of VFs is not seen: vmm/migrate marks what their devices
 * report.
 *
 * No write is missed: docs/vm.md has the order of steps.
 */
#ifndef PORTOLAN_VMM_VM_DIRTY_H
#define PORTOLAN_VMM_VM_DIRTY_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

struct vcpu;
struct vm;

/* Memory for VM's bitmap, 1/32768 of its RAM, which is there already. NO_MEMORY. Boot CPU. */
enum status dirty_create(struct vm *vm);
void dirty_destroy(struct vm *vm);

/*
 * One at a time begins and ends it: false: another CPU is at it. Who was let in looks then whether
 * it is his to begin, and releases it. Any CPU; does not wait, for the other may wait for us.
 */
bool dirty_claim(struct vm *vm);
void dirty_release(struct vm *vm);

/*
 * Begin: from the return on every write is seen. Any CPU, interrupts on, no lock held; waits until
 * each vCPU has left its guest once, and has seen to its exit, which those that are parked have.
 * STATE: it is tracked already, or an exit took half a second, since it waits for a device; then it
 * is not tracked. For this and the next two who has claimed it, or has begun it for a move.
 */
enum status dirty_start(struct vm *vm);

/* End, and put large pages together again. Nothing if it is not tracked. */
void dirty_stop(struct vm *vm);

/*
 * Take the bits of PAGES pages from the guest-physical page FIRST on, both multiples of
 * RAM_MARKS_WORD, into BITMAP, and clear them. A write that had ended before the call is in it, or
 * was in one before; one after the return will be in the next. Between, it is in this or the next,
 * and always in the next if the page was read after the return and lacks it. What is no RAM is 0.
 * Returns whether any is set. RAM need not be tracked.
 */
bool dirty_collect(struct vm *vm, uint64_t first, uint64_t pages, uint64_t *bitmap);

/*
 * An access of the guest's to AT faulted: if that is RAM it was a write, for all else is allowed
 * there always. True: it is; enter the guest again. Its vCPU's CPU.
 */
bool dirty_fault(struct vcpu *vcpu, gpa_t at);

#endif
