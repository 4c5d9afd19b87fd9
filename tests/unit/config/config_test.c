/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's parts one by one: values, defaults, what a full file gives, limits, files,
 * documentation. */
#include "vmm/base/log.h"
#include "vmm/config/config.h"
#include "vmm/config/config_keys.h"
#include "vmm/config/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct config_report report;

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static enum status parse(const char *s)
{
    return config_parse(&config, "test.cfg", s, strlen(s), &report);
}

static void test_numbers(void **state)
{
    uint64_t v = 7;

    assert_true(value_number(text("0"), &v));
    assert_int_equal(v, 0);
    assert_true(value_number(text("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_true(value_number(text("0xFFffFFffFFffFFff"), &v));
    assert_true(v == UINT64_MAX);
    v = 7;
    static const char *const bad[] = {"",
                                      "0x",
                                      "-1",
                                      "+1",
                                      "1 ",
                                      "1a",
                                      "0b1",
                                      "0x1g",
                                      "18446744073709551616",
                                      "0x10000000000000000"};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(value_number(text(bad[i]), &v));
    }
    assert_int_equal(v, 7);
}

static void test_sizes(void **state)
{
    uint64_t v;

    assert_true(value_size(text("4096"), &v) && v == 4096);
    assert_true(value_size(text("2M"), &v) && v == 2 << 20);
    assert_true(value_size(text("0x10K"), &v) && v == 16384);
    assert_true(value_size(text("16777215T"), &v) && v == 16777215ULL << 40);
    assert_false(value_size(text("16777216T"), &v));
    assert_false(value_size(text("M"), &v));
    assert_false(value_size(text("2m"), &v));
    assert_false(value_size(text("2MB"), &v));
    assert_false(value_size(text(""), &v));
}

static void test_addresses(void **state)
{
    bdf_t bdf;

    assert_true(value_bdf(text("01:02.3"), &bdf));
    assert_true(bdf_equal(bdf, (bdf_t){0, 1, 2 << 3 | 3}));
    assert_true(value_bdf(text("ffff:FF:1f.7"), &bdf));
    assert_true(bdf_equal(bdf, (bdf_t){0xffff, 0xff, 0xff}));
    static const char *const bad[] = {"",         "1",           "01:02",     "01:20.0", "01:02.8",
                                      "100:02.0", "10000:1:2.3", "0:0:0:0.0", ":1.0",    "1:.0",
                                      "1:2.",     "00001:02.0",  "0:1:2.3 "};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(value_bdf(text(bad[i]), &bdf));
    }
}

static void test_paths(void **state)
{
    static const char *const good[] = {"a", "a/b", "vmlinuz-6.1", "dir.d/..x", "x..y"};
    static const char *const bad[] = {"",     "/",   "/a",  "a/",   "a//b", ".",  "..",
                                      "a/..", "./a", "a b", "a\\b", "a:b",  "a*", "a\x7f"};

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(value_path_ok(text(good[i])));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(value_path_ok(text(bad[i])));
    }
}

static void test_words(void **state)
{
    assert_int_equal(value_word(text("b"), "a b c"), 1);
    assert_int_equal(value_word(text("c"), "a b c"), 2);
    assert_int_equal(value_word(text("a b"), "a b c"), -1);
    assert_int_equal(value_word(text(""), "a b c"), -1);
}

static void test_defaults(void **state)
{
    assert_int_equal(parse(""), STATUS_OK);
    assert_int_equal(config.vmm.serial.port, 0x3f8);
    assert_int_equal(config.vmm.serial.baud, 115200);
    assert_int_equal(config.vmm.framebuffer, 1);
    assert_int_equal(config.vmm.log, LOG_INFO);
    assert_int_equal(config.vmm.when_idle, CONFIG_IDLE_HALT);
    assert_int_equal(config.vmm.on_panic, CONFIG_PANIC_HALT);
    assert_int_equal(config.vmm.cpus_max, 0);
    assert_int_equal(config.vmm.unsafe_dma, 0);
    assert_int_equal(config.vm_count + config.pf_count, 0);
    assert_int_equal(parse("[vm a]\ncpus = 1\nmemory = 2M\nkernel = k\n"), STATUS_OK);
    assert_int_equal(config.vms[0].autostart, 1);
    assert_int_equal(config.vms[0].modern, 0);
    assert_int_equal(config.vms[0].debug_exit, 0);
    assert_int_equal(config.vms[0].checkpoints, 0);
    assert_int_equal(config.vms[0].tsc_khz, 0);
}

