/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "drivers/virtio/device.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int set_up(void **state)
{
    fake_pci_reset();
    fake_log_clear();
    return 0;
}

static int tear_down(void **state)
{
    fake_pci_reset();
    return 0;
}

static void put_virtio_cap(uint8_t *config, uint8_t type, uint8_t bar, uint32_t offset,
                           uint32_t length)
{
    uint8_t size = type == 2 ? 20 : 16;
    uint16_t cap = fake_pci_cap(config, 0x09, size);

    config[cap + 2] = size;
    config[cap + 3] = type;
    config[cap + 4] = bar;
    fake_put32(config, cap + 8U, offset);
    fake_put32(config, cap + 12U, length);
    if (type == 2) {
        fake_put32(config, cap + 16U, 4);
    }
}

/* An MMR capability by layout A or B; returns its offset. */
static uint16_t put_mmr(uint8_t *config, char layout, uint8_t bar, uint32_t offset, uint32_t length)
{
    uint32_t size = layout == 'A' ? 20 : 24;
    uint16_t cap = fake_pci_ext_cap(config, 0x0b, (uint16_t)size);
    uint32_t at = layout == 'A' ? cap + 8U : cap + 11U;

    fake_put32(config, cap + 4U, size << 20 | 1U << 16 | 0x1af4);
    if (layout == 'B') {
        config[cap + 8] = 0x09;
        config[cap + 10] = 16;
    }
    config[at] = 10;
    config[at + 1] = bar;
    at = layout == 'A' ? cap + 12U : cap + 16U;
    fake_put32(config, at, offset);
    fake_put32(config, at + 4, length);
    return cap;
}

static uint8_t *add_pf(bdf_t bdf, uint16_t device)
{
    uint8_t *config = fake_pci_add(bdf, 0x1af4, device);

    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    put_virtio_cap(config, 1, 4, 0, 0x40);
    put_virtio_cap(config, 3, 4, 0x1000, 4);
    put_virtio_cap(config, 4, 4, 0x2000, 0x40);
    put_virtio_cap(config, 2, 4, 0x3000, 0x1000);
    return config;
}

static void discover(void)
{
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(virtio_discover(), STATUS_OK);
}

static void test_types(void **state)
{
    static const uint16_t map[][2] = {
        {0x1000, 1 },
        {0x1001, 2 },
        {0x1002, 5 },
        {0x1003, 3 },
        {0x1004, 8 },
        {0x1005, 4 },
        {0x1006, 0 },
        {0x1009, 9 },
        {0x100a, 0 },
        {0x1040, 0 },
        {0x1041, 1 },
        {0x1042, 2 },
        {0x107f, 63},
        {0x1080, 0 },
        {0x10f8, 0 },
        {0x10f9, 1 },
        {0x10fa, 2 },
        {0x10fb, 5 },
        {0x10fc, 3 },
        {0x10fd, 8 },
        {0x10fe, 4 },
        {0x10ff, 9 },
        {0x1100, 0 },
        {0x0fff, 0 }
    };

    for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
        assert_int_equal(virtio_type_of(map[i][0]), map[i][1]);
    }
    assert_int_equal(virtio_type_resolve(0x1000, 2), 2); /* the subsystem id counts */
    assert_int_equal(virtio_type_resolve(0x10f9, 2), 2);
    assert_int_equal(virtio_type_resolve(0x10f9, 0), 1);
    assert_int_equal(virtio_type_resolve(0x10f9, 0x1100), 1);
    assert_int_equal(virtio_type_resolve(0x1041, 2), 1); /* but not on a modern device */
    assert_string_equal(virtio_type_name(1), "net");
    assert_string_equal(virtio_type_name(9), "9p");
    assert_null(virtio_type_name(0));
    assert_null(virtio_type_name(6));
    assert_null(virtio_type_name(1000));
}

