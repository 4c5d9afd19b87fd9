/* SPDX-License-Identifier: BSD-2-Clause */
/* What VFs write to memory, by each kind of map. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/virtio/sim_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGES_MAX 65536U

static struct virtio_pf pf;
static struct vf_state_pf control;
static struct vf_state handle;
static struct vf_state *const vf = &handle;
static uint64_t bitmap[PAGES_MAX / 64 + 1];
static struct ram ram = {.marks = bitmap};
static uint8_t map_memory[PAGES_MAX] __attribute__((aligned(PAGE_SIZE)));

static void set_up(enum vf_track_mode mode)
{
    struct virtio_dma memory = sim_memory();
    uint64_t used;

    sim_state_reset(VF_STATE_2021, 3000);
    sim.offered &= ~(0xfULL << 46);
    sim.offered |= 1ULL << (45 + mode);
    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
    (void)virtio_admin_use(&pf.admin, VIRTIO_GROUP_SRIOV, VF_STATE_COMMANDS, &used);
    vf_state_probe(&control, &pf, used);
    assert_int_equal(control.mode, mode);
    vf_state_open(vf, &control, 1);
    memset(bitmap, 0, sizeof(bitmap));
    fake_log_clear();
}

static void tear_down(void)
{
    for (unsigned i = 0; i < SIM_RANGES; i++) {
        assert_false(sim_state.vf[1].range[i].used); /* nothing is left behind */
    }
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

static const struct virtio_dma *map_for(uint64_t pages)
{
    static struct virtio_dma map;

    map = (struct virtio_dma){.va = map_memory,
                              .iova = (uintptr_t)map_memory,
                              .size = vf_state_map_size(&control, pages)};
    assert_true(map.size <= sizeof(map_memory));
    memset(map_memory, 0xff, sizeof(map_memory)); /* what was there is nobody's mark */
    return map.size > 0 ? &map : NULL;
}

/* All of the RAM, which is PAGES. */
static enum status track(uint64_t pages, const struct virtio_dma *map)
{
    ram.below_4g = pages * PAGE_SIZE;
    return vf_state_track(vf, &ram, map);
}

static bool has(uint64_t page)
{
    return (bitmap[page / 64] >> page % 64 & 1) != 0;
}

static unsigned marked(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(bitmap); i++) {
        count += (unsigned)__builtin_popcountll(bitmap[i]);
    }
    return count;
}

/* Every page, once; none twice and none that was not written. */
static void test_modes(void **state)
{
    for (unsigned mode = VF_TRACK_PUSH_BITMAP; mode <= VF_TRACK_PULL_BYTEMAP; mode++) {
        set_up((enum vf_track_mode)mode);
        const uint64_t pages = mode == VF_TRACK_PULL_BYTEMAP  ? 2 * 4096 - 13
                               : mode == VF_TRACK_PULL_BITMAP ? 2 * 32768 - 13
                                                              : 5000;
        const uint64_t written[] = {0, 1, 63, 64, 2047, 2048, 4095, 4096, 4999, pages - 1};

        assert_int_equal(track(pages, map_for(pages)), STATUS_OK);
        assert_int_equal(track(pages, map_for(0)), STATUS_CONFLICT);
        memset(map_memory, 0, sizeof(map_memory));
        assert_int_equal(vf_state_report(vf), STATUS_OK);
        assert_int_equal(marked(), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
            if (written[i] < pages) {
                sim_state_dirty(1, written[i]);
                assert_int_equal(vf_state_report(vf), STATUS_OK);
                assert_true(has(written[i]));
                assert_int_equal(vf->reported, 1);
            }
        }
        sim_state_dirty(1, pages); /* beyond what is tracked */
        assert_int_equal(vf_state_report(vf), STATUS_OK);
        assert_int_equal(marked(), mode >= VF_TRACK_PULL_BITMAP ? 10 : 9);
        memset(bitmap, 0, sizeof(bitmap));
        bitmap[3] = 5; /* what others marked stays */
        assert_int_equal(vf_state_report(vf), STATUS_OK);
        assert_int_equal(marked(), 2);
        assert_int_equal(vf_state_untrack(vf), STATUS_OK);
        assert_int_equal(vf_state_untrack(vf), STATUS_OK);
        assert_int_equal(vf_state_report(vf), STATUS_STATE);
        assert_false(fake_log_contains("virtio 0000")); /* nothing was refused */
        tear_down();
    }
}

