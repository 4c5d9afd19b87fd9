/* SPDX-License-Identifier: BSD-2-Clause */
/* How many VFs can be had: BARs, windows, buses and the table bound them. */
#include "drivers/pci/bridge.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/room.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/pci/sriov_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_no_bars(void **state)
{
    add_plain(4);
    memset(fake_pci_mask(pf) + cap + PCI_SRIOV_BAR0, 0, 24);
    memset(config + cap + PCI_SRIOV_BAR0, 0, 24);
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("its VFs have no memory BAR"));
    fake_model_bar(pf, cap + 0x24U, 1, 32, 0);
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_DEVICE);
    assert_true(fake_log_contains("VFs may not have I/O space"));
}

static void test_no_room(void **state)
{
    add_plain(4);
    fake_model_bar(pf, cap + 0x34U, 0xc, 1ULL << 30, 0);
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_NO_ROOM);
    assert_true(fake_log_contains("no room for 4096 MiB of VF BAR in the prefetchable window of "
                                  "bridge 0000:00:02.0 (1024 MiB, about"));
    assert_int_equal(pci_vf_enable(pf, 1), STATUS_OK); /* that fits */
}

/* As many as have room for their BARs, and the log says what the others lack, once. */
static void test_fit_bars(void **state)
{
    add_plain(64);
    fake_model_bar(pf, cap + 0x34U, 0xc, 64ULL << 20, 0);
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    const struct pci_pf *on = pci_pf_find(pf);

    assert_int_equal(on->vfs, 16); /* the whole window, of 1 GiB */
    assert_int_equal(on->sriov.num_vfs, 16);
    assert_int_equal(pci_config_read(pf, cap + (uint32_t)PCI_SRIOV_NUM_VFS, 2), 16);
    assert_true(pci_vf_of(on, 15)->present);
    assert_null(pci_vf_of(on, 16));
    assert_true(fake_log_contains("no room for 4096 MiB of VF BAR in the prefetchable window"));
    assert_true(fake_log_contains("0000:01:00.0: 16 of its 64 VFs have room and are used"));
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, 16);
    assert_int_equal(pci_vf_enable(pf, 17), STATUS_NO_ROOM);
    assert_int_equal(pci_vf_enable(pf, 16), STATUS_OK);
}

/* Not even one. */
static void test_fit_none(void **state)
{
    hpa_t base;
    uint64_t size;

    add_plain(64);
    fake_model_bar(pf, cap + 0x34U, 0xc, 2ULL << 30, 0);
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_NO_ROOM);
    assert_true(fake_log_contains("no room for 131072 MiB of VF BAR"));
    assert_false(fake_log_contains("have room and are used"));
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_INITIAL_VFS, 1);
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_NO_ROOM);
    /* What was found for the first BAR is nobody's. */
    assert_int_equal(pci_room_find(pci_find(pf), PCI_ROOM_VF_BAR, &base, &size), STATUS_NOT_FOUND);
}

/*
 * BAR 0 of 64 VFs makes the prefetchable window grow; BAR 2, in the window of 2 MiB that cannot,
 * has room for 8. What is for more than are there in the end is not kept: another port needs it.
 */
static void test_grow_for_all(void **state)
{
    const bdf_t other = {.bus = 0, .devfn = 0x18};
    struct pci_window window;

    add_port(1, 1, true);
    fake_model_windows(port, 0xc0000000, 2 * MIB, HIGH, MIB, true);
    fake_pci_add_bridge(other, 2, 2, PCI_PORT_ROOT);
    fake_model_windows(other, 0xc0200000, MIB, HIGH + 256 * MIB, MIB, true);
    add_pf(pf, 64);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1}
    });
    fake_model_bar(pf, cap + 0x24U, 0xc, MIB, 0);
    fake_model_bar(pf, cap + 0x2cU, 0, MIB / 4, 0);
    init();
    assert_int_equal(pci_room_reserve(hpa(0xbff00000), MIB, true), STATUS_OK);
    assert_int_equal(pci_vf_enable(pf, 64), STATUS_NO_ROOM);
    assert_true(fake_log_contains("'num_vfs = fit' takes as many as there is room for"));
    assert_false(fake_log_contains("window is now"));
    window = pci_window_read(pci_find(port), PCI_WINDOW_PREFETCHABLE);
    assert_true(window.base == HIGH && window.size == MIB);

    fake_log_clear();
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, 8);
    assert_true(fake_log_contains("'above 4G decoding' (64-bit MMIO) in the firmware set-up\n"));
    window = pci_window_read(pci_find(port), PCI_WINDOW_PREFETCHABLE);
    assert_true(window.base == HIGH && window.size == 9 * MIB);
    assert_true(pci_window_read(pci_find(port), PCI_WINDOW_MEMORY).size == 2 * MIB);
    assert_true(pci_vf_bar(pci_vf_of(pci_pf_find(pf), 7), 0).base + MIB <= HIGH + 9 * MIB);
}

/* Without ARI 7 fit; buses and the table bound them, too. */
static void test_fit_places(void **state)
{
    add_port(1, 1, false);
    add_pf(pf, 64);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1}
    });
    init();
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, 7);
    assert_true(fake_log_contains("its VFs need ARI, which the port 0000:00:02.0 lacks"));
    assert_true(fake_log_contains("7 of its 64 VFs have room"));
}

static void test_fit_buses(void **state)
{
    add_port(1, 1, true);
    add_pf(pf, 300);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1}
    });
    init();
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, 255);
    assert_true(fake_log_contains("some VFs would be on bus 02"));
}

