/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/load/multiboot_files.h"

#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct mb_files mb;

int mb_create(void **state)
{
    multiboot32_make(&mb.elf32);
    multiboot64_make(&mb.elf64);
    multiboot_flat_make(&mb.flat);
    for (unsigned i = 0; i < ARRAY_SIZE(mb.modules); i++) {
        mb.modules[i] = (struct load_file){mb.data + i, 0x1001 + i, "disk.img", NULL};
    }
    mb.input = input_make(LOAD_MULTIBOOT, &mb.elf32, sizeof(mb.elf32), "guest.elf");
    mb.input.modules = mb.modules;
    return 0;
}

void mb_use_elf64(void)
{
    mb.input.image.data = (const uint8_t *)&mb.elf64;
    mb.input.image.size = sizeof(mb.elf64);
}

void mb_use_flat(void)
{
    mb.input.image.data = (const uint8_t *)&mb.flat;
    mb.input.image.size = sizeof(mb.flat);
}

void mb_expect_good(void)
{
    fake_log_clear();
    if (load_plan_build(&mb.input, &mb.plan) != STATUS_OK) {
        fail_msg("refused: %s", fake_log_text());
    }
}

void mb_expect_refusal(enum status status, const char *words)
{
    refusal_expect(&mb.input, &mb.plan, status, words);
    (void)mb_create(NULL);
}
