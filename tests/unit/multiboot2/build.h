/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 2 information, tag by tag, for tests. */
#ifndef PORTOLAN_TESTS_UNIT_MULTIBOOT2_BUILD_H
#define PORTOLAN_TESTS_UNIT_MULTIBOOT2_BUILD_H

#include <stddef.h>
#include <stdint.h>

#define BUILD_SIZE 65536U

/* Begin anew. */
void build_start(void);

/* Add a tag of TYPE with the SIZE bytes at CONTENT. */
void build_tag(uint32_t type, const void *content, size_t size);

/* Add the tag of a module. */
void build_module(uint32_t start, uint32_t end, const char *string);

/* Add the tag of a memory map: COUNT entries {base, length, type}. */
void build_memory(const uint64_t (*entries)[3], size_t count);

/* Add the last tag and fill in the size; the information and its size. */
uint8_t *build_end(size_t *size);

#endif
