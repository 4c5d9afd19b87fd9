/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's memory: maps of today, tables of 2021, and what was written. */
#include "tests/unit/vfio_user/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DATA 8192U
#define PAGE 4096ULL

static int begin(void **state)
{
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(VFIO_USER_TODAY);
    return 0;
}

static int begin_2021(void **state)
{
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(VFIO_USER_2021);
    return 0;
}

static int end(void **state)
{
    fake_stop();
    return 0;
}

static int map(uint32_t flags, uint64_t offset, uint64_t address, uint64_t size, const int *handle)
{
    uint8_t bytes[32];

    fake_put32(bytes, 2, 32, flags);
    fake_put64(bytes + 8, 3, offset, address, size);
    return fake_command(COMMAND_DMA_MAP, bytes, 32, handle, handle != NULL ? 1 : 0);
}

static int unmap(uint32_t flags, uint64_t address, uint64_t size)
{
    uint8_t bytes[24];

    fake_put32(bytes, 2, 24, flags);
    fake_put64(bytes + 8, 2, address, size);
    return fake_command(COMMAND_DMA_UNMAP, bytes, 24, NULL, 0);
}

static void maps_and_unmaps(void **state)
{
    int handle = fake_handle();

    assert_int_equal(map(3, 0, 0, 16 * PAGE, &handle), 0);
    assert_int_equal(fake.reply_size, 0);
    assert_int_equal(fake.maps, 1);
    assert_int_equal(fake.map[0].handle, handle);
    assert_int_equal(map(1, 0, 16 * PAGE, PAGE, NULL), 0); /* by messages only */
    assert_int_equal(fake.map[1].handle, NO_HANDLE);
    handle = fake_handle();
    assert_int_equal(map(7, PAGE, (uint64_t)-PAGE, PAGE, &handle), 0); /* up to the end */
    handle = fake_handle();
    assert_int_equal(map(3, 0, 15 * PAGE, PAGE, &handle), 17);
    assert_int_equal(fake.handle[handle], HANDLE_CLOSED);
    assert_int_equal(unmap(0, 0, 15 * PAGE), 2);
    assert_int_equal(unmap(0, 0, 16 * PAGE), 0);
    assert_int_equal(fake.reply_size, 24);
    assert_int_equal(bytes_get64(fake.reply + 16), 16 * PAGE);
    assert_int_equal(unmap(0, 0, 16 * PAGE), 2);
    assert_int_equal(fake.maps, 2);
    assert_int_equal(unmap(2, PAGE, PAGE), 22);
    assert_int_equal(unmap(2, 0, 0), 0);
    assert_int_equal(fake.maps, 0);
    assert_int_equal(fake.device.maps, 0);
}

static void refuses_wrong_maps(void **state)
{
    static const struct {
        uint32_t flags;
        uint64_t offset, address, size;
    } cases[] = {
        {0,  0,               0,                     PAGE                 },
        {16, 0,               0,                     PAGE                 },
        {11, 0,               0,                     PAGE                 },
        {3,  0,               0,                     0                    },
        {3,  0,               0,                     PAGE - 1             },
        {3,  0,               1,                     PAGE                 },
        {3,  1,               0,                     PAGE                 },
        {3,  0,               (uint64_t)-PAGE,       2 * PAGE             },
        {3,  0,               2 * PAGE,              (uint64_t)-PAGE      },
        {3,  (uint64_t)-PAGE, 0,                     PAGE                 },
        {3,  0,               0xfffffffffffff000ULL, 0xfffffffffffff000ULL},
    };
    uint8_t bytes[32] = {0};
    int handle[2];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        handle[0] = fake_handle();
        if (map(cases[i].flags, cases[i].offset, cases[i].address, cases[i].size, handle) != 22) {
            fail_msg("case %u", i);
        }
        assert_int_equal(fake.handle[handle[0]], HANDLE_CLOSED);
    }
    assert_int_equal(map(7, 0, 0, PAGE, NULL), 22); /* to be mapped, by what? */
    fake_put32(bytes, 2, 32, 3);
    fake_put64(bytes + 8, 3, 0ULL, 0ULL, PAGE);
    handle[0] = fake_handle();
    handle[1] = fake_handle();
    assert_int_equal(fake_command(COMMAND_DMA_MAP, bytes, 32, handle, 2), 22);
    fake_put32(bytes, 1, 31);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, bytes, 32, NULL, 0), 22);
    assert_int_equal(unmap(1, 0, PAGE), 22);
    assert_int_equal(unmap(0, 1, PAGE), 22);
    assert_int_equal(unmap(0, 0, 0), 22);
    fake.fails = STATUS_NO_MEMORY;
    assert_int_equal(map(3, 0, 0, PAGE, NULL), 12);
    assert_int_equal(fake.device.maps, 0);
    assert_int_equal(fake.maps, 0);
}

