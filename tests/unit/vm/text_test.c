/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a VM: whatever a guest could notice after a move changes it, and nothing else does.
 */
#include "tests/unit/vm/fake_cpu.h"
#include "vmm/host/address_space.h"
#include "vmm/migrate/compare.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RAM_END (4ULL << 30)

static struct vm vm;
static struct legacy_function functions[LEGACY_FUNCTIONS_MAX];
static uint8_t rom[64], screen_rom[64];
static bool up;

bool vm_is_up(const struct vm *which)
{
    assert_ptr_equal(which, &vm);
    return up;
}

struct backend_offers backend_offers;

static void level(enum config_cpu_level wanted)
{
    model_level_set(&vm.level, &(struct config_cpu){.level = wanted}, RAM_END);
}

static int setup(void **state)
{
    fake_cpu_milan();
    memset(&vm, 0, sizeof(vm));
    memset(functions, 0, sizeof(functions));
    memset(rom, 1, sizeof(rom));
    up = true;
    backend_offers.tsc_ratio = (struct backend_ratio){0};
    vm.vcpu_count = 2;
    vm.pc.config.memory_below_4g = 0xc0000000;
    vm.pc.config.memory_above_4g = 0x40000000;
    vm.pc.config.tsc_hz = 3000000000;
    vm.pc.config.debug_exit = 0xf4;
    vm.vfs.legacy.count = 2;
    for (unsigned i = 0; i < LEGACY_FUNCTIONS_MAX; i++) {
        functions[i].setup.slot = (uint8_t)(2 + i);
        functions[i].setup.type = 1;
        vm.vfs.legacy.function[i] = &functions[i];
    }
    level(CONFIG_CPU_HOST);
    return 0;
}

static void get(char *text)
{
    memset(text, 'x', VM_MOVE_TEXT_MAX);
    assert_int_equal(vm_move_text(&vm, text), STATUS_OK);
    assert_non_null(memchr(text, '\0', VM_MOVE_TEXT_MAX));
}

static void test_machine(void **state)
{
    char text[VM_MOVE_TEXT_MAX];
    static const char start[] = "vm/1;pc=1;cpus=2;ram=c0000000+40000000;slots=2:1,3:1;vga=0.0;"
                                "rom=0.0;fwcfg=";

    get(text);
    assert_memory_equal(text, start, sizeof(start) - 1);
    assert_non_null(strstr(text, ";debug=f4.0;vendor=AuthenticAMD;"));
    assert_non_null(strstr(text, ";tsc=3000000000;scale=0;msr="));
    up = false;
    assert_int_equal(vm_move_text(&vm, text), STATUS_STATE);
}

/* Each of these alone, and which key is to tell it. */
static void change(unsigned which)
{
    switch (which) {
    case 0:
        vm.vcpu_count = 1;
        break;
    case 1:
        vm.pc.config.memory_above_4g = 0;
        break;
    case 2:
        functions[1].setup.slot = 9;
        break;
    case 3:
        functions[0].setup.type = 2;
        break;
    case 4:
        vm.pc.config.screen = rom;
        break;
    case 5:
        vm.pc.config.screen_rom = screen_rom;
        vm.pc.config.screen_rom_size = sizeof(screen_rom);
        break;
    case 6:
        vm.pc.fw_cfg.part[0].size = 1;
        break;
    case 7:
        vm.pc.fw_cfg.directory[3] = 1;
        break;
    case 8:
        vm.pc.config.debug_output = true;
        break;
    case 9:
        vm.pc.config.tsc_hz = 2000000000;
        break;
    case 10:
        vm.rom = hpa((uint64_t)rom - DIRECT_BASE);
        vm.rom_size = sizeof(rom);
        break;
    case 11:
        vm.nvram_size = 0x20000;
        break;
    default:
        fake_cpu_genoa();
        level(CONFIG_CPU_HOST);
        break;
    }
}

