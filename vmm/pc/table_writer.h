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

/* Make LENGTH bytes at OFFSET add up to 0 through the byte at AT. */
void table_checksum(struct table_writer *w, uint32_t offset, uint32_t length, uint32_t at);

/* The compiled form of dsdt.asl, made by the build. */
extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

/* The MP table; returns the offset of its floating pointer. */
uint32_t mp_table_write(struct table_writer *w, const struct pc_config *config);

#endif
