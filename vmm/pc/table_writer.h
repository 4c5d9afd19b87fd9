/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing little-endian tables into an image that the guest will see at another address. */
#ifndef PORTOLAN_VMM_PC_TABLE_WRITER_H
#define PORTOLAN_VMM_PC_TABLE_WRITER_H

#include "vmm/base/types.h"

struct pc_config;

struct table_writer {
    uint8_t *image;
    uint32_t size;
    uint32_t base; /* guest-physical */
    uint32_t used;
    bool overflow; /* the image is too small: nothing beyond it was written */

    /* Firmware places the image in two files, the second from SPLIT on: see table_split(). */
    uint32_t split;
    struct table_writer *loader; /* the commands for that; NULL: it lies at BASE */
};

/* One field of a table: where it lies and what it holds. */
struct table_field {
    const char *name;
    uint32_t offset;
    unsigned size; /* bytes, 1..8 */
    uint64_t value;
};

/* Reserve zeroed LENGTH bytes at the next multiple of ALIGN (a power of two); returns their offset.
 */
uint32_t table_reserve(struct table_writer *w, uint32_t length, uint32_t align);

void table_put(struct table_writer *w, uint32_t offset, unsigned size, uint64_t value);
void table_put_fields(struct table_writer *w, uint32_t offset, const struct table_field *fields,
                      unsigned count);
void table_put_bytes(struct table_writer *w, uint32_t offset, const void *bytes, uint32_t length);

/* Make LENGTH bytes at OFFSET add up to 0 through the byte at AT; after all their pointers. */
void table_checksum(struct table_writer *w, uint32_t offset, uint32_t length, uint32_t at);

/* Write the guest-physical address of what is at TARGET, SIZE bytes, to OFFSET. */
void table_put_pointer(struct table_writer *w, uint32_t offset, unsigned size, uint32_t target);

/* The files that a split image goes to. */
#define TABLE_FILE_ROOT "etc/acpi/rsdp"
#define TABLE_FILE_REST "etc/acpi/tables"

/*
 * Let firmware place what W holds till here low, as one file, and all that follows anywhere, as
 * another; LOADER gets the commands (QEMU's table loader). Pointers go to the second file.
 */
void table_split(struct table_writer *w, struct table_writer *loader);

/* The compiled form of dsdt.asl, made by the build. */
extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

/* The MP table; returns the offset of its floating pointer. */
uint32_t mp_table_write(struct table_writer *w, const struct pc_config *config);

#endif
