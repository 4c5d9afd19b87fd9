/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/function.h"

#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"

#define HEADER_MULTI_FUNCTION 0x80U

/* In the PCI Express capability. */
#define EXPRESS_FLAGS        0x02U
#define EXPRESS_DEVICE_CAPS2 0x24U
#define DEVICE_CAPS2_ARI     (1U << 5)

/* In the advanced features capability. */
#define AF_CAPS     0x03U
#define AF_CAPS_FLR 0x02U

#define BAR_IO_ADDRESS     (~0x3U)
#define BAR_MEMORY_ADDRESS (~0xfU)

#define MSIX_CONTROL   0x02U
#define MSIX_TABLE     0x04U
#define MSIX_PBA       0x08U
#define MSIX_SIZE_MASK 0x07ffU
#define MSIX_ENABLED   0x8000U
#define MSIX_BAR_MASK  0x7U

static void read_express(struct pci_function *function)
{
    bdf_t bdf = function->bdf;
    uint32_t flags = pci_config_read(bdf, function->express + EXPRESS_FLAGS, 2);
    uint32_t caps = pci_config_read(bdf, function->express + PCI_EXPRESS_DEVICE_CAPS, 4);

    function->port = flags >> 4 & 0xfU;
    function->flr = (caps & PCI_EXPRESS_FLR) != 0;
    /* Only version 2 of the capability has these registers. */
    if (function->header == PCI_HEADER_BRIDGE && (flags & 0xfU) >= 2) {
        uint32_t caps2 = pci_config_read(bdf, function->express + EXPRESS_DEVICE_CAPS2, 4);
        uint32_t control = pci_config_read(bdf, function->express + PCI_EXPRESS_DEVICE_CONTROL2, 2);

        function->ari_supported = (caps2 & DEVICE_CAPS2_ARI) != 0;
        function->ari_forwarding = (control & PCI_EXPRESS_ARI_FORWARDING) != 0;
    }
}

/* Where the offset of a capability goes; the first of its kind counts. */
struct place {
    uint16_t id;
    uint16_t member;
};

static const struct place ordinary[] = {
    {PCI_CAP_EXPRESS, offsetof(struct pci_function, express)},
    {PCI_CAP_MSIX,    offsetof(struct pci_function, msix)   },
    {PCI_CAP_AF,      offsetof(struct pci_function, af)     },
};

static const struct place extended[] = {
    {PCI_EXT_CAP_SRIOV, offsetof(struct pci_function, sriov)},
    {PCI_EXT_CAP_ARI,   offsetof(struct pci_function, ari)  },
    {PCI_EXT_CAP_ACS,   offsetof(struct pci_function, acs)  },
};

static void read_list(struct pci_function *function, struct pci_cap_walk walk,
                      const struct place *places, unsigned count)
{
    struct pci_cap cap;

    while (pci_cap_next(&walk, &cap)) {
        for (unsigned i = 0; i < count; i++) {
            uint16_t *offset = (void *)((uint8_t *)function + places[i].member);

            if (places[i].id == cap.id && *offset == 0) {
                *offset = cap.offset;
            }
        }
    }
}

static void read_capabilities(struct pci_function *function)
{
    read_list(function, pci_cap_walk(function->bdf), ordinary, ARRAY_SIZE(ordinary));
    if (function->express != 0) {
        read_express(function);
        read_list(function, pci_cap_walk_extended(function->bdf), extended, ARRAY_SIZE(extended));
    }
    if (!function->flr && function->af != 0) {
        function->flr =
            (pci_config_read(function->bdf, function->af + AF_CAPS, 1) & AF_CAPS_FLR) != 0;
    }
}

void pci_function_read_body(struct pci_function *function)
{
    bdf_t bdf = function->bdf;
    uint32_t class_revision = pci_config_read(bdf, PCI_REVISION, 4);

    function->device = (uint16_t)pci_config_read(bdf, PCI_DEVICE_ID, 2);
    function->class_code = class_revision >> 8;
    function->revision = (uint8_t)class_revision;
    if (function->header == PCI_HEADER_DEVICE) {
        function->subsystem = (uint16_t)pci_config_read(bdf, PCI_SUBSYSTEM_ID, 2);
    } else {
        function->secondary = (uint8_t)pci_config_read(bdf, PCI_BRIDGE_SECONDARY, 1);
        function->subordinate = (uint8_t)pci_config_read(bdf, PCI_BRIDGE_SUBORDINATE, 1);
    }
    read_capabilities(function);
}

