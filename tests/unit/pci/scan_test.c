/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/scan.h"
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

static void test_empty(void **state)
{
    assert_int_equal(pci_scan(), STATUS_NOT_FOUND);
    assert_int_equal(pci_count(), 0);
    assert_null(pci_function_at(0));
    assert_null(pci_find(fake_bdf(0, 0, 0)));
    assert_int_equal(fake_pci_open_buses(), 0);
}

/* A host bridge, a multi-function device, a root port with an endpoint, a second root bus. */
static void test_typical(void **state)
{
    uint8_t *multi;

    fake_pci_add(fake_bdf(0, 0, 0), 0x8086, 0x29c0);
    fake_pci_add_bridge(fake_bdf(0, 1, 0), 1, 2, PCI_PORT_ROOT);
    multi = fake_pci_add(fake_bdf(0, 31, 0), 0x8086, 0x2918);
    multi[PCI_HEADER_TYPE] = 0x80;
    fake_pci_add(fake_bdf(0, 31, 3), 0x8086, 0x2930);
    fake_pci_add(fake_bdf(0, 30, 0), 0x8086, 0x1111);
    fake_pci_add(fake_bdf(0, 30, 1), 0x8086, 0x2222); /* function 0 is alone: not looked at */
    fake_pci_add(fake_bdf(1, 0, 0), 0x1af4, 0x1041);
    fake_pci_add(fake_bdf(1, 1, 0), 0x1af4, 0x1041); /* a ghost of the same device */
    fake_pci_add(fake_bdf(2, 0, 0), 0x1234, 0x1234); /* no bridge leads there */
    fake_pci_add(fake_bdf(0x80, 0, 0), 0x8086, 0x2020);
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 7);
    assert_int_equal(pci_function_at(3)->device, 0x2918);
    assert_true(pci_function_at(3)->multi_function);
    assert_int_equal(pci_function_at(4)->device, 0x2930);
    assert_int_equal(pci_function_at(5)->device, 0x1041);
    assert_int_equal(pci_function_at(6)->bdf.bus, 0x80);
    assert_int_equal(fake_pci_open_buses(), 3);
    assert_ptr_equal(pci_find(fake_bdf(1, 0, 0)), pci_function_at(5));
    assert_null(pci_find(fake_bdf(1, 1, 0)));
    assert_ptr_equal(pci_upstream(0, 1), pci_function_at(1));
    assert_null(pci_upstream(0, 0));
    assert_null(pci_upstream(0, 0x80));
    assert_string_equal(fake_log_text(), "");
}

static void test_function_facts(void **state)
{
    uint8_t *config = fake_pci_add(fake_bdf(0, 3, 0), 0x1af4, 0x1042);
    const struct pci_function *function;

    fake_put32(config, PCI_REVISION, 0x01000001);
    fake_put16(config, PCI_SUBSYSTEM_VENDOR, 0x1af4);
    fake_put16(config, PCI_SUBSYSTEM_ID, 0x1100);
    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    uint16_t msix = fake_pci_cap(config, 0x11, 12);
    fake_pci_cap(config, 0x05, 24);
    uint16_t sriov = fake_pci_sriov(config, 64, 1, 1, 0x10fa);
    uint16_t ari = fake_pci_ext_cap(config, 0x0e, 8);
    fake_pci_ext_cap(config, 0x0f, 8);
    uint16_t acs = fake_pci_ext_cap(config, 0x0d, 8);

    assert_int_equal(pci_scan(), STATUS_OK);
    function = pci_function_at(0);
    assert_int_equal(function->class_code, 0x010000);
    assert_int_equal(function->revision, 1);
    assert_int_equal(function->subsystem, 0x1100);
    assert_int_equal(function->port, PCI_PORT_ENDPOINT);
    assert_true(function->flr);
    assert_int_equal(function->msix, msix);
    assert_int_equal(function->sriov, sriov);
    assert_int_equal(function->ari, ari);
    assert_int_equal(function->acs, acs);
}

/* FLR of a conventional function is in its AF capability; no ECAM, no extended capabilities. */
static void test_conventional(void **state)
{
    uint8_t *config = fake_pci_add(fake_bdf(0, 3, 0), 0x8086, 0x100e);
    uint8_t *express = fake_pci_add(fake_bdf(0, 4, 0), 0x8086, 0x10c9);

    config[fake_pci_cap(config, 0x13, 6) + 3] = 3;
    fake_pci_express(express, PCI_PORT_ENDPOINT, false);
    fake_pci_sriov(express, 8, 1, 1, 1);
    fake_pci_without_ecam();
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_true(pci_function_at(0)->flr);
    assert_int_equal(pci_function_at(0)->port, PCI_PORT_CONVENTIONAL);
    assert_int_equal(pci_function_at(1)->sriov, 0);
}

static void test_bad_functions(void **state)
{
    fake_pci_add(fake_bdf(0, 1, 0), 0, 0);           /* a bridge that answers zeros */
    fake_pci_add(fake_bdf(0, 2, 0), 0xffff, 0xffff); /* a VF of nobody */
    fake_pci_add(fake_bdf(0, 3, 0), 0x1234, 1)[PCI_HEADER_TYPE] = 0x7f;
    fake_pci_add(fake_bdf(0, 4, 0), 0x1234, 2);
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 1);
    assert_int_equal(pci_function_at(0)->device, 2);
    assert_true(fake_log_contains("0000:00:03.0: header type 0x7f does not exist"));
}

