/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes of BARs and windows of bridges. */
#include "drivers/pci/bars.h"
#include "drivers/pci/bridge.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_model.h"
#include "tests/unit/fakes/pci_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const bdf_t device = {.bus = 0, .devfn = 0x10};
static const bdf_t port = {.bus = 0, .devfn = 0x18};
static uint8_t *config;
static struct pci_bar bars[PCI_BARS_MAX];
static struct pci_bar rom;

static int set_up(void **state)
{
    fake_model_reset();
    fake_log_clear();
    config = fake_pci_add(device, 0x1af4, 0x1041);
    memset(fake_pci_mask(device) + PCI_BAR0, 0, 24);
    memset(fake_pci_mask(device) + PCI_ROM, 0, 4);
    fake_put16(config, PCI_COMMAND, 7);
    assert_int_equal(pci_config_open(0, 0), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    assert_int_equal(fake_model_violations(), 0);
    fake_pci_reset();
    return 0;
}

static enum status size_all(void)
{
    struct pci_function function = {.bdf = device};
    uint8_t before[4096];
    enum status status;

    memcpy(before, config, sizeof(before));
    status = pci_bars_size(&function, bars, &rom);
    assert_memory_equal(before, config, sizeof(before)); /* always all as it was */
    return status;
}

static void test_sizes(void **state)
{
    fake_model_bar(device, PCI_BAR0, 1, 32, 0xc000);
    fake_model_bar(device, PCI_BAR0 + 4, 0, 0x1000, 0xfebd0000);
    fake_model_bar(device, PCI_BAR0 + 8, 0xc, 1ULL << 36, 0x3000000000);
    fake_model_bar(device, PCI_BAR0 + 16, 0xc, 0x4000, 0); /* not placed */
    fake_put32(fake_pci_mask(device), PCI_ROM, 0xfffc0001);
    fake_put32(config, PCI_ROM, 0xfeb00000);
    assert_int_equal(size_all(), STATUS_OK);
    assert_int_equal(bars[0].kind, PCI_BAR_IO);
    assert_int_equal(bars[0].size, 32);
    assert_int_equal(bars[1].kind, PCI_BAR_MEMORY_32);
    assert_int_equal(bars[1].size, 0x1000);
    assert_int_equal(bars[1].base, 0xfebd0000);
    assert_int_equal(bars[2].kind, PCI_BAR_MEMORY_64);
    assert_true(bars[2].prefetchable && bars[2].size == 1ULL << 36);
    assert_int_equal(bars[3].kind, PCI_BAR_NONE);
    assert_int_equal(bars[4].size, 0x4000);
    assert_int_equal(bars[4].base, 0);
    assert_int_equal(rom.size, 0x40000);
    assert_int_equal(rom.base, 0xfeb00000);
    assert_int_equal(fake_pci_writes(), 6 * 2 + 2 + 2); /* BARs, ROM, decoding off and on */
    assert_string_equal(fake_log_text(), "");
}

/* An I/O BAR whose upper half does not exist. */
static void test_io16(void **state)
{
    fake_model_bar(device, PCI_BAR0, 1, 64, 0xc000);
    fake_put16(fake_pci_mask(device), PCI_BAR0 + 2, 0);
    assert_int_equal(size_all(), STATUS_OK);
    assert_int_equal(bars[0].size, 64);
}

static void test_refused(void **state)
{
    static const struct {
        uint32_t low;
        uint32_t high;
        uint32_t low_mask;
        uint32_t high_mask;
        const char *fault;
    } bad[] = {
        {0xf0000000, 0,   0xf0f00000, 0,          "BAR 0 is not used: the size it claims is no power"},
        {0x00000004, 0,   0xfffff000, 0x00ffffff, "no power of two"                                  },
        {0x0000000c, 0,   0,          0xffff0000, "BAR 0 is not used: the size it claims is beyond"  },
        {0x00000004, 0,   0,          0,          "beyond what such a BAR can have"                  },
        {0xf0000006, 0,   0xfffff000, 0,          "its type changes while it is sized"               },
        {0xf0000000, 0,   0xfffff008, 0,          "its type changes while it is sized"               },
        {0xf0000001, 0,   0xfffff002, 0,          "its type changes"                                 },
        {0x0000000c, ~0U, 0xfffff000, ~0U,        "or lies beyond 52 bits"                           },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_log_clear();
        fake_put32(config, PCI_BAR0, bad[i].low);
        fake_put32(config, PCI_BAR0 + 4, bad[i].high);
        fake_put32(fake_pci_mask(device), PCI_BAR0, bad[i].low_mask);
        fake_put32(fake_pci_mask(device), PCI_BAR0 + 4, bad[i].high_mask);
        assert_int_equal(size_all(), STATUS_DEVICE);
        assert_int_equal(bars[0].size, 0);
        assert_true(fake_log_contains(bad[i].fault));
    }
    memset(config + PCI_BAR0, 0, 8);
    memset(fake_pci_mask(device) + PCI_BAR0, 0, 8);
    fake_model_bar(device, PCI_BAR0 + 20, 0x4, 0x1000, 0);
    assert_int_equal(size_all(), STATUS_DEVICE);
    assert_true(fake_log_contains("BAR 5 is not used: it is the lower half"));
}

static void test_gone(void **state)
{
    memset(fake_pci_mask(device), 0, 4096);
    memset(config, 0xff, 4096);
    assert_int_equal(size_all(), STATUS_OK);
    assert_int_equal(bars[0].kind, PCI_BAR_NONE);
    assert_int_equal(bars[5].kind, PCI_BAR_NONE);
}

static void test_vf_bars(void **state)
{
    struct pci_sriov sriov;
    uint16_t cap = fake_pci_sriov(config, 8, 1, 1, 0x10f9);

    fake_model_sriov(&(struct fake_sriov){.pf = device, .capability = cap});
    fake_model_bar(device, cap + 0x24U, 0, 0x1000, 0xc0000000);
    fake_model_bar(device, cap + 0x28U, 0xc, 0x8000, 0x8000000000);
    assert_int_equal(pci_sriov_read(device, cap, &sriov), STATUS_OK);
    pci_config_write(device, cap + 8U, 2, PCI_SRIOV_CONTROL_MEMORY); /* switched off meanwhile */
    assert_int_equal(pci_bars_size_vf(device, &sriov), STATUS_OK);
    assert_int_equal(config[cap + 8U], PCI_SRIOV_CONTROL_MEMORY);
    assert_int_equal(sriov.bars[0].size, 0x1000);
    assert_int_equal(sriov.bars[1].size, 0x8000);
    config[cap + 8U] = 0;
    fake_model_bar(device, cap + 0x24U, 0, 0x800, 0xc0000000);
    fake_model_bar(device, cap + 0x38U, 1, 0x100, 0xc000);
    assert_int_equal(pci_bars_size_vf(device, &sriov), STATUS_DEVICE);
    assert_true(fake_log_contains("VF BAR 0 is not used: it is smaller than the system page size"));
    assert_true(fake_log_contains("VF BAR 5 is not used: VFs may not have I/O space"));
    assert_int_equal(sriov.bars[0].size, 0);
    assert_int_equal(sriov.bars[5].size, 0);
}

static void test_bar_write(void **state)
{
    struct pci_bar bar = {.kind = PCI_BAR_MEMORY_64, .size = 0x1000};

    config[PCI_COMMAND] = 0;
    fake_model_bar(device, PCI_BAR0, 0xc, 0x1000, 0);
    assert_int_equal(pci_bar_write(device, PCI_BAR0, &bar, 0x123456000), STATUS_OK);
    assert_int_equal(pci_config_read(device, PCI_BAR0, 4), 0x2345600c);
    assert_int_equal(pci_config_read(device, PCI_BAR0 + 4, 4), 1);
    fake_put32(fake_pci_mask(device), PCI_BAR0 + 4, 0);
    assert_int_equal(pci_bar_write(device, PCI_BAR0, &bar, 0x223456000), STATUS_DEVICE);
    assert_true(fake_log_contains("the BAR at 0x10 does not take the address 0x223456000"));
}

static struct pci_function bridge(void)
{
    return (struct pci_function){
        .bdf = port, .header = PCI_HEADER_BRIDGE, .secondary = 1, .subordinate = 1};
}

static void test_windows(void **state)
{
    struct pci_function it = bridge();
    struct pci_window window;

    fake_pci_add_bridge(port, 1, 1, PCI_PORT_ROOT);
    fake_model_windows(port, 0xc0000000, 0x200000, 0x3fff00000, 0x300000, true);
    window = pci_window_read(&it, PCI_WINDOW_MEMORY);
    assert_int_equal(window.base, 0xc0000000);
    assert_int_equal(window.size, 0x200000);
    assert_false(window.wide || window.fixed);
    window = pci_window_read(&it, PCI_WINDOW_PREFETCHABLE);
    assert_int_equal(window.base, 0x3fff00000);
    assert_int_equal(window.size, 0x300000);
    assert_true(window.wide);
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_PREFETCHABLE, 0x3ffe00000, 0x500000),
                     STATUS_OK);
    window = pci_window_read(&it, PCI_WINDOW_PREFETCHABLE);
    assert_true(window.base == 0x3ffe00000 && window.size == 0x500000);
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_MEMORY, 0xbff00000, 0x300000), STATUS_OK);
    window = pci_window_read(&it, PCI_WINDOW_MEMORY);
    assert_true(window.base == 0xbff00000 && window.size == 0x300000);
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_MEMORY, 0xbff00000, 0x100000000),
                     STATUS_UNSUPPORTED);
}

