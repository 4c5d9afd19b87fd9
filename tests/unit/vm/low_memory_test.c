/* SPDX-License-Identifier: BSD-2-Clause */
/* With firmware: what the PAM registers say goes before what tracking wants. */
#include "vmm/vm/low_memory.h"

#include "tests/unit/vm/tracked_vm.h"
#include "vmm/host/address_space.h"
#include "vmm/vm/dirty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define K4       PAGE_SIZE
#define ROM_AT   (TRACKED_HIGH - sizeof(tracked_rom))
#define PAM(n)   tracked_vm.pc.pci.config[PCI_HOST_BRIDGE][PCI_HOST_PAM + (n)]
#define SEGMENT  0xf0000U
#define RAM_PAGE 0xc8000U /* of the area that the lower half of PAM2 is for */

static void expect_target(uint64_t at, const uint8_t *target, unsigned rights)
{
    struct radix_page page;

    assert_int_equal(radix_lookup(&tracked_vm.nested, at, &page), STATUS_OK);
    assert_ptr_equal((uint8_t *)(DIRECT_BASE + page.address.raw) + at % page.size, target);
    assert_int_equal(page.rights, rights);
}

static void expect_nothing(uint64_t at)
{
    struct radix_page page;

    assert_int_equal(radix_lookup(&tracked_vm.nested, at, &page), STATUS_NOT_FOUND);
    assert_null(low_memory_pointer(&tracked_vm, gpa(at), 8, false));
    assert_null(low_memory_pointer(&tracked_vm, gpa(at), 8, true));
}

static void start_firmware(void)
{
    static const struct config_vm config = {.firmware = {"bios"}};

    for (unsigned i = 0; i < sizeof(tracked_rom_file); i++) {
        tracked_rom_file[i] = (uint8_t)(i * 7 + i / 4096);
    }
    tracked_stops = 0;
    tracked_vm.config = &config;
    tracked_vm.pc.config.firmware = true;
    assert_int_equal(rom_create(&tracked_vm), STATUS_OK);
    assert_memory_equal(tracked_rom, tracked_rom_file, sizeof(tracked_rom));
    low_memory_settle(&tracked_vm, true);
}

