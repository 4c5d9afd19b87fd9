/* SPDX-License-Identifier: BSD-2-Clause */
/* The legacy block of a VF: where it is, and accesses to it. */
#include "drivers/virtio/mmr.h"

#include "drivers/pci/pci_config.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BAR4      0xfd000000ULL
#define BAR4_SIZE 0x8000U
#define BLOCK     0x5000U

static uint8_t bar4[BAR4_SIZE] __attribute__((aligned(8)));
static const struct virtio_bar bars[PCI_BARS_MAX] = {
    [4] = {{BAR4}, BAR4_SIZE}
};
static uint8_t *config;
static bdf_t vf;
static struct mmr mmr;

static int set_up(void **state)
{
    fake_pci_reset();
    fake_physical_reset();
    fake_log_clear();
    fake_physical_add(BAR4, bar4, sizeof(bar4));
    memset(bar4, 0, sizeof(bar4));
    vf = fake_bdf(1, 0, 1);
    config = fake_pci_add(vf, 0xffff, 0xffff);
    fake_put16(config, PCI_SUBSYSTEM_ID, 2);
    (void)pci_config_open(0, 1);
    return 0;
}

static void put_block(uint8_t bar, uint32_t offset, uint32_t length)
{
    uint16_t cap = fake_pci_ext_cap(config, 0x0b, 20);

    fake_put32(config, cap + 4U, 20U << 20);
    config[cap + 8] = 10;
    config[cap + 9] = bar;
    fake_put32(config, cap + 12U, offset);
    fake_put32(config, cap + 16U, length);
}

static enum status open_block(const struct mmr_place *pf)
{
    return mmr_open(vf, 0x10f9, bars, pf, &mmr);
}

static void check_open(const struct mmr_place *pf, uint64_t base, uint32_t length, uint16_t type)
{
    assert_int_equal(open_block(pf), STATUS_OK);
    assert_int_equal(mmr.base.raw, base);
    assert_int_equal(mmr.length, length);
    assert_int_equal(mmr.type, type);
    assert_int_equal(fake_physical_windows(), 1);
    mmr_close(&mmr);
    assert_int_equal(fake_physical_windows(), 0);
    assert_null(mmr.registers);
}

static void test_found(void **state)
{
    assert_int_equal(open_block(NULL), STATUS_NOT_FOUND); /* nothing is assumed */
    assert_string_equal(fake_log_text(), "");
    put_block(4, BLOCK, 0x54);
    check_open(NULL, BAR4 + BLOCK, 0x54, VIRTIO_TYPE_BLOCK);
    fake_put16(config, PCI_SUBSYSTEM_ID, 0);
    check_open(NULL, BAR4 + BLOCK, 0x54, VIRTIO_TYPE_NET); /* by the PF's word for its VFs */
    assert_int_equal(mmr_open(vf, 0x1234, bars, NULL, &mmr), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("device id 0x1234 does not tell the type"));
    assert_int_equal(fake_physical_windows(), 0);
}

static void test_bounds(void **state)
{
    static const struct {
        uint8_t bar;
        uint32_t offset, length;
        enum status wanted;
    } cases[] = {
        {4, BLOCK,          24,         STATUS_OK    },
        {4, 0,              BAR4_SIZE,  STATUS_OK    },
        {4, BAR4_SIZE - 24, 24,         STATUS_OK    },
        {4, BLOCK,          23,         STATUS_DEVICE}, /* no vectors */
        {4, BLOCK + 2,      64,         STATUS_DEVICE},
        {4, BAR4_SIZE - 20, 24,         STATUS_DEVICE},
        {4, 0xfffffff0,     0x20,       STATUS_DEVICE},
        {4, 0,              0xffffffff, STATUS_DEVICE},
        {3, 0,              24,         STATUS_DEVICE}, /* no such BAR */
        {6, 0,              24,         STATUS_DEVICE},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        (void)set_up(NULL);
        put_block(cases[i].bar, cases[i].offset, cases[i].length);
        assert_int_equal(open_block(NULL), cases[i].wanted);
        assert_int_equal(fake_physical_windows(), cases[i].wanted == STATUS_OK);
        if (cases[i].wanted == STATUS_OK) {
            assert_true(mmr.length <= MMR_LENGTH_MAX);
            mmr_close(&mmr);
        } else {
            assert_null(mmr.registers);
            assert_string_not_equal(fake_log_text(), "");
        }
    }
}

