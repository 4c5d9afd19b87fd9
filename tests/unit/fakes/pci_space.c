/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/pci_space.h"

#include "drivers/pci/caps.h"
#include "drivers/pci/function.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/sriov.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *space[65536]; /* by bus and devfn */
static uint32_t used[65536];  /* indices of 'space' that are taken */
static uint32_t used_count;
static bool bus_open[256];
static unsigned long reads;
static unsigned long writes;
static uint8_t *masks[65536]; /* writable bits; NULL: all */
static bool written[65536];
static const struct fake_pci_hooks *hooks;
static bool without_ecam;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static uint32_t index_of(bdf_t bdf)
{
    return (uint32_t)bdf.bus << 8 | bdf.devfn;
}

void fake_pci_reset(void)
{
    while (used_count > 0) {
        uint32_t index = used[--used_count];

        free(space[index]);
        free(masks[index]);
        space[index] = NULL;
        masks[index] = NULL;
    }
    memset(written, 0, sizeof(written));
    hooks = NULL;
    writes = 0;
    memset(bus_open, 0, sizeof(bus_open));
    reads = 0;
    without_ecam = false;
}

void fake_pci_remove(bdf_t bdf)
{
    uint32_t index = index_of(bdf);
    uint32_t at = used_count;

    require(space[index] != NULL);
    while (used[--at] != index) {
    }
    used[at] = used[--used_count];
    free(space[index]);
    free(masks[index]);
    space[index] = NULL;
    masks[index] = NULL;
}

uint8_t *fake_pci_mask(bdf_t bdf)
{
    uint8_t **mask = &masks[index_of(bdf)];

    if (*mask == NULL) {
        *mask = malloc(PCI_CONFIG_SIZE_EXTENDED);
        require(*mask != NULL);
        memset(*mask, 0xff, PCI_CONFIG_SIZE_EXTENDED);
    }
    return *mask;
}

void fake_pci_hook(const struct fake_pci_hooks *new_hooks)
{
    hooks = new_hooks;
}

bool fake_pci_written(bdf_t bdf)
{
    return written[index_of(bdf)];
}

void fake_pci_forget_accesses(void)
{
    memset(written, 0, sizeof(written));
    reads = 0;
    writes = 0;
}

unsigned long fake_pci_writes(void)
{
    return writes;
}

void fake_pci_without_ecam(void)
{
    without_ecam = true;
}

bdf_t fake_bdf(uint8_t bus, uint8_t device, uint8_t function)
{
    return (bdf_t){.bus = bus, .devfn = (uint8_t)(device << 3 | function)};
}

uint8_t *fake_pci_add(bdf_t bdf, uint16_t vendor, uint16_t device)
{
    uint8_t **slot = &space[index_of(bdf)];

    require(*slot == NULL);
    used[used_count++] = index_of(bdf);
    *slot = calloc(1, PCI_CONFIG_SIZE_EXTENDED);
    require(*slot != NULL);
    fake_put16(*slot, PCI_VENDOR_ID, vendor);
    fake_put16(*slot, PCI_DEVICE_ID, device);
    return *slot;
}

uint8_t *fake_pci_add_bridge(bdf_t bdf, uint8_t secondary, uint8_t subordinate, uint8_t port)
{
    uint8_t *config = fake_pci_add(bdf, 0x8086, 0x1234);

    config[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
    config[PCI_BRIDGE_SECONDARY] = secondary;
    config[PCI_BRIDGE_SUBORDINATE] = subordinate;
    fake_pci_express(config, port, false);
    return config;
}

uint16_t fake_pci_cap(uint8_t *config, uint8_t id, uint8_t size)
{
    uint8_t *link = &config[PCI_CAPABILITIES];
    uint32_t place = 0x40;

    while (*link != 0) {
        place = *link;
        link = &config[place + 1];
        place += config[0xf00 + place / 4] * 4U; /* sizes are kept where no capability goes */
    }
    require(place + size <= PCI_CONFIG_SIZE);
    config[PCI_STATUS] |= 0x10;
    *link = (uint8_t)place;
    config[place] = id;
    config[0xf00 + place / 4] = (uint8_t)((size + 3) / 4);
    return (uint16_t)place;
}

uint16_t fake_pci_ext_cap(uint8_t *config, uint16_t id, uint16_t size)
{
    uint32_t place = 0x100;
    uint32_t last = 0;

    while (place < 0xe00 && (config[place] | config[place + 1]) != 0) {
        last = place;
        place += config[0xe00 + place / 16] * 16U; /* as above */
    }
    require(place + size <= 0xe00);
    fake_put32(config, place, 1U << 16 | id);
    config[0xe00 + place / 16] = (uint8_t)((size + 15) / 16);
    if (last != 0) {
        config[last + 2] = (uint8_t)((config[last + 2] & 0x0f) | (place & 0x0f) << 4);
        config[last + 3] = (uint8_t)(place >> 4);
    }
    return (uint16_t)place;
}

void fake_pci_express(uint8_t *config, uint8_t port, bool flr)
{
    uint16_t cap = fake_pci_cap(config, PCI_CAP_EXPRESS, 60);

    fake_put16(config, cap + 2U, (uint16_t)(port << 4 | 2));
    fake_put32(config, cap + 4U, flr ? 1U << 28 : 0);
}

uint16_t fake_pci_sriov(uint8_t *config, uint16_t total, uint16_t first_offset, uint16_t stride,
                        uint16_t vf_device)
{
    uint16_t cap = fake_pci_ext_cap(config, PCI_EXT_CAP_SRIOV, 64);

    fake_put16(config, cap + (uint32_t)PCI_SRIOV_TOTAL_VFS, total);
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_INITIAL_VFS, total);
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_FIRST_OFFSET, first_offset);
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_STRIDE, stride);
    fake_put16(config, cap + (uint32_t)PCI_SRIOV_VF_DEVICE, vf_device);
    fake_put32(config, cap + (uint32_t)PCI_SRIOV_PAGE_SIZES, 0x553);
    fake_put32(config, cap + (uint32_t)PCI_SRIOV_PAGE_SIZE, 1);
    return cap;
}

