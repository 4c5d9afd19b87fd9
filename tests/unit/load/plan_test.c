/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of plans, and the check that every plan passes last. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/load/images.h"
#include "vmm/load/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t image[0x3000];
static uint8_t initrd[0x1000];
static uint8_t module[0x1000];
static struct load_file modules[1] = {
    {module, sizeof(module), "module", NULL}
};
static struct load_input input;
static struct load_plan plan;

/* A plan as the VM likes it: an image, an initrd, a module, and page tables and GDT in 'low'. */
static int plan_create(void **state)
{
    fake_log_clear();
    input = input_make(LOAD_LINUX, image, sizeof(image), "image");
    input.initrd = (struct load_file){initrd, sizeof(initrd), "initrd", NULL};
    input.modules = modules;
    input.module_count = 1;
    input.memory_above_4g = 2 * MIB;
    memset(&plan, 0, sizeof(plan));
    plan.piece[0] = (struct load_piece){gpa(0x100000), image, 0x3000, 0x1000, "image", "code"};
    plan.piece[1] = (struct load_piece){gpa(0x104000), initrd, 0x1000, 0, "initrd", "initrd"};
    plan.piece[2] = (struct load_piece){gpa(0xff000), module, 0x1000, 0, "module", "module"};
    plan.piece[2].to = gpa(0x9ec00);
    plan.piece[3] = (struct load_piece){gpa(0x10000), plan.low, sizeof(plan.low), 0, "l", "low"};
    plan.piece_count = 4;
    plan.entry = (struct load_entry){.mode = LOAD_ENTRY_LONG64,
                                     .rip = 0x100000,
                                     .cr3 = gpa(0x10000),
                                     .gdt = gpa(0x11000),
                                     .gdt_limit = 31,
                                     .cs = 0x10,
                                     .ds = 0x18};
    return 0;
}

static void expect(enum status status, const char *words)
{
    fake_log_clear();
    assert_int_equal(load_plan_check(&input, &plan), status);
    if (!fake_log_contains(words)) {
        fail_msg("no '%s' in: %s", words, fake_log_text());
    }
    (void)plan_create(NULL);
}

static void test_good(void **state)
{
    assert_int_equal(load_plan_check(&input, &plan), STATUS_OK);
    plan.piece[1].to = gpa(1ULL << 32); /* RAM is RAM */
    assert_int_equal(load_plan_check(&input, &plan), STATUS_OK);
    plan.piece[1] = (struct load_piece){.to = gpa(0x104000), .zero = 0x1000};
    assert_int_equal(load_plan_check(&input, &plan), STATUS_OK);
    plan.entry.mode = LOAD_ENTRY_PROTECTED32;
    plan.entry.cr3 = gpa(5);
    assert_int_equal(load_plan_check(&input, &plan), STATUS_OK);
}

static void test_not_in_ram(void **state)
{
    static const uint64_t bad[] = {0x9ec01,
                                   0x9fc00,
                                   0xff001,
                                   128 * MIB - 0xfff,
                                   128 * MIB,
                                   0xfec00000,
                                   0xfffff001,
                                   (1ULL << 32) + 2 * MIB - 0xfff,
                                   UINT64_MAX - 0xfff,
                                   UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        plan.piece[1].to = gpa(bad[i]);
        expect(STATUS_RANGE, "piece 1 at");
    }
    plan.piece[0].zero = UINT64_MAX; /* the sum wraps to a small one */
    expect(STATUS_RANGE, "piece 0 at 0x100000 is not in RAM");
    plan.piece[1].zero = 127 * MIB;
    expect(STATUS_RANGE, "piece 1 at 0x104000 is not in RAM");
    plan.piece[1].size = 0; /* nothing is no piece */
    expect(STATUS_RANGE, "piece 1 at");
}

static void test_overlap(void **state)
{
    static const uint64_t bad[] = {0x100000, 0x101000, 0x103000};

    plan.piece[1].to = gpa(0x103fff); /* the zeros count too */
    expect(STATUS_CONFLICT, "pieces 0 and 1 overlap at 0x103fff");
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        plan.piece[1].to = gpa(bad[i]);
        expect(STATUS_CONFLICT, "pieces 0 and 1 overlap");
    }
    plan.piece[2].to = gpa(0x10000 + sizeof(plan.low) - 1);
    expect(STATUS_CONFLICT, "pieces 2 and 3 overlap");
}