enum status pci_function_read(bdf_t bdf, struct pci_function *function)
{
    uint32_t vendor = pci_config_read(bdf, PCI_VENDOR_ID, 2);
    uint32_t type;

    /* Some bridges answer 0 where nothing is. */
    if (vendor == PCI_VENDOR_NONE || vendor == 0) {
        return STATUS_NOT_FOUND;
    }
    type = pci_config_read(bdf, PCI_HEADER_TYPE, 1);
    *function = (struct pci_function){.bdf = bdf,
                                      .vendor = (uint16_t)vendor,
                                      .header = type & 0x7fU,
                                      .port = PCI_PORT_CONVENTIONAL,
                                      .multi_function = (type & HEADER_MULTI_FUNCTION) != 0};
    if (function->header > PCI_HEADER_CARDBUS) {
        log_warn("PCI " BDF_FORMAT ": header type %#x does not exist; the function is left out",
                 BDF_ARGS(bdf), type);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    pci_function_read_body(function);
    return STATUS_OK;
}

struct pci_bar pci_bar_decode(uint32_t low)
{
    if ((low & PCI_BAR_FLAG_IO) != 0) {
        return (struct pci_bar){.kind = PCI_BAR_IO, .base = low & BAR_IO_ADDRESS};
    }
    return (struct pci_bar){.kind = (low & PCI_BAR_FLAG_TYPE) == PCI_BAR_FLAG_64
                                        ? PCI_BAR_MEMORY_64
                                        : PCI_BAR_MEMORY_32,
                            .base = low & BAR_MEMORY_ADDRESS,
                            .prefetchable = (low & PCI_BAR_FLAG_PREFETCHABLE) != 0};
}

void pci_bars_read(bdf_t bdf, uint32_t offset, uint32_t count, struct pci_bar *bars)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = pci_config_read(bdf, offset + 4 * i, 4);

        bars[i] = (struct pci_bar){0};
        if (low == 0 || low == 0xffffffffU) {
            continue; /* not there, or the function is gone */
        }
        bars[i] = pci_bar_decode(low);
        if (bars[i].kind != PCI_BAR_MEMORY_64) {
            continue;
        }
        if (i + 1 == count) {
            log_warn("PCI " BDF_FORMAT ": the last BAR is the lower half of a 64-bit one; not used",
                     BDF_ARGS(bdf));
            bars[i] = (struct pci_bar){0};
            return;
        }
        bars[i].base |= (uint64_t)pci_config_read(bdf, offset + 4 * (i + 1), 4) << 32;
        bars[++i] = (struct pci_bar){0};
    }
}

enum status pci_msix_read(bdf_t bdf, uint16_t capability, struct pci_msix *msix)
{
    uint32_t control = pci_config_read(bdf, capability + MSIX_CONTROL, 2);
    uint32_t table = pci_config_read(bdf, capability + MSIX_TABLE, 4);
    uint32_t pba = pci_config_read(bdf, capability + MSIX_PBA, 4);

    *msix = (struct pci_msix){.vectors = (uint16_t)((control & MSIX_SIZE_MASK) + 1),
                              .enabled = (control & MSIX_ENABLED) != 0,
                              .table_bar = table & MSIX_BAR_MASK,
                              .table_offset = table & ~MSIX_BAR_MASK,
                              .pba_bar = pba & MSIX_BAR_MASK,
                              .pba_offset = pba & ~MSIX_BAR_MASK};
    if (msix->table_bar >= PCI_BARS_MAX || msix->pba_bar >= PCI_BARS_MAX) {
        log_warn("PCI " BDF_FORMAT ": MSI-X table or PBA in BAR %u or %u, which does not exist",
                 BDF_ARGS(bdf), msix->table_bar, msix->pba_bar);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}
