/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done with a function once it is there: bus mastering, reset, MSI-X. */
#include "drivers/pci/bridge.h"
#include "drivers/pci/caps.h"
#include "drivers/pci/flr.h"
#include "drivers/pci/msix.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_model.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"
#include "tests/unit/fakes/ports.h"
#include "vmm/host/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BAR 0x8000000000ULL

static const bdf_t device = {.bus = 2, .devfn = 0};
static const bdf_t outer = {.bus = 0, .devfn = 8};
static const bdf_t inner = {.bus = 1, .devfn = 0};
static uint8_t *config;
static uint8_t memory[8192];

static int set_up(void **state)
{
    fake_model_reset();
    fake_log_clear();
    fake_pci_add_bridge(outer, 1, 4, PCI_PORT_ROOT);
    fake_pci_add_bridge(inner, 2, 3, PCI_PORT_DOWNSTREAM);
    config = fake_pci_add(device, 0x1af4, 0x1041);
    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    assert_int_equal(pci_scan(), STATUS_OK);
    fake_pci_forget_accesses();
    memset(memory, 0xa5, sizeof(memory));
    fake_physical_reset();
    fake_physical_add(BAR, memory, sizeof(memory));
    return 0;
}

static int tear_down(void **state)
{
    assert_int_equal(fake_model_violations(), 0);
    assert_int_equal(fake_physical_windows(), 0);
    fake_pci_reset();
    return 0;
}

static bool masters(bdf_t bdf)
{
    return (fake_pci_config(bdf)[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER) != 0;
}

static void test_master(void **state)
{
    struct pci_master one = {0};
    struct pci_master two = {0};
    bdf_t later = {.bus = 3, .devfn = 9}; /* a VF on a later bus of the same bridge */

    fake_pci_add(later, 0xffff, 0xffff);
    assert_int_equal(pci_config_open(0, 3), STATUS_OK);
    fake_pci_config(outer)[PCI_COMMAND] = PCI_COMMAND_BUS_MASTER; /* was on before */
    assert_int_equal(pci_master_acquire(&one, device), STATUS_OK);
    assert_true(masters(device) && masters(inner) && masters(outer));
    assert_false(fake_pci_written(outer));
    assert_int_equal(pci_master_acquire(&two, later), STATUS_OK);
    config[PCI_COMMAND] = 0; /* a reset clears it */
    assert_int_equal(pci_master_acquire(&one, device), STATUS_OK);
    assert_true(masters(device));
    pci_master_release(&one, device);
    pci_master_release(&one, device);
    assert_false(masters(device));
    assert_true(masters(later) && masters(inner));
    pci_master_release(&two, later);
    assert_false(masters(later) || masters(inner));
    assert_true(masters(outer));
}

static void test_master_refused(void **state)
{
    struct pci_master it = {0};

    fake_put16(fake_pci_mask(outer), PCI_COMMAND, 0);
    assert_int_equal(pci_master_acquire(&it, device), STATUS_DEVICE);
    assert_string_equal(fake_log_text(), ""); /* a guest may try as often as it likes */
    assert_false(it.held || masters(device) || masters(inner));
    fake_put16(fake_pci_mask(outer), PCI_COMMAND, 7);
    fake_put16(fake_pci_mask(device), PCI_COMMAND, 0);
    assert_int_equal(pci_master_acquire(&it, device), STATUS_DEVICE);
    assert_false(it.held || masters(outer) || masters(inner));
    pci_master_release(&it, device);
}

static void test_flr(void **state)
{
    uint64_t start = fake_time_us();

    fake_put16(config, PCI_COMMAND, 4);
    fake_model_flr(device, 30000, 400000);
    assert_int_equal(fake_flr_run(device), STATUS_OK);
    assert_true(fake_time_us() - start >= 430000 && fake_time_us() - start < 440000);
    assert_int_equal(pci_config_read(device, PCI_COMMAND, 2), 0);
    assert_string_equal(fake_log_text(), "");
}

/* Requests that never end are waited for 100 ms; a function that stays away, a second. */
static void test_flr_has_a_realistic_timeout(void **state)
{
    uint64_t start = fake_time_us();
    struct pci_flr flr;

    fake_model_flr(device, 5000000, 5000000);
    assert_int_equal(fake_flr_run(device), STATUS_TIMEOUT);
    assert_true(fake_time_us() - start >= 1100000 && fake_time_us() - start < 1110000);
    assert_true(fake_log_contains("requests are still under way after 100 ms; it is reset anyway"));
    assert_true(fake_log_contains("no answer 1 s after a function level reset"));
    assert_int_equal(pci_flr_start(&flr, device), STATUS_DEVICE);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_FAILED);
}

