/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VF writes is in its VM's marks: as its device says, or all of it. */
#include "tests/unit/fakes/cpu.h"
#include "tests/unit/fakes/log.h"
#include "vmm/host/percpu.h"
#include "vmm/host/time.h"
#include "vmm/migrate/migrate_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGES (1024U + 512U)

static struct ram ram = {
    .below_4g = 1024 * PAGE_SIZE,
    .above_4g = 512 * PAGE_SIZE,
    .run_count = 2,
    .run = {{.at = {0}, .size = 1024 * PAGE_SIZE}, {.at = {1ULL << 32}, .size = 512 * PAGE_SIZE}}
};
static struct config_vm config = {.name = "vm"};
static struct pf pf;
static struct vf_set set = {
    .owner = {.config = &config, .ram = &ram},
      .count = 1
};
static struct vf vf;
static struct virtio_dma memory;
static uint64_t map_size, asked, marked;
static const struct virtio_dma *given;
static enum status on_track, on_report, on_untrack;
static bool no_memory;
static unsigned reports, untracks;
static enum status on_watch, on_take; /* of the IOMMU */
static unsigned takes;
static struct iommu_domain *const domain = (struct iommu_domain *)&vf;

uint64_t ram_end(const struct ram *of)
{
    return (1ULL << 32) + of->above_4g;
}

void ram_mark(const struct ram *of, gpa_t at, uint64_t size)
{
    assert_ptr_equal(of, &ram);
    marked += size / PAGE_SIZE;
}

uint64_t vf_state_map_size(const struct vf_state_pf *control, uint64_t pages)
{
    assert_int_equal(pages, (1ULL << 20) + 512);
    return map_size;
}

const struct virtio_dma *vf_map_memory(const struct vf *of, uint64_t size)
{
    asked = size;
    return no_memory ? NULL : &memory;
}

/* 3 us for whoever asks twice. */
uint64_t time_now_ns(void)
{
    static uint64_t now;

    return now += 3000;
}

enum status vf_state_track(struct vf_state *state, const struct ram *of,
                           const struct virtio_dma *map)
{
    assert_ptr_equal(of, &ram);
    given = map;
    state->tracked = on_track == STATUS_OK ? PAGES : 0;
    return on_track;
}

enum status vf_state_report(struct vf_state *state)
{
    assert_int_not_equal(state->tracked, 0);
    reports++;
    state->reported = 7;
    return on_report;
}

enum status vf_state_untrack(struct vf_state *state)
{
    untracks++;
    state->tracked = 0;
    return on_untrack;
}

enum status iommu_watch(struct iommu_domain *of, const struct ram *to)
{
    assert_ptr_equal(of, domain);
    assert_ptr_equal(to, &ram);
    return on_watch;
}

enum status iommu_take_written(struct iommu_domain *of, const struct ram *to, uint64_t *pages)
{
    assert_ptr_equal(of, domain);
    assert_ptr_equal(to, &ram);
    takes++;
    *pages = 9;
    return on_take;
}

static int setup(void **state)
{
    vf = (struct vf){.set = &set, .pf = &pf};
    set.vf[0] = &vf;
    set.domain = domain;
    on_watch = STATUS_UNSUPPORTED;
    on_take = STATUS_OK;
    takes = 0;
    map_size = asked = marked = reports = untracks = 0;
    on_track = on_report = on_untrack = STATUS_OK;
    no_memory = false;
    given = &memory;
    fake_log_clear();
    fake_cpu_acts_for(NULL);
    return 0;
}

static void test_pulled(void **state)
{
    assert_int_equal(migrate_dirty_report(&vf), STATUS_STATE);
    assert_true(fake_log_contains("'vf dirty ... on' comes first"));
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
    assert_null(given);
    assert_true(migrate_is_tracked(&vf));
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_CONFLICT);
    assert_int_equal(migrate_dirty_report(&vf), STATUS_OK);
    assert_true(fake_log_contains("7 pages written since the last report, which took 3 us"));
    assert_int_equal(migrate_dirty_end(&vf), STATUS_OK);
    assert_false(migrate_is_tracked(&vf));
    assert_int_equal(marked, 0); /* the driver marks what there is */
}

static void test_pushed(void **state)
{
    map_size = 3 * PAGE_SIZE;
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
    assert_int_equal(asked, 3 * PAGE_SIZE);
    assert_ptr_equal(given, &memory);
}