static void test_pf(void **state)
{
    uint8_t *config = add_pf(fake_bdf(0, 2, 0), 0x1041);
    const struct virtio_function *function;

    fake_pci_sriov(config, 64, 1, 1, 0x10f9);
    fake_pci_add(fake_bdf(0, 3, 0), 0x8086, 0x1041); /* not virtio's vendor */
    fake_pci_add(fake_bdf(0, 4, 0), 0x1af4, 0x1110); /* ivshmem */
    fake_pci_add(fake_bdf(0, 5, 0), 0x1af4, 0x1001);
    discover();
    assert_int_equal(virtio_count(), 2);
    function = virtio_function_at(0);
    assert_int_equal(function->type, VIRTIO_TYPE_NET);
    assert_true(function->modern && function->complete && function->has_sriov);
    assert_int_equal(function->regions.common.bar, 4);
    assert_int_equal(function->regions.isr.offset, 0x1000);
    assert_int_equal(function->regions.device.length, 0x40);
    assert_int_equal(function->regions.notify.offset, 0x3000);
    assert_int_equal(function->regions.notify_multiplier, 4);
    assert_int_equal(function->sriov.total_vfs, 64);
    assert_int_equal(function->sriov.vf_device, 0x10f9);
    assert_false(function->sriov.enabled);
    assert_int_equal(function->vfs_mmr, 0);
    assert_int_equal(function->mmr.layout, VIRTIO_MMR_NONE);
    function = virtio_function_at(1);
    assert_int_equal(function->type, VIRTIO_TYPE_BLOCK);
    assert_false(function->modern || function->complete || function->has_sriov);
    assert_null(virtio_function_at(2));
    assert_string_equal(fake_log_text(), "");
}

/* Capabilities that make no sense are passed over; the first good one of a kind counts. */
static void test_bad_regions(void **state)
{
    uint8_t *config = fake_pci_add(fake_bdf(0, 2, 0), 0x1af4, 0x1041);
    struct virtio_regions regions;

    put_virtio_cap(config, 1, 6, 0, 0x40);                /* no such BAR */
    put_virtio_cap(config, 1, 0, 0xfffffff0, 0x40);       /* wraps */
    put_virtio_cap(config, 1, 0, 0, 0);                   /* empty */
    put_virtio_cap(config, 1, 2, 0x100, 0x38);            /* good */
    put_virtio_cap(config, 1, 3, 0x200, 0x38);            /* good, but the second */
    put_virtio_cap(config, 9, 200, 0xffffffff, 0xffffff); /* vendor's own */
    put_virtio_cap(config, 2, 2, 0, 0x10);
    config[fake_pci_cap(config, 0x09, 16) + 2] = 4; /* type 0 */
    config[0x40 + 6 * 16 + 2] = 16;                 /* notify without its multiplier */
    discover();
    virtio_regions_read(fake_bdf(0, 2, 0), &regions);
    assert_int_equal(regions.common.bar, 2);
    assert_int_equal(regions.common.offset, 0x100);
    assert_int_equal(regions.notify.length, 0);
    assert_false(virtio_function_at(0)->complete);
    assert_true(fake_log_contains("capability of type 2 at 0xa0 makes no sense (length 16"));
}

static void test_mmr_layouts(void **state)
{
    static const uint64_t sizes[6] = {0, 0, 0x2000, 0, 0, 0};

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *config = fake_pci_add(fake_bdf(0, (uint8_t)(2 + i), 0), 0x1af4, 0x10f9);
        struct virtio_mmr mmr;
        uint16_t other = fake_pci_ext_cap(config, 0x0b, 24); /* a VSEC of another kind */
        uint16_t cap = put_mmr(config, i == 0 ? 'A' : 'B', 2, 0x1000, 0x100);

        fake_put32(config, other + 4U, 24U << 20 | 7);
        pci_config_open(0, 0);
        assert_int_equal(virtio_mmr_find(fake_bdf(0, (uint8_t)(2 + i), 0), NULL, &mmr), STATUS_OK);
        assert_int_equal(mmr.layout, i == 0 ? VIRTIO_MMR_A : VIRTIO_MMR_B);
        assert_int_equal(mmr.capability, cap);
        assert_int_equal(mmr.region.bar, 2);
        assert_int_equal(mmr.region.offset, 0x1000);
        assert_int_equal(mmr.region.length, 0x100);
        assert_int_equal(virtio_mmr_find(fake_bdf(0, (uint8_t)(2 + i), 0), sizes, &mmr), STATUS_OK);
        assert_string_equal(fake_log_text(), "");
    }
}

