/* SPDX-License-Identifier: BSD-2-Clause */
/* A screen's memory: taken, cleared, and in real nested tables where the VGA's BAR says. */
#include "vmm/vm/video.h"

#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/nested_bits.h"
#include "vmm/host/address_space.h"
#include "vmm/host/frame.h"
#include "vmm/host/paging.h"
#include "vmm/host/timer.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_vm config;
static struct vm vm;
static uint8_t *memory;
static unsigned taken, flushes;
static uint8_t rom[VGA_ROM_MAX + 1];
static uint64_t rom_size;

enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base)
{
    assert_int_equal(size, VGA_MEMORY_SIZE);
    assert_int_equal(align, PAGE_SIZE_2M);
    taken++;
    *base = hpa((uint64_t)memory - DIRECT_BASE);
    return STATUS_OK;
}

enum status frame_free(hpa_t base, uint64_t size)
{
    taken--;
    return STATUS_OK;
}

enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights)
{
    assert_int_equal(va, memory);
    return STATUS_OK;
}

void paging_unmap(uint64_t va, uint64_t size) {}

void timer_service(void) {}

void vm_flush(struct vm *flushed)
{
    flushes++;
}

enum status vm_edge_find_file(const char *name, struct load_file *found)
{
    assert_string_equal(name, "vgabios.bin");
    *found = (struct load_file){.name = name, .data = rom, .size = rom_size};
    return rom_size == 0 ? STATUS_NOT_FOUND : STATUS_OK;
}

uint64_t vga_frame_base(const struct vga *vga)
{
    return (uint64_t)vga->state.config[0x13] << 24;
}

static int setup(void **state)
{
    memory = aligned_alloc(PAGE_SIZE_2M, VGA_MEMORY_SIZE);
    config = (struct config_vm){.name = "dos", .vga = 1};
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    vm.nested = (struct radix){
        .format = &nested_bits, .page_sizes = PAGE_SIZE | PAGE_SIZE_2M, .levels = VM_NESTED_LEVELS};
    fake_pages_reset(16);
    assert_int_equal(radix_init(&vm.nested), STATUS_OK);
    taken = flushes = 0;
    return 0;
}

static int teardown(void **state)
{
    video_destroy(&vm);
    assert_int_equal(taken, 0);
    radix_destroy(&vm.nested);
    free(memory);
    return 0;
}

static void place(uint8_t top)
{
    vm.pc.vga.state.config[0x13] = top;
    video_settle(&vm);
}

static bool is_mapped(uint64_t at)
{
    struct radix_page page;

    for (uint64_t offset = 0; offset < VGA_MEMORY_SIZE; offset += PAGE_SIZE_2M) {
        if (radix_lookup(&vm.nested, at + offset, &page) != STATUS_OK) {
            return false;
        }
        assert_int_equal(page.size, PAGE_SIZE_2M);
        assert_int_equal(page.address.raw + DIRECT_BASE, (uint64_t)memory + offset);
        assert_int_equal(page.rights & 3, RADIX_READ | RADIX_WRITE);
    }
    return true;
}

static void test_follows_the_bar(void **state)
{
    assert_int_equal(video_create(&vm), STATUS_OK);
    place(0xfd);
    assert_true(is_mapped(0xfd000000));
    assert_int_equal(flushes, 1);
    place(0xfd);
    assert_int_equal(flushes, 1);
    place(0xe0);
    assert_true(is_mapped(0xe0000000));
    assert_false(radix_maps_any(&vm.nested, 0xfd000000, VGA_MEMORY_SIZE));
    place(0);
    assert_false(radix_maps_any(&vm.nested, 0xe0000000, VGA_MEMORY_SIZE));
    assert_int_equal(flushes, 3);
    fake_pages_limit(0); /* no memory for tables: it stays away, and a later place is tried */
    place(0x40);
    assert_false(radix_maps_any(&vm.nested, 0x40000000, VGA_MEMORY_SIZE));
    fake_pages_limit(16);
    place(0xfd);
    assert_true(is_mapped(0xfd000000));
}

static void test_begins_cleared_with_its_rom(void **state)
{
    struct pc_config pc = {0};

    strcpy(config.vga_rom.text, "vgabios.bin");
    assert_int_equal(video_create(&vm), STATUS_OK);
    memset(memory, 0xa5, VGA_MEMORY_SIZE);
    rom_size = 0x8000;
    rom[0] = 0x55;
    rom[1] = 0xaa;
    assert_int_equal(video_begin(&vm, &pc), STATUS_OK);
    assert_ptr_equal(pc.screen, memory);
    assert_true(pc.mouse);
    assert_ptr_equal(pc.screen_rom, rom);
    assert_int_equal(pc.screen_rom_size, 0x8000);
    for (unsigned i = 0; i < VGA_MEMORY_SIZE; i++) {
        assert_true(memory[i] == 0);
    }
    static const struct {
        uint64_t size;
        uint8_t first;
        enum status status;
    } cases[] = {
        {0,               0x55, STATUS_NOT_FOUND},
        {1,               0x55, STATUS_INVALID  },
        {VGA_ROM_MAX,     0x55, STATUS_OK       },
        {VGA_ROM_MAX + 1, 0x55, STATUS_INVALID  },
        {0x8000,          0x7f, STATUS_INVALID  },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        rom_size = cases[i].size;
        rom[0] = cases[i].first;
        assert_int_equal(video_begin(&vm, &pc), cases[i].status);
    }
    config.vga_rom.text[0] = '\0';
    pc = (struct pc_config){0};
    assert_int_equal(video_begin(&vm, &pc), STATUS_OK);
    assert_null(pc.screen_rom);
}

static void test_without_a_screen(void **state)
{
    struct pc_config pc = {0};

    config.vga = 0;
    assert_int_equal(video_create(&vm), STATUS_OK);
    assert_int_equal(video_begin(&vm, &pc), STATUS_OK);
    place(0xfd);
    assert_null(pc.screen);
    assert_false(pc.mouse);
    assert_int_equal(taken + flushes, 0);
    assert_false(radix_maps_any(&vm.nested, 0xfd000000, VGA_MEMORY_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follows_the_bar, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begins_cleared_with_its_rom, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_screen, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
