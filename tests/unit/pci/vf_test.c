/* SPDX-License-Identifier: BSD-2-Clause */
/* Switching VFs on and off, with everything that can be wrong with a device or the way to it. */
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/pci/sriov_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_enable(void **state)
{
    const struct pci_pf *on;
    const struct pci_vf *vf;

    add_plain(4);
    assert_null(pci_pf_find(pf));
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_OK);
    assert_true(elapsed_us() >= 100000 && elapsed_us() < 110000);
    on = pci_pf_find(pf);
    assert_non_null(on);
    assert_int_equal(on->vfs, 4);
    assert_true(on->sriov.enabled);
    assert_int_equal(on->sriov.page_size, 1);
    assert_int_equal(config[cap + PCI_SRIOV_PAGE_SIZE], 1);
    vf = pci_vf_of(on, 2);
    assert_true(bdf_equal(vf->bdf, fake_bdf(1, 0, 3)));
    assert_ptr_equal(pci_vf_find(vf->bdf), vf);
    assert_true(vf->present && vf->flr);
    assert_int_equal(vf->index, 2);
    assert_int_equal(vf->subsystem, 1);
    assert_int_equal(vf->msix.vectors, 4);
    assert_int_not_equal(vf->msix_at, 0);
    assert_int_equal(pci_vf_bar(vf, 0).base, 0xc0002000);
    assert_int_equal(pci_vf_bar(vf, 0).size, 4096);
    assert_true(pci_vf_bar(vf, 4).base == HIGH + 2 * 32768);
    assert_int_equal(pci_vf_bar(vf, 1).kind, PCI_BAR_NONE);
    assert_int_equal(pci_vf_bar(vf, 6).kind, PCI_BAR_NONE);
    assert_null(pci_vf_of(on, 4));
    assert_null(pci_vf_find(pf));
    assert_null(pci_vf_find(fake_bdf(1, 0, 5)));
    assert_null(pci_vf_find((bdf_t){.segment = 1, .bus = 1, .devfn = 1}));
    /* The VFs decode where the list says. */
    assert_int_equal(pci_config_read(pf, cap + 0x34U, 4), 0xc);
    assert_int_equal(pci_config_read(pf, cap + 0x38U, 4), HIGH >> 32);
    assert_int_equal(pci_config_read(port, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY,
                     PCI_COMMAND_MEMORY);
    assert_false(fake_log_contains("ARI"));
}

static void test_again(void **state)
{
    add_plain(6);
    assert_int_equal(pci_vf_disable(pf), STATUS_STATE);
    assert_int_equal(pci_vf_enable(pf, 6), STATUS_OK);
    assert_int_equal(pci_vf_disable(pf), STATUS_OK);
    assert_null(pci_pf_find(pf));
    assert_null(pci_vf_find(fake_bdf(1, 0, 1)));
    assert_null(fake_pci_config(fake_bdf(1, 0, 1)));
    /* the second that the capability must be left alone is waited for here */
    assert_int_equal(pci_vf_enable(pf, 2), STATUS_OK);
    assert_true(elapsed_us() >= 1200000 && elapsed_us() < 1300000);
    assert_int_equal(pci_vf_enable(pf, 3), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, 3);
    assert_null(fake_pci_config(fake_bdf(1, 0, 4)));
}

/* Firmware left VFs on. */
static void test_left_on(void **state)
{
    add_plain(4);
    pci_config_write(pf, cap + (uint32_t)PCI_SRIOV_NUM_VFS, 2, 2);
    pci_config_write(pf, cap + (uint32_t)PCI_SRIOV_CONTROL, 2, 9);
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_OK);
    assert_true(fake_log_contains("its VFs were left on; they are switched off first"));
    assert_int_equal(pci_pf_find(pf)->vfs, 4);
}

static void test_counts(void **state)
{
    add_plain(4);
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_INITIAL_VFS, 3);
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_RANGE);
    assert_true(fake_log_contains("4 VFs are wanted, and it has 1 to 3"));
    assert_int_equal(pci_vf_enable(port, 1), STATUS_NOT_FOUND);
    assert_int_equal(pci_vf_enable(fake_bdf(9, 9, 1), 1), STATUS_NOT_FOUND);
    assert_int_equal(pci_vf_enable(pf, 3), STATUS_OK);
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_OK);
    assert_int_equal(pci_pf_find(pf)->vfs, 3);
    assert_false(fake_log_contains("num_vfs = fit"));
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_INITIAL_VFS, 0);
    assert_int_equal(pci_vf_enable(pf, PCI_VFS_FIT), STATUS_RANGE);
}

