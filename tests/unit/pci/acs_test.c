/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who reaches whom past the IOMMU. The machine of most tests:
 *
 *   0:01.0 root port -- 1:00.0 upstream -- 2:00.0, 2:01.0 downstream -- 3:00.0, 4:00.0 endpoints
 *   0:02.0 root port -- 5:00.0 endpoint
 *   0:03.0 bridge to PCI -- 6:00.0, 6:01.0 conventional
 *   segment 0 has a second root, bus 80h: 80:01.0 root port -- 81:00.0 endpoint
 */
#include "drivers/pci/acs.h"
#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_model.h"
#include "tests/unit/fakes/pci_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL      0x7fU
#define EXPECTED 0x1fU /* without exceptions by port, and direct translated requests */

enum { ROOT1, UP, DOWN1, DOWN2, ROOT2, TO_PCI, ROOT80, BRIDGES };
enum { AT3, AT4, AT5, AT6, AT6_TOO, AT81, ENDPOINTS };

static const struct {
    bdf_t bdf;
    uint8_t secondary, subordinate, port;
    bool acs;
} bridges[BRIDGES] = {
    [ROOT1] = {{.bus = 0, .devfn = 0x08},    1,    4,    PCI_PORT_ROOT,       true },
    [UP] = {{.bus = 1, .devfn = 0x00},    2,    4,    PCI_PORT_UPSTREAM,   false},
    [DOWN1] = {{.bus = 2, .devfn = 0x00},    3,    3,    PCI_PORT_DOWNSTREAM, true },
    [DOWN2] = {{.bus = 2, .devfn = 0x08},    4,    4,    PCI_PORT_DOWNSTREAM, true },
    [ROOT2] = {{.bus = 0, .devfn = 0x10},    5,    5,    PCI_PORT_ROOT,       true },
    [TO_PCI] = {{.bus = 0, .devfn = 0x18},    6,    6,    PCI_PORT_TO_PCI,     false},
    [ROOT80] = {{.bus = 0x80, .devfn = 0x08}, 0x81, 0x81, PCI_PORT_ROOT,       true },
};
static const bdf_t endpoints[ENDPOINTS] = {
    [AT3] = {.bus = 3},
    [AT4] = {.bus = 4},
    [AT5] = {.bus = 5},
    [AT6] = {.bus = 6},
    [AT6_TOO] = {.bus = 6, .devfn = 8},
    [AT81] = {.bus = 0x81       },
};
static uint16_t acs[BRIDGES]; /* where their capability is */

static uint16_t add_acs(uint8_t *config, uint16_t caps, uint16_t control)
{
    uint16_t at = fake_pci_ext_cap(config, PCI_EXT_CAP_ACS, 8);

    fake_put16(config, at + PCI_ACS_CAPS, caps);
    fake_put16(config, at + PCI_ACS_CONTROL, control);
    return at;
}

static uint16_t control_of(unsigned bridge)
{
    return (uint16_t)pci_config_read(bridges[bridge].bdf, acs[bridge] + PCI_ACS_CONTROL, 2);
}

/* The ports of the bit mask WITHOUT have no capability. */
static void build(unsigned without)
{
    fake_model_reset();
    fake_log_clear();
    fake_pci_add(fake_bdf(0, 0, 0), 0x8086, 0x29c0);
    for (unsigned i = 0; i < BRIDGES; i++) {
        uint8_t *config = fake_pci_add_bridge(bridges[i].bdf, bridges[i].secondary,
                                              bridges[i].subordinate, bridges[i].port);

        acs[i] = bridges[i].acs && !(without >> i & 1) ? add_acs(config, ALL, 0x60) : 0;
    }
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        fake_pci_express(fake_pci_add(endpoints[i], 0x1af4, 0x1041), PCI_PORT_ENDPOINT, true);
    }
    assert_int_equal(pci_scan(), STATUS_OK);
}

static int tear_down(void **state)
{
    assert_int_equal(fake_model_violations(), 0);
    fake_pci_reset();
    return 0;
}

static bool reaches(unsigned from, unsigned to)
{
    return pci_acs_reaches(endpoints[from], endpoints[to]);
}

static const struct pci_function *bridge(unsigned index)
{
    return pci_find(bridges[index].bdf);
}

