/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/report/machines.h"

#include "drivers/pci/scan.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/msr.h"

#include <string.h>

#define LEAVES_MAX 16
#define MSRS_MAX   8

struct leaf {
    uint32_t leaf;
    struct cpuid value;
};

struct msr {
    uint32_t msr;
    uint64_t value;
};

enum iommus { NO_IOMMU, VTD_QEMU, VTD_SERVER, VTD_SILENT, AMDVI };
enum devices { NO_VIRTIO, TWO_PFS, VFS_ON, PLAIN };

struct machine {
    const char *name;
    const char *vendor; /* 12 characters */
    const char *brand;
    struct leaf leaves[LEAVES_MAX];
    struct msr msrs[MSRS_MAX];
    struct machine_core core;
    uint32_t cpus;
    bool acpi;
    bool ecam;
    enum iommus iommus;
    enum devices devices;
};

#define GIB(n) ((uint64_t)(n) << 30)

/* CPUID leaf 1: x2APIC, TSC deadline, VMX */
#define X2APIC       (1U << 21)
#define TSC_DEADLINE (1U << 24)
#define VMX          (1U << 5)
#define NX           (1U << 20)
#define PAGES_1G     (1U << 26)
#define SVM          (1U << 2)
#define CTL(n)       (1ULL << (32 + (n)))

#define EPYC_SIGNATURE 0x00800f12U /* family 17h, model 1, stepping 2 */
#define MILAN          0x00a00f11U /* family 19h, model 1, stepping 1 */
#define ICE_LAKE       0x000606a6U /* family 6, model 6ah, stepping 6 */