static void counts_maps(void **state)
{
    for (uint64_t i = 0; i < VFIO_USER_MAPS_MAX; i++) {
        assert_int_equal(map(3, 0, i * PAGE, PAGE, NULL), 0);
    }
    int handle = fake_handle();

    assert_int_equal(map(3, 0, VFIO_USER_MAPS_MAX * PAGE, PAGE, &handle), 28);
    assert_int_equal(unmap(0, 5 * PAGE, PAGE), 0);
    assert_int_equal(map(3, 0, VFIO_USER_MAPS_MAX * PAGE, PAGE, NULL), 0);
    assert_int_equal(map(3, 0, 5 * PAGE, PAGE, NULL), 28);
}

/* ---- 2021 ---- */

static uint8_t table[DATA + 512];

/* Entry I of a table of maps. */
static void put_entry(uint32_t i, uint64_t address, uint64_t pages, uint32_t protections,
                      uint32_t flags)
{
    uint8_t *at = table + (size_t)i * 32;

    fake_put64(at, 3, address, pages * PAGE, 0ULL);
    fake_put32(at + 24, 2, protections, flags);
}

static void maps_tables_in_2021(void **state)
{
    int handle[2] = {fake_handle(), fake_handle()};

    put_entry(0, 0, 16, 3, 1);
    put_entry(1, 16 * PAGE, 1, 1, 0);
    put_entry(2, 32 * PAGE, 1, 3, 1);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 96, handle, 2), 0);
    assert_int_equal(fake.maps, 3);
    assert_int_equal(fake.map[0].handle, handle[0]);
    assert_int_equal(fake.map[1].handle, NO_HANDLE);
    assert_int_equal(fake.map[2].handle, handle[1]);
    /* All or none: the second is there already. */
    put_entry(0, 64 * PAGE, 1, 3, 1);
    put_entry(1, 16 * PAGE, 1, 3, 1);
    put_entry(2, 65 * PAGE, 1, 3, 1);
    int more[3] = {fake_handle(), fake_handle(), fake_handle()};

    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 96, more, 3), 17);
    assert_int_equal(fake.maps, 3);
    assert_int_equal(fake.device.maps, 3);
    /* What is wrong with it as a whole. */
    put_entry(1, 66 * PAGE, 1, 3, 1);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 96, NULL, 0), 22);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 95, NULL, 0), 22);
    put_entry(0, 66 * PAGE, 1, 4, 0); /* PROT_EXEC */
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 32, NULL, 0), 22);
    put_entry(0, 66 * PAGE, 1, 3, 2);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 32, NULL, 0), 22);
    /* And off again. */
    put_entry(0, 0, 16, 3, 0);
    put_entry(1, 16 * PAGE, 1, 1, 0);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 64, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 64);
    assert_memory_equal(fake.reply, table, 64);
    assert_int_equal(fake.maps, 1);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 64, NULL, 0), 2);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 63, NULL, 0), 22);
    put_entry(0, 32 * PAGE, 1, 3, 4);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 32, NULL, 0), 22);
}

static int unmap_pages_2021(uint64_t page, uint64_t pages)
{
    put_entry(0, page * PAGE, pages, 0, 0);
    return fake_command(COMMAND_DMA_UNMAP, table, 32, NULL, 0);
}

