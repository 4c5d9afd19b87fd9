/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/pci_config.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"
#include "vmm/host/port_io.h"
#include "vmm/host/spinlock.h"

#define PORT_ADDRESS   0xcf8U
#define PORT_DATA      0xcfcU
#define ADDRESS_ENABLE (1U << 31)
#define ECAM_BUS_SIZE  (1ULL << 20)
#define BUSES          256U

static const struct acpi_mcfg *ecam;           /* NULL: use the ports */
static uint8_t *windows[ACPI_ECAM_MAX][BUSES]; /* by range and bus; NULL: not open */

static struct spinlock port_lock =
    SPINLOCK(LOCK_PCI_PORTS); /* the ports' address and data go together */

void pci_config_init(const struct acpi_mcfg *mcfg)
{
    ecam = mcfg->ecam_count > 0 ? mcfg : NULL;
    if (ecam == NULL) {
        log_warn(
            "PCI: no ECAM: only 256 bytes of configuration space and no SR-IOV (the firmware's "
            "MCFG table is missing or unusable)");
    }
}

uint32_t pci_config_ranges(void)
{
    return ecam != NULL ? ecam->ecam_count : 1;
}

struct acpi_ecam pci_config_range(uint32_t index)
{
    if (ecam != NULL && index < ecam->ecam_count) {
        return ecam->ecams[index];
    }
    return (struct acpi_ecam){.bus_first = 0, .bus_last = BUSES - 1};
}

/* The window slot of BUS, NULL when no ECAM range has it. */
static uint8_t **window_slot(uint16_t segment, uint8_t bus, const struct acpi_ecam **range)
{
    for (uint32_t i = 0; ecam != NULL && i < ecam->ecam_count; i++) {
        const struct acpi_ecam *candidate = &ecam->ecams[i];

        if (candidate->segment == segment && bus >= candidate->bus_first &&
            bus <= candidate->bus_last) {
            *range = candidate;
            return &windows[i][bus];
        }
    }
    return NULL;
}

enum status pci_config_open(uint16_t segment, uint8_t bus)
{
    const struct acpi_ecam *range;
    uint8_t **slot = window_slot(segment, bus, &range);

    if (ecam == NULL) {
        return segment == 0 ? STATUS_OK : STATUS_NOTE(STATUS_NOT_FOUND);
    }
    if (slot == NULL) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    if (*slot == NULL) {
        *slot = map_physical(hpa(range->base.raw + bus * ECAM_BUS_SIZE), ECAM_BUS_SIZE, MAP_DEVICE);
    }
    return *slot != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

void pci_config_close(uint16_t segment, uint8_t bus)
{
    const struct acpi_ecam *range;
    uint8_t **slot = window_slot(segment, bus, &range);

    if (slot != NULL && *slot != NULL) {
        map_release(*slot, ECAM_BUS_SIZE);
        *slot = NULL;
    }
}

uint32_t pci_config_size(uint16_t segment, uint8_t bus)
{
    const struct acpi_ecam *range;
    uint8_t **slot = window_slot(segment, bus, &range);

    if (ecam == NULL) {
        return segment == 0 ? PCI_CONFIG_SIZE : 0;
    }
    return slot != NULL && *slot != NULL ? PCI_CONFIG_SIZE_EXTENDED : 0;
}

static bool access_valid(bdf_t bdf, uint32_t offset, unsigned width)
{
    return (width == 1 || width == 2 || width == 4) && offset % width == 0 &&
           range_fits(offset, width, pci_config_size(bdf.segment, bdf.bus));
}

/* Point the ports at the dword of OFFSET; returns the data port of its byte. Under port_lock. */
static uint16_t port_select(bdf_t bdf, uint32_t offset)
{
    port_write(PORT_ADDRESS, 4,
               ADDRESS_ENABLE | (uint32_t)bdf.bus << 16 | (uint32_t)bdf.devfn << 8 |
                   (offset & ~3U));
    return (uint16_t)(PORT_DATA + (offset & 3U));
}

static uint32_t port_config_read(bdf_t bdf, uint32_t offset, unsigned width)
{
    uint32_t value;

    spinlock_acquire(&port_lock);
    value = port_read(port_select(bdf, offset), width);
    spinlock_release(&port_lock);
    return value;
}

static void port_config_write(bdf_t bdf, uint32_t offset, unsigned width, uint32_t value)
{
    spinlock_acquire(&port_lock);
    port_write(port_select(bdf, offset), width, value);
    spinlock_release(&port_lock);
}

static volatile void *ecam_address(bdf_t bdf, uint32_t offset)
{
    const struct acpi_ecam *range;
    uint8_t **slot = window_slot(bdf.segment, bdf.bus, &range);

    return *slot + ((uint32_t)bdf.devfn << 12) + offset;
}

uint32_t pci_config_read(bdf_t bdf, uint32_t offset, unsigned width)
{
    if (!access_valid(bdf, offset, width)) {
        return all_ones(width);
    }
    if (ecam == NULL) {
        return port_config_read(bdf, offset, width);
    }
    return mmio_read(ecam_address(bdf, offset), width);
}

void pci_config_write(bdf_t bdf, uint32_t offset, unsigned width, uint32_t value)
{
    if (!access_valid(bdf, offset, width)) {
        log_warn("PCI " BDF_FORMAT ": write of %u bytes at %#x dropped: out of reach",
                 BDF_ARGS(bdf), width, offset);
        return;
    }
    if (ecam == NULL) {
        port_config_write(bdf, offset, width, value);
        return;
    }
    mmio_write(ecam_address(bdf, offset), width, value);
}