static const struct machine machines[] = {
    {.name = "amd-emulated", /* few SVM features, Intel's IOMMU, two PFs */
     .vendor = "AuthenticAMD",
     .brand = "AMD EPYC Processor",
     .leaves = {{1, {EPYC_SIGNATURE, 0, X2APIC, 0}},
                {0x80000001, {0, 0, SVM, NX | PAGES_1G}},
                {0x80000008, {40, 0, 0, 0}},
                {0x8000000a, {1, 16, 0, 1}}},
     .msrs = {{0xc0010114, 0}},
     .core = {4, {GIB(6), GIB(6) - (64ULL << 20), GIB(6) - (64ULL << 20), GIB(4)}},
     .cpus = 4,
     .acpi = true,
     .ecam = true,
     .iommus = VTD_QEMU,
     .devices = TWO_PFS},
    {.name = "amd-server",
     .vendor = "AuthenticAMD",
     .brand = "AMD EPYC 7713 64-Core Processor                ",
     .leaves = {{1, {MILAN, 0, X2APIC | TSC_DEADLINE, 0}},
                {0x80000001, {0, 0, SVM, NX | PAGES_1G}},
                {0x80000007, {0, 0, 0, 1U << 8}},
                {0x80000008, {48, 0, 0, 0}},
                {0x8000000a, {1, 32768, 0, 0x1bff3fffU}}},
     .msrs = {{0xc0010114, 8}},
     .core = {128, {GIB(512), GIB(510), GIB(510), GIB(500)}},
     .cpus = 128,
     .acpi = true,
     .ecam = true,
     .iommus = AMDVI,
     .devices = VFS_ON},
    {.name = "amd-off",      /* SVM locked off, no IOMMU, a CPU that did not start */
     .vendor = "AuthenticAMD",
     .brand = "AMD Ryzen 7 3700X",
     .leaves = {{1, {0x00870f10, 0, 0, 0}},
                {0x80000001, {0, 0, SVM, NX | PAGES_1G}},
                {0x80000007, {0, 0, 0, 1U << 8}},
                {0x80000008, {48, 0, 0, 0}},
                {0x8000000a, {1, 32768, 0, 0x1bff3fffU}}},
     .msrs = {{0xc0010114, 0x18}},
     .core = {15, {GIB(16), GIB(15), GIB(15), GIB(12)}},
     .cpus = 16,
     .acpi = true,
     .ecam = true,
     .iommus = NO_IOMMU,
     .devices = PLAIN},
    {.name = "amd-without",     /* no SVM, NX or memory worth the name */
     .vendor = "AuthenticAMD",
     .brand = "",
     .leaves = {{1, {0x00000f48, 0, 0, 0}}, {0x80000001, {0, 0, 0, 0}}},
     .core = {1, {512ULL << 20, 1ULL << 20, 1ULL << 20, 1ULL << 20}},
     .cpus = 1,
     .acpi = true,
     .ecam = true,
     .iommus = NO_IOMMU,
     .devices = NO_VIRTIO                                      },
    {.name = "intel-server",
     .vendor = "GenuineIntel",
     .brand = "Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz",
     .leaves = {{1, {ICE_LAKE, 0, X2APIC | TSC_DEADLINE | VMX, 0}},
                {0xb, {1, 2, 0x100, 0}},
                {0x80000001, {0, 0, 0, NX | PAGES_1G}},
                {0x80000007, {0, 0, 0, 1U << 8}},
                {0x80000008, {46, 0, 0, 0}}},
     .msrs = {{0x3a, 5},
              {0x481, CTL(6) | CTL(7)},
              {0x48b,
               CTL(0) | CTL(1) | CTL(3) | CTL(5) | CTL(7) | CTL(8) | CTL(9) | CTL(17) | CTL(25)},
              {0x48c, 0x00000f0106f34141ULL}},
     .core = {112, {GIB(256), GIB(254), GIB(254), GIB(250)}},
     .cpus = 112,
     .acpi = true,
     .ecam = true,
     .iommus = VTD_SERVER,
     .devices = TWO_PFS},
    {.name = "intel-locked",           /* VMX locked off; an IOMMU that is in the table only */
     .vendor = "GenuineIntel",
     .brand = "Intel(R) Core(TM) i7-8700",
     .leaves = {{1, {0x000906ea, 0, X2APIC | TSC_DEADLINE | VMX, 0}},
                {0x80000001, {0, 0, 0, NX | PAGES_1G}},
                {0x80000007, {0, 0, 0, 1U << 8}},
                {0x80000008, {39, 0, 0, 0}}},
     .msrs = {{0x3a, 1},
              {0x481, CTL(6)},
              {0x48b, CTL(0) | CTL(1) | CTL(3) | CTL(5) | CTL(7) | CTL(17)},
              {0x48c, 0x00000f0106734141ULL}},
     .core = {12, {GIB(32), GIB(31), GIB(31), GIB(28)}},
     .cpus = 12,
     .acpi = true,
     .ecam = true,
     .iommus = VTD_SILENT,
     .devices = NO_VIRTIO},
    {.name = "intel-old",           /* a BIOS machine without ACPI or ECAM; VMX without EPT, lock unset */
     .vendor = "GenuineIntel",
     .brand = "Intel(R) Core(TM)2 CPU 6600",
     .leaves = {{1, {0x000006f6, 0, VMX, 0}},
                {0x80000001, {0, 0, 0, NX}},
                {0x80000008, {36, 0, 0, 0}}},
     .msrs = {{0x3a, 0}, {0x481, 0}},
     .core = {1, {GIB(2), GIB(1), GIB(1), GIB(1)}},
     .iommus = NO_IOMMU,
     .devices = NO_VIRTIO                         },
    {.name = "other",
     .vendor = "CentaurHauls",
     .brand = "VIA Nano X2 U4025 @ 1.2 GHz",
     .leaves = {{1, {0x000006fc, 0, VMX, 0}},
                {0x80000001, {0, 0, 0, NX}},
                {0x80000008, {36, 0, 0, 0}}},
     .core = {2, {GIB(4), GIB(3), GIB(3), GIB(2)}},
     .cpus = 2,
     .acpi = true,
     .ecam = true,
     .iommus = NO_IOMMU,
     .devices = NO_VIRTIO                   },
};

