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
#define UNKNOWN_EXTENT_MAX (1ULL << 20)

struct pci_room pci_room;

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
    if (pci_room.entry_count == PCI_ROOM_ENTRIES_MAX) {
        if (pci_room.complete) {
            log_warn("PCI: more than %u memory BARs and windows: no VF BAR can be placed; take "
                     "cards out that are not needed",
                     PCI_ROOM_ENTRIES_MAX);
        }
        pci_room.complete = false;
        return;
    }
    pci_room.entries[pci_room.entry_count++] = (struct pci_room_entry){
        .base = base, .size = size, .owner = owner, .slot = (uint8_t)slot, .root = root};
}

/* Shell's sort, by base. */
static void sort_entries(void)
{
    for (uint32_t gap = PCI_ROOM_ENTRIES_MAX / 2; gap > 0; gap = gap * 5 / 11) {
        for (uint32_t i = gap; i < pci_room.entry_count; i++) {
            struct pci_room_entry entry = pci_room.entries[i];
            uint32_t j = i;

            for (; j >= gap && pci_room.entries[j - gap].base > entry.base; j -= gap) {
                pci_room.entries[j] = pci_room.entries[j - gap];
            }
            pci_room.entries[j] = entry;
        }
    }
}

static void entry_remove(uint16_t owner, uint8_t slot)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < pci_room.entry_count; i++) {
        if (pci_room.entries[i].owner != owner || pci_room.entries[i].slot != slot) {
            pci_room.entries[kept++] = pci_room.entries[i];
        }
    }
    pci_room.entry_count = kept;
}

enum status pci_room_entry_set(uint16_t owner, uint8_t slot, uint64_t base, uint64_t size)
{
    if (owner != PCI_ROOM_NOBODY) {
        entry_remove(owner, slot);
    }
    if (size == 0) {
        return STATUS_OK;
    }
    if (pci_room.entry_count == PCI_ROOM_ENTRIES_MAX) {
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

enum status pci_room_init(void)
{
    bool root = false;
    const struct pci_function *previous = NULL;

    pci_room = (struct pci_room){.complete = true};
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_function_at(i);

        if (previous == NULL || previous->bdf.bus != function->bdf.bus ||
            previous->bdf.segment != function->bdf.segment) {
            root = pci_upstream(function->bdf.segment, function->bdf.bus) == NULL;
            pci_room.root_buses += root;
        }
        previous = function;
        note_function(function, (uint16_t)i, root);
    }
    note_fixed();
    sort_entries();
    return pci_room.complete ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

enum status pci_room_reserve(hpa_t base, uint64_t size, bool listed)
{
    if (size == 0 || !range_fits(base.raw, size, PCI_ADDRESS_LIMIT)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    return pci_room_entry_set(PCI_ROOM_NOBODY, listed ? PCI_ROOM_LISTED : PCI_ROOM_RESERVED,
                              base.raw, size);
}

enum status pci_room_find(const struct pci_function *function, uint32_t slot, hpa_t *base,
                          uint64_t *size)
{
    uint16_t owner = pci_room_owner(function);

    for (uint32_t i = 0; i < pci_room.entry_count; i++) {
        if (pci_room.entries[i].owner == owner && pci_room.entries[i].slot == slot) {
            *base = hpa(pci_room.entries[i].base);
            *size = pci_room.entries[i].size;
            return STATUS_OK;
        }
    }
    return STATUS_NOTE(STATUS_NOT_FOUND);
}

void pci_room_release(const struct pci_function *function, uint32_t slot)
{
    (void)pci_room_entry_set(pci_room_owner(function), (uint8_t)slot, 0, 0);
}

void pci_room_forget(const struct pci_function *function)
{
    const struct pci_function *bridge = function;

    while ((bridge = pci_upstream(bridge->bdf.segment, bridge->bdf.bus)) != NULL) {
        for (uint32_t kind = 0; kind < PCI_WINDOWS; kind++) {
            struct pci_window window = pci_window_read(bridge, (enum pci_window_kind)kind);

            (void)pci_room_entry_set(pci_room_owner(bridge), (uint8_t)(PCI_ROOM_WINDOW + kind),
                                     window.base, window.size);
        }
    }
}