static void all_ports_are_closed(void **state)
{
    build(0);
    pci_acs_init();
    for (unsigned i = 0; i < BRIDGES; i++) {
        assert_int_equal(acs[i] != 0 ? control_of(i) : EXPECTED, EXPECTED);
    }
    /* The bridge to PCI cannot be. */
    assert_true(fake_log_contains("access control (ACS) is on in 5 of 6 ports"));
    for (unsigned from = 0; from < ENDPOINTS; from++) {
        for (unsigned to = 0; to < ENDPOINTS; to++) {
            bool conventional = from == AT6 || from == AT6_TOO;

            if (from != to && !conventional) {
                assert_false(reaches(from, to));
                assert_null(pci_acs_gap(endpoints[from]));
            }
        }
    }
}

/* What else is set in the register stays; only what the port has is asked for. */
static void what_a_port_lacks_is_not_asked_for(void **state)
{
    build(0);
    uint8_t *config = fake_pci_config(bridges[ROOT2].bdf);

    fake_put16(config, acs[ROOT2] + PCI_ACS_CAPS, PCI_ACS_VALIDATE | PCI_ACS_FORWARD | 0x80);
    fake_put16(config, acs[ROOT2] + PCI_ACS_CONTROL, 0x380);
    pci_acs_init();
    assert_int_equal(control_of(ROOT2), 0x380 | PCI_ACS_VALIDATE | PCI_ACS_FORWARD);
    assert_null(pci_acs_gap(endpoints[AT5])); /* it lets nothing through to other root ports */
}

static void a_downstream_port_must_have_all_of_it(void **state)
{
    build(0);
    fake_put16(fake_pci_config(bridges[DOWN1].bdf), acs[DOWN1] + PCI_ACS_CAPS,
               PCI_ACS_VALIDATE | PCI_ACS_FORWARD | PCI_ACS_REQUESTS);
    pci_acs_init();
    assert_ptr_equal(pci_acs_gap(endpoints[AT3]), bridge(DOWN1));
    assert_true(reaches(AT3, AT4));
    assert_false(reaches(AT4, AT3)); /* its own port is closed */
    assert_false(reaches(AT3, AT5));
    assert_false(reaches(AT3, AT81));
}

static void a_switch_without_it(void **state)
{
    build(1U << DOWN1 | 1U << DOWN2);
    pci_acs_init();
    assert_true(fake_log_contains("is on in 3 of 6 ports"));
    assert_ptr_equal(pci_acs_gap(endpoints[AT4]), bridge(DOWN2));
    assert_true(reaches(AT3, AT4) && reaches(AT4, AT3));
    assert_false(reaches(AT3, AT5) || reaches(AT5, AT3));
}

/* A way through two ports: the outer one counts as well. */
static void root_ports_without_it(void **state)
{
    bdf_t later = {.bus = 3, .devfn = 9}; /* a VF of the same device */

    build(1U << ROOT1 | 1U << ROOT2);
    pci_acs_init();
    assert_ptr_equal(pci_acs_gap(endpoints[AT3]), bridge(ROOT1));
    assert_true(reaches(AT3, AT5) && reaches(AT5, AT4) && reaches(AT5, AT6));
    assert_false(reaches(AT3, AT4)); /* the switch is closed, and the port sends nothing back */
    assert_false(pci_acs_reaches(endpoints[AT3], later));
    assert_false(reaches(AT3, AT81) || reaches(AT81, AT3)); /* another root */
    build(1U << ROOT1 | 1U << DOWN2);
    pci_acs_init();
    assert_ptr_equal(pci_acs_gap(endpoints[AT4]), bridge(DOWN2));
    assert_true(reaches(AT4, AT3) && reaches(AT4, AT5));
    assert_true(reaches(AT3, AT5));
    assert_false(reaches(AT5, AT3));
}

static void a_shared_bus(void **state)
{
    build(0);
    pci_acs_init();
    assert_true(reaches(AT6, AT6_TOO) && reaches(AT6_TOO, AT6));
    assert_true(reaches(AT6, AT3));
    assert_false(reaches(AT3, AT6));
}

