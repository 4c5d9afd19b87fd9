/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ROM of a VM with firmware, and the memory around 1 MiB, of which the PAM registers and the
 * A20 gate say piece by piece whether the guest's CPUs find RAM there, the ROM, or what lies 1 MiB
 * below (vmm/pc/pc.h: PC_LOW_...).
 */
#ifndef PORTOLAN_VMM_VM_LOW_MEMORY_H
#define PORTOLAN_VMM_VM_LOW_MEMORY_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define ROM_END 0x100000000ULL /* where it ends; it begins as far below as its size says */

struct vm;

/* Nothing without firmware; else read its file into memory of its own. Boot CPU. */
enum status rom_create(struct vm *vm);
void rom_destroy(struct vm *vm);

/*
 * Let the nested tables be as the registers say now, if they are not, or with ANEW in any case: all
 * vCPUs see it before they enter their guest again. A VM whose tables cannot be so is stopped. Any
 * CPU, no lock.
 */
void low_memory_settle(struct vm *vm, bool anew);

/* May the guest write to the RAM at AT, as the nested tables are now? Their lock is held. */
bool low_memory_may_write(const struct vm *vm, uint64_t at);

/* Will what is at AT never be anything else? Any CPU, no lock. */
bool low_memory_is_lasting(const struct vm *vm, gpa_t at);

/*
 * Which GPA does a vCPU reach that says AT? Another while the A20 gate is shut, and what is written
 * counts as written there: while pages are tracked, the VMM carries it out. Any CPU, no lock.
 */
gpa_t low_memory_alias(const struct vm *vm, gpa_t at);

/*
 * The VMM's pointer to SIZE bytes, not over a page's end, that a vCPU reads or writes at AT; NULL:
 * no memory is there. Any CPU, no lock.
 */
void *low_memory_pointer(const struct vm *vm, gpa_t at, unsigned size, bool write);

#endif