static const struct machine *now = &machines[0];
static struct acpi_facts acpi;
static uint64_t registers[16][2048]; /* 16 KiB of each IOMMU */

const char *machine_name(unsigned machine)
{
    return machine < ARRAY_SIZE(machines) ? machines[machine].name : NULL;
}

const struct acpi_facts *acpi_facts(void)
{
    return &acpi;
}

struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid value = {0};

    if (leaf == 0) {
        value.eax = 0x16;
        memcpy(&value.ebx, now->vendor, 4);
        memcpy(&value.edx, now->vendor + 4, 4);
        memcpy(&value.ecx, now->vendor + 8, 4);
    } else if (leaf == 0x80000000) {
        value.eax = 0x80000001;
        for (unsigned i = 0; i < LEAVES_MAX; i++) {
            value.eax = now->leaves[i].leaf > value.eax ? now->leaves[i].leaf : value.eax;
        }
    } else if (leaf >= 0x80000002 && leaf <= 0x80000004) {
        char brand[48] = {0};

        memcpy(brand, now->brand, strlen(now->brand));
        memcpy(&value, brand + (leaf - 0x80000002) * 16, 16);
    }
    for (unsigned i = 0; i < LEAVES_MAX; i++) {
        if (now->leaves[i].leaf == leaf && leaf != 0) {
            value = now->leaves[i].value;
        }
    }
    return value;
}

enum status msr_read(uint32_t msr, uint64_t *value)
{
    for (unsigned i = 0; i < MSRS_MAX; i++) {
        if (now->msrs[i].msr == msr && msr != 0) {
            *value = now->msrs[i].value;
            return STATUS_OK;
        }
    }
    return STATUS_UNSUPPORTED;
}

static void add_vtd(unsigned index, uint64_t cap, uint64_t ecap)
{
    uint64_t base = 0xfed90000 + index * 0x10000;

    registers[index][1] = cap;
    registers[index][2] = ecap;
    fake_physical_add(base, registers[index], 16384);
    acpi.dmar.present = true;
    acpi.dmar.complete = true;
    acpi.dmar.interrupt_remapping = true;
    acpi.dmar.drhds[acpi.dmar.drhd_count++] =
        (struct acpi_drhd){.base = hpa(base), .size = 4096, .segment = 0};
}

static void add_amdvi(unsigned index, uint64_t efr)
{
    uint64_t base = 0xfd180000 + index * 0x100000;

    registers[index][6] = efr;
    fake_physical_add(base, registers[index], 16384);
    acpi.ivrs.present = true;
    acpi.ivrs.complete = true;
    acpi.ivrs.virtual_width = 64;
    acpi.ivrs.ivhds[acpi.ivrs.ivhd_count++] = (struct acpi_ivhd){.base = hpa(base), .flags = 0x20};
}

static void add_iommus(enum iommus iommus)
{
    memset(registers, 0, sizeof(registers));
    switch (iommus) {
    case NO_IOMMU:
        break;
    case VTD_QEMU: /* 39 and 48 bits, 2M and 1G; queued invalidation and interrupt remapping */
        add_vtd(0, 0x00d2008c222f0686ULL, 0x0000000000f00f4aULL);
        break;
    case VTD_SERVER:
        for (unsigned i = 0; i < 8; i++) {
            add_vtd(i, 0x08d2078c106f0466ULL, 0x0000000000f020dfULL);
        }
        add_vtd(8, 0x00d2078c106f0466ULL, 0x0000000000f020dfULL);
        acpi.dmar.x2apic_opt_out = true;
        break;
    case VTD_SILENT:
        add_vtd(0, ~0ULL, ~0ULL);
        break;
    case AMDVI:
        for (unsigned i = 0; i < 4; i++) {
            add_amdvi(i, 0x246577efa2254afaULL | 4U | 0x80U);
        }
        break;
    }
}

