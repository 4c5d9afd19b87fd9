/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading what the firmware's GetMemoryMap() returned. No EFI headers: compiled for tests too. */
#ifndef PORTOLAN_BOOT_EFI_MEMORY_MAP_H
#define PORTOLAN_BOOT_EFI_MEMORY_MAP_H

#include "boot/handoff.h"
#include "vmm/base/status.h"

#include <stddef.h>

/* The smallest size that a firmware's descriptor may have (UEFI 2.10, 7.2.3). */
#define MEMORY_MAP_DESCRIPTOR_MIN 40

/*
 * Translate the SIZE bytes of MAP, descriptors STRIDE bytes apart, into ranges for
 * regions_normalise(), one a descriptor. What the loader itself had allocated is LOADER memory,
 * which holds for the core's copy, the modules and the hand-off as well.
 *   STATUS_INVALID    STRIDE or SIZE cannot be
 *   STATUS_NO_MEMORY  more descriptors than CAPACITY
 */
enum status memory_map_read(const void *map, size_t size, size_t stride,
                            struct handoff_region *ranges, size_t capacity, size_t *count);

#endif
