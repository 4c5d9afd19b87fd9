/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/text.h"

#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define END 0x7f, 0xff, 4, 0

static uint16_t path[64];
static char ascii[64];

static enum status read_path(const uint8_t *nodes, size_t size)
{
    enum status status = text_path_read(nodes, size, path, ARRAY_SIZE(path));

    if (status == STATUS_OK) {
        text_to_ascii(path, ascii, sizeof(ascii));
    }
    return status;
}

static void test_path_of_one_node(void **state)
{
    static const uint8_t nodes[] = {4, 4, 12, 0, '\\', 0, 'a', 0, '/', 0, 'b', 0, END};

    assert_int_equal(read_path(nodes, sizeof(nodes)), STATUS_OK);
    assert_string_equal(ascii, "\\a\\b");
}

static void test_path_of_many_nodes(void **state)
{
    /* A node of another kind, then "\a" with a NUL, "b\", and "\c". */
    static const uint8_t nodes[] = {1,    1,   6, 0, 9, 9, 4,    4, 10,  0,   '\\',
                                    0,    'a', 0, 0, 0, 4, 4,    8, 0,   'b', 0,
                                    '\\', 0,   4, 4, 8, 0, '\\', 0, 'c', 0,   END};

    assert_int_equal(read_path(nodes, sizeof(nodes)), STATUS_OK);
    assert_string_equal(ascii, "\\a\\b\\c");
}

static void test_path_without_file_nodes(void **state)
{
    static const uint8_t nodes[] = {END};

    assert_int_equal(read_path(nodes, sizeof(nodes)), STATUS_OK);
    assert_string_equal(ascii, "");
}

static void test_broken_paths(void **state)
{
    static const uint8_t short_node[] = {4, 4, 3, 0, END};
    static const uint8_t long_node[] = {4, 4, 200, 0, 'a', 0, END};
    static const uint8_t no_end[] = {4, 4, 6, 0, 'a', 0};

    assert_int_equal(read_path(short_node, sizeof(short_node)), STATUS_INVALID);
    assert_int_equal(read_path(long_node, sizeof(long_node)), STATUS_INVALID);
    assert_int_equal(read_path(no_end, sizeof(no_end)), STATUS_INVALID);
    assert_int_equal(read_path(no_end, 2), STATUS_INVALID);
}

static void test_path_too_long(void **state)
{
    static const uint8_t nodes[] = {4, 4, 10, 0, 'a', 0, 'b', 0, 'c', 0, END};

    assert_int_equal(text_path_read(nodes, sizeof(nodes), path, 3), STATUS_NO_MEMORY);
    assert_int_equal(text_path_read(nodes, sizeof(nodes), path, 4), STATUS_OK);
}

static void widen(const char *text, uint16_t *wide)
{
    size_t length = strlen(text);

    for (size_t i = 0; i <= length; i++) {
        wide[i] = (unsigned char)text[i];
    }
}

static void expect_split(const char *whole, const char *folder, const char *name)
{
    widen(whole, path);
    text_path_split(path, ascii, sizeof(ascii));
    assert_string_equal(ascii, name);
    text_to_ascii(path, ascii, sizeof(ascii));
    assert_string_equal(ascii, folder);
}

static void test_split(void **state)
{
    expect_split("\\EFI\\BOOT\\BOOTX64.EFI", "\\EFI\\BOOT", "BOOTX64.EFI");
    expect_split("\\portolan.efi", "", "portolan.efi");
    expect_split("portolan.efi", "", "portolan.efi");
    expect_split("", "", "");
}

static void test_ascii(void **state)
{
    static const uint16_t text[] = {'a', 0xe9, 0x20ac, 7, 'z', 0};

    text_to_ascii(text, ascii, sizeof(ascii));
    assert_string_equal(ascii, "a???z");
    text_to_ascii(text, ascii, 3);
    assert_string_equal(ascii, "a?");
}

static enum status options_of(const char *text)
{
    static uint16_t wide[2048];

    widen(text, wide);
    return text_options_name(wide, 2 * strlen(text) + 2, "portolan.efi", ascii, sizeof(ascii));
}

static void expect_name(const char *options, const char *name)
{
    assert_int_equal(options_of(options), STATUS_OK);
    assert_string_equal(ascii, name);
}

static void test_options(void **state)
{
    expect_name("other.cfg", "other.cfg");
    expect_name("portolan.efi other.cfg", "other.cfg");
    expect_name("  FS0:\\x\\PORTOLAN.EFI   sub/other.cfg  more", "sub\\other.cfg");
    expect_name("portolan other.cfg", "other.cfg");
    expect_name("fs0:/portolan other.cfg", "other.cfg");
    expect_name("renamed.efi other.cfg", "other.cfg");
    expect_name("\"a b.efi\" \"my machine.cfg\"", "my machine.cfg");
    expect_name("\"unclosed name", "unclosed name");
    expect_name("portolan.cfg", "portolan.cfg");
}

static void test_options_without_a_name(void **state)
{
    assert_int_equal(options_of(""), STATUS_NOT_FOUND);
    assert_int_equal(options_of("   "), STATUS_NOT_FOUND);
    assert_int_equal(options_of("portolan.efi"), STATUS_NOT_FOUND);
    assert_int_equal(options_of("\\EFI\\portolan "), STATUS_NOT_FOUND);
    assert_int_equal(options_of("portolan.efi \"\""), STATUS_NOT_FOUND);
    assert_int_equal(text_options_name("", 0, "", ascii, sizeof(ascii)), STATUS_NOT_FOUND);
}

static void test_options_that_are_no_text(void **state)
{
    static const uint8_t data[] = {0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59};
    char longest[2000];

    assert_int_equal(text_options_name(data, sizeof(data), "", ascii, sizeof(ascii)),
                     STATUS_INVALID);
    assert_int_equal(options_of("a\tb"), STATUS_INVALID);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(options_of(longest), STATUS_INVALID);
    longest[100] = '\0';
    assert_int_equal(options_of(longest), STATUS_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_of_one_node),
        cmocka_unit_test(test_path_of_many_nodes),
        cmocka_unit_test(test_path_without_file_nodes),
        cmocka_unit_test(test_broken_paths),
        cmocka_unit_test(test_path_too_long),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_options_without_a_name),
        cmocka_unit_test(test_options_that_are_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
