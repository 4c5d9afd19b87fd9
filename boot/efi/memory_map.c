/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/memory_map.h"

#include "vmm/base/types.h"

#include <string.h>

/* UEFI 2.10, 7.2.3: EFI_MEMORY_DESCRIPTOR, of which firmware may append more. */
struct descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t base;
    uint64_t virtual_base;
    uint64_t page_count;
    uint64_t attributes;
};

_Static_assert(sizeof(struct descriptor) == MEMORY_MAP_DESCRIPTOR_MIN, "EFI_MEMORY_DESCRIPTOR");

#define ATTRIBUTE_WRITE_BACK (1ULL << 3)
#define ATTRIBUTE_SPECIFIC   (1ULL << 18) /* set aside for one purpose, such as an accelerator */
#define ATTRIBUTE_RUNTIME    (1ULL << 63)

/* By EFI_MEMORY_TYPE; what is not here is reserved. */
static const uint8_t types[] = {
    [1] = HANDOFF_MEMORY_LOADER, /* EfiLoaderCode */
    [2] = HANDOFF_MEMORY_LOADER, /* EfiLoaderData */
    [3] = HANDOFF_MEMORY_USABLE, /* EfiBootServicesCode */
    [4] = HANDOFF_MEMORY_USABLE, /* EfiBootServicesData */
    [7] = HANDOFF_MEMORY_USABLE, /* EfiConventionalMemory */
    [8] = HANDOFF_MEMORY_BAD,    /* EfiUnusableMemory */
    [9] = HANDOFF_MEMORY_ACPI,   /* EfiACPIReclaimMemory */
    [10] = HANDOFF_MEMORY_NVS,   /* EfiACPIMemoryNVS */
    [11] = HANDOFF_MEMORY_MMIO,  /* EfiMemoryMappedIO */
    [12] = HANDOFF_MEMORY_MMIO,  /* EfiMemoryMappedIOPortSpace */
};

static uint32_t descriptor_type(const struct descriptor *descriptor)
{
    uint32_t type = HANDOFF_MEMORY_RESERVED;

    if (descriptor->type < ARRAY_SIZE(types) && types[descriptor->type] != 0) {
        type = types[descriptor->type];
    }
    if (type == HANDOFF_MEMORY_USABLE) {
        bool plain = (descriptor->attributes & ATTRIBUTE_WRITE_BACK) != 0 &&
                     (descriptor->attributes & (ATTRIBUTE_SPECIFIC | ATTRIBUTE_RUNTIME)) == 0;
        type = plain ? HANDOFF_MEMORY_USABLE : HANDOFF_MEMORY_RESERVED;
    }
    return type;
}

enum status memory_map_read(const void *map, size_t size, size_t stride,
                            struct handoff_region *ranges, size_t capacity, size_t *count)
{
    if (stride < MEMORY_MAP_DESCRIPTOR_MIN || size % stride != 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (size / stride > capacity) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    *count = size / stride;
    for (size_t i = 0; i < *count; i++) {
        struct descriptor descriptor;
        memcpy(&descriptor, (const uint8_t *)map + i * stride, sizeof(descriptor));
        /* Too many pages to count in bytes: a size that no range can have says the same. */
        uint64_t bytes = descriptor.page_count > UINT64_MAX / PAGE_SIZE
                             ? UINT64_MAX
                             : descriptor.page_count * PAGE_SIZE;
        ranges[i] =
            (struct handoff_region){descriptor.base, bytes, descriptor_type(&descriptor), 0};
    }
    return STATUS_OK;
}
