/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/information.h"

#include "tests/unit/multiboot2/build.h"
#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t map[][3] = {
    {0,           0x9fc00,    1},
    {0x9fc00,     0x400,      2},
    {0x100000,    0x1fef0000, 1},
    {0x1fff0000,  0x8000,     3},
    {0x1fff8000,  0x8000,     4},
    {0xfec00000,  0x1000,     7},
    {0x100000000, 0x1000,     5},
    {0x200000000, 0x1000,     0},
};

static struct information info;

/* Parse SIZE bytes from a block of just that size, so that the sanitizer sees each byte beyond. */
static enum status parse_cut(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    enum status status = information_parse(copy, size, &info);
    free(copy);
    return status;
}

static enum status parse_tag(uint32_t type, const void *content, size_t size)
{
    size_t total;

    build_start();
    build_tag(type, content, size);
    uint8_t *bytes = build_end(&total);
    return information_parse(bytes, total, &info);
}

static uint8_t *build_all(size_t *size)
{
    static const uint8_t screen[32] = {0, 0, 0, 0xe0, 0, 0,  0, 0, 0, 16, 0, 0, 0, 4, 0,
                                       0, 0, 3, 0,    0, 32, 1, 0, 0, 16, 8, 8, 8, 0, 8};
    static const uint8_t old_rsdp[20] = "RSD PTR old";
    static const uint8_t new_rsdp[36] = "RSD PTR new";

    build_start();
    build_tag(1, "other.cfg", 10);
    build_tag(2, "GRUB", 5);
    build_module(0x200000, 0x200123, "portolan.cfg");
    build_module(0x300000, 0x300000, "");
    build_memory(map, ARRAY_SIZE(map));
    build_tag(8, screen, sizeof(screen));
    build_tag(14, old_rsdp, sizeof(old_rsdp));
    build_tag(15, new_rsdp, sizeof(new_rsdp));
    return build_end(size);
}

static void test_all(void **state)
{
    size_t size;
    uint8_t *bytes = build_all(&size);

    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_string_equal(info.command_line, "other.cfg");
    assert_int_equal(info.module_count, 2);
    assert_int_equal(info.modules[0].start, 0x200000);
    assert_int_equal(info.modules[0].end, 0x200123);
    assert_string_equal(info.modules[0].string, "portolan.cfg");
    assert_string_equal(info.modules[1].string, "");
    assert_int_equal(info.rsdp_size, 36);
    assert_string_equal((const char *)info.rsdp, "RSD PTR new");
    assert_int_equal(info.framebuffer.base, 0xe0000000);
    assert_int_equal(info.framebuffer.pitch, 4096);
    assert_int_equal(info.framebuffer.width, 1024);
    assert_int_equal(info.framebuffer.height, 768);
    assert_int_equal(info.framebuffer.bits, 32);
    assert_int_equal(info.framebuffer.type, INFORMATION_RGB);
    assert_int_equal(info.framebuffer.red, 16);
    assert_int_equal(info.framebuffer.green, 8);
    assert_int_equal(info.framebuffer.blue, 0);
    assert_int_equal(info.framebuffer.blue_bits, 8);
}

static void test_every_shorter_one_fails(void **state)
{
    size_t size;
    uint8_t *bytes = build_all(&size);

    assert_int_equal(parse_cut(bytes, size), STATUS_OK);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(parse_cut(bytes, cut), STATUS_INVALID);
        /* With a size that says so, it ends before the last tag. */
        if (cut >= INFORMATION_SIZE_MIN) {
            uint32_t total = (uint32_t)cut;
            memcpy(bytes, &total, sizeof(total));
            assert_int_equal(parse_cut(bytes, cut), STATUS_INVALID);
            total = (uint32_t)size;
            memcpy(bytes, &total, sizeof(total));
        }
    }
}

static void test_nothing(void **state)
{
    size_t size;

    build_start();
    uint8_t *bytes = build_end(&size);
    assert_int_equal(size, INFORMATION_SIZE_MIN);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_string_equal(info.command_line, "");
    assert_int_equal(info.module_count, 0);
    assert_null(info.memory);
    assert_null(info.rsdp);
}

static void test_sizes_of_tags(void **state)
{
    size_t size;

    build_start();
    build_tag(99, "1234567", 7);
    uint8_t *bytes = build_end(&size);
    static const uint32_t bad[] = {0, 7, 25, 0x7fffffff, 0xfffffff8, 0xffffffff};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        memcpy(bytes + 12, &bad[i], sizeof(bad[i]));
        assert_int_equal(parse_cut(bytes, size), STATUS_INVALID);
    }
    uint32_t good = 16;
    memcpy(bytes + 12, &good, sizeof(good));
    assert_int_equal(parse_cut(bytes, size), STATUS_OK);
    /* What lies beyond the size that is said does not count. */
    static const uint32_t totals[] = {0, 8, 15, 16, 24};
    for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
        memcpy(bytes, &totals[i], sizeof(totals[i]));
        assert_int_equal(parse_cut(bytes, size), STATUS_INVALID);
    }
}

