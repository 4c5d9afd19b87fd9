/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All memory that goes with a VM to another host: its RAM, and its screen's, which has no marks of
 * what was written and so always counts as written. Runs lie by address, each where the guest sees
 * it; but the screen's at VM_MEMORY_SCREEN, wherever its BAR is: there is never RAM.
 */
#ifndef PORTOLAN_VMM_VM_VM_MEMORY_H
#define PORTOLAN_VMM_VM_VM_MEMORY_H

#include "vmm/base/types.h"

struct ram_run;
struct vm;

#define VM_MEMORY_SCREEN 0xfd000000UL

/* Run I. False: there are no more. Any CPU. */
bool vm_memory_run(const struct vm *vm, unsigned i, struct ram_run *run);

/* The VMM's pointer to SIZE bytes at AT; NULL if they are not all in one run. Any CPU. */
void *vm_memory_pointer(const struct vm *vm, gpa_t at, uint64_t size);

/*
 * Take the marks of pages FIRST and up, in WORDS words of 64; FIRST is a multiple of 64. What is no
 * memory is 0. As dirty_collect().
 */
void vm_memory_collect(struct vm *vm, uint64_t first, uint32_t words, uint64_t *bitmap);

#endif