static void test_source(void **state)
{
    plan.piece[0].from++;
    expect(STATUS_RANGE, "piece 0 at 0x100000 comes from no file");
    plan.piece[1].from = NULL;
    expect(STATUS_RANGE, "piece 1 at 0x104000 comes from no file");
    plan.piece[2].from = (const uint8_t *)&plan;
    expect(STATUS_RANGE, "piece 2 at 0x9ec00 comes from no file");
    plan.piece[3].from++;
    expect(STATUS_RANGE, "piece 3 at 0x10000 comes from no file");
    input.module_count = 0;
    expect(STATUS_RANGE, "piece 2");
    input.initrd = (struct load_file){0};
    expect(STATUS_RANGE, "piece 1");
}

static void test_entry(void **state)
{
    plan.entry.rip = 0x103000; /* in the zeros */
    expect(STATUS_RANGE, "RIP 0x103000");
    plan.entry.rip = 0xfffff;
    expect(STATUS_RANGE, "RIP 0xfffff");
    plan.entry.cr3 = gpa(0x10008);
    expect(STATUS_RANGE, "CR3 0x10008");
    plan.entry.cr3 = gpa(0x200000);
    expect(STATUS_RANGE, "CR3 0x200000");
    plan.entry.gdt = gpa(0x10000 + sizeof(plan.low) - 31);
    expect(STATUS_RANGE, "is nothing that was loaded");
    plan.entry.gdt_limit = 30;
    expect(STATUS_RANGE, "selectors 0x10 and 0x18 are beyond the GDT's limit 0x1e");
    plan.entry.gdt_limit = 0x16;
    plan.entry.ds = 8;
    expect(STATUS_RANGE, "selectors 0x10 and 0x8 are beyond the GDT's limit 0x16");
    plan.entry.cs = 0x20;
    expect(STATUS_RANGE, "selectors 0x20");
    plan.piece_count = LOAD_PIECES_MAX + 1;
    expect(STATUS_RANGE, "65 pieces");
}

static void test_space(void **state)
{
    uint64_t at;

    assert_true(plan_space_find(&plan, 0x1000, 0x100000, 128 * MIB, &at));
    assert_int_equal(at, 0x105000); /* behind two pieces that stand in reverse order */
    assert_true(plan_space_find(&plan, 0x1000, 0x1001, 128 * MIB, &at));
    assert_int_equal(at, 0x2000);
    assert_true(plan_space_find(&plan, 0xe001, 0x2000, 0x100000, &at));
    assert_int_equal(at, 0x19000);
    assert_false(plan_space_find(&plan, 0x90000, 0x2000, 0x9fc00, &at));
    assert_false(plan_space_find(&plan, UINT64_MAX, 0, 128 * MIB, &at));
    assert_true(plan_space_find(&plan, 128 * MIB - 0x105000, 0x100000, 128 * MIB, &at));
    assert_false(plan_space_find(&plan, 128 * MIB - 0x104fff, 0x100000, 128 * MIB, &at));
}

static void test_map(void **state)
{
    struct map map;

    map_build(128 * MIB, 2 * MIB, &map);
    for (unsigned i = 1; i < map.count; i++) {
        assert_true(map.range[i].base >= map.range[i - 1].base + map.range[i - 1].size);
    }
    assert_true(map_has_ram(&map, 0, 0x9fc00));
    assert_false(map_has_ram(&map, 0, 0x9fc01));
    assert_false(map_has_ram(&map, 0, 0));
    assert_true(map_has_ram(&map, 0x100000, 127 * MIB));
    assert_false(map_has_ram(&map, 0x100001, 127 * MIB));
    assert_false(map_has_ram(&map, 0x100000, UINT64_MAX));
    assert_true(map_has_ram(&map, (1ULL << 32) + 2 * MIB - 1, 1));
    assert_false(map_has_ram(&map, (1ULL << 32) + 2 * MIB, 1));
    map_build(LOAD_BELOW_4G_MAX, 0, &map);
    assert_false(map_has_ram(&map, 1ULL << 32, 1));
    assert_true(map_has_ram(&map, LOAD_BELOW_4G_MAX - 1, 1));
}

static void expect_full(struct plan_builder *builder, uint32_t size)
{
    uint32_t used = builder->plan->low_used;

    assert_int_equal(plan_low_take(builder, size, 1), 0);
    assert_int_equal(builder->status, STATUS_NO_MEMORY);
    assert_int_equal(plan_low_take(builder, 0, 1), 0); /* it stays so */
    assert_int_equal(builder->plan->low_used, used);
    builder->status = STATUS_OK;
}

