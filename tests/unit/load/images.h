/* SPDX-License-Identifier: BSD-2-Clause */
/* Small but whole images, for tests to spoil. */
#ifndef PORTOLAN_TESTS_UNIT_LOAD_IMAGES_H
#define PORTOLAN_TESTS_UNIT_LOAD_IMAGES_H

#include "vmm/load/load.h"

#include <elf.h>

#define MIB (1ULL << 20)

/* A bzImage as Linux 6.1 makes them, but for its size: 2 sectors of setup and 0x3000 bytes. */
#define BZIMAGE_SIZE (3U * 512 + 0x3000)
#define BZIMAGE_CODE (3U * 512) /* offset of the protected-mode part */
#define BZIMAGE_BASE 0x1000000ULL
#define BZIMAGE_ROOM 0x800000ULL /* init_size */

/* FILE has BZIMAGE_SIZE bytes. */
void bzimage_make(uint8_t *file);

/* An ELF32 Multiboot image of two segments: code at 1 MiB, and data that grows from 0x80 bytes to
 * 0x2345 at 0x101000. The Multiboot header is the first thing of the code, the entry behind it. */
struct multiboot32 {
    Elf32_Ehdr header;
    Elf32_Phdr code;
    Elf32_Phdr data;
    uint32_t multiboot[8];
    uint8_t text[0x100 - 8 * 4];
    uint8_t values[0x80];
};

/* The same as ELF64. */
struct multiboot64 {
    Elf64_Ehdr header;
    Elf64_Phdr code;
    Elf64_Phdr data;
    uint32_t multiboot[8];
    uint8_t text[0x100 - 8 * 4];
    uint8_t values[0x80];
};

/* Without ELF: the header's address fields say it all. */
struct multiboot_flat {
    uint8_t junk[0x40];
    uint32_t multiboot[8]; /* at load_addr + 0x20, so that loading begins at 0x20 of the file */
    uint8_t text[0x100];
};

#define MULTIBOOT_BASE  0x100000ULL
#define MULTIBOOT_ENTRY (MULTIBOOT_BASE + 0x20)
#define MULTIBOOT_END   0x103345ULL

void multiboot32_make(struct multiboot32 *file);
void multiboot64_make(struct multiboot64 *file);
void multiboot_flat_make(struct multiboot_flat *file);

/* Set FLAGS and the checksum that fits them in the Multiboot header at HEADER. */
void multiboot_set_flags(uint32_t *header, uint32_t flags);

/* What the guest finds at ADDRESS; the test fails if nothing was copied there. */
const uint8_t *plan_at(const struct load_plan *plan, uint64_t address);

/* The test fails unless INPUT is refused with STATUS and a message with WORDS that is not cut. */
void refusal_expect(const struct load_input *input, struct load_plan *plan, enum status status,
                    const char *words);

/* An input for FILE, SIZE bytes, called NAME, in a VM of 128 MiB. */
struct load_input input_make(enum load_kind kind, const void *file, uint64_t size,
                             const char *name);

#endif
