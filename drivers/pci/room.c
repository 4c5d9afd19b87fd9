/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/room.h"

#include "drivers/pci/bars.h"
#include "drivers/pci/bridge.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/room_entries.h"
#include "drivers/pci/scan.h"
#include "drivers/pci/sriov.h"
#include "vmm/base/log.h"

#define CLASS_HOST_BRIDGE  0x060000U
#define CLASS_MASK         0xffff00U
#define ECAM_BUS_SIZE      (1ULL << 20)
#define INTERRUPT_AREA     0xfec00000ULL /* I/O APICs, HPET, local APICs, firmware's ROM */
#define LOW_MEMORY         (1ULL << 20)  /* VGA's and ROMs' area below it is not for BARs */
#define UNKNOWN_EXTENT_MAX (1ULL << 20)

static struct pci_room_entry entries[PCI_ROOM_ENTRIES_MAX];
static uint32_t entry_count;
static bool complete;

static struct pci_room_aperture apertures[PCI_ROOM_APERTURES_MAX];
static uint32_t aperture_count;

uint32_t pci_room_entry_count(void)
{
    return entry_count;
}

const struct pci_room_entry *pci_room_entry_at(uint32_t index)
{
    return &entries[index];
}

uint32_t pci_room_aperture_count(void)
{
    return aperture_count;
}

const struct pci_room_aperture *pci_room_aperture_at(uint32_t index)
{
    return &apertures[index];
}

bool pci_room_complete(void)
{
    return complete;
}

uint16_t pci_room_owner(const struct pci_function *function)
{
    return (uint16_t)(function - pci_function_at(0));
}

static bool owner_on_root(uint16_t owner)
{
    return owner == PCI_ROOM_NOBODY || pci_upstream(pci_function_at(owner)->bdf.segment,
                                                    pci_function_at(owner)->bdf.bus) == NULL;
}

/* Append without regard to the order. */
static void append(uint16_t owner, uint32_t slot, bool root, uint64_t base, uint64_t size)
{
    if (entry_count == PCI_ROOM_ENTRIES_MAX) {
        if (complete) {
            log_warn("PCI: more than %u memory BARs and windows: no VF BAR can be placed; take "
                     "cards out that are not needed",
                     PCI_ROOM_ENTRIES_MAX);
        }
        complete = false;
        return;
    }
    entries[entry_count++] = (struct pci_room_entry){
        .base = base, .size = size, .owner = owner, .slot = (uint8_t)slot, .root = root};
}

/* Shell's sort, by base. */
static void sort_entries(void)
{
    for (uint32_t gap = PCI_ROOM_ENTRIES_MAX / 2; gap > 0; gap = gap * 5 / 11) {
        for (uint32_t i = gap; i < entry_count; i++) {
            struct pci_room_entry entry = entries[i];
            uint32_t j = i;

            for (; j >= gap && entries[j - gap].base > entry.base; j -= gap) {
                entries[j] = entries[j - gap];
            }
            entries[j] = entry;
        }
    }
}

static void entry_remove(uint16_t owner, uint8_t slot)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < entry_count; i++) {
        if (entries[i].owner != owner || entries[i].slot != slot) {
            entries[kept++] = entries[i];
        }
    }
    entry_count = kept;
}

enum status pci_room_entry_set(uint16_t owner, uint8_t slot, uint64_t base, uint64_t size)
{
    if (owner != PCI_ROOM_NOBODY) {
        entry_remove(owner, slot);
    }
    if (size == 0) {
        return STATUS_OK;
    }
    if (entry_count == PCI_ROOM_ENTRIES_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    append(owner, slot, owner_on_root(owner), base, size);
    sort_entries();
    return STATUS_OK;
}

/*
 * A BAR that was refused may still decode something at its address. How much cannot be known: no
 * more than its alignment allows, and more than the bound is not kept free for it.
 */
static uint64_t extent(const struct pci_bar *bar, uint64_t count)
{
    uint64_t alignment = bar->base & (~bar->base + 1);

    if (bar->size != 0) {
        return bar->size * count;
    }
    return alignment < UNKNOWN_EXTENT_MAX ? alignment : UNKNOWN_EXTENT_MAX;
}

static void note_bar(uint16_t owner, uint32_t slot, bool root, const struct pci_bar *bar,
                     uint64_t count)
{
    bool memory = bar->kind == PCI_BAR_MEMORY_32 || bar->kind == PCI_BAR_MEMORY_64;

    if (memory && bar->base != 0 && bar->base < PCI_ADDRESS_LIMIT && count > 0) {
        append(owner, slot, root, bar->base, extent(bar, count));
    }
}

static void note_vf_bars(const struct pci_function *pf, uint16_t owner, bool root)
{
    struct pci_sriov sriov;

    if (pf->header != PCI_HEADER_DEVICE ||
        pci_sriov_read(pf->bdf, pf->sriov, &sriov) != STATUS_OK) {
        return;
    }
    (void)pci_bars_size_vf(pf->bdf, &sriov);
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        note_bar(owner, PCI_ROOM_VF_BAR + i, root, &sriov.bars[i], sriov.total_vfs);
    }
}

static void note_windows(const struct pci_function *bridge, uint16_t owner, bool root)
{
    for (uint32_t kind = 0; kind < PCI_WINDOWS; kind++) {
        struct pci_window window = pci_window_read(bridge, (enum pci_window_kind)kind);

        if (window.size != 0) {
            append(owner, PCI_ROOM_WINDOW + kind, root, window.base, window.size);
        }
    }
}

