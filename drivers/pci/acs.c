/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/acs.h"

#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"

/* ATS is used nowhere, so no request may say that it is translated. */
#define WANTED                                                                         \
    (PCI_ACS_VALIDATE | PCI_ACS_TRANSLATION | PCI_ACS_REQUESTS | PCI_ACS_COMPLETIONS | \
     PCI_ACS_FORWARD)
#define EXCEPTIONS (PCI_ACS_EGRESS | PCI_ACS_DIRECT)
#define NEEDED     (PCI_ACS_VALIDATE | PCI_ACS_REQUESTS | PCI_ACS_COMPLETIONS | PCI_ACS_FORWARD)
#define PORTS_MAX  16U /* values of enum pci_port in the PCI Express capability */

/*
 * What a bridge of each kind must do so that nothing gets past it (6.12.1.1). A root port has only
 * what it needs: one that never lets requests through to other ports has nothing to redirect.
 */
static const struct rule {
    bool needs_it;   /* ACS, and of it NEEDED */
    bool as_it_says; /* but only what its capability has */
    bool shared_bus; /* what is below reaches each other anyway */
} rules[PORTS_MAX] = {
    [PCI_PORT_ROOT] = {.needs_it = true,    .as_it_says = true},
    [PCI_PORT_DOWNSTREAM] = {.needs_it = true   },
    [PCI_PORT_TO_PCI] = {.needs_it = true, .shared_bus = true                  },
    [PCI_PORT_FROM_PCI] = {.needs_it = true, .shared_bus = true},
};
static const struct rule conventional = {.needs_it = true, .shared_bus = true};

/* For each listed function: it lets requests past. Written at boot. */
static bool open[PCI_FUNCTIONS_MAX];

static const struct rule *rule_of(const struct pci_function *bridge)
{
    return bridge->port < PORTS_MAX ? &rules[bridge->port] : &conventional;
}

bool pci_acs_set(bdf_t bdf, uint16_t acs)
{
    if (acs == 0) {
        return true;
    }
    uint32_t wanted = pci_config_read(bdf, acs + PCI_ACS_CAPS, 2) & WANTED;
    uint32_t control = pci_config_change(bdf, acs + PCI_ACS_CONTROL, EXCEPTIONS | WANTED, wanted);

    return control != 0xffffU && (wanted & ~control) == 0 && (control & EXCEPTIONS) == 0;
}

/* What is not on of that which BRIDGE must do. */
static uint32_t missing(const struct pci_function *bridge)
{
    const struct rule *rule = rule_of(bridge);
    uint32_t needed = rule->needs_it ? NEEDED : 0;
    uint32_t control = 0;

    if (bridge->acs != 0) {
        uint32_t caps = pci_config_read(bridge->bdf, bridge->acs + PCI_ACS_CAPS, 2);

        control = pci_config_read(bridge->bdf, bridge->acs + PCI_ACS_CONTROL, 2);
        needed &= rule->as_it_says ? caps : NEEDED;
        if (control == 0xffffU || (control & EXCEPTIONS) != 0) {
            control = 0;
        }
    }
    return needed & ~control;
}

void pci_acs_init(void)
{
    uint32_t ports = 0, closed = 0;

    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_function_at(i);
        bool taken = pci_acs_set(function->bdf, function->acs);

        if (function->header != PCI_HEADER_DEVICE && rule_of(function)->needs_it) {
            open[i] = missing(function) != 0;
            ports++;
            closed += !open[i];
        } else {
            open[i] = !taken && function->header == PCI_HEADER_DEVICE;
            if (!taken) {
                log_warn("PCI " BDF_FORMAT
                         ": access control (ACS) cannot be switched on: functions "
                         "of the device may reach each other past the IOMMU",
                         BDF_ARGS(function->bdf));
            }
        }
    }
    if (ports > 0) {
        log_info("PCI: access control (ACS) is on in %u of %u ports", closed, ports);
    }
}

static bool is_open(const struct pci_function *function)
{
    return open[function - pci_function_at(0)];
}

bool pci_acs_leaks(bdf_t bdf)
{
    const struct pci_function *function = pci_find(bdf);

    return function != NULL && is_open(function);
}

/* Below a port of PCI Express there is one device; elsewhere its number tells (2.2.6.2, 7.8.7). */
bool pci_acs_same_device(bdf_t one, bdf_t other)
{
    const struct pci_function *above = pci_upstream(one.segment, one.bus);
    bool alone = above != NULL && !rule_of(above)->shared_bus && rule_of(above)->needs_it;

    return one.segment == other.segment && one.bus == other.bus &&
           (alone || one.devfn >> 3 == other.devfn >> 3);
}

const struct pci_function *pci_acs_gap(bdf_t bdf)
{
    const struct pci_function *bridge = pci_upstream(bdf.segment, bdf.bus);

    while (bridge != NULL && !is_open(bridge)) {
        bridge = pci_upstream(bridge->bdf.segment, bridge->bdf.bus);
    }
    return bridge;
}

/* The bus at which the way from BDF to its root ends. */
static uint8_t root_bus(bdf_t bdf)
{
    const struct pci_function *bridge;

    while ((bridge = pci_upstream(bdf.segment, bdf.bus)) != NULL) {
        bdf = bridge->bdf;
    }
    return bdf.bus;
}

static bool is_below(const struct pci_function *bridge, bdf_t bdf)
{
    return bridge->bdf.segment == bdf.segment && bridge->secondary <= bdf.bus &&
           bdf.bus <= bridge->subordinate;
}

/* GAP lets requests through to its neighbours, and to all that is below them. */
static bool leads_to(const struct pci_function *gap, bdf_t to)
{
    const struct pci_function *above = pci_upstream(gap->bdf.segment, gap->bdf.bus);

    if (is_below(gap, to)) {
        return rule_of(gap)->shared_bus;
    }
    return above != NULL ? is_below(above, to)
                         : gap->bdf.segment == to.segment && gap->bdf.bus == root_bus(to);
}

bool pci_acs_reaches(bdf_t from, bdf_t to)
{
    const struct pci_function *gap = pci_acs_gap(from);

    while (gap != NULL && !leads_to(gap, to)) {
        gap = pci_acs_gap(gap->bdf);
    }
    return gap != NULL;
}