static void test_bad_contents(void **state)
{
    static const uint32_t backwards[3] = {0x2000, 0x1fff, 0};
    static const uint32_t small_entries[2] = {16, 0};
    static const uint32_t odd_entries[2] = {28, 0};
    static const uint32_t torn_entry[4] = {24, 0, 0, 0};
    uint8_t screen[24] = {[21] = INFORMATION_RGB};

    assert_int_equal(parse_tag(1, "abc", 3), STATUS_INVALID);
    assert_int_equal(parse_tag(1, "", 0), STATUS_INVALID);
    assert_int_equal(parse_tag(3, backwards, 8), STATUS_INVALID);
    assert_int_equal(parse_tag(3, backwards, 9), STATUS_INVALID);
    assert_int_equal(parse_tag(3, "\0\0\0\0\0\0\0\0abc", 11), STATUS_INVALID);
    assert_int_equal(parse_tag(6, small_entries, 4), STATUS_INVALID);
    assert_int_equal(parse_tag(6, small_entries, 8), STATUS_INVALID);
    assert_int_equal(parse_tag(6, odd_entries, 8), STATUS_INVALID);
    assert_int_equal(parse_tag(6, torn_entry, 16), STATUS_INVALID);
    assert_int_equal(parse_tag(8, screen, 23), STATUS_INVALID);
    assert_int_equal(parse_tag(8, screen, 24), STATUS_INVALID);
    screen[21] = 2 /* text */;
    assert_int_equal(parse_tag(8, screen, 24), STATUS_OK);
    assert_int_equal(parse_tag(14, map, 19), STATUS_INVALID);
    assert_int_equal(parse_tag(15, map, 35), STATUS_INVALID);
}

static void test_the_first_counts(void **state)
{
    size_t size;

    build_start();
    build_tag(15, "new RSDP, of the thirty-six bytes it has", 40);
    build_tag(14, "old RSDP, of 20 byte", 20);
    build_tag(1, "one", 4);
    build_tag(1, "two", 4);
    build_memory(map, 2);
    build_memory(map, 1);
    uint8_t *bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_memory_equal(info.rsdp, "new", 3);
    assert_string_equal(info.command_line, "one");
    assert_int_equal(info.memory_count, 2);
}

static void test_too_many_modules(void **state)
{
    size_t size;

    build_start();
    for (uint32_t i = 0; i < INFORMATION_MODULES_MAX; i++) {
        build_module(i * 4096, i * 4096 + 1, "name");
    }
    uint8_t *bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    build_start();
    for (uint32_t i = 0; i <= INFORMATION_MODULES_MAX; i++) {
        build_module(i * 4096, i * 4096 + 1, "name");
    }
    bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_NO_MEMORY);
}

static void test_memory(void **state)
{
    static const uint32_t wanted[] = {
        HANDOFF_MEMORY_USABLE, HANDOFF_MEMORY_RESERVED, HANDOFF_MEMORY_USABLE,
        HANDOFF_MEMORY_ACPI,   HANDOFF_MEMORY_NVS,      HANDOFF_MEMORY_RESERVED,
        HANDOFF_MEMORY_BAD,    HANDOFF_MEMORY_RESERVED,
    };
    struct handoff_region ranges[ARRAY_SIZE(map)];
    size_t size;
    size_t count;
    uint8_t *bytes = build_all(&size);

    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_int_equal(information_read_memory(&info, ranges, ARRAY_SIZE(map), &count), STATUS_OK);
    assert_int_equal(count, ARRAY_SIZE(map));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ranges[i].base, map[i][0]);
        assert_int_equal(ranges[i].size, map[i][1]);
        assert_int_equal(ranges[i].type, wanted[i]);
    }
    assert_int_equal(information_read_memory(&info, ranges, ARRAY_SIZE(map) - 1, &count),
                     STATUS_NO_MEMORY);
    info.memory_count = 0;
    assert_int_equal(information_read_memory(&info, ranges, 1, &count), STATUS_NOT_FOUND);
}

static void test_larger_entries(void **state)
{
    static const uint64_t content[] = {32, 0x1000, 0x2000, 1, UINT64_MAX, 0x5000, 0x6000, 3, 0};
    struct handoff_region ranges[2];
    size_t size;
    size_t count;

    build_start();
    build_tag(6, content, sizeof(content));
    uint8_t *bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_int_equal(information_read_memory(&info, ranges, 2, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(ranges[1].base, 0x5000);
    assert_int_equal(ranges[1].type, HANDOFF_MEMORY_ACPI);
}

static void test_names(void **state)
{
    static const struct {
        const char *text;
        const char *name;
    } cases[] = {
        {"portolan.cfg",         "portolan.cfg" },
        {"",                     ""             },
        {"   ",                  ""             },
        {"  a/b.cfg rest of it", "a/b.cfg"      },
        {"it\\'s",               "it's"         },
        {"1234567890123",        "1234567890123"},
    };
    char name[14];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(information_read_name(cases[i].text, name, sizeof(name)), STATUS_OK);
        assert_string_equal(name, cases[i].name);
    }
    assert_int_equal(information_read_name("12345678901234", name, sizeof(name)), STATUS_RANGE);
    assert_string_equal(name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_every_shorter_one_fails),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_sizes_of_tags),
        cmocka_unit_test(test_bad_contents),
        cmocka_unit_test(test_the_first_counts),
        cmocka_unit_test(test_too_many_modules),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_larger_entries),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
