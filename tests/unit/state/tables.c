/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of all state: without an argument, that they are sound; with --print, the rows of
 * docs/state.md (tests/style/state_doc.sh).
 */
#include "vmm/legacy/legacy_state.h"
#include "vmm/pc/pc.h"
#include "vmm/state/state.h"
#include "vmm/vm/cpu_state.h"
#include "vmm/vm/vm_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct section *const others[] = {&cpu_section, &legacy_section, &clock_section,
                                               &flash_section, &flash_block_section};

#define OTHERS   ARRAY_SIZE(others)
#define SECTIONS (pc_section_count + OTHERS)

/* Sections that a VM has one of for each vCPU or VF. */
static const char *instances(unsigned i)
{
    static char number[16];

    static const char *const of_others[] = {"one for each vCPU", "one for each VF", "one",
                                            "one in a VM with `nvram`",
                                            "one for each 4 KiB of it, in a VM with `nvram`"};

    if (i >= pc_section_count) {
        return of_others[i - pc_section_count];
    }
    (void)snprintf(number, sizeof(number), "%u of them", pc_sections[i].instances);
    return pc_sections[i].instances == 0   ? "one for each vCPU"
           : pc_sections[i].instances == 1 ? "one"
                                           : number;
}

static const struct section *section_at(unsigned i)
{
    return i < pc_section_count ? pc_sections[i].section : others[i - pc_section_count];
}

static void print_section(unsigned i)
{
    const struct section *section = section_at(i);

    printf("\n### %s\n\nVersion %u, %s%s.\n\n", section->name, section->version, instances(i),
           section->optional ? "; optional" : "");
    printf("| field | bytes | elements | since | at most |\n|---|---|---|---|---|\n");
    for (uint32_t f = 0; f < section->fields; f++) {
        const struct field *row = &section->field[f];
        uint64_t all = row->width == 8 ? UINT64_MAX : (1ULL << 8 * row->width) - 1;

        printf("| %s%s | %u | %u | %u | ", row->name, row->optional ? " (optional)" : "",
               row->width, row->count, row->since);
        if (row->max == all) {
            printf("any |\n");
        } else {
            printf("%#llx |\n", (unsigned long long)row->max);
        }
    }
}

static bool is_name(const char *name, size_t size)
{
    size_t length = strlen(name);

    return length != 0 && length < size &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

/* Each row says what a reader will accept, and lies where no other does. */
static void check_rows(const struct section *section, uint8_t *bytes)
{
    for (uint32_t f = 0; f < section->fields; f++) {
        const struct field *row = &section->field[f];

        assert_true(is_name(row->name, STATE_FIELD_NAME_SIZE));
        for (uint32_t other = 0; other < f; other++) {
            assert_string_not_equal(row->name, section->field[other].name);
        }
        assert_true(row->width == 1 || row->width == 2 || row->width == 4 || row->width == 8);
        assert_true(row->since >= 1 && row->since <= section->version);
        assert_true(row->count >= 1);
        assert_true(row->count == 1 || row->stride >= row->width);
        assert_true(row->width == 8 || row->max >> 8 * row->width == 0);
        for (uint32_t i = 0; i < row->count; i++) {
            size_t at = row->offset + (size_t)row->stride * i;

            assert_true(at + row->width <= section->size);
            for (unsigned b = 0; b < row->width; b++) {
                assert_int_equal(bytes[at + b]++, 0);
            }
        }
    }
}

static void all_tables_are_sound(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 16];

    for (unsigned i = 0; i < SECTIONS; i++) {
        const struct section *section = section_at(i);

        print_message("%s\n", section->name);
        assert_true(is_name(section->name, STATE_SECTION_NAME_SIZE));
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(section->name, section_at(other)->name);
        }
        assert_in_range(section->size, 1, sizeof(bytes));
        memset(bytes, 0, sizeof(bytes));
        check_rows(section, bytes);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_tables_are_sound)};

    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        for (unsigned i = 0; i < SECTIONS; i++) {
            print_section(i);
        }
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