static void test_low_full(void **state)
{
    struct plan_builder builder = {.input = &input, .plan = &plan, .low_base = PLAN_LOW_BASE};

    assert_int_equal(plan_low_take(&builder, 3, 1), 0);
    assert_int_equal(plan_low_take(&builder, 8, 8), 8);
    expect_full(&builder, LOAD_LOW_SIZE - 0x100 - 15);
    expect_full(&builder, UINT32_MAX);
    (void)plan_low_take(&builder, LOAD_LOW_SIZE - 0x100 - 16, 1);
    assert_int_equal(builder.status, STATUS_OK);
    expect_full(&builder, 1);
    plan_gdt_add(&builder, LOAD_ENTRY_LONG64);
    assert_int_equal(builder.status, STATUS_NO_MEMORY);
    builder.status = STATUS_OK;
    plan_page_tables_add(&builder);
    assert_int_equal(builder.status, STATUS_NO_MEMORY);
    builder.status = STATUS_OK;
    plan_text_add(&builder, "");
    assert_int_equal(builder.status, STATUS_NO_MEMORY);
}

static void test_firmware(void **state)
{
    static uint8_t rom[(8U << 20) + 65536];
    const struct {
        uint64_t size;
        uint8_t vector;
        enum status status;
        const char *words;
    } cases[] = {
        {64U << 10,          0xea, STATUS_OK,      NULL                         },
        {256U << 10,         0xea, STATUS_OK,      NULL                         },
        {(64U << 10) + 4096, 0xea, STATUS_OK,      NULL                         },
        {8U << 20,           0x90, STATUS_OK,      NULL                         },
        {sizeof(rom),        0xea, STATUS_RANGE,   "no BIOS image"              },
        {32U << 10,          0xea, STATUS_RANGE,   "no BIOS image"              },
        {(64U << 10) + 512,  0xea, STATUS_RANGE,   "no BIOS image"              },
        {128U << 10,         0xff, STATUS_INVALID, "no code at the reset vector"},
        {128U << 10,         0x00, STATUS_INVALID, "no code at the reset vector"},
        {0,                  0xea, STATUS_INVALID, "empty"                      },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct load_file file = {.data = rom, .size = cases[i].size, .name = "bios"};

        memset(rom, cases[i].vector, sizeof(rom));
        fake_log_clear();
        assert_int_equal(load_firmware_check(&file), cases[i].status);
        assert_true(cases[i].words ? fake_log_contains(cases[i].words) : fake_log_text()[0] == 0);
    }
}

static void test_nvram(void **state)
{
    static const struct {
        uint64_t size, firmware;
        enum status status;
        const char *words;
    } cases[] = {
        {0x20000,               0x1e0000,              STATUS_OK,      NULL                 },
        {0x84000,               0x37c000,              STATUS_OK,      NULL                 },
        {LOAD_FIRMWARE_MAX / 2, LOAD_FIRMWARE_MAX / 2, STATUS_OK,      NULL                 },
        {0x20000,               0x37c000,              STATUS_OK,      "do not belong to"   },
        {0x20000 - 512,         0x1e0000,              STATUS_RANGE,   "a multiple of 4 KiB"},
        {0x20000,               LOAD_FIRMWARE_MAX,     STATUS_RANGE,   "more than 8 MiB"    },
        {UINT64_MAX - 0xfff,    0x1e0000,              STATUS_RANGE,   "more than 8 MiB"    },
        {0,                     0x1e0000,              STATUS_INVALID, "empty"              },
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const uint8_t byte = 0xff;
        const struct load_file file = {.data = &byte, .size = cases[i].size, .name = "vars"};
        const struct load_file firmware = {
            .data = &byte, .size = cases[i].firmware, .name = "code"};

        fake_log_clear();
        assert_int_equal(load_nvram_check(&file, &firmware), cases[i].status);
        assert_true(cases[i].words ? fake_log_contains(cases[i].words) : fake_log_text()[0] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good, plan_create),
        cmocka_unit_test_setup(test_not_in_ram, plan_create),
        cmocka_unit_test_setup(test_overlap, plan_create),
        cmocka_unit_test_setup(test_source, plan_create),
        cmocka_unit_test_setup(test_entry, plan_create),
        cmocka_unit_test_setup(test_space, plan_create),
        cmocka_unit_test_setup(test_map, plan_create),
        cmocka_unit_test_setup(test_low_full, plan_create),
        cmocka_unit_test(test_firmware),
        cmocka_unit_test(test_nvram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
