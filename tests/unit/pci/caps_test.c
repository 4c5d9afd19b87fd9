/* SPDX-License-Identifier: BSD-2-Clause */
/* Capability lists, BARs, MSI-X and SR-IOV of single functions. */
#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/sriov.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const bdf_t device = {.bus = 0, .devfn = 0x10};
static uint8_t *config;

static int set_up(void **state)
{
    fake_pci_reset();
    fake_log_clear();
    config = fake_pci_add(device, 0x1af4, 0x1041);
    assert_int_equal(pci_config_open(0, 0), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    fake_pci_reset();
    return 0;
}

static unsigned count(struct pci_cap_walk walk)
{
    struct pci_cap cap;
    unsigned found = 0;

    while (pci_cap_next(&walk, &cap)) {
        found++;
    }
    return found;
}

static void test_lists(void **state)
{
    assert_int_equal(count(pci_cap_walk(device)), 0);
    assert_int_equal(count(pci_cap_walk_extended(device)), 0);
    uint16_t msi = fake_pci_cap(config, PCI_CAP_MSI, 24);
    uint16_t msix = fake_pci_cap(config, PCI_CAP_MSIX, 12);
    uint16_t ari = fake_pci_ext_cap(config, PCI_EXT_CAP_ARI, 8);
    uint16_t sriov = fake_pci_ext_cap(config, PCI_EXT_CAP_SRIOV, 64);
    assert_int_equal(count(pci_cap_walk(device)), 2);
    assert_int_equal(count(pci_cap_walk_extended(device)), 2);
    assert_int_equal(pci_cap_find(device, PCI_CAP_MSI), msi);
    assert_int_equal(pci_cap_find(device, PCI_CAP_MSIX), msix);
    assert_int_equal(pci_cap_find(device, PCI_CAP_EXPRESS), 0);
    assert_int_equal(pci_cap_find_extended(device, PCI_EXT_CAP_ARI), ari);
    assert_int_equal(pci_cap_find_extended(device, PCI_EXT_CAP_SRIOV), sriov);
    assert_int_equal(pci_cap_find_extended(device, PCI_EXT_CAP_ATS), 0);
    config[PCI_STATUS] = 0; /* no list, whatever the pointer says */
    assert_int_equal(count(pci_cap_walk(device)), 0);
    assert_string_equal(fake_log_text(), "");
}

static void test_loops(void **state)
{
    fake_pci_cap(config, PCI_CAP_MSI, 8);
    fake_pci_cap(config, PCI_CAP_MSIX, 8);
    config[0x49] = 0x40; /* back to the first */
    assert_int_equal(count(pci_cap_walk(device)), 2);
    assert_true(fake_log_contains("comes back to 0x40"));
    config[0x49] = 0x48; /* to itself */
    assert_int_equal(count(pci_cap_walk(device)), 2);
    config[0x49] = 0x10; /* into the header */
    assert_int_equal(count(pci_cap_walk(device)), 2);
    assert_true(fake_log_contains("a capability at 0x10 lies outside the list's area"));
    fake_put32(config, 0x100, 0x10010003); /* extended: to itself */
    assert_int_equal(count(pci_cap_walk_extended(device)), 1);
    fake_put32(config, 0x100, 0x04010003); /* below the area */
    assert_int_equal(count(pci_cap_walk_extended(device)), 1);
    fake_put32(config, 0x100, 0xffc10003); /* the last dword */
    fake_put32(config, 0xffc, 0x10010004);
    assert_int_equal(count(pci_cap_walk_extended(device)), 2);
}

/* The longest lists there can be end by themselves. */
static void test_full(void **state)
{
    config[PCI_STATUS] = 0x10;
    config[PCI_CAPABILITIES] = 0x40;
    for (unsigned offset = 0x40; offset < 0x100; offset += 4) {
        config[offset] = PCI_CAP_VENDOR;
        config[offset + 1] = (uint8_t)(offset + 4);
    }
    assert_int_equal(count(pci_cap_walk(device)), 48);
    for (unsigned offset = 0x100; offset < 0x1000; offset += 4) {
        fake_put32(config, offset, (offset + 4) << 20 | 1U << 16 | PCI_EXT_CAP_VENDOR);
    }
    assert_int_equal(count(pci_cap_walk_extended(device)), 960);
}

/* A function that is gone answers all ones. */
static void test_gone(void **state)
{
    struct pci_bar bars[PCI_BARS_MAX];
    struct pci_sriov sriov;
    struct pci_msix msix;

    memset(config, 0xff, 4096);
    assert_int_equal(count(pci_cap_walk(device)), 0);
    assert_int_equal(count(pci_cap_walk_extended(device)), 0);
    pci_bars_read(device, PCI_BAR0, PCI_BARS_MAX, bars);
    assert_int_equal(bars[0].kind, PCI_BAR_NONE);
    assert_int_equal(pci_msix_read(device, 0x40, &msix), STATUS_DEVICE);
    assert_int_equal(pci_sriov_read(device, 0x100, &sriov), STATUS_DEVICE);
}

static void test_bars(void **state)
{
    struct pci_bar bars[PCI_BARS_MAX];

    fake_put32(config, PCI_BAR0, 0xc001);
    fake_put32(config, PCI_BAR0 + 4, 0xfebd0000);
    fake_put32(config, PCI_BAR0 + 8, 0x0000000c);
    fake_put32(config, PCI_BAR0 + 12, 0x00000380);
    fake_put32(config, PCI_BAR0 + 20, 0xfe000004); /* 64-bit, and there is no seventh */
    pci_bars_read(device, PCI_BAR0, PCI_BARS_MAX, bars);
    assert_int_equal(bars[0].kind, PCI_BAR_IO);
    assert_int_equal(bars[0].base, 0xc000);
    assert_int_equal(bars[1].kind, PCI_BAR_MEMORY_32);
    assert_false(bars[1].prefetchable);
    assert_int_equal(bars[2].kind, PCI_BAR_MEMORY_64);
    assert_int_equal(bars[2].base, 0x38000000000ULL);
    assert_true(bars[2].prefetchable);
    assert_int_equal(bars[3].kind, PCI_BAR_NONE);
    assert_int_equal(bars[4].kind, PCI_BAR_NONE);
    assert_int_equal(bars[5].kind, PCI_BAR_NONE);
    assert_true(fake_log_contains("the last BAR is the lower half of a 64-bit one"));
}

static void test_msix(void **state)
{
    uint16_t cap = fake_pci_cap(config, PCI_CAP_MSIX, 12);
    struct pci_msix msix;

    fake_put16(config, cap + 2U, 0xc007);
    fake_put32(config, cap + 4U, 0x2001);
    fake_put32(config, cap + 8U, 0x3804);
    assert_int_equal(pci_msix_read(device, cap, &msix), STATUS_OK);
    assert_int_equal(msix.vectors, 8);
    assert_true(msix.enabled);
    assert_int_equal(msix.table_bar, 1);
    assert_int_equal(msix.table_offset, 0x2000);
    assert_int_equal(msix.pba_bar, 4);
    assert_int_equal(msix.pba_offset, 0x3800);
    fake_put32(config, cap + 8U, 6);
    assert_int_equal(pci_msix_read(device, cap, &msix), STATUS_DEVICE);
    assert_true(fake_log_contains("MSI-X table or PBA in BAR 1 or 6"));
}

static void test_sriov(void **state)
{
    uint16_t cap = fake_pci_sriov(config, 64, 0x80, 2, 0x10f9);
    struct pci_sriov sriov;
    bdf_t vf;

    fake_put32(config, cap + 0x24U, 0xc);
    fake_put32(config, cap + 0x28U, 0x80);
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_OK);
    assert_int_equal(sriov.total_vfs, 64);
    assert_int_equal(sriov.initial_vfs, 64);
    assert_int_equal(sriov.vf_device, 0x10f9);
    assert_int_equal(sriov.page_sizes, 0x553);
    assert_int_equal(sriov.page_size, 1);
    assert_int_equal(sriov.bars[0].base, 0x8000000000ULL);
    assert_false(sriov.enabled);
    assert_int_equal(pci_sriov_vf(device, &sriov, 0, &vf), STATUS_RANGE); /* none is on */
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_NUM_VFS, 64);
    config[cap + PCI_SRIOV_CONTROL] = 0x19;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_OK);
    assert_true(sriov.enabled);
    assert_int_equal(pci_sriov_vf(device, &sriov, 0, &vf), STATUS_OK);
    assert_int_equal(vf.devfn, 0x90);
    assert_int_equal(pci_sriov_vf(device, &sriov, 63, &vf), STATUS_OK);
    assert_int_equal(vf.bus, 1);
    assert_int_equal(vf.devfn, 0x0e);
    assert_int_equal(pci_sriov_vf(device, &sriov, 64, &vf), STATUS_RANGE);
    assert_int_equal(pci_sriov_vf((bdf_t){.bus = 255, .devfn = 0x80}, &sriov, 0, &vf),
                     STATUS_RANGE);
}

static void test_bad_sriov(void **state)
{
    uint16_t cap = fake_pci_sriov(config, 64, 0, 0, 0x10f9);
    struct pci_sriov sriov;

    config[cap + PCI_SRIOV_CONTROL] = 1;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_OK); /* on, but none */
    config[cap + PCI_SRIOV_NUM_VFS] = 1;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_DEVICE);
    assert_true(fake_log_contains("VFs are on, with no offset to the first"));
    config[cap + PCI_SRIOV_FIRST_OFFSET] = 1;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_OK);
    config[cap + PCI_SRIOV_NUM_VFS] = 2;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_DEVICE);
    assert_true(fake_log_contains("no stride between them"));
    config[cap + PCI_SRIOV_NUM_VFS] = 65;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_DEVICE);
    assert_true(fake_log_contains("NumVFs is above TotalVFs"));
    config[cap + PCI_SRIOV_INITIAL_VFS] = 65;
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_DEVICE);
    assert_true(fake_log_contains("InitialVFs is above TotalVFs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_msix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sriov, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_sriov, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
