/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's first program: from the boot's files into guest memory. */
#ifndef PORTOLAN_VMM_VM_PROGRAM_H
#define PORTOLAN_VMM_VM_PROGRAM_H

#include "vmm/vm/vm.h"

/* Copy program, tables and files to guest memory and note where vCPU 0 begins. No vCPU runs. */
enum status program_load(struct vm *vm);

/* Let STATE, that of a reset, be at the program's entry. */
void program_enter(const struct vm *vm, struct cpu_state *state);

#endif
