/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/bridge.h"

#include "drivers/pci/bars.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"

#define REGISTER_ADDRESS 0xfff0U /* address bits 31:20 */
#define REGISTER_TYPE    0x000fU
#define TYPE_64          0x0001U

/* Where the registers of a window are; 0: it has no upper halves. */
static const struct registers {
    uint8_t base;
    uint8_t limit;
    uint8_t base_upper;
    uint8_t limit_upper;
} registers[PCI_WINDOWS] = {
    [PCI_WINDOW_MEMORY] = {PCI_BRIDGE_MEMORY_BASE,       PCI_BRIDGE_MEMORY_LIMIT,       0, 0                                  },
    [PCI_WINDOW_PREFETCHABLE] = {PCI_BRIDGE_PREFETCHABLE_BASE, PCI_BRIDGE_PREFETCHABLE_LIMIT,
                           PCI_BRIDGE_PREFETCHABLE_BASE_UPPER,                             PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER},
};

struct pci_window pci_window_read(const struct pci_function *bridge, enum pci_window_kind kind)
{
    const struct registers *at = &registers[kind];
    bdf_t bdf = bridge->bdf;
    struct pci_window window = {0};
    uint32_t low_base;
    uint32_t low_limit;
    uint64_t limit;

    if (bridge->header != PCI_HEADER_BRIDGE || bridge->secondary == 0) {
        return (struct pci_window){.fixed = true};
    }
    low_base = pci_config_read(bdf, at->base, 2);
    low_limit = pci_config_read(bdf, at->limit, 2);
    window.wide = at->base_upper != 0 && (low_base & REGISTER_TYPE) == TYPE_64;
    window.base = (uint64_t)(low_base & REGISTER_ADDRESS) << 16;
    limit = (uint64_t)(low_limit & REGISTER_ADDRESS) << 16 | (PCI_WINDOW_GRANULE - 1);
    if (window.wide) {
        window.base |= (uint64_t)pci_config_read(bdf, at->base_upper, 4) << 32;
        limit |= (uint64_t)pci_config_read(bdf, at->limit_upper, 4) << 32;
    }
    /* A window at 0 is one that nobody set, or that does not exist and reads zeros. */
    if (window.base > limit || window.base == 0) {
        window.base = 0;
        return window;
    }
    window.size = limit + 1 - window.base;
    if (limit >= PCI_ADDRESS_LIMIT) {
        window = (struct pci_window){.fixed = true};
    }
    return window;
}

static void write_base(bdf_t bdf, const struct registers *at, bool wide, uint64_t base)
{
    if (wide) {
        pci_config_write(bdf, at->base_upper, 4, (uint32_t)(base >> 32));
    }
    pci_config_write(bdf, at->base, 2, base >> 16 & REGISTER_ADDRESS);
}

static void write_limit(bdf_t bdf, const struct registers *at, bool wide, uint64_t limit)
{
    if (wide) {
        pci_config_write(bdf, at->limit_upper, 4, (uint32_t)(limit >> 32));
    }
    pci_config_write(bdf, at->limit, 2, limit >> 16 & REGISTER_ADDRESS);
}

/*
 * An open window grows by its upper halves first, and so covers more than it will for a moment,
 * never less. A closed one is opened with its base at the top of the address space until the limit
 * is written, and so covers nothing in between that it will not cover.
 */
static void set_window(bdf_t bdf, const struct registers *at, const struct pci_window *now,
                       uint64_t base, uint64_t size)
{
    if (now->size == 0) {
        pci_config_write(bdf, at->base, 2, REGISTER_ADDRESS);
        write_base(bdf, at, now->wide, ~0ULL);
        write_limit(bdf, at, now->wide, base + size - 1);
        write_base(bdf, at, now->wide, base);
        return;
    }
    if (base + size != now->base + now->size) {
        write_limit(bdf, at, now->wide, base + size - 1);
    }
    if (base != now->base) {
        write_base(bdf, at, now->wide, base);
    }
}

