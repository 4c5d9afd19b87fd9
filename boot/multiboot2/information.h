/* SPDX-License-Identifier: BSD-2-Clause */
/* What a Multiboot 2 boot loader says (Multiboot 2, 3.6). Pure: compiled for tests too. */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_INFORMATION_H
#define PORTOLAN_BOOT_MULTIBOOT2_INFORMATION_H

#include "boot/handoff.h"
#include "vmm/base/status.h"
#include "vmm/config/config.h"

#include <stddef.h>
#include <stdint.h>

/* The smallest information: its own header and the tag that ends it. */
#define INFORMATION_SIZE_MIN 16U

/* More modules than a configuration can name, for boot loaders that give all that they have. */
#define INFORMATION_MODULES_MAX (CONFIG_FILES_MAX + 32U)

struct information_module {
    uint32_t start; /* physical; the boot loader was asked for a multiple of PAGE_SIZE */
    uint32_t end;   /* >= start, of the byte after the last */
    const char *string;
};

#define INFORMATION_RGB 1U /* of the types the one of direct colour */

/* The tag of the frame buffer (3.6.12). Colours by the lowest bit of each, and how many it has. */
struct information_framebuffer {
    uint64_t base;
    uint32_t pitch;
    uint32_t width;
    uint32_t height;
    uint8_t bits; /* of a pixel */
    uint8_t type;
    uint8_t reserved[2];
    uint8_t red, red_bits; /* from here on of direct colour only */
    uint8_t green, green_bits;
    uint8_t blue, blue_bits;
    uint8_t padding[2];
};

/* Pointers lead into the information that was parsed. Texts end in NUL. */
struct information {
    const char *command_line; /* "" when there is none */
    uint32_t module_count;
    struct information_module modules[INFORMATION_MODULES_MAX];
    const uint8_t *memory; /* memory_count entries, memory_stride bytes apart; NULL: no map */
    size_t memory_count;
    size_t memory_stride;
    const uint8_t *rsdp; /* a copy, that of ACPI 2.0 if there is one; NULL: none */
    size_t rsdp_size;    /* bytes of it, >= 20 */
    struct information_framebuffer framebuffer; /* base 0: none */
};

/*
 * Read the SIZE bytes of information at BYTES. Of a kind of tag that should stand once, the first
 * one counts; tags that are not known are passed over.
 *   STATUS_INVALID    a length cannot be, a text has no end, or there is no last tag
 *   STATUS_NO_MEMORY  more than INFORMATION_MODULES_MAX modules
 */
enum status information_parse(const void *bytes, size_t size, struct information *information);

/*
 * Translate the memory map into ranges for regions_normalise(), one an entry: *COUNT of them in
 * RANGES, which has room for CAPACITY.
 *   STATUS_NOT_FOUND  there is no memory map, or it is empty
 *   STATUS_NO_MEMORY  more entries than CAPACITY
 */
enum status information_read_memory(const struct information *information,
                                    struct handoff_region *ranges, size_t capacity, size_t *count);

/*
 * Put the first word of TEXT, a module's string or the command line, into NAME, SIZE bytes with the
 * NUL; empty when there is none. GRUB puts a backslash before quotes: it is left out, as no name
 * of a file has any. STATUS_RANGE: the word does not fit.
 */
enum status information_read_name(const char *text, char *name, size_t size);

#endif
