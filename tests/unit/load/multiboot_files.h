/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot images to spoil, and the plan for one of them. */
#ifndef PORTOLAN_TESTS_UNIT_LOAD_MULTIBOOT_FILES_H
#define PORTOLAN_TESTS_UNIT_LOAD_MULTIBOOT_FILES_H

#include "tests/unit/load/images.h"

struct mb_files {
    struct multiboot32 elf32;
    struct multiboot64 elf64;
    struct multiboot_flat flat;
    uint8_t data[0x5000]; /* of the modules */
    struct load_file modules[LOAD_MODULES_MAX + 1];
    struct load_input input; /* of elf32, unless told otherwise */
    struct load_plan plan;
};

extern struct mb_files mb;

/* All anew; a setup of cmocka's. */
int mb_create(void **state);

void mb_use_elf64(void);
void mb_use_flat(void);
void mb_expect_good(void);

/* As refusal_expect(); all is anew behind it. */
void mb_expect_refusal(enum status status, const char *words);

#endif
