/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a boot loader (boot/efi, boot/multiboot2) hands to the VMM core.
 *
 * The loader places the core's ELF segments in one physically contiguous run, so that
 * physical = core_base + (virtual - HANDOFF_CORE_VA), builds page tables that map
 *   - the core at HANDOFF_CORE_VA (read, write, execute: the core replaces them at once),
 *   - all RAM and this structure one to one,
 * and jumps to the ELF entry point in 64-bit mode with interrupts off, RDI = the physical address
 * of struct handoff, on a stack of the loader's of at least 16 KiB. Firmware is not called again.
 *
 * All addresses are host-physical. The structure, its arrays and strings, the modules, the core
 * and the loader's page tables lie in regions of type HANDOFF_MEMORY_LOADER. The core trusts the
 * loader that was built with it, but not the firmware's numbers that the loader passes on.
 */
#ifndef PORTOLAN_BOOT_HANDOFF_H
#define PORTOLAN_BOOT_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#define HANDOFF_MAGIC   0x4e414c4f54524f50ULL /* "PORTOLAN" */
#define HANDOFF_VERSION 1U
#define HANDOFF_CORE_VA 0xffffffff80000000ULL

enum handoff_source { HANDOFF_SOURCE_EFI = 1, HANDOFF_SOURCE_MULTIBOOT2 = 2 };

enum handoff_memory {
    HANDOFF_MEMORY_USABLE = 1,   /* free RAM, boot services memory included */
    HANDOFF_MEMORY_LOADER = 2,   /* RAM that holds the hand-off, core, modules, page tables */
    HANDOFF_MEMORY_ACPI = 3,     /* RAM with ACPI tables, free once they were read */
    HANDOFF_MEMORY_NVS = 4,      /* ACPI NVS: leave alone */
    HANDOFF_MEMORY_RESERVED = 5, /* anything else that is not to be used */
    HANDOFF_MEMORY_BAD = 6,      /* firmware found it faulty */
    HANDOFF_MEMORY_MMIO = 7      /* device space the firmware describes in its map */
};

/* Is memory of TYPE RAM that works? Loaders map that one to one, and nothing else. */
static inline bool handoff_is_ram(uint32_t type)
{
    return type == HANDOFF_MEMORY_USABLE || type == HANDOFF_MEMORY_LOADER ||
           type == HANDOFF_MEMORY_ACPI || type == HANDOFF_MEMORY_NVS;
}

/* Sorted by base, not overlapping, page-aligned. */
struct handoff_region {
    uint64_t base;
    uint64_t size; /* bytes, > 0 */
    uint32_t type; /* enum handoff_memory */
    uint32_t reserved;
};

/* A file that was loaded; the text of its name is as the configuration writes it. */
struct handoff_module {
    uint64_t base; /* page-aligned; 0 when size is 0 */
    uint64_t size; /* bytes */
    uint64_t name; /* NUL-terminated ASCII */
};

enum handoff_pixel { HANDOFF_PIXEL_NONE = 0, HANDOFF_PIXEL_BGRX = 1, HANDOFF_PIXEL_RGBX = 2 };

struct handoff_framebuffer {
    uint64_t base;
    uint32_t width;  /* pixels */
    uint32_t height; /* pixels */
    uint32_t pitch;  /* bytes from one line to the next */
    uint32_t pixel;  /* enum handoff_pixel; NONE: no usable frame buffer */
};

struct handoff {
    uint64_t magic;
    uint32_t version;
    uint32_t size; /* of this structure */
    uint32_t source;
    uint32_t region_count;
    uint64_t regions; /* struct handoff_region[region_count] */
    uint64_t modules; /* struct handoff_module[module_count]; module 0 is the configuration file */
    uint32_t module_count;
    uint32_t reserved;
    uint64_t core_base;
    uint64_t core_size; /* bytes, with .bss, page-aligned */
    uint64_t rsdp;      /* 0: not found */
    struct handoff_framebuffer framebuffer;
    uint64_t entropy;   /* for the stack canary; from the firmware's RNG or the TSC */
    uint64_t tsc_entry; /* TSC at the loader's entry */
    uint64_t log;       /* what the loader printed, ASCII with newlines */
    uint64_t log_size;
};

#ifdef __STDC_VERSION__
_Static_assert(sizeof(struct handoff_region) == 24, "loader and core share this layout");
_Static_assert(sizeof(struct handoff_module) == 24, "loader and core share this layout");
_Static_assert(sizeof(struct handoff) == 128, "loader and core share this layout");
#endif

#endif