static void test_pages(void **state)
{
    add_plain(4);
    fake_put32(config, cap + (uint32_t)PCI_SRIOV_PAGE_SIZES, 0x2);
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("its VFs cannot have pages of 4 KiB"));
    fake_put32(config, cap + (uint32_t)PCI_SRIOV_PAGE_SIZES, 0x3);
    memset(fake_pci_mask(pf) + cap + PCI_SRIOV_PAGE_SIZE, 0, 4); /* stuck at 2 */
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_DEVICE);
    assert_null(fake_pci_config(fake_bdf(1, 0, 1)));
}

/* Above 7 the port must forward ARI: offset and stride differ with it. */
static void test_ari(void **state)
{
    add_port(1, 1, true);
    add_pf(pf, 64);
    behave((struct fake_sriov){
        .pf = pf, .offset = {8, 2},
             .stride = {1, 3}
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 64), STATUS_OK);
    assert_true(fake_log_contains("0000:00:02.0: ARI forwarding is on now"));
    assert_int_equal(pci_pf_find(pf)->sriov.first_offset, 2);
    assert_int_equal(pci_vf_of(pci_pf_find(pf), 63)->bdf.devfn, 2 + 63 * 3);
}

static void test_no_ari(void **state)
{
    add_port(2, 1, false);
    add_pf(pf, 64);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1}
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 8), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("its VFs need ARI, which the port 0000:00:02.0 lacks"));
    assert_int_equal(pci_vf_enable(pf, 7), STATUS_OK);
}

/* Root ports that can are told to pass 'not yet' on; the rest of the register stays. */
static void test_retries_seen(void **state)
{
    add_plain(4);
    fake_put16(port_config, 0x40 + 0x1cU, 0x0008);
    fake_put16(port_config, 0x40 + 0x1eU, 0xfffe);
    assert_int_equal(pci_vf_enable(pf, 1), STATUS_OK);
    assert_int_equal(pci_config_read(port, 0x40 + 0x1cU, 2), 0x0008);
    fake_put16(port_config, 0x40 + 0x1eU, 0x0001);
    assert_int_equal(pci_vf_enable(pf, 2), STATUS_OK);
    assert_int_equal(pci_config_read(port, 0x40 + 0x1cU, 2), 0x0018);
}

static void test_bad_numbers(void **state)
{
    static const struct {
        uint16_t offset;
        uint16_t stride;
        enum status status;
        const char *text;
    } bad[] = {
        {0,      1,      STATUS_DEVICE,   "its VFs have offset 0 and stride 1"                      },
        {1,      0,      STATUS_DEVICE,   "its VFs have offset 1 and stride 0"                      },
        {0xfff0, 1,      STATUS_RANGE,    "VF 1 would be beyond bus ff"                             },
        {1,      0xfe00, STATUS_RANGE,    "VF 3 would be beyond bus ff"                             },
        {1,      2,      STATUS_CONFLICT, "VF 2 would be at 0000:01:00.3, where another function is"},
        {3,      1,      STATUS_CONFLICT, "VF 1 would be at 0000:01:00.3"                           },
        {0x100,  1,      STATUS_RANGE,    "some VFs would be on bus 02, but"                        },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_model_reset();
        add_port(1, 1, true);
        add_pf(pf, 4)[PCI_HEADER_TYPE] = 0x80;
        behave((struct fake_sriov){
            .pf = pf,
            .offset = {bad[i].offset, bad[i].offset},
            .stride = {bad[i].stride, bad[i].stride}
        });
        fake_pci_add(fake_bdf(1, 0, 3), 0x1234, 1);
        init();
        fake_log_clear();
        if (bad[i].stride == 0xfe00) { /* the second is on another bus already */
            port_config[PCI_BRIDGE_SUBORDINATE] = 255;
            init();
        }
        assert_int_equal(pci_vf_enable(pf, 4), bad[i].status);
        assert_true(fake_log_contains(bad[i].text));
        assert_int_equal(fake_pci_config(pf)[cap + PCI_SRIOV_CONTROL] & 1, 0);
    }
}