/* A closed window opens; one that does not exist, or is stuck, stays as it is. */
static void test_closed_windows(void **state)
{
    struct pci_function it = bridge();
    uint8_t *space = fake_pci_add_bridge(port, 1, 1, PCI_PORT_ROOT);

    fake_model_windows(port, 0, 0, 0, 0, true);
    assert_int_equal(pci_window_read(&it, PCI_WINDOW_MEMORY).size, 0);
    assert_int_equal(pci_window_read(&it, PCI_WINDOW_PREFETCHABLE).size, 0);
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_PREFETCHABLE, 0x100000000, 0x100000),
                     STATUS_OK);
    assert_true(pci_window_read(&it, PCI_WINDOW_PREFETCHABLE).base == 0x100000000);
    memset(space + PCI_BRIDGE_PREFETCHABLE_BASE, 0, 4);
    memset(fake_pci_mask(port) + PCI_BRIDGE_PREFETCHABLE_BASE, 0, 4);
    assert_int_equal(pci_window_read(&it, PCI_WINDOW_PREFETCHABLE).size, 0);
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_PREFETCHABLE, 0xd0000000, 0x100000),
                     STATUS_DEVICE);
    assert_true(fake_log_contains("the bridge does not take the window 0xd0000000-0xd00fffff"));
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_MEMORY, 0xd0000000, 0x100000), STATUS_OK);
    fake_put16(fake_pci_mask(port), PCI_BRIDGE_MEMORY_LIMIT, 0x00f0); /* stuck bits */
    assert_int_equal(pci_window_grow(&it, PCI_WINDOW_MEMORY, 0xd0000000, 0x10000000),
                     STATUS_DEVICE);
    assert_int_equal(pci_window_read(&it, PCI_WINDOW_MEMORY).size, 0x100000);
    it.header = PCI_HEADER_CARDBUS;
    assert_true(pci_window_read(&it, PCI_WINDOW_MEMORY).fixed);
    it = bridge();
    fake_model_windows(port, 0, 0, 1ULL << 60, 0x100000, true);
    assert_true(pci_window_read(&it, PCI_WINDOW_PREFETCHABLE).fixed);
}

static void test_upstream(void **state)
{
    fake_pci_add_bridge(fake_bdf(0, 1, 0), 1, 9, PCI_PORT_ROOT);
    fake_pci_add_bridge(fake_bdf(1, 0, 0), 2, 4, PCI_PORT_UPSTREAM);
    fake_pci_add_bridge(fake_bdf(2, 0, 0), 3, 4, PCI_PORT_DOWNSTREAM);
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_null(pci_upstream(0, 0));
    assert_null(pci_upstream(0, 10));
    assert_null(pci_upstream(1, 3));
    assert_ptr_equal(pci_upstream(0, 1), pci_find(fake_bdf(0, 1, 0)));
    assert_ptr_equal(pci_upstream(0, 9), pci_find(fake_bdf(0, 1, 0)));
    assert_ptr_equal(pci_upstream(0, 2), pci_find(fake_bdf(1, 0, 0)));
    assert_ptr_equal(pci_upstream(0, 4), pci_find(fake_bdf(2, 0, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_io16, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vf_bars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bar_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closed_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upstream, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
