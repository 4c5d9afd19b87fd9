/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for a BAR below a chain of bridges. The chain runs from the bridge next to the function to
 * the one on the root bus; a level is an index in it.
 */
#include "drivers/pci/bars.h"
#include "drivers/pci/bridge.h"
#include "drivers/pci/room.h"
#include "drivers/pci/room_entries.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"

#define LEVELS_MAX    256U
#define BITS          64U
#define MIB           (1ULL << 20)
#define APERTURES_MAX 64U
#define CHIPSET_AREA  0xfc000000ULL /* from here to 4 GiB chipsets have registers without a BAR */

/* Addresses that a host bridge forwards. */
struct aperture {
    uint64_t base;
    uint64_t end;
};

static struct {
    uint32_t levels;
    uint16_t segment;
    uint8_t root_bus;
    const struct pci_function *bridges[LEVELS_MAX];
    struct pci_window windows[LEVELS_MAX][PCI_WINDOWS];
    uint64_t buses[LEVELS_MAX / BITS];          /* those of the chain, the function's own too */
    uint64_t members[PCI_FUNCTIONS_MAX / BITS]; /* indices of the bridges */
    struct aperture apertures[APERTURES_MAX];   /* of the root bus; ascending, not overlapping */
    uint32_t aperture_count;
} chain;

/* What is asked for. */
struct request {
    uint64_t size;
    uint64_t align;
    uint64_t limit; /* exclusive */
};

/* Windows to be, from level 0 on. */
static struct {
    uint32_t levels;
    struct {
        uint64_t base;
        uint64_t end;
    } windows[LEVELS_MAX];
} plan;

static bool bit_test(const uint64_t *bits, uint32_t index)
{
    return (bits[index / BITS] >> index % BITS & 1) != 0;
}

static void bit_set(uint64_t *bits, uint32_t index)
{
    bits[index / BITS] |= 1ULL << index % BITS;
}

/* Is ENTRY's owner on the chain's root bus? */
static bool on_root(const struct pci_room_entry *entry)
{
    const struct pci_function *owner;

    if (!entry->root || entry->owner == PCI_ROOM_NOBODY) {
        return false;
    }
    owner = pci_function_at(entry->owner);
    return owner->bdf.segment == chain.segment && owner->bdf.bus == chain.root_bus;
}

/*
 * The first address of the host bridge's, where its root bus uses BASE and nothing between COVERED
 * and that: BASE, but a single root bus has the upper half of the gap below 4 GiB.
 */
static uint64_t aperture_base(uint64_t base, uint64_t covered)
{
    if (pci_room.root_buses != 1 || base >= PCI_ADDRESS_LIMIT32 || covered >= base) {
        return base;
    }
    return align_up(covered + (base - covered) / 2, PCI_WINDOW_GRANULE);
}

/*
 * The rule of docs/pci.md: the host bridge forwards what lies between addresses that its root bus
 * uses, when nothing else is known to be there. Where there is only one root bus it also forwards
 * what is around them below 4 GiB, up to what firmware's map lists or the chipset's area.
 */
static void apertures_find(void)
{
    struct aperture *open = NULL;
    uint64_t covered = 0; /* the end of all that is not the root bus's, so far */

    chain.aperture_count = 0;
    for (uint32_t i = 0; i < pci_room.entry_count; i++) {
        const struct pci_room_entry *entry = &pci_room.entries[i];
        uint64_t end = entry->base + entry->size;

        if (on_root(entry)) {
            if (open == NULL || covered > open->end) {
                if (chain.aperture_count == APERTURES_MAX) {
                    return;
                }
                open = &chain.apertures[chain.aperture_count++];
                *open = (struct aperture){aperture_base(entry->base, covered), end};
            }
            open->end = end > open->end ? end : open->end;
        } else if (entry->root) {
            uint64_t limit = entry->base < CHIPSET_AREA ? entry->base : CHIPSET_AREA;

            if (open != NULL && covered <= open->end && open->end < limit &&
                pci_room.root_buses == 1) {
                open->end = limit;
            }
            covered = end > covered ? end : covered;
        }
    }
}