/* What a vCPU and the emulator find, area by area, for each of the four values of its two bits. */
static void test_shadow(void **state)
{
    const unsigned rx = RADIX_READ | RADIX_EXECUTE;

    start_firmware();
    expect_target(ROM_AT, tracked_rom, rx);
    expect_nothing(0xa0000);
    expect_nothing(0xbf000);
    expect_nothing(0xdf000);
    expect_target(0xe0000, tracked_rom + 0x20000, rx);
    expect_target(0xff000, tracked_rom + 0x3f000, rx);
    assert_ptr_equal(low_memory_pointer(&tracked_vm, gpa(0xffff0), 16, false),
                     tracked_rom + 0x3fff0);
    assert_ptr_equal(low_memory_pointer(&tracked_vm, gpa(TRACKED_HIGH - 16), 16, false),
                     tracked_rom + 0x3fff0);
    assert_null(low_memory_pointer(&tracked_vm, gpa(TRACKED_HIGH - 16), 16, true));
    assert_null(low_memory_pointer(&tracked_vm, gpa(0xffff0), 16, true));
    assert_false(low_memory_is_lasting(&tracked_vm, gpa(0xa0000)));
    assert_false(low_memory_is_lasting(&tracked_vm, gpa(0xfffff)));
    assert_true(low_memory_is_lasting(&tracked_vm, gpa(0x9f000)));
    assert_false(low_memory_is_lasting(&tracked_vm, gpa(0x10f000)));
    assert_true(low_memory_is_lasting(&tracked_vm, gpa(0x110000)));
    expect_target(0x9f000, tracked_ram + 0x9f000, TRACKED_RWX);
    expect_target(0x100000, tracked_ram + 0x100000, TRACKED_RWX);
    for (unsigned area = 1; area <= 13; area++) {
        uint64_t at = pc_low_start(area), last = pc_low_start(area + 1) - K4;
        unsigned shift = area % 2 == 1 && area != 13 ? 0 : 4;

        memset(&PAM(0), 0, 7);
        PAM(area == 13 ? 0 : (area + 1) / 2) = (uint8_t)(3U << shift);
        low_memory_settle(&tracked_vm, false);
        expect_target(at, tracked_ram + at, TRACKED_RWX);
        expect_target(last, tracked_ram + last, TRACKED_RWX);
        assert_int_equal(pc_low_area((uint32_t)at), area);
        assert_int_equal(pc_low_area((uint32_t)last), area);
        PAM(area == 13 ? 0 : (area + 1) / 2) = (uint8_t)(1U << shift);
        low_memory_settle(&tracked_vm, false);
        expect_target(last, tracked_ram + last, rx);
        assert_ptr_equal(low_memory_pointer(&tracked_vm, gpa(at), 8, false), tracked_ram + at);
        assert_null(low_memory_pointer(&tracked_vm, gpa(at), 8, true));
        assert_false(dirty_fault(&tracked_vcpus[0], gpa(at)));
        PAM(area == 13 ? 0 : (area + 1) / 2) = (uint8_t)(2U << shift);
        low_memory_settle(&tracked_vm, false);
        assert_ptr_equal(low_memory_pointer(&tracked_vm, gpa(at), 8, true), tracked_ram + at);
        assert_false(dirty_fault(&tracked_vcpus[0], gpa(at)));
        if (at < 0xe0000) {
            assert_null(low_memory_pointer(&tracked_vm, gpa(at), 8, false));
        } else {
            expect_target(at, tracked_rom + 0x20000 + (at - 0xe0000), rx);
        }
    }
    unsigned before = tracked_flushes;

    low_memory_settle(&tracked_vm, false);
    assert_int_equal(tracked_flushes, before); /* nothing has changed */
    assert_int_equal(tracked_stops, 0);
    rom_destroy(&tracked_vm);
}

/* Of the ROM, too, what does not appear below 1 MiB. */
static void test_rom(void **state)
{
    start_firmware();
    for (uint64_t at = 0; at < sizeof(tracked_rom); at += 0x10000) {
        expect_target(ROM_AT + at, tracked_rom + at, RADIX_READ | RADIX_EXECUTE);
        assert_ptr_equal(low_memory_pointer(&tracked_vm, gpa(ROM_AT + at), 8, false),
                         tracked_rom + at);
    }
    assert_null(low_memory_pointer(&tracked_vm, gpa(ROM_AT - 16), 16, false));
    rom_destroy(&tracked_vm);
}

/* Below the ROM: memory while it is read as that. */
static void test_flash(void **state)
{
    static uint8_t bytes[PAGE_SIZE];
    struct flash *flash = &tracked_vm.pc.flash;
    gpa_t at = gpa(ROM_AT - 16);

    start_firmware();
    *flash = (struct flash){.bytes = bytes, .size = PAGE_SIZE, .base = ROM_AT - PAGE_SIZE};
    assert_ptr_equal(low_memory_pointer(&tracked_vm, at, 16, false), bytes + PAGE_SIZE - 16);
    assert_null(low_memory_pointer(&tracked_vm, at, 16, true));
    assert_null(low_memory_pointer(&tracked_vm, gpa(ROM_AT - PAGE_SIZE - 8), 8, false));
    flash->state.mode = FLASH_STATUS;
    assert_null(low_memory_pointer(&tracked_vm, at, 16, false));
    *flash = (struct flash){0};
    rom_destroy(&tracked_vm);
}