void fake_pci_enable_vfs(bdf_t pf, uint16_t sriov, uint16_t num)
{
    uint8_t *config = fake_pci_config(pf);
    struct pci_sriov numbers;

    fake_put16(config, sriov + (uint32_t)PCI_SRIOV_NUM_VFS, num);
    config[sriov + PCI_SRIOV_CONTROL] |= PCI_SRIOV_CONTROL_ENABLE | PCI_SRIOV_CONTROL_MEMORY;
    bus_open[pf.bus] = true;
    require(pci_sriov_read(pf, sriov, &numbers) == STATUS_OK);
    for (uint32_t i = 0; i < num; i++) {
        bdf_t vf;

        require(pci_sriov_vf(pf, &numbers, i, &vf) == STATUS_OK);
        fake_pci_add(vf, 0xffff, 0xffff);
    }
}

uint8_t *fake_pci_config(bdf_t bdf)
{
    return space[index_of(bdf)];
}

void fake_put16(uint8_t *config, uint32_t offset, uint16_t value)
{
    config[offset] = (uint8_t)value;
    config[offset + 1] = (uint8_t)(value >> 8);
}

void fake_put32(uint8_t *config, uint32_t offset, uint32_t value)
{
    fake_put16(config, offset, (uint16_t)value);
    fake_put16(config, offset + 2, (uint16_t)(value >> 16));
}

unsigned long fake_pci_reads(void)
{
    return reads;
}

unsigned fake_pci_open_buses(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 256; i++) {
        count += bus_open[i];
    }
    return count;
}

void pci_config_init(const struct acpi_mcfg *mcfg) {}

uint32_t pci_config_ranges(void)
{
    return 1;
}

struct acpi_ecam pci_config_range(uint32_t index)
{
    return (struct acpi_ecam){.base = hpa(0xb0000000), .bus_last = 255};
}

enum status pci_config_open(uint16_t segment, uint8_t bus)
{
    if (segment != 0) {
        return STATUS_NOT_FOUND;
    }
    bus_open[bus] = true;
    return STATUS_OK;
}

void pci_config_close(uint16_t segment, uint8_t bus)
{
    bus_open[bus] = false;
}

uint32_t pci_config_size(uint16_t segment, uint8_t bus)
{
    if (segment != 0 || !bus_open[bus]) {
        return 0;
    }
    return without_ecam ? PCI_CONFIG_SIZE : PCI_CONFIG_SIZE_EXTENDED;
}

uint32_t pci_config_read(bdf_t bdf, uint32_t offset, unsigned width)
{
    const uint8_t *config = space[index_of(bdf)];
    uint32_t value = 0;

    reads++;
    require(width == 1 || width == 2 || width == 4);
    if (config == NULL || offset % width != 0 ||
        !range_fits(offset, width, pci_config_size(bdf.segment, bdf.bus))) {
        return width < 4 ? (1U << 8 * width) - 1 : 0xffffffffU;
    }
    for (unsigned i = 0; i < width; i++) {
        value |= (uint32_t)config[offset + i] << (8 * i);
    }
    if (hooks != NULL) {
        hooks->read(bdf, offset, width, &value);
    }
    return value;
}

void pci_config_write(bdf_t bdf, uint32_t offset, unsigned width, uint32_t value)
{
    uint8_t *config = space[index_of(bdf)];

    require(config != NULL && offset % width == 0);
    require(range_fits(offset, width, pci_config_size(bdf.segment, bdf.bus)));
    writes++;
    written[index_of(bdf)] = true;
    for (unsigned i = 0; i < width; i++) {
        uint8_t mask = masks[index_of(bdf)] != NULL ? masks[index_of(bdf)][offset + i] : 0xff;
        uint8_t byte = (uint8_t)(value >> (8 * i));

        config[offset + i] = (uint8_t)((config[offset + i] & ~mask) | (byte & mask));
    }
    if (hooks != NULL) {
        hooks->write(bdf, offset, width);
    }
}