/* Nobody can tell: all counts, each time. */
static void test_cannot_tell(void **state)
{
    static const enum status why[] = {STATUS_UNSUPPORTED, STATUS_RANGE, STATUS_NO_MEMORY};

    for (unsigned i = 0; i < ARRAY_SIZE(why); i++) {
        (void)setup(NULL);
        on_track = why[i];
        if (why[i] == STATUS_NO_MEMORY) { /* the map's */
            no_memory = true;
            map_size = PAGE_SIZE;
            on_track = STATUS_OK;
        }
        assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
        assert_true(fake_log_contains("its PF cannot tell"));
        assert_true(migrate_is_tracked(&vf));
        for (unsigned k = 1; k <= 2; k++) {
            assert_int_equal(migrate_dirty_report(&vf), STATUS_OK);
            assert_int_equal(marked, k * PAGES);
        }
        assert_true(fake_log_contains("1536 pages written"));
        assert_int_equal(migrate_dirty_end(&vf), STATUS_OK);
        assert_false(migrate_is_tracked(&vf));
        assert_int_equal(reports, 0);
    }
}

/* The PF cannot, and the IOMMU can. */
static void test_the_iommu_tells(void **state)
{
    static const enum status why[] = {STATUS_UNSUPPORTED, STATUS_RANGE, STATUS_NO_MEMORY};

    for (unsigned i = 0; i < ARRAY_SIZE(why); i++) {
        (void)setup(NULL);
        on_track = why[i];
        on_watch = STATUS_OK;
        assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
        assert_true(fake_log_contains("each report has what the IOMMU says"));
        assert_true(migrate_is_tracked(&vf));
        assert_int_equal(migrate_dirty_begin(&vf), STATUS_CONFLICT);
        assert_int_equal(migrate_dirty_report(&vf), STATUS_OK);
        assert_true(fake_log_contains("9 pages written since the last report"));
        assert_int_equal(takes, 1);
        assert_int_equal(marked, 0); /* beyond what the IOMMU marks */
        on_take = STATUS_TIMEOUT;
        assert_int_equal(migrate_dirty_report(&vf), STATUS_TIMEOUT);
        assert_int_equal(marked, PAGES);
        migrate_dirty_leave(&vf);
        assert_int_equal(takes, 3);
        assert_false(migrate_is_tracked(&vf));
        assert_int_equal(reports, 0);
    }
    (void)setup(NULL); /* what the PF tells is more exact */
    on_watch = STATUS_OK;
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
    assert_int_equal(migrate_dirty_report(&vf), STATUS_OK);
    assert_int_equal(takes, 0);
    assert_int_equal(reports, 1);
}

/* A command that fails is no reason to believe that nothing was written. */
static void test_failures(void **state)
{
    on_track = STATUS_TIMEOUT;
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_TIMEOUT);
    assert_false(migrate_is_tracked(&vf));
    on_track = STATUS_OK;
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
    on_report = STATUS_DEVICE;
    assert_int_equal(migrate_dirty_report(&vf), STATUS_DEVICE);
    assert_true(fake_log_contains("all count that it was not told of"));
    on_untrack = STATUS_DEVICE;
    assert_int_equal(migrate_dirty_end(&vf), STATUS_DEVICE);
    assert_int_equal(marked, PAGES);
    assert_false(migrate_is_tracked(&vf));
}

/* A VF that its VM leaves is not left tracked: the next tracking of it would be refused. */
static void test_leave(void **state)
{
    migrate_dirty_leave(&vf);
    assert_int_equal(untracks, 0);
    assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
    migrate_dirty_leave(&vf);
    assert_int_equal(reports, 1);
    assert_int_equal(untracks, 1);
    assert_false(migrate_is_tracked(&vf));
}

static struct guest_log guest = {.vm = "vm"};

static bool passes(void)
{
    uint64_t dropped;

    return !cpu_current()->guest_log || guest_log_pass(&guest, 0, &dropped);
}

/* Moves of whole VMs report as often as the service VM likes; the operator has his answers. */
static void test_limit(void **state)
{
    fake_log_passes = passes;
    fake_cpu_acts_for(&guest);
    for (unsigned i = 0; i < 1000; i++) {
        vf.all_written = false;
        map_size = 0;
        on_track = STATUS_UNSUPPORTED;
        assert_int_equal(migrate_dirty_begin(&vf), STATUS_OK);
        assert_int_equal(migrate_dirty_report(&vf), STATUS_OK);
    }
    assert_int_equal(fake_log_lines(), GUEST_LOG_BURST);
    fake_log_clear();
    fake_cpu_acts_for(NULL);
    assert_int_equal(migrate_dirty_report(&vf), STATUS_OK);
    assert_true(fake_log_contains("pages written"));
    fake_log_passes = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pulled, setup),
        cmocka_unit_test_setup(test_pushed, setup),
        cmocka_unit_test_setup(test_cannot_tell, setup),
        cmocka_unit_test_setup(test_the_iommu_tells, setup),
        cmocka_unit_test_setup(test_failures, setup),
        cmocka_unit_test_setup(test_leave, setup),
        cmocka_unit_test_setup(test_limit, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