static void test_flr_states(void **state)
{
    struct pci_flr flr;

    fake_model_flr(device, 2000, 0);
    assert_int_equal(pci_flr_start(&flr, device), STATUS_OK);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_DRAIN);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_DRAIN);
    time_delay_us(2000);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_SETTLE);
    time_delay_us(99999);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_SETTLE);
    time_delay_us(1);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_DONE);
    assert_int_equal(pci_flr_poll(&flr), PCI_FLR_DONE);
}

/* Together they take as long as the slowest, and one that cannot be reset holds nobody up. */
static void test_flr_together(void **state)
{
    static const uint32_t pending_us[] = {0, 50000, 20000};
    struct pci_flr flr[4];
    uint64_t start = fake_time_us();

    for (uint8_t i = 0; i < 3; i++) {
        bdf_t vf = fake_bdf(2, 1, i);

        fake_pci_express(fake_pci_add(vf, 0xffff, 0xffff), PCI_PORT_ENDPOINT, true);
        fake_model_flr(vf, pending_us[i], i == 2 ? 250000 : 90000);
        assert_int_equal(pci_flr_start(&flr[i], vf), STATUS_OK);
    }
    assert_int_equal(pci_flr_start(&flr[3], fake_bdf(2, 1, 3)), STATUS_DEVICE);
    pci_flr_finish(flr, 4);
    assert_true(fake_time_us() - start >= 270000 && fake_time_us() - start < 280000);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(flr[i].state, PCI_FLR_DONE);
    }
    assert_int_equal(flr[3].state, PCI_FLR_FAILED);
    pci_flr_finish(flr, 0);
}

/* Immediate Readiness: no wait, but only where the function says so. */
static void test_flr_without_wait(void **state)
{
    uint64_t start = fake_time_us();

    fake_put16(config, PCI_STATUS, 0x0011);
    fake_model_flr(device, 0, 0);
    assert_int_equal(fake_flr_run(device), STATUS_OK);
    assert_true(fake_time_us() - start < 1000);
    time_delay_us(100000);
    start = fake_time_us();
    fake_put16(config, PCI_STATUS, 0x0010);
    assert_int_equal(fake_flr_run(device), STATUS_OK);
    assert_true(fake_time_us() - start >= 100000);
}

static void test_flr_refused(void **state)
{
    struct pci_flr flr;

    fake_pci_add(fake_bdf(2, 1, 0), 0x1234, 1);
    assert_int_equal(pci_flr_start(&flr, inner), STATUS_DEVICE); /* a bridge */
    assert_int_equal(pci_flr_start(&flr, fake_bdf(2, 9, 0)), STATUS_DEVICE);
    assert_int_equal(pci_flr_start(&flr, fake_bdf(2, 1, 0)), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("0000:02:01.0: it has no function level reset"));
    assert_int_equal(fake_pci_writes(), 0);
}

/* A VF: its ids read FFFFh, and of Command only Bus Master exists. */
static void test_flr_vf(void **state)
{
    bdf_t vf = {.bus = 2, .devfn = 1};

    assert_false(pci_vf_answers(vf));
    fake_pci_express(fake_pci_add(vf, 0xffff, 0xffff), PCI_PORT_ENDPOINT, true);
    assert_true(pci_vf_answers(vf));
    fake_pci_config(vf)[PCI_COMMAND] = PCI_COMMAND_BUS_MASTER;
    fake_model_flr(vf, 0, 150000);
    assert_int_equal(fake_flr_run(vf), STATUS_OK);
    assert_false(masters(vf));
    fake_pci_config(vf)[PCI_HEADER_TYPE] = 0x7f;
    assert_false(pci_vf_answers(vf));
}

static const struct pci_bar bars[PCI_BARS_MAX] = {
    [4] = {.base = BAR,    .size = sizeof(memory), .kind = PCI_BAR_MEMORY_64},
    [5] = {.base = 0xc000, .size = 64,             .kind = PCI_BAR_IO       },
};

static uint32_t word(uint32_t offset)
{
    uint32_t value;

    memcpy(&value, memory + offset, sizeof(value));
    return value;
}