static void chain_build(bdf_t bdf)
{
    const struct pci_function *bridge;

    chain.levels = 0;
    chain.segment = bdf.segment;
    for (uint32_t i = 0; i < ARRAY_SIZE(chain.buses); i++) {
        chain.buses[i] = 0;
    }
    for (uint32_t i = 0; i < ARRAY_SIZE(chain.members); i++) {
        chain.members[i] = 0;
    }
    bit_set(chain.buses, bdf.bus);
    /* Bus numbers fall from level to level, so this ends. */
    while (chain.levels < LEVELS_MAX && (bridge = pci_upstream(bdf.segment, bdf.bus)) != NULL) {
        chain.bridges[chain.levels] = bridge;
        for (uint32_t kind = 0; kind < PCI_WINDOWS; kind++) {
            struct pci_window *window = &chain.windows[chain.levels][kind];
            hpa_t base;

            *window = pci_window_read(bridge, (enum pci_window_kind)kind);
            /* As it is to be, while its growth is only planned. */
            if (pci_room_find(bridge, PCI_ROOM_WINDOW + kind, &base, &window->size) == STATUS_OK) {
                window->base = base.raw;
            }
        }
        bit_set(chain.members, pci_room_owner(bridge));
        bdf = bridge->bdf;
        bit_set(chain.buses, bdf.bus);
        chain.levels++;
    }
    chain.root_bus = bdf.bus;
    apertures_find();
}

/*
 * Does ENTRY stand in the way? What is behind other bridges is covered by their windows. The
 * chain's own windows of KIND are what the room is looked for in; PCI_WINDOWS: all of them are.
 */
static bool in_the_way(const struct pci_room_entry *entry, enum pci_window_kind kind)
{
    bdf_t bdf;

    if (entry->owner == PCI_ROOM_NOBODY) {
        return entry->slot != PCI_ROOM_LISTED;
    }
    if (entry->slot >= PCI_ROOM_WINDOW && bit_test(chain.members, entry->owner)) {
        return kind != PCI_WINDOWS && entry->slot != PCI_ROOM_WINDOW + (uint32_t)kind;
    }
    bdf = pci_function_at(entry->owner)->bdf;
    return entry->root || (bdf.segment == chain.segment && bit_test(chain.buses, bdf.bus));
}

static bool range_free(uint64_t base, uint64_t end, enum pci_window_kind kind)
{
    for (uint32_t i = 0; i < pci_room.entry_count; i++) {
        const struct pci_room_entry *entry = &pci_room.entries[i];

        if (entry->base >= end) {
            break; /* they are sorted */
        }
        if (entry->base + entry->size > base && in_the_way(entry, kind)) {
            return false;
        }
    }
    return true;
}

/* The lowest room in [BASE, END). */
static bool find_gap(uint64_t base, uint64_t end, const struct request *want,
                     enum pci_window_kind kind, uint64_t *at)
{
    uint64_t place = align_up(base, want->align);

    end = end < want->limit ? end : want->limit;
    for (uint32_t i = 0; i < pci_room.entry_count; i++) {
        const struct pci_room_entry *entry = &pci_room.entries[i];

        if (place + want->size > end || entry->base >= place + want->size) {
            break;
        }
        if (entry->base + entry->size > place && in_the_way(entry, kind)) {
            place = align_up(entry->base + entry->size, want->align);
        }
    }
    *at = place;
    return place + want->size <= end;
}

/* Does the host bridge forward all of [BASE, END)? */
static bool aperture_has(uint64_t base, uint64_t end)
{
    for (uint32_t i = 0; i < chain.aperture_count; i++) {
        if (base >= chain.apertures[i].base && end <= chain.apertures[i].end) {
            return true;
        }
    }
    return false;
}

/* May the window of LEVEL be given [BASE, END), which it has not now? */
static bool part_free(uint32_t level, uint64_t base, uint64_t end, enum pci_window_kind kind)
{
    return base >= end ||
           (range_free(base, end, kind) && (level + 1 < chain.levels || aperture_has(base, end)));
}

static bool window_has(const struct pci_window *window, uint64_t base, uint64_t end)
{
    return window->size != 0 && base >= window->base && end <= window->base + window->size;
}

/* Does some window of LEVEL forward [BASE, END)? */
static bool level_has(uint32_t level, uint64_t base, uint64_t end)
{
    return window_has(&chain.windows[level][PCI_WINDOW_MEMORY], base, end) ||
           window_has(&chain.windows[level][PCI_WINDOW_PREFETCHABLE], base, end);
}

