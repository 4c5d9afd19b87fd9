/* SPDX-License-Identifier: BSD-2-Clause */
/* What VMs ask of the layers above them: the console, and who keeps the boot's files. */
#ifndef PORTOLAN_VMM_VM_VM_EDGE_H
#define PORTOLAN_VMM_VM_VM_EDGE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

/* The first UART of the VM of that index sent BYTE. Any CPU, with the VM's platform lock held. */
void vm_edge_output(unsigned vm, uint8_t byte);

/*
 * The file that the configuration calls NAME: *DATA, which stays mapped, and its *SIZE in bytes.
 * NOT_FOUND: the boot loader has not brought it; NO_MEMORY: no room to map it. Any CPU.
 */
enum status vm_edge_find_file(const char *name, const uint8_t **data, uint64_t *size);

#endif