static void test_configured(void **state)
{
    struct mmr_place pf = {.bar = 4, .offset = 0x6000, .length = 0x40, .type = 3};

    check_open(&pf, BAR4 + 0x6000, 0x40, VIRTIO_TYPE_CONSOLE); /* without a capability */
    put_block(4, BLOCK, 0x54);
    check_open(&pf, BAR4 + 0x6000, 0x40, VIRTIO_TYPE_CONSOLE); /* and against one */
    pf.type = 0;
    check_open(&pf, BAR4 + 0x6000, 0x40, VIRTIO_TYPE_BLOCK);
    pf.length = 0;
    check_open(&pf, BAR4 + BLOCK, 0x54, VIRTIO_TYPE_BLOCK);
    pf.type = 3;
    check_open(&pf, BAR4 + BLOCK, 0x54, VIRTIO_TYPE_CONSOLE);
    pf.length = 23;
    assert_int_equal(open_block(&pf), STATUS_INVALID);
    pf.length = 0x2001;
    assert_int_equal(open_block(&pf), STATUS_INVALID);
    pf.length = UINT64_MAX;
    assert_int_equal(open_block(&pf), STATUS_INVALID);
    pf.length = 0x40;
    pf.offset = 0x6001;
    assert_int_equal(open_block(&pf), STATUS_INVALID);
    pf.offset = 0;
    pf.bar = 7;
    assert_int_equal(open_block(&pf), STATUS_INVALID);
    pf.bar = 5;
    assert_int_equal(open_block(&pf), STATUS_INVALID);
    assert_true(fake_log_contains("give 0x40 bytes at 0 of VF BAR 5, which has 0 bytes"));
    pf.bar = 4;
    fake_physical_limit(0);
    assert_int_equal(open_block(&pf), STATUS_NO_MEMORY);
}

static void test_registers(void **state)
{
    put_block(4, BLOCK, 0x1a);
    assert_int_equal(open_block(NULL), STATUS_OK);
    memcpy(bar4 + BLOCK, "\x01\x02\x03\x04\x05", 5);
    bar4[BLOCK + 0x1a] = 0x55; /* beyond the block */
    assert_int_equal(mmr_read(&mmr, 3, 1), 4);
    assert_int_equal(mmr_read(&mmr, 2, 2), 0x0403);
    assert_int_equal(mmr_read(&mmr, 0, 4), 0x04030201);
    assert_int_equal(mmr_read(&mmr, 1, 2), 0xffff); /* misaligned */
    assert_int_equal(mmr_read(&mmr, 2, 4), 0xffffffff);
    assert_int_equal(mmr_read(&mmr, 0x19, 1), 0);
    assert_int_equal(mmr_read(&mmr, 0x1a, 1), 0xff);
    assert_int_equal(mmr_read(&mmr, 0x18, 2), 0);
    assert_int_equal(mmr_read(&mmr, 0x18, 4), 0xffffffff);
    assert_int_equal(mmr_read(&mmr, 0xfffffffc, 4), 0xffffffff);
    mmr_write(&mmr, 0x13, 1, 0x11);
    mmr_write(&mmr, 0x10, 2, 0x3322);
    mmr_write(&mmr, 8, 4, 0x77665544);
    assert_memory_equal(bar4 + BLOCK + 8, "\x44\x55\x66\x77\0\0\0\0\x22\x33\0\x11", 12);
    mmr_write(&mmr, 0x1a, 1, 0x99);
    mmr_write(&mmr, 0x1a, 2, 0x99);
    mmr_write(&mmr, 0x11, 2, 0x99);
    mmr_write(&mmr, 0x18, 4, 0x99);
    mmr_write(&mmr, 6, 4, 0x99);
    mmr_write(&mmr, UINT32_MAX, 1, 0x99);
    assert_int_equal(bar4[BLOCK + 0x1a], 0x55);
    assert_null(memchr(bar4, 0x99, sizeof(bar4)));
    mmr_close(&mmr);
    assert_int_equal(mmr_read(&mmr, 0, 1), 0xff); /* a closed block has no registers */
    mmr_write(&mmr, 0, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found, set_up),
        cmocka_unit_test_setup(test_bounds, set_up),
        cmocka_unit_test_setup(test_configured, set_up),
        cmocka_unit_test_setup(test_registers, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
