/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/caps.h"

#include "drivers/pci/function.h"
#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"

#define STATUS_HAS_LIST  0x0010U
#define CAPS_FIRST       0x40U
#define CAPS_EXT_FIRST   0x100U
#define CARDBUS_POINTER  0x14U
#define HEADER_TYPE_MASK 0x7fU

struct pci_cap_walk pci_cap_walk(bdf_t bdf)
{
    struct pci_cap_walk walk = {.bdf = bdf};
    uint32_t header = pci_config_read(bdf, PCI_HEADER_TYPE, 1) & HEADER_TYPE_MASK;
    uint32_t status = pci_config_read(bdf, PCI_STATUS, 2);

    if (status != 0xffffU && (status & STATUS_HAS_LIST) != 0) {
        uint32_t pointer = header == PCI_HEADER_CARDBUS ? CARDBUS_POINTER : PCI_CAPABILITIES;

        walk.next = (uint16_t)(pci_config_read(bdf, pointer, 1) & ~3U);
    }
    return walk;
}

struct pci_cap_walk pci_cap_walk_extended(bdf_t bdf)
{
    struct pci_cap_walk walk = {.bdf = bdf, .extended = true};

    if (pci_config_size(bdf.segment, bdf.bus) > CAPS_EXT_FIRST) {
        walk.next = CAPS_EXT_FIRST;
    }
    return walk;
}

/* May a capability be at walk->next? Marks the place as seen. */
static bool walk_step(struct pci_cap_walk *walk)
{
    uint32_t dword = walk->next / 4U;
    uint32_t first = walk->extended ? CAPS_EXT_FIRST : CAPS_FIRST;
    uint64_t bit = 1ULL << dword % 64;

    if (walk->next == 0) {
        return false;
    }
    if (walk->next < first || walk->next >= PCI_CONFIG_SIZE_EXTENDED) {
        log_warn("PCI " BDF_FORMAT ": a capability at %#x lies outside the list's area; the list "
                 "ends there",
                 BDF_ARGS(walk->bdf), walk->next);
        return false;
    }
    if ((walk->seen[dword / 64] & bit) != 0) {
        log_warn("PCI " BDF_FORMAT ": the capability list comes back to %#x; it ends there",
                 BDF_ARGS(walk->bdf), walk->next);
        return false;
    }
    walk->seen[dword / 64] |= bit;
    return true;
}

bool pci_cap_next(struct pci_cap_walk *walk, struct pci_cap *cap)
{
    uint32_t header;

    if (!walk_step(walk)) {
        return false;
    }
    header = pci_config_read(walk->bdf, walk->next, 4);
    /* All ones: the function is gone. All zeros: an empty extended list. */
    if (header == 0xffffffffU || (walk->extended && header == 0)) {
        return false;
    }
    cap->offset = walk->next;
    if (walk->extended) {
        cap->id = (uint16_t)header;
        cap->version = header >> 16 & 0xfU;
        walk->next = (uint16_t)(header >> 20 & ~3U);
    } else {
        cap->id = header & 0xffU;
        cap->version = 0;
        walk->next = header >> 8 & 0xfcU;
    }
    return true;
}

static uint16_t find(struct pci_cap_walk walk, uint16_t id)
{
    struct pci_cap cap;

    while (pci_cap_next(&walk, &cap)) {
        if (cap.id == id) {
            return cap.offset;
        }
    }
    return 0;
}

uint16_t pci_cap_find(bdf_t bdf, enum pci_cap_id id)
{
    return find(pci_cap_walk(bdf), (uint16_t)id);
}

uint16_t pci_cap_find_extended(bdf_t bdf, enum pci_ext_cap_id id)
{
    return find(pci_cap_walk_extended(bdf), (uint16_t)id);
}