static void note_function(const struct pci_function *function, uint16_t owner, bool root)
{
    struct pci_bar bars[PCI_BARS_MAX];
    struct pci_bar rom = {0};

    if ((function->class_code & CLASS_MASK) == CLASS_HOST_BRIDGE) {
        pci_bars_read(function->bdf, PCI_BAR0, PCI_BARS_MAX, bars);
    } else {
        (void)pci_bars_size(function, bars, &rom);
    }
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        note_bar(owner, PCI_ROOM_BAR + i, root, &bars[i], 1);
    }
    note_bar(owner, PCI_ROOM_ROM, root, &rom, 1);
    if (function->sriov != 0) {
        note_vf_bars(function, owner, root);
    }
    if (function->header != PCI_HEADER_DEVICE) {
        note_windows(function, owner, root);
    }
}

/* What no BAR says, and is not free all the same. */
static void note_fixed(void)
{
    append(PCI_ROOM_NOBODY, PCI_ROOM_RESERVED, true, INTERRUPT_AREA,
           PCI_ADDRESS_LIMIT32 - INTERRUPT_AREA);
    for (uint32_t i = 0; i < pci_config_ranges(); i++) {
        struct acpi_ecam range = pci_config_range(i);

        if (range.base.raw != 0) {
            append(PCI_ROOM_NOBODY, PCI_ROOM_RESERVED, true,
                   range.base.raw + range.bus_first * ECAM_BUS_SIZE,
                   (uint64_t)(range.bus_last - range.bus_first + 1) * ECAM_BUS_SIZE);
        }
    }
}

static void aperture_append(struct pci_room_aperture aperture)
{
    if (aperture_count < PCI_ROOM_APERTURES_MAX) {
        apertures[aperture_count++] = aperture;
    }
}

/*
 * For each root bus, the span above 4 GiB that it uses: its host bridge forwards that. Below 4 GiB
 * there are things of the chipset in between that no BAR shows.
 */
static void infer_apertures(void)
{
    for (uint32_t i = 0; i < entry_count; i++) {
        const struct pci_room_entry *entry = &entries[i];
        struct pci_room_aperture *known = NULL;
        bdf_t bdf;

        if (!entry->root || entry->owner == PCI_ROOM_NOBODY || entry->base < PCI_ADDRESS_LIMIT32) {
            continue;
        }
        bdf = pci_function_at(entry->owner)->bdf;
        for (uint32_t j = 0; j < aperture_count && known == NULL; j++) {
            if (apertures[j].segment == bdf.segment && apertures[j].bus_first == bdf.bus) {
                known = &apertures[j];
            }
        }
        if (known == NULL) {
            aperture_append((struct pci_room_aperture){.base = entry->base,
                                                       .size = entry->size,
                                                       .segment = bdf.segment,
                                                       .bus_first = bdf.bus,
                                                       .bus_last = bdf.bus});
        } else if (entry->base + entry->size > known->base + known->size) {
            known->size = entry->base + entry->size - known->base;
        }
    }
}

enum status pci_room_init(void)
{
    bool root = false;
    const struct pci_function *previous = NULL;

    entry_count = 0;
    aperture_count = 0;
    complete = true;
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_function_at(i);

        if (previous == NULL || previous->bdf.bus != function->bdf.bus ||
            previous->bdf.segment != function->bdf.segment) {
            root = pci_upstream(function->bdf.segment, function->bdf.bus) == NULL;
        }
        previous = function;
        note_function(function, (uint16_t)i, root);
    }
    note_fixed();
    sort_entries();
    infer_apertures();
    return complete ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

enum status pci_room_add_aperture(uint16_t segment, uint8_t bus_first, uint8_t bus_last, hpa_t base,
                                  uint64_t size)
{
    if (size == 0 || base.raw < LOW_MEMORY || bus_last < bus_first ||
        !range_fits(base.raw, size, PCI_ADDRESS_LIMIT)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (aperture_count == PCI_ROOM_APERTURES_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    aperture_append((struct pci_room_aperture){.base = base.raw,
                                               .size = size,
                                               .segment = segment,
                                               .bus_first = bus_first,
                                               .bus_last = bus_last});
    return STATUS_OK;
}

enum status pci_room_reserve(hpa_t base, uint64_t size)
{
    if (size == 0 || !range_fits(base.raw, size, PCI_ADDRESS_LIMIT)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    return pci_room_entry_set(PCI_ROOM_NOBODY, PCI_ROOM_RESERVED, base.raw, size);
}

enum status pci_room_find(const struct pci_function *function, uint32_t slot, hpa_t *base,
                          uint64_t *size)
{
    uint16_t owner = pci_room_owner(function);

    for (uint32_t i = 0; i < entry_count; i++) {
        if (entries[i].owner == owner && entries[i].slot == slot) {
            *base = hpa(entries[i].base);
            *size = entries[i].size;
            return STATUS_OK;
        }
    }
    return STATUS_NOTE(STATUS_NOT_FOUND);
}

void pci_room_release(const struct pci_function *function, uint32_t slot)
{
    (void)pci_room_entry_set(pci_room_owner(function), (uint8_t)slot, 0, 0);
}