/* A function that the scan did not see, since its device has no more than one: it answers. */
static void test_unlisted(void **state)
{
    add_port(1, 1, true);
    add_pf(pf, 4);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1}
    });
    fake_pci_add(fake_bdf(1, 0, 2), 0xffff, 0xffff);
    init();
    assert_null(pci_find(fake_bdf(1, 0, 2)));
    assert_int_equal(pci_vf_enable(pf, 2), STATUS_CONFLICT);
    fake_pci_remove(fake_bdf(1, 0, 2));
    fake_pci_add(fake_bdf(1, 0, 2), 0x1234, 1)[PCI_HEADER_TYPE] = 0xff;
    assert_int_equal(pci_vf_enable(pf, 2), STATUS_CONFLICT);
    assert_int_equal(pci_vf_enable(pf, 1), STATUS_OK);
}

static void test_slow(void **state)
{
    add_port(1, 1, true);
    add_pf(pf, 4);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1},
             .ready_us = 700000, .retry = true
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_OK);
    assert_true(elapsed_us() >= 700000 && elapsed_us() < 720000);
    assert_true(pci_vf_of(pci_pf_find(pf), 3)->present);
}

/* One VF is dead: the others live. All are: they are switched off again. */
static void test_dead(void **state)
{
    add_port(1, 1, true);
    add_pf(pf, 4);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1},
             .dead = 2
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_OK);
    assert_true(fake_log_contains("1 of its 4 VFs do not answer 1 s after"));
    assert_true(elapsed_us() >= 1000000 && elapsed_us() < 1100000);
    assert_false(pci_vf_of(pci_pf_find(pf), 1)->present);
    assert_true(pci_vf_of(pci_pf_find(pf), 2)->present);
    assert_int_equal(pci_vf_set_master(pci_vf_of(pci_pf_find(pf), 1), true), STATUS_DEVICE);
    assert_int_equal(pci_vf_disable(pf), STATUS_OK);
    fake_model_reset();
    fake_log_clear();
    add_port(1, 1, true);
    add_pf(pf, 4);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1},
             .ready_us = ~0U
    });
    init();
    assert_int_equal(pci_vf_enable(pf, 4), STATUS_DEVICE);
    assert_null(pci_pf_find(pf));
    assert_null(fake_pci_config(fake_bdf(1, 0, 1)));
}

/* A VF whose MSI-X table is not in its BAR has none. */
static void test_bad_msix(void **state)
{
    add_plain(2);
    fake_model_bar(pf, cap + 0x24U, 0, 0, 0); /* BAR 0, that the VFs' capability names, goes */
    fake_put32(config, cap + 0x24U, 0);
    assert_int_equal(pci_vf_enable(pf, 2), STATUS_OK);
    assert_int_equal(pci_vf_of(pci_pf_find(pf), 0)->msix_at, 0);
    assert_true(fake_log_contains("a BAR that is no memory BAR; MSI-X is not used"));
}

static void test_master(void **state)
{
    const struct pci_vf *first;
    const struct pci_vf *second;

    add_plain(2);
    assert_int_equal(pci_vf_enable(pf, 2), STATUS_OK);
    first = pci_vf_of(pci_pf_find(pf), 0);
    second = pci_vf_of(pci_pf_find(pf), 1);
    assert_int_equal(pci_vf_set_master(first, true), STATUS_OK);
    assert_int_equal(pci_vf_set_master(second, true), STATUS_OK);
    assert_int_equal(pci_vf_set_master(second, true), STATUS_OK);
    assert_int_equal(pci_config_read(first->bdf, PCI_COMMAND, 2), PCI_COMMAND_BUS_MASTER);
    assert_int_equal(pci_vf_set_master(second, false), STATUS_OK);
    assert_int_equal(pci_config_read(second->bdf, PCI_COMMAND, 2), 0);
    assert_true((port_config[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER) != 0);
    assert_int_equal(pci_vf_disable(pf), STATUS_OK); /* takes the rest back */
    assert_int_equal(port_config[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER, 0);
    assert_int_equal(config[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_enable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ari, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_ari, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retries_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unlisted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_msix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_master, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
