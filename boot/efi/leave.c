/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/leave.h"

#include "boot/boot_cpu.h"
#include "boot/efi/efi_console.h"
#include "boot/efi/memory_map.h"

/* Drivers that let go of devices free memory in many pieces, each a descriptor more. */
#define MAP_SLACK (64UL << 10)
/* A timer of the firmware may change the map between the two calls; not for ever. */
#define TRIES 16

/* The memory map and what follows from it; STATUS_OK or what is wrong with it. */
static enum status map_use(struct leave *leave, UINTN size, UINTN stride)
{
    size_t count;

    enum status status =
        memory_map_read(leave->map, size, stride, leave->ranges, leave->range_capacity, &count);
    if (status == STATUS_OK) {
        status = regions_normalise(leave->ranges, count, leave->edges, leave->regions,
                                   2 * leave->range_capacity, &leave->region_count);
    }
    return status;
}

/* Take the map as it is now, without an allocation. */
static EFI_STATUS map_take(struct leave *leave)
{
    UINTN size = leave->map_capacity;
    UINTN stride;
    UINT32 version;

    EFI_STATUS status =
        efi_boot->GetMemoryMap(&size, leave->map, &leave->map_key, &stride, &version);
    if (EFI_ERROR(status)) {
        return status;
    }
    if (size > leave->map_capacity || map_use(leave, size, stride) != STATUS_OK) {
        return EFI_PROTOCOL_ERROR;
    }
    return EFI_SUCCESS;
}

static enum status tables_build(struct leave *leave)
{
    return boot_tables_build(&leave->tables, leave->regions, leave->region_count, leave->core_base,
                             leave->core_size);
}

static EFI_STATUS map_prepare(struct leave *leave)
{
    UINTN size = 0;
    UINTN key;
    UINTN stride = MEMORY_MAP_DESCRIPTOR_MIN;
    UINT32 version;

    EFI_STATUS status = efi_boot->GetMemoryMap(&size, NULL, &key, &stride, &version);
    if (status != EFI_BUFFER_TOO_SMALL || stride < MEMORY_MAP_DESCRIPTOR_MIN) {
        return console_fail(status, "the firmware does not tell the size of its memory map");
    }
    leave->map_capacity = 2 * size + MAP_SLACK;
    leave->range_capacity = leave->map_capacity / MEMORY_MAP_DESCRIPTOR_MIN;
    size_t region_bytes = leave->range_capacity * sizeof(struct handoff_region);
    leave->map = services_allocate_pages(leave->map_capacity);
    leave->ranges = services_allocate_pages(region_bytes);
    leave->regions = services_allocate_pages(2 * region_bytes);
    leave->edges = services_allocate_pages(2 * leave->range_capacity * sizeof(struct region_edge));
    if (leave->map == NULL || leave->ranges == NULL || leave->regions == NULL ||
        leave->edges == NULL) {
        return console_fail(EFI_OUT_OF_RESOURCES, "no memory for a copy of the memory map");
    }
    status = map_take(leave);
    return EFI_ERROR(status) ? console_fail(status, "the firmware's memory map cannot be used")
                             : EFI_SUCCESS;
}

EFI_STATUS leave_prepare(struct leave *leave, hpa_t core_base, uint64_t core_size)
{
    leave->core_base = core_base;
    leave->core_size = core_size;
    EFI_STATUS status = map_prepare(leave);
    if (EFI_ERROR(status)) {
        return status;
    }
    bool has_1g = cpu_has_1g_pages();
    size_t pages = BOOT_TABLES_SLACK +
                   boot_tables_page_count(leave->regions, leave->region_count, has_1g, core_size);
    uint64_t *pool = pages <= BOOT_TABLES_MAX ? services_allocate_pages(pages * PAGE_SIZE) : NULL;
    if (pool == NULL) {
        return console_fail(EFI_OUT_OF_RESOURCES, "no memory for %lu pages of page tables", pages);
    }
    leave->tables = (struct boot_tables){pool, hpa((uintptr_t)pool), pages, has_1g, 0};
    if (tables_build(leave) != STATUS_OK) {
        return console_fail(EFI_ABORTED, "the page tables for the core cannot be built");
    }
    log_info("  memory: %lu MiB free of %zu regions",
             regions_total(leave->regions, leave->region_count, HANDOFF_MEMORY_USABLE) >> 20,
             leave->region_count);
    return EFI_SUCCESS;
}

EFI_STATUS leave_firmware(struct leave *leave, EFI_HANDLE image, bool *called_exit)
{
    EFI_STATUS status = EFI_ABORTED;

    *called_exit = false;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        status = map_take(leave);
        if (EFI_ERROR(status)) {
            return status;
        }
        if (tables_build(leave) != STATUS_OK) {
            return EFI_OUT_OF_RESOURCES;
        }
        *called_exit = true;
        status = efi_boot->ExitBootServices(image, leave->map_key);
        if (status != EFI_INVALID_PARAMETER) {
            return status;
        }
    }
    return status;
}