/* Plan the windows of KIND that [AT, AT + SIZE) needs on all levels. False: one cannot be. */
static bool plan_growth(uint64_t at, uint64_t size, enum pci_window_kind kind)
{
    uint64_t base = align_down(at, PCI_WINDOW_GRANULE);
    uint64_t end = align_up(at + size, PCI_WINDOW_GRANULE);

    if (!range_free(at, at + size, kind)) {
        return false;
    }
    for (plan.levels = 0; plan.levels < chain.levels; plan.levels++) {
        const struct pci_window *now = &chain.windows[plan.levels][kind];

        if (window_has(now, base, end) || (plan.levels > 0 && level_has(plan.levels, base, end))) {
            return true;
        }
        if (now->fixed || (!now->wide && end > PCI_ADDRESS_LIMIT32)) {
            return false;
        }
        if (now->size == 0) {
            if (!part_free(plan.levels, base, end, kind)) {
                return false;
            }
        } else {
            base = base < now->base ? base : now->base;
            end = end > now->base + now->size ? end : now->base + now->size;
            if (!part_free(plan.levels, base, now->base, kind) ||
                !part_free(plan.levels, now->base + now->size, end, kind)) {
                return false;
            }
        }
        plan.windows[plan.levels].base = base;
        plan.windows[plan.levels].end = end;
    }
    return true;
}

/* Note the planned windows as taken; pci_room_apply() writes the registers. */
static enum status plan_note(enum pci_window_kind kind)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < plan.levels && status == STATUS_OK; i++) {
        status = pci_room_entry_set(
            pci_room_owner(chain.bridges[i]), (uint8_t)(PCI_ROOM_WINDOW + (uint32_t)kind),
            plan.windows[i].base, plan.windows[i].end - plan.windows[i].base);
    }
    return status;
}

/* Directly above what is used in WINDOW, or directly below it: where growth costs least. */
static bool grow_beside(const struct pci_window *window, const struct request *want,
                        enum pci_window_kind kind, uint64_t *at)
{
    uint64_t end = window->base + window->size;
    uint64_t lowest = end;
    uint64_t highest = window->base;

    for (uint32_t i = 0; i < pci_room.entry_count; i++) {
        const struct pci_room_entry *entry = &pci_room.entries[i];
        uint64_t entry_end = entry->base + entry->size;

        if (entry->base < end && entry_end > window->base && in_the_way(entry, kind)) {
            lowest = entry->base < lowest ? entry->base : lowest;
            highest = entry_end > highest ? entry_end : highest;
        }
    }
    *at = align_up(highest, want->align);
    if (*at + want->size <= want->limit && plan_growth(*at, want->size, kind)) {
        return true;
    }
    if (lowest <= want->size) {
        return false;
    }
    *at = align_down(lowest - want->size, want->align);
    return *at != 0 && *at + want->size <= want->limit && plan_growth(*at, want->size, kind);
}

/* No bridge has an open window: anywhere that the host bridge forwards, as high as possible. */
static bool grow_in_aperture(const struct request *want, enum pci_window_kind kind, uint64_t *at)
{
    for (uint32_t i = chain.aperture_count; i-- > 0;) {
        const struct aperture *aperture = &chain.apertures[i];

        if (find_gap(aperture->base, aperture->end, want, kind, at) &&
            plan_growth(*at, want->size, kind)) {
            return true;
        }
    }
    return false;
}

/* Find room in windows of KIND, and plan what must grow for it. */
static bool find_room(struct request want, enum pci_window_kind kind, uint64_t *at)
{
    const struct pci_window *window;
    uint32_t level = 0;

    plan.levels = 0;
    if (kind == PCI_WINDOW_MEMORY && chain.levels > 0 && want.limit > PCI_ADDRESS_LIMIT32) {
        want.limit = PCI_ADDRESS_LIMIT32;
    }
    while (level < chain.levels && chain.windows[level][kind].size == 0) {
        level++;
    }
    /* Windows that are opened, or grow, get whole granules for this alone. */
    if (level > 0) {
        want.align = want.align < PCI_WINDOW_GRANULE ? PCI_WINDOW_GRANULE : want.align;
        want.size = align_up(want.size, PCI_WINDOW_GRANULE);
    }
    if (level == chain.levels) {
        return grow_in_aperture(&want, kind, at);
    }
    window = &chain.windows[level][kind];
    if (find_gap(window->base, window->base + window->size, &want, kind, at) &&
        plan_growth(*at, want.size, kind)) {
        return true;
    }
    return grow_beside(window, &want, kind, at);
}

/* Is [BASE, BASE + SIZE) forwarded by all bridges, and nobody else's? */
static bool sound(uint64_t base, const struct request *want)
{
    uint64_t end = base + want->size;

    if (base == 0 || base % want->align != 0 || end > want->limit) {
        return false;
    }
    for (uint32_t level = 0; level < chain.levels; level++) {
        if (!level_has(level, base, end)) {
            return false;
        }
    }
    return range_free(base, end, PCI_WINDOWS);
}

