/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that a guest can see of its VM, as a stream of sections (vmm/state/state.h), and back. A
 * checkpoint does both on the spot and destroys everything in between, so that what is forgotten
 * is missed at once.
 */
#ifndef PORTOLAN_VMM_VM_CHECKPOINT_H
#define PORTOLAN_VMM_VM_CHECKPOINT_H

#include "vmm/state/state.h"
#include "vmm/vm/vm.h"

/* Memory for VM's checkpoints; its VFs are known. NO_MEMORY. And give it back. Boot CPU. */
enum status checkpoint_create(struct vm *vm);
void checkpoint_destroy(struct vm *vm);

/*
 * Ask for COUNT more checkpoints of VM at random moments; does not wait, and when all are done the
 * log says how many there were since VM was started. One that is being started begins as soon as it
 * runs. STATE: the VM is off or stops. Any CPU.
 */
enum status checkpoint_request(struct vm *vm, uint32_t count);

/* Ask for the next checkpoint of each VM that is to have one by now. CPU 0, from time to time. */
void checkpoint_poll(void);

/* VM begins its life: plan the first of those that its configuration asks for. No vCPU runs. */
void checkpoint_begin(struct vm *vm);

/* Ask for the one that is due at NOW, virtual ns, and plan the next. vCPU 0's CPU. */
void checkpoint_run(struct vm *vm, uint64_t now);

/*
 * Save VM, fill all its state with A5h, load it from the saved bytes, and save it again: both must
 * be the same. Its vCPUs are parked, their states in vcpu->saved, which they load afterwards; time
 * stands still. DEVICE: they are not; it is the VMM's fault, is said, and the VM must not run.
 */
enum status checkpoint_take(struct vm *vm);

/* Destroy what VCPU holds, so that nothing of it can be left when its state is loaded. Its own CPU.
 */
void checkpoint_scramble_vcpu(struct vcpu *vcpu);

/*
 * Save all of VM; or load it, into a VM that is configured alike. As above: parked, paused.
 * INVALID: the reader says why; some of VM may be loaded, and it must not run.
 */
void vm_save(struct vm *vm, struct state_writer *writer);
enum status vm_load(struct vm *vm, struct state_reader *reader);

/*
 * Show section NAME of VM, or all names if it is "". NOT_FOUND; STATE: VM is not paused. CPU 0's
 * service: nobody resumes it meanwhile.
 */
enum status vm_print_state(struct vm *vm, const char *name, state_print_line print, void *context);

#endif
