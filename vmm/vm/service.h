/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of a service VM's portal (vmm/pc/portal_function.h): its rings, and what its window
 * shows of other VMs. */
#ifndef PORTOLAN_VMM_VM_SERVICE_H
#define PORTOLAN_VMM_VM_SERVICE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

struct pc_config;
struct vm;

/* Nothing but for the service VM; else take memory for its rings. NO_MEMORY. Boot CPU. */
enum status service_create(struct vm *vm);
void service_destroy(struct vm *vm);

/* Clear the rings and put the function into CONFIG, for a VM that is being started. */
void service_begin(struct vm *vm, struct pc_config *config);

/*
 * Let the nested tables show the rings where the BARs say, if they do not, and nothing where the
 * window was. Any CPU, no lock.
 */
void service_settle(struct vm *vm);

/*
 * BYTES of OTHER's memory at ADDRESS, which are there, show at OFFSET of VM's window, in the place
 * of what did. STATE: the guest has the window nowhere, or OTHER is not exposed. NO_MEMORY: nothing
 * of it shows. As service_hide().
 */
enum status service_show(struct vm *vm, const struct vm *other, gpa_t address, uint64_t bytes,
                         uint64_t offset, bool writable);

/* Nothing shows there any more, and on return no CPU can reach it: waits until each vCPU has left
 * its guest once. Any CPU outside of VM's guest, no lock. */
void service_hide(struct vm *vm, uint64_t offset, uint64_t bytes);

#endif
