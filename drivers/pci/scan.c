/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bridge's secondary bus has a higher number than its primary bus, so one pass over the buses in
 * rising order meets every bridge before the bus behind it: no recursion, no queue, and a topology
 * that bites its own tail cannot be entered.
 */
#include "drivers/pci/scan.h"

#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"

#define BUSES             256U
#define DEVICES           32U
#define FUNCTIONS         8U
#define NO_BRIDGE         0xffffU
#define ARI_CAPABILITY    0x04U
#define ARI_NEXT_FUNCTION 8

static struct pci_function functions[PCI_FUNCTIONS_MAX];
static uint32_t function_count;
static uint32_t functions_left_out;

/*
 * For each bus of the range under way, the innermost bridge that forwards its number, as an index
 * in 'functions'; NO_BRIDGE: it may be a root bus.
 */
static uint16_t owners[BUSES];
static uint8_t range_last; /* the range's highest bus number */

/* Is the bus range of BRIDGE one that its own bus has to give? */
static bool bridge_sound(const struct pci_function *bridge)
{
    if (bridge->secondary <= bridge->bdf.bus || bridge->subordinate < bridge->secondary ||
        bridge->subordinate > range_last) {
        return false;
    }
    for (uint32_t bus = bridge->secondary; bus <= bridge->subordinate; bus++) {
        if (owners[bus] != owners[bridge->bdf.bus]) {
            return false;
        }
    }
    return true;
}

static void bridge_enter(uint32_t index)
{
    struct pci_function *bridge = &functions[index];

    if (bridge->secondary == 0) {
        return; /* firmware left it unused */
    }
    if (!bridge_sound(bridge)) {
        log_warn("PCI " BDF_FORMAT ": bridge to buses %02x-%02x contradicts those before it; what "
                 "is behind it is not used",
                 BDF_ARGS(bridge->bdf), bridge->secondary, bridge->subordinate);
        bridge->secondary = 0;
        bridge->subordinate = 0;
        return;
    }
    for (uint32_t bus = bridge->secondary; bus <= bridge->subordinate; bus++) {
        owners[bus] = (uint16_t)index;
    }
}

/* The bridge that leads to BUS, NULL when none does. */
static const struct pci_function *bridge_to(uint32_t bus)
{
    const struct pci_function *bridge = owners[bus] != NO_BRIDGE ? &functions[owners[bus]] : NULL;

    return bridge != NULL && bridge->secondary == bus ? bridge : NULL;
}

/* Add the function at BDF if there is one; returns it, or NULL. */
static const struct pci_function *function_add(bdf_t bdf)
{
    struct pci_function *function = &functions[function_count];

    if (function_count == PCI_FUNCTIONS_MAX) {
        functions_left_out += pci_config_read(bdf, PCI_VENDOR_ID, 2) != PCI_VENDOR_NONE;
        return NULL;
    }
    if (pci_function_read(bdf, function) != STATUS_OK) {
        return NULL;
    }
    if (function->header != PCI_HEADER_DEVICE) {
        bridge_enter(function_count);
    }
    function_count++;
    return function;
}

/* The functions of an ARI device after its function 0: a list in rising order. */
static void scan_ari(const struct pci_function *first)
{
    bdf_t bdf = first->bdf;
    uint32_t capability = first->ari;

    while (capability != 0) {
        uint8_t next = pci_config_read(bdf, capability + ARI_CAPABILITY, 2) >> ARI_NEXT_FUNCTION;

        if (next <= bdf.devfn) {
            if (next != 0) {
                log_warn("PCI " BDF_FORMAT ": its next function is said to be %u; the list ends",
                         BDF_ARGS(bdf), next);
            }
            return;
        }
        bdf.devfn = next;
        const struct pci_function *function = function_add(bdf);
        capability = function != NULL ? function->ari : 0;
    }
}

static void scan_device(bdf_t bdf, bool ari_forwarding)
{
    const struct pci_function *first = function_add(bdf);

    if (first == NULL) {
        return;
    }
    if (ari_forwarding && first->ari != 0) {
        scan_ari(first);
        return;
    }
    for (uint8_t i = 1; first->multi_function && i < FUNCTIONS; i++) {
        bdf.devfn++;
        (void)function_add(bdf);
    }
}