/* The map at PAGE has PAGES. */
static void expect_map(uint64_t page, uint64_t pages)
{
    for (uint32_t i = 0; i < fake.maps; i++) {
        if (fake.map[i].address == page * PAGE) {
            assert_int_equal(fake.map[i].size, pages * PAGE);
            return;
        }
    }
    fail();
}

static void unmaps_parts_in_2021(void **state)
{
    put_entry(0, 0, 16, 3, 0);
    put_entry(1, 16 * PAGE, 16, 3, 0);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 64, NULL, 0), 0);
    assert_int_equal(unmap_pages_2021(4, 2), 0); /* two are left of it */
    assert_int_equal(fake.device.maps, 3);
    expect_map(0, 4);
    expect_map(6, 10);
    assert_int_equal(unmap_pages_2021(6, 3), 0); /* its beginning */
    expect_map(9, 7);
    assert_int_equal(unmap_pages_2021(2, 2), 0); /* its end */
    expect_map(0, 2);
    assert_int_equal(fake.device.maps, 3);
    assert_int_equal(unmap_pages_2021(15, 2), 2); /* of two */
    assert_int_equal(unmap_pages_2021(1, 2), 2);  /* not all is there */
    assert_int_equal(unmap_pages_2021(0, 2), 0);
    assert_int_equal(unmap_pages_2021(9, 7), 0);
    assert_int_equal(fake.device.maps, 1);
    /* Where the function cannot. */
    fake.function.split = false;
    assert_int_equal(unmap_pages_2021(16, 1), 2);
    assert_int_equal(fake.device.maps, 1);
}

/* As many maps as there may be: none can become two, but one can become smaller. */
static void a_part_needs_room_in_2021(void **state)
{
    for (uint32_t i = 0; i < VFIO_USER_MAPS_MAX; i += 255) {
        for (uint32_t k = 0; k < 255; k++) {
            put_entry(k, (i + k) * 3 * PAGE, 3, 3, 0);
        }
        assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 255 * 32, NULL, 0), 0);
    }
    assert_int_equal(fake.device.maps, VFIO_USER_MAPS_MAX);
    assert_int_equal(unmap_pages_2021(1, 1), 28);
    assert_int_equal(unmap_pages_2021(0, 1), 0);
    assert_int_equal(unmap_pages_2021(3, 3), 0);
    assert_int_equal(unmap_pages_2021(7, 1), 0);
    assert_int_equal(fake.device.maps, VFIO_USER_MAPS_MAX);
    assert_int_equal(unmap_pages_2021(10, 1), 28);
}

/* DIRTY_PAGES with FLAGS; with a bitmap of SIZE bytes for PAGES pages from ADDRESS on. */
static int dirty(uint32_t flags, uint64_t address, uint64_t pages, uint64_t page, uint64_t size)
{
    uint8_t bytes[48];

    fake_put32(bytes, 2, 48, flags);
    fake_put64(bytes + 8, 5, address, pages * PAGE, page, size, 0ULL);
    return fake_command(COMMAND_2021_DIRTY_PAGES, bytes, flags == 4 ? 48 : 8, NULL, 0);
}

