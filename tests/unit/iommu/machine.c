/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/iommu/machine.h"

#include "drivers/pci/function.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/pci_space.h"

#define UNIT0 0xfed90000ULL
#define UNIT1 0xfed94000ULL

struct sim_unit *machine_unit[2];

static void build_pci(void)
{
    (void)fake_pci_add_bridge(fake_bdf(0, 2, 0), 1, 1, PCI_PORT_ROOT);
    (void)fake_pci_add_bridge(fake_bdf(0, 3, 0), 2, 3, PCI_PORT_ROOT);
    uint8_t *bridge = fake_pci_add(fake_bdf(0, 0x1e, 0), 0x8086, 0x244e);

    bridge[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
    bridge[PCI_BRIDGE_SECONDARY] = bridge[PCI_BRIDGE_SUBORDINATE] = 4;
    (void)fake_pci_add(fake_bdf(0, 0x14, 0), 0x8086, 1);
    fake_pci_express(fake_pci_add(MACHINE_PF, 0x1af4, 0x1041), PCI_PORT_ENDPOINT, true);
    uint8_t *other = fake_pci_add(MACHINE_OTHER, 0x1af4, 0x1042);

    fake_pci_express(other, PCI_PORT_ENDPOINT, true);
    other[PCI_HEADER_TYPE] = 0x80; /* there is a function 1 */
    (void)fake_pci_add_bridge(fake_bdf(2, 0, 1), 3, 3, PCI_PORT_UPSTREAM);
    fake_pci_express(fake_pci_add(MACHINE_DEEP, 0x1af4, 0x1042), PCI_PORT_ENDPOINT, true);
    (void)fake_pci_add(MACHINE_LEGACY, 0x10ec, 0x8139);
    sim_require(pci_scan() == STATUS_OK, "the scan");
    sim_require(pci_find(MACHINE_DEEP) != NULL, "the scan finds all");
    sim_require(pci_find(MACHINE_LEGACY) != NULL, "the scan finds all");
}

static void build_dmar(void)
{
    struct acpi_dmar *dmar = &sim_acpi.dmar;

    *dmar = (struct acpi_dmar){
        .present = true,
        .complete = true,
        .interrupt_remapping = true,
        .drhd_count = 2,
        .rmrr_count = 1,
        .scope_count = 3,
    };
    dmar->drhds[0] = (struct acpi_drhd){
        .base = {UNIT0      },
          .size = 4096, .include_all = true, .scopes = { .first = 0, .count = 1}
    };
    dmar->drhds[1] = (struct acpi_drhd){
        .base = {UNIT1      },
          .size = 4096, .scopes = { .first = 1, .count = 1}
    };
    dmar->rmrrs[0] = (struct acpi_rmrr){
        .scopes = {.first = 2, .count = 1}
    };
    dmar->scopes[0] =
        (struct acpi_scope){.type = ACPI_SCOPE_IOAPIC, .path_length = 1, .path = {0xf8}};
    dmar->scopes[1] =
        (struct acpi_scope){.type = ACPI_SCOPE_BRIDGE, .path_length = 1, .path = {3 << 3}};
    dmar->scopes[2] =
        (struct acpi_scope){.type = ACPI_SCOPE_ENDPOINT, .path_length = 1, .path = {0xa0}};
}

static void build_ivrs(void)
{
    struct acpi_ivrs *ivrs = &sim_acpi.ivrs;

    *ivrs = (struct acpi_ivrs){.present = true,
                               .complete = true,
                               .virtual_width = 64,
                               .ivhd_count = 2,
                               .device_count = 6,
                               .ivmd_count = 1};
    ivrs->ivhds[0] =
        (struct acpi_ivhd){.base = {UNIT0}, .bdf = {.devfn = 2}, .capability = 0x40, .flags = 0x21};
    ivrs->ivhds[1] = (struct acpi_ivhd){
        .base = {UNIT1      },
          .bdf = { .bus = 2, .devfn = 2},
          .capability = 0x40, .flags = 0x20
    };
    ivrs->devices[0] = (struct acpi_ivhd_device){.first = 0, .last = 0x1ff};
    ivrs->devices[1] = (struct acpi_ivhd_device){
        .first = 0x400, .last = 0x4ff, .alias = 0xf0, .has_alias = true}; /* the bridge's bus */
    ivrs->devices[2] = (struct acpi_ivhd_device){
        .first = 0xa2, .last = 0xa2, .settings = 0xd7, .special = ACPI_IVHD_IOAPIC};
    ivrs->devices[3] = (struct acpi_ivhd_device){
        .first = 0x90, .last = 0x90, .alias = 0x91, .has_alias = true}; /* one on its own */
    ivrs->devices[4] = (struct acpi_ivhd_device){.first = 0x98, .last = 0x98, .settings = 0xf7};
    ivrs->devices[5] = (struct acpi_ivhd_device){.first = 0x200, .last = 0x3ff, .unit = 1};
    ivrs->ivmds[0] = (struct acpi_ivmd){.first = 0xa0, .last = 0xa0};
}

void machine_build(enum sim_kind kind, unsigned pages)
{
    sim_reset(pages);
    build_pci();
    for (unsigned i = 0; i < 2; i++) {
        machine_unit[i] = sim_add(kind, i == 0 ? UNIT0 : UNIT1);
        machine_unit[i]->cap = MACHINE_CAP;
        machine_unit[i]->ecap = MACHINE_ECAP;
        machine_unit[i]->features = 0xc4; /* XTSup, IASup, GASup */
        machine_unit[i]->np_cache = true; /* as the capability that is not there is read */
    }
    if (kind == SIM_VTD) {
        build_dmar();
    } else {
        build_ivrs();
    }
}

enum status machine_start(void)
{
    return iommu_init(&sim_acpi, true, 46);
}

void machine_up(enum sim_kind kind)
{
    machine_build(kind, 0);
    sim_require(machine_start() == STATUS_OK && iommu_facts()->ready, "the units start");
}

struct iommu_domain *machine_domain(uint32_t owner)
{
    struct iommu_domain *domain = NULL;

    sim_require(iommu_domain_create("vm", owner, &domain) == STATUS_OK, "there is a domain");
    return domain;
}

uint16_t machine_id(bdf_t bdf)
{
    return (uint16_t)(bdf.bus << 8 | bdf.devfn);
}

static struct sim_unit *unit_of(bdf_t bdf)
{
    return machine_unit[bdf.bus == 2 || bdf.bus == 3];
}

bool machine_dma(bdf_t bdf, uint64_t iova, bool write, uint64_t *base)
{
    return sim_dma(unit_of(bdf), machine_id(bdf), iova, write, base);
}
