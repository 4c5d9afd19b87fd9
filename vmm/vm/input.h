/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration gives a VM to load. Pure, so that portolan-check does the same. */
#ifndef PORTOLAN_VMM_VM_INPUT_H
#define PORTOLAN_VMM_VM_INPUT_H

#include "vmm/config/config.h"
#include "vmm/config/config_keys.h"
#include "vmm/load/load.h"

/*
 * *INPUT (overwritten, without acpi_rsdp) for the VM of CONFIG, with its files where
 * vm_edge_find_file() has them; MODULES, CONFIG_MODULES_MAX of them, must outlive it. What
 * vm_edge_find_file() fails with.
 */
enum status input_gather(const struct config_vm *config, struct load_input *input,
                         struct load_file *modules);

/*
 * *ROM (overwritten) is the option ROM that KEY of CONFIG names, vga_rom, net_rom or kernel_rom; of
 * size 0: none. INVALID: it cannot be one. Failures are logged.
 */
enum status input_rom(const struct config_vm *config, enum config_vm_key key,
                      struct load_file *rom);

#endif
