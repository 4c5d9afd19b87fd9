/* SPDX-License-Identifier: BSD-2-Clause */
/* Every example that the documentation ships is a good configuration. */
#include "vmm/config/config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;

static void test_examples(void **state)
{
    static char text[CONFIG_SIZE_MAX];
    static struct config config;
    static struct config_report report;
    char pattern[512];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/*.cfg", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 3);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "rb");

        assert_non_null(file);
        size_t size = fread(text, 1, sizeof(text), file);

        fclose(file);
        if (config_parse(&config, found.gl_pathv[i], text, size, &report) != STATUS_OK) {
            print_error("%s", report.text);
            fail();
        }
    }
    globfree(&found);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples)};

    assert_true(argc == 2);
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