/* Bridges that lead back, to themselves, to buses of others, or backwards are not entered. */
static void test_bad_bridges(void **state)
{
    fake_pci_add_bridge(fake_bdf(0, 1, 0), 1, 4, PCI_PORT_ROOT);
    fake_pci_add_bridge(fake_bdf(0, 2, 0), 1, 4, PCI_PORT_ROOT);
    fake_pci_add_bridge(fake_bdf(0, 3, 0), 3, 5, PCI_PORT_ROOT);
    fake_pci_add_bridge(fake_bdf(0, 4, 0), 9, 8, PCI_PORT_ROOT);
    fake_pci_add_bridge(fake_bdf(0, 5, 0), 0, 0, PCI_PORT_ROOT);   /* unused: no complaint */
    fake_pci_add_bridge(fake_bdf(1, 0, 0), 1, 1, PCI_PORT_TO_PCI); /* to its own bus */
    fake_pci_add_bridge(fake_bdf(6, 0, 0), 5, 7, PCI_PORT_TO_PCI); /* to a lower bus */
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 7);
    assert_true(fake_log_contains("0000:00:02.0: bridge to buses 01-04 contradicts"));
    assert_true(fake_log_contains("0000:00:03.0: bridge to buses 03-05 contradicts"));
    assert_true(fake_log_contains("0000:00:04.0: bridge to buses 09-08 contradicts"));
    assert_true(fake_log_contains("0000:01:00.0: bridge to buses 01-01 contradicts"));
    assert_true(fake_log_contains("0000:06:00.0: bridge to buses 05-07 contradicts"));
    assert_false(fake_log_contains("0000:00:05.0"));
}

/* A nested bridge must stay within what its parent forwards. */
static void test_nested(void **state)
{
    fake_pci_add_bridge(fake_bdf(0, 1, 0), 1, 4, PCI_PORT_ROOT);
    fake_pci_add_bridge(fake_bdf(1, 0, 0), 2, 4, PCI_PORT_UPSTREAM);
    fake_pci_add_bridge(fake_bdf(2, 0, 0), 3, 3, PCI_PORT_DOWNSTREAM);
    fake_pci_add_bridge(fake_bdf(2, 1, 0), 4, 5, PCI_PORT_DOWNSTREAM); /* 5 is beyond */
    fake_pci_add(fake_bdf(3, 0, 0), 0x1234, 3);
    fake_pci_add(fake_bdf(4, 0, 0), 0x1234, 4);
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_non_null(pci_find(fake_bdf(3, 0, 0)));
    assert_null(pci_find(fake_bdf(4, 0, 0)));
    assert_ptr_equal(pci_upstream(0, 3), pci_find(fake_bdf(2, 0, 0)));
    assert_ptr_equal(pci_upstream(0, 4),
                     pci_find(fake_bdf(1, 0, 0))); /* forwards it all the same */
}

static uint8_t *add_ari(uint8_t devfn, uint8_t next)
{
    uint8_t *config = fake_pci_add((bdf_t){.bus = 1, .devfn = devfn}, 0x1234, devfn);

    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    config[fake_pci_ext_cap(config, 0x0e, 8) + 5] = next;
    return config;
}

static void test_ari(void **state)
{
    uint8_t *bridge = fake_pci_add_bridge(fake_bdf(0, 1, 0), 1, 1, PCI_PORT_ROOT);

    add_ari(0, 3);
    add_ari(3, 0x80);
    add_ari(0x80, 0x80); /* points to itself */
    add_ari(0x81, 0);
    bridge[0x40 + 0x28] = 1U << 5;
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 4);
    assert_int_equal(pci_function_at(3)->bdf.devfn, 0x80);
    assert_true(fake_log_contains("its next function is said to be 128"));
    bridge[0x40 + 0x28] = 0; /* not forwarding: the port passes device 0 only */
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 2);
}

/* 255 bridges one behind the other, the deepest there can be. Cost stays linear. */
static void test_deep(void **state)
{
    unsigned long deep;

    for (unsigned bus = 0; bus < 255; bus++) {
        fake_pci_add_bridge(fake_bdf((uint8_t)bus, 0, 0), (uint8_t)(bus + 1), 255, PCI_PORT_ROOT);
    }
    fake_pci_add(fake_bdf(255, 0, 0), 0x1af4, 0x1041);
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_count(), 256);
    assert_int_equal(fake_pci_open_buses(), 256);
    deep = fake_pci_reads();
    assert_true(deep < 256UL * 40);
}

/* More functions than fit: those that fit are there, the rest is told of. */
static void test_too_many(void **state)
{
    for (unsigned bus = 0; bus < 9; bus++) {
        for (unsigned devfn = 0; devfn < 256; devfn++) {
            fake_pci_add((bdf_t){.bus = (uint8_t)bus, .devfn = (uint8_t)devfn}, 0x1234,
                         1)[PCI_HEADER_TYPE] = 0x80;
        }
    }
    assert_int_equal(pci_scan(), STATUS_NO_MEMORY);
    assert_int_equal(pci_count(), PCI_FUNCTIONS_MAX);
    assert_true(fake_log_contains("functions beyond the first 2048 are not used"));
    assert_non_null(pci_find(fake_bdf(7, 31, 7)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_typical, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_function_facts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_conventional, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_bridges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nested, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ari, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