/* VFs on the next bus need no ARI, but the bus. */
static void test_buses(void **state)
{
    add_port(2, 1, false);
    add_pf(pf, 300);
    behave((struct fake_sriov){
        .pf = pf, .offset = {256, 256},
             .stride = {1,   1  }
    });
    fake_pci_add(fake_bdf(3, 0, 0), 0x1234, 1);
    init();
    assert_int_equal(pci_vf_enable(pf, 257), STATUS_RANGE);
    assert_true(fake_log_contains("some VFs would be on bus 03, but bridge 0000:00:02.0 leads to "
                                  "buses 01-02"));
    assert_int_equal(pci_vf_enable(pf, 256), STATUS_OK);
    assert_int_equal(pci_vf_of(pci_pf_find(pf), 255)->bdf.bus, 2);
}

/* Two PFs of one device: the VFs of the second must keep clear of the first's. */
static void test_two_pfs(void **state)
{
    const bdf_t second = {.bus = 1, .devfn = 1};

    add_port(1, 1, true);
    add_pf(pf, 4)[PCI_HEADER_TYPE] = 0x80;
    behave((struct fake_sriov){
        .pf = pf, .offset = {2, 2},
             .stride = {2, 2}
    });
    add_pf(second, 4);
    behave((struct fake_sriov){
        .pf = second, .offset = {2, 0x10},
             .stride = {2, 2   }
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 3), STATUS_OK);
    assert_int_equal(pci_vf_enable(second, 2), STATUS_OK);
    assert_true(bdf_equal(pci_vf_of(pci_pf_find(second), 1)->bdf, fake_bdf(1, 0, 5)));
    assert_true(pci_vf_bar(pci_vf_of(pci_pf_find(second), 0), 4).base >=
                pci_vf_bar(pci_vf_of(pci_pf_find(pf), 2), 4).base + 32768);
    assert_int_equal(pci_vf_enable(second, 3), STATUS_OK);
    assert_int_equal(pci_vf_enable(second, 4), STATUS_STATE); /* ARI would have to change */
    assert_true(fake_log_contains("ARI cannot change while other VFs of the device are on"));
    assert_int_equal(pci_vf_disable(pf), STATUS_OK);
}

/* 4096 VFs over 17 buses: every access is counted. */
static void test_4096(void **state)
{
    unsigned long accesses;

    add_port(40, 1, true);
    add_pf(pf, 5000);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {2, 2},
             .plain = true
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 4097), STATUS_NO_MEMORY);
    fake_model_bar(pf, cap + 0x24U, 0, 0, 0);
    fake_put32(config, cap + 0x24U, 0);
    fake_pci_forget_accesses();
    assert_int_equal(pci_vf_enable(pf, 512), STATUS_OK);
    accesses = fake_pci_reads() + fake_pci_writes();
    assert_int_equal(pci_vf_disable(pf), STATUS_OK);
    fake_pci_forget_accesses();
    assert_int_equal(pci_vf_enable(pf, 4096), STATUS_OK);
    assert_int_equal(pci_vf_of(pci_pf_find(pf), 4095)->bdf.bus, 1 + 8191 / 256);
    print_message("512 VFs: %lu accesses; 4096 VFs: %lu\n", accesses,
                  fake_pci_reads() + fake_pci_writes());
    assert_true(fake_pci_reads() + fake_pci_writes() < 8 * accesses);
    assert_true(fake_pci_reads() + fake_pci_writes() < 4096UL * 10 + 300);
    assert_true(elapsed_us() < 1400000);
    /* As many as the table has. */
    fake_log_clear();
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, PCI_VFS_MAX);
    assert_true(fake_log_contains("more than 64 PFs or 4096 VFs in all"));
    assert_true(fake_log_contains("4096 of its 5000 VFs have room"));
}

/* 64 PFs of 64 VFs, each behind a port of its own, fill the table; one more finds no place. */
static void test_many_pfs(void **state)
{
    for (unsigned i = 0; i < PCI_PFS_MAX + 1; i++) {
        bdf_t bridge = fake_bdf(0, (uint8_t)(i / 8 + 1), (uint8_t)(i % 8));
        bdf_t own = {.bus = (uint8_t)(i + 1)};
        uint8_t *space = fake_pci_add_bridge(bridge, own.bus, own.bus, PCI_PORT_ROOT);

        space[PCI_HEADER_TYPE] |= 0x80;
        fake_model_windows(bridge, 0xc0000000 + i * MIB, MIB, HIGH + i * 4 * MIB, 4 * MIB, true);
        fake_put32(space, 0x40 + 0x24U, 1U << 5);
        add_pf(own, 64);
        behave((struct fake_sriov){
            .pf = own, .offset = {1, 1},
                 .stride = {1, 1}
        });
    }
    init();
    for (unsigned i = 0; i < PCI_PFS_MAX; i++) {
        assert_int_equal(pci_vf_enable((bdf_t){.bus = (uint8_t)(i + 1)}, 64), STATUS_OK);
    }
    assert_int_equal(pci_vf_enable((bdf_t){.bus = PCI_PFS_MAX + 1}, 1), STATUS_NO_MEMORY);
    assert_true(fake_log_contains("more than 64 PFs or 4096 VFs in all"));
    /* A hole in the table is used again. */
    assert_int_equal(pci_vf_disable((bdf_t){.bus = 7}), STATUS_OK);
    assert_int_equal(pci_vf_enable((bdf_t){.bus = PCI_PFS_MAX + 1}, 64), STATUS_OK);
    assert_int_equal(pci_vf_find((bdf_t){.bus = PCI_PFS_MAX + 1, .devfn = 64})->index, 63);
    assert_int_equal(pci_vf_find((bdf_t){.bus = 9, .devfn = 1})->index, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_bars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fit_bars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fit_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grow_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fit_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fit_buses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_buses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_pfs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_4096, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_pfs, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