static void scan_bus(uint16_t segment, uint8_t bus)
{
    const struct pci_function *bridge = bridge_to(bus);
    uint32_t before = function_count;
    uint32_t devices = DEVICES;

    if (pci_config_open(segment, bus) != STATUS_OK) {
        log_warn("PCI: bus %04x:%02x cannot be reached; what is on it is not used", segment, bus);
        return;
    }
    /* Below a port there is one device; some answer for every device number (PCIe 6.0, 7.3.1). */
    if (bridge != NULL && (bridge->port == PCI_PORT_ROOT || bridge->port == PCI_PORT_DOWNSTREAM)) {
        devices = 1;
    }
    for (uint32_t device = 0; device < devices; device++) {
        bdf_t bdf = {.segment = segment, .bus = bus, .devfn = (uint8_t)(device << 3)};

        scan_device(bdf, bridge != NULL && bridge->ari_forwarding);
    }
    if (function_count == before) {
        pci_config_close(segment, bus);
    }
}

/* Each bus that a bridge leads to, and each that no bridge has: that may be a root bus. */
static void scan_range(const struct acpi_ecam *range)
{
    range_last = range->bus_last;
    for (uint32_t bus = 0; bus < BUSES; bus++) {
        owners[bus] = NO_BRIDGE;
    }
    for (uint32_t bus = range->bus_first; bus <= range->bus_last; bus++) {
        if (owners[bus] == NO_BRIDGE || bridge_to(bus) != NULL) {
            scan_bus(range->segment, (uint8_t)bus);
        }
    }
}

static uint64_t sort_key(bdf_t bdf)
{
    return (uint64_t)bdf.segment << 16 | (uint32_t)bdf.bus << 8 | bdf.devfn;
}

/* The ranges in the order of their segments and buses, so that the list comes out sorted. */
static void scan_ranges(void)
{
    uint32_t ranges = pci_config_ranges();
    uint64_t done = 0; /* one more than the key of the last range scanned */

    for (uint32_t i = 0; i < ranges; i++) {
        struct acpi_ecam next = {0};
        uint64_t lowest = ~0ULL;

        for (uint32_t j = 0; j < ranges; j++) {
            struct acpi_ecam range = pci_config_range(j);
            uint64_t key = sort_key((bdf_t){.segment = range.segment, .bus = range.bus_first});

            if (key >= done && key < lowest) {
                lowest = key;
                next = range;
            }
        }
        scan_range(&next);
        done = lowest + 1;
    }
}

enum status pci_scan(void)
{
    function_count = 0;
    functions_left_out = 0;
    scan_ranges();
    if (functions_left_out > 0) {
        log_warn("PCI: %u functions beyond the first %u are not used", functions_left_out,
                 PCI_FUNCTIONS_MAX);
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    return function_count > 0 ? STATUS_OK : STATUS_NOTE(STATUS_NOT_FOUND);
}

uint32_t pci_count(void)
{
    return function_count;
}

const struct pci_function *pci_function_at(uint32_t index)
{
    return index < function_count ? &functions[index] : NULL;
}

const struct pci_function *pci_find(bdf_t bdf)
{
    uint32_t low = 0;
    uint32_t high = function_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (sort_key(functions[middle].bdf) < sort_key(bdf)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < function_count && bdf_equal(functions[low].bdf, bdf) ? &functions[low] : NULL;
}

const struct pci_function *pci_upstream(uint16_t segment, uint8_t bus)
{
    const struct pci_function *innermost = NULL;

    for (uint32_t i = 0; i < function_count; i++) {
        const struct pci_function *bridge = &functions[i];

        if (bridge->bdf.segment == segment && bridge->secondary != 0 && bridge->secondary <= bus &&
            bus <= bridge->subordinate &&
            (innermost == NULL || bridge->secondary > innermost->secondary)) {
            innermost = bridge;
        }
    }
    return innermost;
}