/* A PF on bus BUS behind a root port; ADDRESSES: firmware gave its VFs room. */
static void add_pf(uint8_t bus, uint16_t device, uint16_t vfs, uint16_t vf_device, bool addresses)
{
    uint8_t *port = fake_pci_add_bridge(fake_bdf(0, bus, 0), bus, bus, PCI_PORT_ROOT);
    uint8_t *pf = fake_pci_add(fake_bdf(bus, 0, 0), 0x1af4, device);

    port[0x40 + 0x24] = addresses ? 1U << 5 : 0; /* ARI forwarding supported */
    pf[PCI_REVISION] = 1;
    fake_pci_express(pf, PCI_PORT_ENDPOINT, true);
    for (uint8_t type = 1; type <= 2; type++) {
        uint16_t cap = fake_pci_cap(pf, 0x09, 20);

        pf[cap + 2] = 20;
        pf[cap + 3] = type;
        pf[cap + 4] = 4;
        fake_put32(pf, cap + 12U, 0x1000);
    }
    uint16_t sriov = fake_pci_sriov(pf, vfs, 1, 1, vf_device);
    fake_pci_ext_cap(pf, 0x0e, 8);
    if (addresses) {
        fake_put32(pf, sriov + (uint32_t)PCI_SRIOV_BAR0, 0xc);
        fake_put32(pf, sriov + (uint32_t)PCI_SRIOV_BAR0 + 4, 0x80);
    }
}

static void put_mmr(uint8_t *config)
{
    uint16_t cap = fake_pci_ext_cap(config, 0x0b, 20);

    fake_put32(config, cap + 4U, 20U << 20);
    fake_put32(config, cap + 8U, 10 | 2U << 8);
    fake_put32(config, cap + 12U, 0x1000);
    fake_put32(config, cap + 16U, 0x100);
}

static void add_devices(enum devices devices)
{
    fake_pci_add(fake_bdf(0, 0, 0), 0x8086, 0x29c0);
    switch (devices) {
    case NO_VIRTIO:
        break;
    case TWO_PFS:
        add_pf(1, 0x1041, 64, 0x10f9, true);
        add_pf(2, 0x1042, 64, 0x10fa, true);
        break;
    case VFS_ON:
        add_pf(0x10, 0x1041, 4096, 0x10f9, true);
        fake_pci_enable_vfs(fake_bdf(0x10, 0, 0), 0x100, 3);
        put_mmr(fake_pci_config(fake_bdf(0x10, 0, 1)));
        put_mmr(fake_pci_config(fake_bdf(0x10, 0, 3)));
        add_pf(0x11, 0x1052, 8, 0x1052, false); /* type 18; no room, no ARI, no MMR */
        break;
    case PLAIN:
        fake_pci_add(fake_bdf(0, 3, 0), 0x1af4, 0x1000);
        fake_put16(fake_pci_config(fake_bdf(0, 3, 0)), PCI_SUBSYSTEM_ID, 1);
        put_mmr(fake_pci_add(fake_bdf(0, 4, 0), 0x1af4, 0x10fa));
        fake_pci_express(fake_pci_config(fake_bdf(0, 4, 0)), PCI_PORT_ENDPOINT, false);
        break;
    }
}

const struct machine_core *machine_become(unsigned machine)
{
    now = &machines[machine];
    machine_release();
    memset(&acpi, 0, sizeof(acpi));
    acpi.present = now->acpi;
    acpi.madt.cpu_count = now->cpus;
    if (now->ecam) {
        acpi.mcfg.present = true;
        acpi.mcfg.ecam_count = 1;
        acpi.mcfg.ecams[0] = (struct acpi_ecam){.base = hpa(0xb0000000), .bus_last = 255};
    }
    add_iommus(now->iommus);
    add_devices(now->devices);
    (void)pci_scan();
    (void)virtio_discover();
    return &now->core;
}

void machine_release(void)
{
    fake_pci_reset();
    fake_physical_reset();
}