static void test_differences(void **state)
{
    static const char *const keys[] = {"cpus ", "ram ",   "slots ", "slots ", "vga ",
                                       "vga ",  "fwcfg ", "fwcfg ", "debug ", "tsc ",
                                       "rom ",  "rom ",   "sig "};
    char text[VM_MOVE_TEXT_MAX], again[VM_MOVE_TEXT_MAX], other[VM_MOVE_TEXT_MAX];
    char why[COMPARE_WHY_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        (void)setup(NULL);
        get(text);
        get(again);
        assert_string_equal(text, again);
        change(i);
        get(other);
        assert_int_equal(compare_texts(text, again, why), STATUS_OK);
        assert_int_equal(compare_texts(text, other, why), STATUS_CONFLICT);
        assert_memory_equal(why, keys[i], strlen(keys[i]));
    }
}

/* A level makes unlike machines alike, and shows in the text. */
static void test_levels(void **state)
{
    char text[VM_MOVE_TEXT_MAX], other[VM_MOVE_TEXT_MAX], why[COMPARE_WHY_MAX];

    get(text);
    level(CONFIG_CPU_V2);
    get(other);
    assert_int_equal(compare_texts(text, other, why), STATUS_CONFLICT);
    fake_cpu_genoa();
    level(CONFIG_CPU_V2);
    get(text);
    assert_string_equal(text, other);
    level(CONFIG_CPU_BASE);
    get(text);
    assert_int_equal(compare_texts(text, other, why), STATUS_CONFLICT);
}

/* A target that scales TSCs says so: then the rate does not count. */
static void test_scaling(void **state)
{
    char text[VM_MOVE_TEXT_MAX], other[VM_MOVE_TEXT_MAX], why[COMPARE_WHY_MAX];

    get(text);
    backend_offers.tsc_ratio = (struct backend_ratio){.whole = 8, .fraction = 32};
    vm.pc.config.tsc_hz = 2000000000;
    get(other);
    assert_int_equal(compare_texts(text, other, why), STATUS_OK);
    assert_int_equal(compare_texts(other, text, why), STATUS_CONFLICT);
}

/* Leaf 15h tells what TSCs run at, which is compared by itself; but whether it tells anything
 * counts. */
static void test_rates(void **state)
{
    char text[VM_MOVE_TEXT_MAX], other[VM_MOVE_TEXT_MAX], why[COMPARE_WHY_MAX];

    fake_cpu_intel();
    level(CONFIG_CPU_HOST);
    get(text);
    vm.pc.config.tsc_hz += 33000; /* near enough, and none that the leaf can tell */
    fake_cpuid_set(0x15, 0, (struct cpuid){3, 0xfa, 24000000, 0});
    level(CONFIG_CPU_HOST);
    get(other);
    assert_int_equal(compare_texts(text, other, why), STATUS_OK);
    fake_cpuid_set(0x15, 0, (struct cpuid){0});
    level(CONFIG_CPU_HOST);
    get(other);
    assert_int_equal(compare_texts(text, other, why), STATUS_CONFLICT);
    assert_memory_equal(why, "cache ", 6);
}

/* All that there can be has room, and can be compared. */
static void test_longest(void **state)
{
    char text[VM_MOVE_TEXT_MAX], why[COMPARE_WHY_MAX];

    vm.vfs.legacy.count = LEGACY_FUNCTIONS_MAX;
    for (unsigned i = 0; i < LEGACY_FUNCTIONS_MAX; i++) {
        functions[i].setup.slot = 31;
        functions[i].setup.type = 26;
    }
    vm.pc.config.memory_below_4g = vm.pc.config.memory_above_4g = UINT64_MAX;
    vm.pc.config.tsc_hz = UINT64_MAX;
    get(text);
    assert_int_equal(compare_texts(text, text, why), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_machine, setup),
        cmocka_unit_test_setup(test_differences, setup),
        cmocka_unit_test_setup(test_levels, setup),
        cmocka_unit_test_setup(test_scaling, setup),
        cmocka_unit_test_setup(test_rates, setup),
        cmocka_unit_test_setup(test_longest, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
