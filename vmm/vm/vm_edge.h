/* SPDX-License-Identifier: BSD-2-Clause */
/* What VMs ask of the layers above them: the console, and who keeps the boot's files. */
#ifndef PORTOLAN_VMM_VM_VM_EDGE_H
#define PORTOLAN_VMM_VM_VM_EDGE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

/*
 * The first UART of the VM of that index: vmm/console/console.h says how each is to be called.
 * Output: it sent BYTE; false: it is to look busy until pc_console_ready().
 */
bool vm_edge_output(unsigned vm, uint8_t byte);
bool vm_edge_has_room(unsigned vm);
void vm_edge_bring(unsigned vm);
void vm_edge_flush(unsigned vm);

/*
 * The file that the configuration calls NAME: *DATA, which stays mapped, and its *SIZE in bytes.
 * NOT_FOUND: the boot loader has not brought it; NO_MEMORY: no room to map it. Any CPU.
 */
enum status vm_edge_find_file(const char *name, const uint8_t **data, uint64_t *size);

#endif
