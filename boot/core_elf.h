/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMM core as a file: an x86-64 ELF executable whose segments lie at HANDOFF_CORE_VA and up.
 */
#ifndef PORTOLAN_BOOT_CORE_ELF_H
#define PORTOLAN_BOOT_CORE_ELF_H

#include "vmm/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* The largest core that is loaded, in bytes of memory. */
#define CORE_SIZE_MAX (64ULL << 20)

#define CORE_SEGMENTS_MAX 8

struct core_segment {
    uint64_t file_offset;
    uint64_t file_size;
    uint64_t offset; /* of its first byte from HANDOFF_CORE_VA */
    uint64_t size;   /* in memory, >= file_size; the rest is zero */
};

struct core_image {
    uint64_t entry; /* virtual */
    uint64_t size;  /* bytes from HANDOFF_CORE_VA to the end of the last segment, page-aligned */
    unsigned segment_count;
    struct core_segment segments[CORE_SEGMENTS_MAX]; /* ascending, not overlapping */
};

/*
 * Check the file of SIZE bytes and describe it in *IMAGE. Every offset, size and address is
 * checked here, so that core_elf_load() needs no further check.
 *   STATUS_INVALID      not an ELF file, or one that breaks ELF's rules
 *   STATUS_UNSUPPORTED  not a static executable for x86-64, or with too many segments
 *   STATUS_RANGE        a segment or the entry lies outside of the file or of the core's range
 *   STATUS_CONFLICT     segments overlap or are not in ascending order
 */
enum status core_elf_check(const void *file, size_t size, struct core_image *image);

/* Place the segments of a checked file in MEMORY, image->size bytes; all else there becomes 0. */
void core_elf_load(const void *file, const struct core_image *image, void *memory);

#endif