static void reports_what_was_written_in_2021(void **state)
{
    put_entry(0, 0, 100, 3, 0);
    put_entry(1, 100 * PAGE, 100, 3, 0);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 64, NULL, 0), 0);
    assert_int_equal(dirty(4, 0, 200, PAGE, 32), 16); /* nothing is noted */
    assert_int_equal(dirty(2, 0, 0, 0, 0), 16);
    assert_int_equal(dirty(1, 0, 0, 0, 0), 0);
    assert_int_equal(fake.log_ranges, 0);
    assert_int_equal(dirty(1, 0, 0, 0, 0), 16);
    fake.map[0].written = fake.map[1].written = true;
    assert_int_equal(dirty(4, 0, 200, PAGE, 40), 0); /* more room than there must be */
    assert_int_equal(fake.reply_size, 24 + 40);
    assert_int_equal(bytes_get64(fake.reply), PAGE);
    assert_int_equal(bytes_get64(fake.reply + 8), 40);
    assert_int_equal(bytes_get64(fake.reply + 24), 1);
    assert_int_equal(bytes_get64(fake.reply + 32), 1ULL << (100 - 64));
    assert_int_equal(bytes_get64(fake.reply + 56), 0);
    assert_int_equal(dirty(4, 0, 200, PAGE, 32), 0);
    assert_int_equal(bytes_get64(fake.reply + 24), 0); /* and was forgotten */
    /* What cannot be asked. */
    assert_int_equal(dirty(4, 0, 200, PAGE, 31), 22);
    assert_int_equal(dirty(4, 0, 0, PAGE, 32), 22);
    assert_int_equal(dirty(4, 0, 200, 2048, 64), 22);
    assert_int_equal(dirty(4, 0, 200, 3 * PAGE, 64), 22);
    assert_int_equal(dirty(4, 0, 200, PAGE, DATA + 1), 7);
    assert_int_equal(dirty(4, (uint64_t)-PAGE, 2, PAGE, 32), 22);
    assert_int_equal(dirty(3, 0, 0, 0, 0), 22);
    assert_int_equal(dirty(0, 0, 0, 0, 0), 22);
    /* With the unmapping. */
    fake.map[0].written = true;
    put_entry(0, 0, 100, 3, 1);
    fake_put64(table + 32, 3, PAGE, 16ULL, 0ULL);
    fake_put64(table + 56, 3, 100 * PAGE, 100 * PAGE, 0ULL);
    fake_put32(table + 80, 2, 3, 0);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 88, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 32 + 24 + 16 + 32);
    assert_memory_equal(fake.reply, table, 56);
    assert_int_equal(bytes_get64(fake.reply + 56), 1);
    assert_int_equal(bytes_get64(fake.reply + 64), 0);
    assert_memory_equal(fake.reply + 72, table + 56, 32);
    assert_int_equal(fake.maps, 0);
    assert_int_equal(dirty(2, 0, 0, 0, 0), 0);
}

static void checks_unmaps_before_it_begins(void **state)
{
    put_entry(0, 0, 1, 3, 0);
    put_entry(1, PAGE, 1, 3, 0);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, table, 64, NULL, 0), 0);
    assert_int_equal(dirty(1, 0, 0, 0, 0), 0);
    put_entry(1, PAGE, 1, 3, 1);
    fake_put64(table + 64, 3, PAGE, 8ULL, 0ULL);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 64, NULL, 0), 22); /* cut off */
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 87, NULL, 0), 22);
    fake_put64(table + 64, 3, PAGE, 7ULL, 0ULL);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 88, NULL, 0), 22);
    fake_put64(table + 64, 3, PAGE, UINT64_MAX, 0ULL);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 88, NULL, 0), 22);
    fake_put64(table + 64, 3, PAGE, (uint64_t)DATA, 0ULL);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 88, NULL, 0), 7);
    assert_int_equal(fake.maps, 2);
    fake_put64(table + 64, 3, PAGE, 8ULL, 0ULL);
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 88, NULL, 0), 0);
    assert_int_equal(fake.maps, 0);
    fake.function.logs = false;
    assert_int_equal(fake_command(COMMAND_DMA_UNMAP, table, 88, NULL, 0), 22);
    assert_int_equal(dirty(1, 0, 0, 0, 0), 95);
    fake.function.logs = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maps_and_unmaps, begin, end),
        cmocka_unit_test_setup_teardown(refuses_wrong_maps, begin, end),
        cmocka_unit_test_setup_teardown(counts_maps, begin, end),
        cmocka_unit_test_setup_teardown(maps_tables_in_2021, begin_2021, end),
        cmocka_unit_test_setup_teardown(unmaps_parts_in_2021, begin_2021, end),
        cmocka_unit_test_setup_teardown(a_part_needs_room_in_2021, begin_2021, end),
        cmocka_unit_test_setup_teardown(reports_what_was_written_in_2021, begin_2021, end),
        cmocka_unit_test_setup_teardown(checks_unmaps_before_it_begins, begin_2021, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