/* The ROM, read-only RAM and what is nothing stay so while pages are noted, and behind that. */
static void test_tracked_shadow(void **state)
{
    const unsigned rx = RADIX_READ | RADIX_EXECUTE;

    start_firmware();
    PAM(0) = 0x10;
    PAM(2) = 0x03;
    low_memory_settle(&tracked_vm, false);
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    expect_target(RAM_PAGE, tracked_ram + RAM_PAGE, rx);
    expect_target(0x9f000, tracked_ram + 0x9f000, rx);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(RAM_PAGE)));
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(SEGMENT)));
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(0xe0000)));
    expect_target(RAM_PAGE, tracked_ram + RAM_PAGE, TRACKED_RWX);
    tracked_expect_dirty((uint64_t[]){RAM_PAGE}, 1);
    expect_target(RAM_PAGE, tracked_ram + RAM_PAGE, rx);
    PAM(0) = 0x30;
    low_memory_settle(&tracked_vm, false);
    expect_target(SEGMENT, tracked_ram + SEGMENT, rx);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(SEGMENT)));
    tracked_expect_dirty((uint64_t[]){SEGMENT}, 1);
    PAM(0) = 0;
    low_memory_settle(&tracked_vm, false);
    dirty_stop(&tracked_vm);
    expect_target(SEGMENT, tracked_rom + 0x30000, rx);
    expect_target(0xe0000, tracked_rom + 0x20000, rx);
    expect_target(RAM_PAGE, tracked_ram + RAM_PAGE, TRACKED_RWX);
    expect_target(0x9f000, tracked_ram + 0x9f000, TRACKED_RWX);
    expect_target(0x100000, tracked_ram + 0x100000, TRACKED_RWX);
    expect_nothing(0xa0000);
    expect_target(ROM_AT, tracked_rom, rx);
    assert_int_equal(tracked_stops, 0);
    rom_destroy(&tracked_vm);
}

/* With the A20 gate shut, 16-bit code's addresses above 1 MiB are those below; nothing else
 * changes. */
static void test_gate(void **state)
{
    start_firmware();
    assert_int_equal(low_memory_alias(&tracked_vm, gpa(0x100000)).raw, 0x100000);
    tracked_gate_shut = true;
    low_memory_settle(&tracked_vm, false);
    expect_target(0x100000, tracked_ram, TRACKED_RWX);
    expect_target(0x10f000, tracked_ram + 0xf000, TRACKED_RWX);
    expect_target(0x110000, tracked_ram + 0x110000, TRACKED_RWX);
    expect_target(0, tracked_ram, TRACKED_RWX);
    assert_int_equal(low_memory_alias(&tracked_vm, gpa(0xfffff)).raw, 0xfffff);
    assert_int_equal(low_memory_alias(&tracked_vm, gpa(0x100000)).raw, 0);
    assert_int_equal(low_memory_alias(&tracked_vm, gpa(0x10fff0)).raw, 0xfff0);
    assert_int_equal(low_memory_alias(&tracked_vm, gpa(0x110000)).raw, 0x110000);
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(0x100000)));
    /* while pages are noted, too, and what they are when the gate opens */
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    expect_target(0x108000, tracked_ram + 0x8000, RADIX_READ | RADIX_EXECUTE);
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(0x108000)));
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(0x8000)));
    expect_target(0x108000, tracked_ram + 0x8000, RADIX_READ | RADIX_EXECUTE);
    tracked_expect_dirty((uint64_t[]){0x8000}, 1);
    tracked_gate_shut = false;
    low_memory_settle(&tracked_vm, false);
    expect_target(0x108000, tracked_ram + 0x108000, RADIX_READ | RADIX_EXECUTE);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(0x108000)));
    tracked_expect_dirty((uint64_t[]){0x108000}, 1);
    tracked_gate_shut = true;
    low_memory_settle(&tracked_vm, false);
    dirty_stop(&tracked_vm);
    expect_target(0x108000, tracked_ram + 0x8000, TRACKED_RWX);
    tracked_gate_shut = false;
    low_memory_settle(&tracked_vm, false);
    expect_target(0x108000, tracked_ram + 0x108000, TRACKED_RWX);
    assert_int_equal(low_memory_alias(&tracked_vm, gpa(0x108000)).raw, 0x108000);
    assert_int_equal(tracked_stops, 0);
    rom_destroy(&tracked_vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shadow, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_tracked_shadow, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_rom, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_flash, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_gate, tracked_set_up, tracked_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