static void test_msix(void **state)
{
    uint16_t cap = fake_pci_cap(config, PCI_CAP_MSIX, 12);
    struct pci_msix_table table;
    struct pci_msix msix;

    fake_put16(config, cap + 2U, 3);
    fake_put32(config, cap + 4U, 0x1004);
    fake_put32(config, cap + 8U, 0x0804);
    assert_int_equal(pci_msix_read(device, cap, &msix), STATUS_OK);
    assert_int_equal(pci_msix_open(&table, device, cap, &msix, bars), STATUS_OK);
    memset(memory + 0x1000, 0, 4 * 16);
    memset(memory + 0x800, 0, 8);
    memory[0x100f + 1 + 14] = 0x77; /* bits that must be kept */
    assert_int_equal(pci_msix_enable(&table), STATUS_OK);
    assert_int_equal(fake_pci_writes(), 2);
    assert_int_equal(pci_config_read(device, cap + 2U, 2), 0x8003);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(word(0x1000 + 16 * i + 12) & 1, 1);
    }
    assert_int_equal(pci_msix_set(&table, 2, 0x1fee00000, 0x4041), STATUS_OK);
    assert_int_equal(word(0x1020), 0xfee00000);
    assert_int_equal(word(0x1024), 1);
    assert_int_equal(word(0x1028), 0x4041);
    assert_int_equal(word(0x102c), 0);
    assert_int_equal(word(0x101c), 0x00770001);
    assert_int_equal(pci_msix_mask(&table, 2, true), STATUS_OK);
    assert_int_equal(word(0x102c), 1);
    assert_int_equal(pci_msix_mask(&table, 1, false), STATUS_OK);
    assert_int_equal(word(0x101c), 0x00770000);
    assert_int_equal(pci_msix_set(&table, 4, 0xfee00000, 0), STATUS_RANGE);
    assert_int_equal(pci_msix_set(&table, 0, 0xfee00002, 0), STATUS_RANGE);
    assert_int_equal(pci_msix_mask(&table, 4, true), STATUS_RANGE);
    assert_int_equal(word(0x1040), 0xa5a5a5a5); /* nothing beyond the table */
    pci_msix_close(&table);
    assert_int_equal(pci_config_read(device, cap + 2U, 2), 0x0003);
    assert_int_equal(pci_msix_enable(&table), STATUS_STATE);
    assert_int_equal(pci_msix_set(&table, 0, 0, 0), STATUS_RANGE);
    pci_msix_close(&table);
}

static void test_msix_refused(void **state)
{
    static const struct {
        struct pci_msix msix;
        const char *text;
    } bad[] = {
        {{.vectors = 512, .table_bar = 4, .table_offset = 8, .pba_bar = 4},
         "a place beyond its BAR"                                                                             },
        {{.vectors = 1, .table_bar = 4, .table_offset = 0xfffffff8, .pba_bar = 4},
         "a place beyond its BAR"                                                                             },
        {{.vectors = 65, .table_bar = 4, .pba_bar = 4, .pba_offset = 8184},
         "a place beyond its BAR"                                                                             },
        {{.vectors = 4, .table_bar = 4, .pba_bar = 4, .pba_offset = 56},           "one place for both"       },
        {{.vectors = 4, .table_bar = 5, .pba_bar = 4},                             "that is no memory BAR"    },
        {{.vectors = 4, .table_bar = 4, .pba_bar = 0},                             "that is no memory BAR"    },
        {{.vectors = 4, .table_bar = 6, .pba_bar = 4},                             "a BAR that does not exist"},
    };
    struct pci_bar unplaced[PCI_BARS_MAX] = {
        [4] = {.kind = PCI_BAR_MEMORY_32, .size = 4096}
    };
    struct pci_msix msix = {.vectors = 4, .table_bar = 4, .pba_bar = 4, .pba_offset = 64};
    struct pci_msix_table table;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_log_clear();
        assert_int_equal(pci_msix_open(&table, device, 0x40, &bad[i].msix, bars), STATUS_DEVICE);
        assert_true(fake_log_contains(bad[i].text));
    }
    assert_int_equal(pci_msix_open(&table, device, 0x40, &msix, unplaced), STATUS_DEVICE);
    assert_true(fake_log_contains("a BAR without an address"));
    fake_physical_limit(0);
    assert_int_equal(pci_msix_open(&table, device, 0x40, &msix, bars), STATUS_NO_MEMORY);
    assert_null(table.table);
    fake_physical_limit(-1);
    assert_int_equal(pci_msix_open(&table, device, 0x40, &msix, bars), STATUS_OK);
    memset(fake_pci_mask(device) + 0x42, 0, 2);
    assert_int_equal(pci_msix_enable(&table), STATUS_DEVICE);
    assert_true(fake_log_contains("MSI-X cannot be switched on"));
    pci_msix_close(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_master, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_master_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr_has_a_realistic_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr_states, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr_without_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flr_vf, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_msix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_msix_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
