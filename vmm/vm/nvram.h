/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flash of a VM with 'nvram': memory of the VM beside its RAM, below its firmware's. While it
 * is read as memory the nested tables show it, without the right to write; at all other times
 * nothing is mapped there, and each access goes to the flash itself (vmm/pc/flash.h).
 */
#ifndef PORTOLAN_VMM_VM_NVRAM_H
#define PORTOLAN_VMM_VM_NVRAM_H

#include "vmm/pc/pc.h"

struct vm;

/* Nothing without 'nvram'; else memory with what its file holds. After rom_create(). Boot CPU. */
enum status nvram_create(struct vm *vm);
void nvram_destroy(struct vm *vm);

/*
 * It is about to be started: CONFIG gets its flash. What the guest has put there is kept, but in a
 * VM that waits for its state: it begins with its file's again.
 */
enum status nvram_begin(struct vm *vm, struct pc_config *config);

/* Let the nested tables show it, or not, as its registers say now. Any CPU, no lock. */
void nvram_settle(struct vm *vm);

#endif