static void check_bad_mmr(char layout, uint8_t bar, uint32_t offset, uint32_t length,
                          uint32_t vsec_size, enum status wanted)
{
    static const uint64_t sizes[6] = {0x1000, 0, 0x2000, 0, 0, 0};
    struct virtio_mmr mmr;
    uint8_t *config;
    uint16_t cap;

    fake_pci_reset();
    config = fake_pci_add(fake_bdf(0, 2, 0), 0x1af4, 0x10f9);
    cap = put_mmr(config, layout, bar, offset, length);
    if (vsec_size != 0) {
        fake_put32(config, cap + 4U, vsec_size << 20);
    }
    pci_config_open(0, 0);
    assert_int_equal(virtio_mmr_find(fake_bdf(0, 2, 0), sizes, &mmr), wanted);
    assert_int_equal(mmr.layout != VIRTIO_MMR_NONE, wanted == STATUS_OK);
}

static void test_bad_mmr(void **state)
{
    for (char layout = 'A'; layout <= 'B'; layout++) {
        uint32_t size = layout == 'A' ? 20 : 24;

        check_bad_mmr(layout, 2, 0x1000, 0x1000, 0, STATUS_OK);
        check_bad_mmr(layout, 2, 0x1000, 0x1001, 0, STATUS_DEVICE); /* beyond the BAR */
        check_bad_mmr(layout, 2, 0xffffff00, 0x200, 0, STATUS_DEVICE);
        check_bad_mmr(layout, 1, 0xffffff00, 0x200, 0, STATUS_DEVICE); /* size not known */
        check_bad_mmr(layout, 1, 0xffffff00, 0x100, 0, STATUS_OK);
        check_bad_mmr(layout, 6, 0, 0x100, 0, STATUS_DEVICE);
        check_bad_mmr(layout, 255, 0, 0x100, 0, STATUS_DEVICE);
        check_bad_mmr(layout, 0, 0, 19, 0, STATUS_DEVICE); /* shorter than the legacy header */
        check_bad_mmr(layout, 0, 0, 0x100, size - 1, STATUS_NOT_FOUND);
        check_bad_mmr(layout, 0, 0, 0x100, 0xfff, STATUS_NOT_FOUND); /* beyond the space */
        check_bad_mmr(layout, 0, 0, 0x100, size, STATUS_OK);
    }
    assert_true(fake_log_contains("the MMR capability at 0x100 makes no sense"));
}

/* A PF with 4,096 VFs that are on, over 17 buses; the cost stays linear. */
static void test_vfs_on(void **state)
{
    uint8_t *config = add_pf(fake_bdf(0, 2, 0), 0x1042);
    uint16_t sriov = fake_pci_sriov(config, 4096, 0x100, 1, 0x10fa);
    const struct virtio_function *function;
    unsigned long before;

    fake_pci_enable_vfs(fake_bdf(0, 2, 0), sriov, 4096);
    for (unsigned i = 0; i < 4096; i += 2) {
        unsigned id = 0x10 + 0x100 + i;
        bdf_t vf = {.bus = (uint8_t)(id >> 8), .devfn = (uint8_t)id};

        put_mmr(fake_pci_config(vf), 'A', 2, 0x1000, 0x100);
    }
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 1);
    before = fake_pci_reads();
    assert_int_equal(virtio_discover(), STATUS_OK);
    assert_true(fake_pci_reads() - before < 4096UL * 12);
    function = virtio_function_at(0);
    assert_int_equal(function->sriov.num_vfs, 4096);
    assert_int_equal(function->vfs_mmr, 2048);
    assert_int_equal(function->vf_mmr.region.offset, 0x1000);
}

static void test_too_many(void **state)
{
    for (unsigned i = 0; i < VIRTIO_FUNCTIONS_MAX + 1; i++) {
        fake_pci_add((bdf_t){.bus = 0, .devfn = (uint8_t)i}, 0x1af4, 0x1041)[PCI_HEADER_TYPE] =
            0x80;
    }
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(virtio_discover(), STATUS_NO_MEMORY);
    assert_int_equal(virtio_count(), VIRTIO_FUNCTIONS_MAX);
    assert_true(fake_log_contains("those from 0000:00:08.0 on are not used"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test_setup_teardown(test_pf, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_regions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mmr_layouts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_mmr, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vfs_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
