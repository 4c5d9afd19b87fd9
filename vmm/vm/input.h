/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration gives a VM to load. Pure, so that portolan-check does the same. */
#ifndef PORTOLAN_VMM_VM_INPUT_H
#define PORTOLAN_VMM_VM_INPUT_H

#include "vmm/config/config.h"
#include "vmm/load/load.h"

/*
 * *INPUT (overwritten, without acpi_rsdp) for the VM of CONFIG, with its files where
 * vm_edge_find_file() has them; MODULES, CONFIG_MODULES_MAX of them, must outlive it. What
 * vm_edge_find_file() fails with.
 */
enum status input_gather(const struct config_vm *config, struct load_input *input,
                         struct load_file *modules);

#endif