static void a_port_that_does_not_take_it(void **state)
{
    uint8_t *config;
    uint16_t at;

    build(0);
    fake_put16(fake_pci_mask(bridges[ROOT2].bdf), acs[ROOT2] + PCI_ACS_CONTROL, 0x60);
    fake_put16(fake_pci_mask(bridges[DOWN2].bdf), acs[DOWN2] + PCI_ACS_CONTROL, 0);
    config = fake_pci_config(bridges[DOWN2].bdf);
    fake_put16(config, acs[DOWN2] + PCI_ACS_CONTROL, EXPECTED | PCI_ACS_EGRESS); /* stays */
    config = fake_pci_config(endpoints[AT5]);
    at = add_acs(config, PCI_ACS_REQUESTS | PCI_ACS_COMPLETIONS, 0);
    fake_put16(fake_pci_mask(endpoints[AT5]), at + PCI_ACS_CONTROL, PCI_ACS_REQUESTS);
    assert_int_equal(pci_scan(), STATUS_OK);
    pci_acs_init();
    assert_ptr_equal(pci_acs_gap(endpoints[AT5]), bridge(ROOT2));
    assert_ptr_equal(pci_acs_gap(endpoints[AT4]), bridge(DOWN2));
    assert_true(fake_log_contains("PCI 0000:05:00.0: access control (ACS) cannot be switched on"));
    assert_int_equal(fake_pci_config(endpoints[AT5])[at + PCI_ACS_CONTROL], PCI_ACS_REQUESTS);
    assert_true(pci_acs_leaks(endpoints[AT5]));
    assert_false(pci_acs_set(endpoints[AT5], at));
    assert_false(pci_acs_leaks(endpoints[AT4]));                /* has none to switch on */
    assert_false(pci_acs_leaks((bdf_t){.bus = 5, .devfn = 1})); /* is not there */
}

/* Below a port of PCI Express a bus is a device; elsewhere devices have numbers. */
static void what_is_one_device(void **state)
{
    bdf_t far = {.bus = 3, .devfn = 0x41}, six = {.bus = 6, .devfn = 1};

    build(0);
    pci_acs_init();
    assert_true(pci_acs_same_device(endpoints[AT3], far));
    assert_false(pci_acs_same_device(endpoints[AT3], endpoints[AT4]));
    assert_true(pci_acs_same_device(endpoints[AT6], six));
    assert_false(pci_acs_same_device(endpoints[AT6], endpoints[AT6_TOO]));
    assert_true(pci_acs_same_device(fake_bdf(0, 5, 0), fake_bdf(0, 5, 3)));
    assert_false(pci_acs_same_device(fake_bdf(0, 5, 0), fake_bdf(0, 6, 0)));
    assert_false(pci_acs_same_device(endpoints[AT3], (bdf_t){.segment = 1, .bus = 3}));
}

/* A reset of a VF switches its access control off. */
static void it_is_on_again_after_a_reset(void **state)
{
    bdf_t vf = {.bus = 3, .devfn = 1};
    uint8_t *config;
    uint16_t at;

    build(0);
    pci_acs_init();
    config = fake_pci_add(vf, 0xffff, 0xffff);
    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    at = add_acs(config, PCI_ACS_REQUESTS | PCI_ACS_COMPLETIONS | PCI_ACS_DIRECT, PCI_ACS_DIRECT);
    assert_int_equal(fake_flr_run(vf), STATUS_OK);
    assert_int_equal(config[at + PCI_ACS_CONTROL], PCI_ACS_REQUESTS | PCI_ACS_COMPLETIONS);
    assert_true(pci_acs_set(vf, 0));
    assert_true(pci_acs_set(vf, at));
}

/* No ports, no line. */
static void a_machine_without_ports(void **state)
{
    fake_model_reset();
    fake_log_clear();
    fake_pci_add(fake_bdf(0, 0, 0), 0x8086, 0x29c0);
    fake_pci_add(fake_bdf(0, 3, 0), 0x1af4, 0x1041);
    assert_int_equal(pci_scan(), STATUS_OK);
    pci_acs_init();
    assert_string_equal(fake_log_text(), "");
    assert_null(pci_acs_gap(fake_bdf(0, 3, 0)));
    assert_false(pci_acs_reaches(fake_bdf(0, 3, 0), fake_bdf(0, 0, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_ports_are_closed, tear_down),
        cmocka_unit_test_teardown(what_a_port_lacks_is_not_asked_for, tear_down),
        cmocka_unit_test_teardown(a_downstream_port_must_have_all_of_it, tear_down),
        cmocka_unit_test_teardown(a_switch_without_it, tear_down),
        cmocka_unit_test_teardown(root_ports_without_it, tear_down),
        cmocka_unit_test_teardown(a_shared_bus, tear_down),
        cmocka_unit_test_teardown(a_port_that_does_not_take_it, tear_down),
        cmocka_unit_test_teardown(what_is_one_device, tear_down),
        cmocka_unit_test_teardown(it_is_on_again_after_a_reset, tear_down),
        cmocka_unit_test_teardown(a_machine_without_ports, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