static uint64_t to_mib(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

/* About the largest piece that is free in WINDOW, below a half of what is wanted. */
static uint64_t largest_free(const struct pci_window *window, const struct request *want,
                             enum pci_window_kind kind)
{
    uint64_t at;

    for (uint64_t size = want->size / 2; size >= PAGE_SIZE; size /= 2) {
        struct request less = {align_down(size, PAGE_SIZE), PAGE_SIZE, want->limit};

        if (window->size != 0 &&
            find_gap(window->base, window->base + window->size, &less, kind, &at)) {
            return less.size;
        }
    }
    return 0;
}

static enum pci_window_kind kind_of(const struct pci_bar *bar)
{
    return bar->prefetchable ? PCI_WINDOW_PREFETCHABLE : PCI_WINDOW_MEMORY;
}

static struct request request_of(const struct pci_bar *bar, uint64_t total)
{
    uint64_t limit = bar->kind == PCI_BAR_MEMORY_64 ? PCI_ADDRESS_LIMIT : PCI_ADDRESS_LIMIT32;

    return (struct request){.size = total, .align = bar->size, .limit = limit};
}

void pci_room_explain(const struct pci_function *function, const struct pci_bar *bar,
                      uint64_t total, enum log_level level, bool fit)
{
    enum pci_window_kind kind = kind_of(bar);
    struct request want = request_of(bar, total);
    const struct pci_window *window = &chain.windows[0][kind];

    chain_build(function->bdf);
    if (chain.levels == 0) {
        log_write(level, "PCI " BDF_FORMAT ": no room for %lu MiB of VF BAR on its root bus",
                  BDF_ARGS(function->bdf), (unsigned long)to_mib(total));
    } else {
        log_write(level,
                  "PCI " BDF_FORMAT
                  ": no room for %lu MiB of VF BAR in the %s window of bridge " BDF_FORMAT
                  " (%lu MiB, about %lu KiB in one piece free), and it cannot grow",
                  BDF_ARGS(function->bdf), (unsigned long)to_mib(total),
                  kind == PCI_WINDOW_MEMORY ? "memory" : "prefetchable",
                  BDF_ARGS(chain.bridges[0]->bdf), (unsigned long)to_mib(window->size),
                  (unsigned long)(largest_free(window, &want, kind) >> 10));
    }
    log_write(level,
              "PCI " BDF_FORMAT
              ": switch on SR-IOV support and 'above 4G decoding' (64-bit MMIO) in the firmware "
              "set-up%s",
              BDF_ARGS(function->bdf),
              fit ? "" : ", or use fewer VFs: 'num_vfs = fit' takes as many as there is room for");
}

enum status pci_room_assign(const struct pci_function *function, uint32_t slot,
                            const struct pci_bar *bar, uint64_t total, hpa_t *base)
{
    struct request want = request_of(bar, total);
    enum pci_window_kind kind = kind_of(bar);
    uint64_t at = bar->base;
    bool found;

    pci_room_release(function, slot);
    if (bar->size == 0 || total == 0 || total % bar->size != 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (!pci_room.complete) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    chain_build(function->bdf);
    if (!sound(at, &want)) {
        found = find_room(want, kind, &at);
        if (!found && kind == PCI_WINDOW_PREFETCHABLE) {
            /* A prefetchable BAR may also be where prefetching is not allowed. */
            kind = PCI_WINDOW_MEMORY;
            found = find_room(want, kind, &at);
        }
        if (!found) {
            return STATUS_NOTE(STATUS_NO_ROOM);
        }
        if (plan_note(kind) != STATUS_OK) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
    }
    *base = hpa(at);
    return pci_room_entry_set(pci_room_owner(function), (uint8_t)slot, at, total);
}

enum status pci_room_apply(const struct pci_function *function)
{
    chain_build(function->bdf);
    /* Outermost first, so that no bridge ever forwards more than those above. */
    for (uint32_t i = chain.levels * PCI_WINDOWS; i-- > 0;) {
        const struct pci_function *bridge = chain.bridges[i / PCI_WINDOWS];
        enum pci_window_kind kind = (enum pci_window_kind)(i % PCI_WINDOWS);
        struct pci_window then = chain.windows[i / PCI_WINDOWS][kind];
        struct pci_window now = pci_window_read(bridge, kind);

        if (now.base == then.base && now.size == then.size) {
            continue;
        }
        if (pci_window_grow(bridge, kind, then.base, then.size) != STATUS_OK) {
            return STATUS_NOTE(STATUS_DEVICE);
        }
        log_info("PCI " BDF_FORMAT ": the bridge's %s window is now %#lx-%#lx",
                 BDF_ARGS(bridge->bdf), kind == PCI_WINDOW_MEMORY ? "memory" : "prefetchable",
                 (unsigned long)then.base, (unsigned long)(then.base + then.size - 1));
    }
    return STATUS_OK;
}