static void test_values_arrive(void **state)
{
    assert_int_equal(parse("[vmm]\nserial = none\nlog = debug\nwhen_idle = poweroff\n"
                           "[pf 0001:02:03.4]\nnum_vfs = 64\ntransport = admin\n"
                           "[vm a]\ncpus = 3,1-2\nmemory = 6M\nmultiboot = t.elf\n"
                           "module = m.bin  a b \ncmdline = x = y # z\ndebug_exit = "
                           "0xf4\ncheckpoints = 20\ntsc_khz = 2400000\n"
                           "vf = 1:02:03.4/63   slot=31\n"),
                     STATUS_OK);
    assert_int_equal(config.vmm.serial.port, 0);
    assert_int_equal(config.vmm.log, LOG_DEBUG);
    assert_int_equal(config.vmm.when_idle, CONFIG_IDLE_POWEROFF);
    assert_int_equal(config.pfs[0].num_vfs, 64);
    assert_int_equal(config.pfs[0].transport, CONFIG_TRANSPORT_ADMIN);
    const struct config_vm *vm = &config.vms[0];

    assert_int_equal(vm->cpus.count, 3);
    assert_int_equal(vm->cpus.cpu[0], 3);
    assert_int_equal(vm->cpus.cpu[2], 2);
    assert_int_equal(vm->memory, 6 << 20);
    assert_string_equal(vm->multiboot.text, "t.elf");
    assert_string_equal(vm->modules.module[0].path.text, "m.bin");
    assert_string_equal(vm->modules.module[0].arguments, "a b");
    assert_string_equal(vm->cmdline, "x = y # z");
    assert_int_equal(vm->debug_exit, 0xf4);
    assert_int_equal(vm->checkpoints, 20);
    assert_int_equal(vm->tsc_khz, 2400000);
    assert_int_equal(vm->vfs.vf[0].index, 63);
    assert_int_equal(vm->vfs.vf[0].slot, 31);
    assert_true(bdf_equal(vm->vfs.vf[0].pf, config.pfs[0].bdf));
}

static void test_file_too_long(void **state)
{
    static char big[CONFIG_SIZE_MAX + 1];

    memset(big, '\n', sizeof(big));
    assert_int_equal(config_parse(&config, "b", big, sizeof(big), &report), STATUS_INVALID);
    assert_non_null(strstr(report.text, "65537 bytes, more than 65536"));
    assert_int_equal(config_parse(&config, "b", big, sizeof(big) - 1, &report), STATUS_OK);
}

static void test_nul_byte(void **state)
{
    static const char with_nul[] = "[vmm]\nlog = info\0\n";

    assert_int_equal(config_parse(&config, "n", with_nul, sizeof(with_nul) - 1, &report),
                     STATUS_INVALID);
    assert_non_null(strstr(report.text, "n:2: error"));
}

static void test_report_overflow(void **state)
{
    static char many[CONFIG_SIZE_MAX];
    size_t used = 0;

    for (unsigned i = 0; i < 2000; i++) {
        used += (size_t)snprintf(many + used, sizeof(many) - used, "bad line %u\n", i);
    }
    assert_int_equal(config_parse(&config, "many", many, used, &report), STATUS_INVALID);
    assert_int_equal(report.errors, 2000);
    assert_true(report.left_out > 0);
    assert_int_equal(strlen(report.text), report.used);
    assert_true(report.used < CONFIG_REPORT_SIZE);
}

static void test_files(void **state)
{
    assert_int_equal(
        parse("[vm a]\ncpus = 1\nmemory = 2M\nkernel = k\ninitrd = i\n"
              "[vm b]\ncpus = 2\nmemory = 2M\nkernel = k\ninitrd = i2\n"
              "[vm c]\ncpus = 3\nmemory = 2M\nmultiboot = m\nmodule = i x\nmodule = z\n"),
        STATUS_OK);
    static const char *const wanted[] = {"k", "i", "i2", "m", "z"};

    assert_int_equal(config_file_count(&config), ARRAY_SIZE(wanted));
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        assert_string_equal(config_file_name(&config, i), wanted[i]);
    }
    assert_null(config_file_name(&config, ARRAY_SIZE(wanted)));
    config_complain_file(&config, 2, "is missing", &report);
    assert_non_null(strstr(report.text, "test.cfg:10: error: the file 'i2' is missing"));
}

/* What the parser reads, the manual describes. */
static void test_keys_are_documented(void **state)
{
    static char manual[1 << 16];
    FILE *file = fopen("docs/configuration.md", "rb");

    assert_non_null(file);
    manual[fread(manual, 1, sizeof(manual) - 1, file)] = '\0';
    fclose(file);
    for (unsigned section = 0; section < SECTION_COUNT; section++) {
        const struct config_section_keys *keys = &config_sections[section];

        for (uint32_t i = 0; i < keys->count; i++) {
            char entry[64];

            snprintf(entry, sizeof(entry), "| `%s` |", keys->keys[i].name);
            if (!strstr(manual, entry)) {
                print_error("docs/configuration.md has no row %s\n", entry);
                fail();
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_addresses),     cmocka_unit_test(test_paths),
        cmocka_unit_test(test_words),         cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values_arrive), cmocka_unit_test(test_file_too_long),
        cmocka_unit_test(test_nul_byte),      cmocka_unit_test(test_report_overflow),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_keys_are_documented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
