/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Golden pairs: NAME.cfg and, in NAME.txt, all that the parser and the validator say about it.
 * 'fail-' must be refused, 'warn-' and 'ok-' accepted; an 'ok-' one has no text.
 *
 * A first line '# machine: cpus=4 threads=2 memory=1G stopped=2 pf=BDF=TOTALVFS no-iommu no-svm'
 * gives a machine to check against. 'unit-config-golden FOLDER write' writes the texts anew: read
 * them as an operator would before they are committed.
 */
#include "vmm/config/config.h"
#include "vmm/config/config_check.h"
#include "vmm/config/value.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MACHINE_LINE "# machine: "
#define PAIRS_MIN    45U

static const char *folder;
static bool write_anew;
static struct config config;
static struct config_report report, machine_report;
static char all_text[2 * CONFIG_REPORT_SIZE];

static size_t read_file(const char *path, char *buffer, size_t room)
{
    FILE *file = fopen(path, "rb");

    buffer[0] = '\0';
    if (!file) {
        return 0;
    }
    size_t size = fread(buffer, 1, room - 1, file);

    fclose(file);
    buffer[size] = '\0';
    return size;
}

static void machine_word(struct config_machine *machine, struct slice word)
{
    struct slice rest = word, key = slice_cut(&rest, '=');
    uint64_t number = 0;

    if (slice_is(key, "cpus")) {
        assert_true(value_number(rest, &number));
        machine->cpu_count = (uint32_t)number;
        memset(machine->cpu_usable, true, number);
        for (uint32_t i = 0; i < number; i++) {
            machine->core[i] = i;
        }
    } else if (slice_is(key, "threads")) { /* CPU n and n + this many are one core's */
        assert_true(value_number(rest, &number));
        for (uint32_t i = 0; i < machine->cpu_count; i++) {
            machine->core[i] = i % (uint32_t)number;
        }
    } else if (slice_is(key, "memory")) {
        assert_true(value_size(rest, &machine->memory));
    } else if (slice_is(key, "stopped")) {
        assert_true(value_number(rest, &number));
        machine->cpu_usable[number] = false;
    } else if (slice_is(key, "pf")) {
        struct config_machine_pf *pf = &machine->pfs[machine->pf_count++];

        assert_true(value_bdf(slice_cut(&rest, '='), &pf->bdf));
        assert_true(value_number(rest, &number));
        pf->total_vfs = (uint32_t)number;
        pf->has_sriov = number > 0;
    } else if (slice_is(key, "no-iommu")) {
        machine->has_iommu = false;
    } else {
        assert_true(slice_is(key, "no-svm"));
        machine->can_run_vms = false;
    }
}

static void check_machine(const char *text)
{
    struct config_machine machine = {.can_run_vms = true, .has_iommu = true};
    const char *line = text + strlen(MACHINE_LINE);
    struct slice rest = {line, strcspn(line, "\n")};

    while (rest.length > 0) {
        machine_word(&machine, slice_cut(&rest, ' '));
    }
    config_report_init(&machine_report, config.name);
    enum status status = config_check_machine(&config, &machine, &machine_report);

    assert_int_equal(status == STATUS_OK, machine_report.errors == 0);
    strcat(all_text, machine_report.text);
}

/* Parse the pair's configuration; returns whether it is accepted. Its messages are in all_text. */
static bool accepted(const char *path)
{
    static char text[CONFIG_SIZE_MAX + 2];
    size_t size = read_file(path, text, sizeof(text));
    const char *name = strrchr(path, '/') + 1;
    enum status status = config_parse(&config, name, text, size, &report);

    assert_int_equal(status == STATUS_OK, report.errors == 0);
    assert_int_equal(report.left_out, 0);
    strcpy(all_text, report.text);
    if (status != STATUS_OK) {
        return false;
    }
    memset(&machine_report, 0, sizeof(machine_report));
    if (strncmp(text, MACHINE_LINE, strlen(MACHINE_LINE)) == 0) {
        check_machine(text);
    }
    return machine_report.errors == 0;
}

static void compare_text(const char *config_path)
{
    static char wanted[2 * CONFIG_REPORT_SIZE];
    char path[512];

    snprintf(path, sizeof(path), "%.*s.txt", (int)strlen(config_path) - 4, config_path);
    if (write_anew) {
        FILE *file = fopen(path, "wb");

        assert_non_null(file);
        fputs(all_text, file);
        fclose(file);
    }
    read_file(path, wanted, sizeof(wanted));
    if (strcmp(wanted, all_text) != 0) {
        print_error("%s\n--- wanted:\n%s--- got:\n%s", path, wanted, all_text);
    }
    assert_string_equal(all_text, wanted);
}

static void test_pairs(void **state)
{
    char pattern[512];
    glob_t found;

    (void)state;
    snprintf(pattern, sizeof(pattern), "%s/*.cfg", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= PAIRS_MIN);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i], *name = strrchr(path, '/') + 1;
        bool good = accepted(path);

        if (good != (strncmp(name, "fail-", 5) != 0)) {
            print_error("%s: %s\n%s", name, good ? "accepted" : "refused", all_text);
            fail();
        }
        if (strncmp(name, "ok-", 3) == 0) {
            assert_string_equal(all_text, "");
        } else {
            compare_text(path);
        }
    }
    globfree(&found);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs)};

    folder = argv[1];
    write_anew = argc > 2 && strcmp(argv[2], "write") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
