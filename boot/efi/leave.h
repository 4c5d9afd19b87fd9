/* SPDX-License-Identifier: BSD-2-Clause */
/* From the firmware's rule to ours: the memory map, the core's page tables, ExitBootServices(). */
#ifndef PORTOLAN_BOOT_EFI_LEAVE_H
#define PORTOLAN_BOOT_EFI_LEAVE_H

#include "boot/efi/services.h"
#include "boot/handoff.h"
#include "boot/page_tables.h"
#include "boot/regions.h"

/* All that leaving needs, allocated before: an allocation would change the map. */
struct leave {
    void *map;
    UINTN map_capacity;
    UINTN map_key;
    struct handoff_region *ranges;
    size_t range_capacity;
    struct region_edge *edges;
    struct handoff_region *regions;
    size_t region_count;
    struct boot_tables tables;
    hpa_t core_base;
    uint64_t core_size;
};

/*
 * Allocate for the memory map of now and for a good deal more, build the page tables once, and
 * print how much memory there is. Prints what goes wrong.
 */
EFI_STATUS leave_prepare(struct leave *leave, hpa_t core_base, uint64_t core_size);

/*
 * Take the memory map, convert it, build the page tables from it and exit boot services; again
 * if the map went stale meanwhile. After EFI_SUCCESS the firmware must not be called any more;
 * after a failure *CALLED_EXIT says whether its boot services may be half stopped. Prints nothing.
 */
EFI_STATUS leave_firmware(struct leave *leave, EFI_HANDLE image, bool *called_exit);

#endif