static void test_limits(void **state)
{
    set_up(VF_TRACK_PULL_BITMAP);
    assert_int_equal(vf_state_map_size(&control, 1000), 0);
    assert_int_equal(track(2 * 32768 + 1, NULL), STATUS_RANGE);
    assert_int_equal(track(UINT64_MAX / PAGE_SIZE, NULL), STATUS_RANGE);
    assert_int_equal(track(0, NULL), STATUS_INVALID);
    sim_state.log[0] = '\0';
    assert_int_equal(track(2 * 32768, NULL), STATUS_OK);
    assert_string_equal(sim_state.log, "TT");
    assert_int_equal(vf_state_untrack(vf), STATUS_OK);
    assert_string_equal(sim_state.log, "TTtt");
    tear_down();
    set_up(VF_TRACK_PUSH_BITMAP);
    struct virtio_dma map = *map_for(40000);

    assert_int_equal(map.size, 2 * PAGE_SIZE);
    assert_int_equal(track(40000, NULL), STATUS_INVALID);
    map.size = PAGE_SIZE;
    assert_int_equal(track(40000, &map), STATUS_INVALID);
    tear_down();
}

/* Whatever RAM there is, the map has room for whole words of it, the last page is in it, and what
 * lies behind is nobody's. */
static void test_log_size_alignment(void **state)
{
    static const uint64_t sizes[] = {1, 7, 63, 64, 65, 2047, 4095, 4096, 4097, 32767, 32768, 32769};

    for (unsigned mode = VF_TRACK_PUSH_BITMAP; mode <= VF_TRACK_PULL_BYTEMAP; mode++) {
        set_up((enum vf_track_mode)mode);
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            uint64_t pages = sizes[i];

            if (mode == VF_TRACK_PULL_BYTEMAP && pages > 2 * 4096) {
                continue; /* more than two of its ranges: test_limits() */
            }
            const struct virtio_dma *map = map_for(pages);

            assert_int_equal(vf_state_map_size(&control, pages) % PAGE_SIZE, 0);
            memset(bitmap, 0, sizeof(bitmap));
            assert_int_equal(track(pages, map), STATUS_OK);
            assert_int_equal(vf_state_report(vf), STATUS_OK);
            assert_int_equal(marked(), 0);
            sim_state_dirty(1, pages - 1);
            sim_state_dirty(1, pages);
            assert_int_equal(vf_state_report(vf), STATUS_OK);
            assert_int_equal(marked(), 1);
            assert_true(has(pages - 1));
            assert_int_equal(vf_state_untrack(vf), STATUS_OK);
        }
        tear_down();
    }
}

/* Somebody did not end it, as a host whose migration failed: the next START must not be rejected
 * for ever. */
static void test_second_start_track_is_rejected(void **state)
{
    set_up(VF_TRACK_PULL_BITMAP);
    sim_state.vf[1].range[0] =
        (struct sim_range){.used = true, .address = 0, .length = 64 * PAGE_SIZE};
    sim_state.log[0] = '\0';
    assert_int_equal(track(1000, NULL), STATUS_OK);
    assert_string_equal(sim_state.log, "TtT");
    assert_int_equal(vf_state_untrack(vf), STATUS_OK);
    tear_down();
}

/* The second of two ranges fails to begin: the first one is ended, and a second attempt succeeds.
 */