enum status pci_window_grow(const struct pci_function *bridge, enum pci_window_kind kind,
                            uint64_t base, uint64_t size)
{
    const struct registers *at = &registers[kind];
    struct pci_window now = pci_window_read(bridge, kind);
    struct pci_window then;

    if (now.fixed || (!now.wide && base + size > PCI_ADDRESS_LIMIT32)) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    set_window(bridge->bdf, at, &now, base, size);
    then = pci_window_read(bridge, kind);
    if (then.base == base && then.size == size) {
        return STATUS_OK;
    }
    log_warn("PCI " BDF_FORMAT ": the bridge does not take the window %#lx-%#lx; it stays as it "
             "was",
             BDF_ARGS(bridge->bdf), (unsigned long)base, (unsigned long)(base + size - 1));
    /* A closed window again gets a base above its limit. */
    write_base(bridge->bdf, at, now.wide, now.size != 0 ? now.base : ~0ULL);
    write_limit(bridge->bdf, at, now.wide, now.size != 0 ? now.base + now.size - 1 : 0);
    return STATUS_NOTE(STATUS_DEVICE);
}

/* ---- Bus mastering ---- */

/* For each listed function, if it is a bridge. */
static struct {
    uint16_t users;
    bool was_set;
} bridges[PCI_FUNCTIONS_MAX];

static bool is_set(bdf_t bdf)
{
    return (pci_config_read(bdf, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER) != 0;
}

static void clear(bdf_t bdf)
{
    (void)pci_config_change(bdf, PCI_COMMAND, PCI_COMMAND_BUS_MASTER, 0);
}

/* Who wants it says so when it fails: a guest may try as often as it likes. */
static enum status set(bdf_t bdf)
{
    uint32_t command = pci_config_change(bdf, PCI_COMMAND, 0, PCI_COMMAND_BUS_MASTER);

    return command != 0xffffU && (command & PCI_COMMAND_BUS_MASTER) != 0 ? STATUS_OK
                                                                         : STATUS_DEVICE;
}

/* One user more or less of every bridge from the one above BDF up to, exclusively, STOP. */
static void bridges_leave(bdf_t bdf, const struct pci_function *stop)
{
    const struct pci_function *bridge;

    while ((bridge = pci_upstream(bdf.segment, bdf.bus)) != stop && bridge != NULL) {
        uint32_t index = (uint32_t)(bridge - pci_function_at(0));

        if (--bridges[index].users == 0 && !bridges[index].was_set) {
            clear(bridge->bdf);
        }
        bdf = bridge->bdf;
    }
}

static enum status bridges_join(bdf_t bdf)
{
    bdf_t at = bdf;
    const struct pci_function *bridge;

    while ((bridge = pci_upstream(at.segment, at.bus)) != NULL) {
        uint32_t index = (uint32_t)(bridge - pci_function_at(0));

        if (bridges[index].users == 0) {
            bridges[index].was_set = is_set(bridge->bdf);
            if (set(bridge->bdf) != STATUS_OK) {
                bridges_leave(bdf, bridge);
                return STATUS_DEVICE;
            }
        }
        bridges[index].users++;
        at = bridge->bdf;
    }
    return STATUS_OK;
}

enum status pci_master_acquire(struct pci_master *master, bdf_t bdf)
{
    enum status status = master->held ? STATUS_OK : bridges_join(bdf);

    if (status == STATUS_OK) {
        status = set(bdf);
        if (status != STATUS_OK && !master->held) {
            bridges_leave(bdf, NULL);
        }
    }
    master->held |= status == STATUS_OK;
    return status;
}

void pci_master_release(struct pci_master *master, bdf_t bdf)
{
    if (!master->held) {
        return;
    }
    clear(bdf);
    bridges_leave(bdf, NULL);
    master->held = false;
}
