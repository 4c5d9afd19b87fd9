/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration and the files that it names, among what the boot loader has loaded. */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_MB2_MODULES_H
#define PORTOLAN_BOOT_MULTIBOOT2_MB2_MODULES_H

#include "boot/handoff.h"
#include "boot/multiboot2/information.h"
#include "boot/multiboot2/mb2_memory.h"

struct modules {
    uint32_t count;
    struct handoff_module modules[1 + CONFIG_FILES_MAX]; /* the first is the configuration */
};

/*
 * Choose the configuration, the module that the command line names, or the first one; parse it,
 * find each file that it names by the name in its module's string, claim their memory and clear the
 * rest of their last pages. Says what is wrong, then:
 *   STATUS_NOT_FOUND  there is no module for the configuration or for a file that it names
 *   STATUS_INVALID    the configuration has errors, or a file is empty
 *   STATUS_CONFLICT   a module does not lie in free memory, or not on a page boundary
 */
enum status modules_match(const struct information *information, struct memory *memory,
                          struct modules *modules);

#endif