static void test_start_fails(void **state)
{
    set_up(VF_TRACK_PULL_BITMAP);
    sim.fail_only = VIRTIO_2021_START_TRACK;
    sim.fail_after = 1;
    sim.fail_count = SIM_FOR_EVER;
    sim.fail_status = 1;
    sim.fail_qualifier = 0x80;
    assert_int_equal(track(40000, NULL), STATUS_INVALID);
    assert_true(fake_log_contains("START_TRACK"));
    for (unsigned i = 0; i < SIM_RANGES; i++) {
        assert_false(sim_state.vf[1].range[i].used);
    }
    sim.fail_count = 0;
    assert_int_equal(track(40000, NULL), STATUS_OK);
    assert_int_equal(vf_state_untrack(vf), STATUS_OK);
    tear_down();
}

/* Nobody knows whether it began: it is ended, so that it is not left behind. */
static void test_start_cut_off(void **state)
{
    set_up(VF_TRACK_PULL_BITMAP);
    sim.result_cut = 1;
    sim_state.log[0] = '\0';
    assert_int_equal(track(1000, NULL), STATUS_DEVICE);
    assert_string_equal(sim_state.log, "Tt");
    sim.result_cut = 0;
    tear_down();
}

/* Marks that cannot be had are marks of all pages that they may be of. */
static void test_report_fails(void **state)
{
    static const struct {
        uint16_t only;
        uint32_t after, left;
    } cases[] = {
        {VIRTIO_2021_MAP_PENDING, 0, 40000                },
        {VIRTIO_2021_MAP_PENDING, 1, 40000 - 32768 + 1    },
        {VIRTIO_2021_REPORT_MAP,  0, 40000                },
        {VIRTIO_2021_REPORT_MAP,  1, 40000 - 2048 * 8 + 1 },
        {VIRTIO_2021_REPORT_MAP,  2, 40000 - 2048 * 16 + 1},
    };

    for (unsigned cut = 0; cut < 2; cut++) {
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
            set_up(VF_TRACK_PULL_BITMAP);
            assert_int_equal(track(40000, NULL), STATUS_OK);
            sim_state_dirty(1, 17);
            sim_state_dirty(1, 39999);
            sim.fail_count = 1;
            sim.fail_only = cases[i].only;
            sim.fail_after = cases[i].after;
            sim.fail_status = cut ? 0x7f : 5;
            sim.fail_qualifier = 0x80;
            assert_int_equal(vf_state_report(vf), STATUS_DEVICE);
            assert_int_equal(marked(), cases[i].left);
            assert_in_range(vf->reported, cases[i].left, cases[i].left + 1); /* 17 perhaps twice */
            assert_true(has(17) && has(39999) && !has(40000));
            assert_int_equal(vf_state_untrack(vf), STATUS_OK);
            tear_down();
        }
    }
}

/* A pushed map that could not be written is told at the end. */
static void test_stop_fails(void **state)
{
    set_up(VF_TRACK_PUSH_BITMAP);
    assert_int_equal(track(1000, map_for(1000)), STATUS_OK);
    sim.fail_count = 1;
    sim.fail_only = VIRTIO_2021_STOP_TRACK;
    sim.fail_status = 5;
    sim.fail_qualifier = 0x80;
    assert_int_equal(vf_state_untrack(vf), STATUS_DEVICE);
    assert_true(fake_log_contains("STOP_TRACK (16642) for member 1 of group 1 failed: "
                                  "DEVICE_INTERNAL_ERR (5)"));
    assert_int_equal(vf->tracked, 0);
    memset(sim_state.vf[1].range, 0, sizeof(sim_state.vf[1].range));
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),        cmocka_unit_test(test_log_size_alignment),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_second_start_track_is_rejected),
        cmocka_unit_test(test_start_fails),  cmocka_unit_test(test_start_cut_off),
        cmocka_unit_test(test_report_fails), cmocka_unit_test(test_stop_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
