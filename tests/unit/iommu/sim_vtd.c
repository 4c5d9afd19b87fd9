/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VT-d unit in legacy mode. Written from the manual (Intel VT-d specification 4.1), with numbers
 * of its own: nothing here comes from the driver's headers.
 */
#include "tests/unit/iommu/sim.h"

#define GCMD_ONE_SHOT 0x69000000U /* SRTP, SFL, WBF, SIRTP */
#define GCMD_TE       0x80000000U
#define GCMD_SRTP     0x40000000U
#define GCMD_WBF      0x08000000U
#define GCMD_QIE      0x04000000U
#define GCMD_SIRTP    0x01000000U
#define GCMD_IRE      0x02000000U
#define CAP_CM        (1ULL << 7)

static uint32_t fault_offset(const struct sim_unit *unit)
{
    return (uint32_t)(unit->cap >> 24 & 0x3ff) * 16;
}

uint32_t sim_vtd_read32(struct sim_unit *unit, uint32_t offset)
{
    switch (offset) {
    case 0x1c:
        return unit->gsts;
    case 0x34:
        return unit->fsts;
    case 0x64:
        return unit->pmen;
    default:
        sim_require(false, "32-bit read of an unexpected VT-d register");
        return 0;
    }
}

uint64_t sim_vtd_read64(struct sim_unit *unit, uint32_t offset)
{
    uint32_t fault = offset - fault_offset(unit);

    if (fault < SIM_FAULTS * 16) {
        return unit->faults[fault / 16][fault / 8 % 2];
    }
    switch (offset) {
    case 0x08:
        return unit->cap;
    case 0x10:
        return unit->ecap;
    case 0x20:
        return unit->rtaddr;
    case 0x80:
        return unit->iqh;
    case 0x88:
        return unit->iqt;
    default:
        sim_require(false, "64-bit read of an unexpected VT-d register");
        return 0;
    }
}

static void command_write(struct sim_unit *unit, uint32_t value)
{
    uint32_t state = unit->gsts & 0x96800000U;
    uint32_t change = (value ^ state) & 0x96800000U;
    uint32_t command = value & GCMD_ONE_SHOT;

    sim_require(unit->gcmd_wait == 0, "a command while another is under way");
    sim_require(((change | command) & ((change | command) - 1)) == 0, "two commands in one write");
    sim_require((value & ~(0x96800000U | GCMD_ONE_SHOT)) == 0, "reserved bits of GCMD");
    unit->gcmd_pending = change | command;
    unit->gcmd_value = value;
    unit->gcmd_wait = (change | command) != 0 ? unit->delay + 1 : 0;
    unit->gsts &= ~(command & ~GCMD_WBF);
    unit->gsts |= command & GCMD_WBF; /* reads 1 while it is under way */
}

static void command_done(struct sim_unit *unit)
{
    uint32_t bit = unit->gcmd_pending;

    if ((bit & unit->hang) != 0) {
        return;
    }
    unit->gsts = (unit->gsts & ~bit) | (bit == GCMD_WBF ? 0 : unit->gcmd_value & bit);
    unit->flushes += bit == GCMD_WBF;
    if (bit == GCMD_SRTP) {
        unit->root = unit->rtaddr;
    } else if (bit == GCMD_SIRTP) {
        unit->irq_table = unit->irta;
    } else if (bit == GCMD_QIE) {
        unit->iqh = 0;
    }
}

void sim_vtd_write(struct sim_unit *unit, uint32_t offset, uint64_t value, unsigned width)
{
    uint32_t fault = offset - fault_offset(unit);

    if (fault < SIM_FAULTS * 16) {
        sim_require(fault % 16 == 12 && width == 4 && value == 0x80000000U,
                    "a record is cleared by its F bit alone");
        unit->faults[fault / 16][1] &= ~(1ULL << 63);
        return;
    }
    switch (offset) {
    case 0x18:
        command_write(unit, (uint32_t)value);
        break;
    case 0x20:
        unit->rtaddr = value;
        break;
    case 0x34:
        unit->fsts &= ~((uint32_t)value & 0x71U);
        break;
    case 0x38:
        unit->fectl = (uint32_t)value;
        break;
    case 0x64:
        unit->pmen = (uint32_t)value; /* EPM and PRS go together */
        break;
    case 0x88:
        unit->iqt = value;
        unit->queue_wait = unit->delay + 1;
        break;
    case 0x90:
        sim_require((unit->gsts & GCMD_QIE) == 0, "the queue is moved while it runs");
        unit->iqa = value;
        break;
    case 0xb8:
        unit->irta = value;
        break;
    default:
        sim_require(false, "write of an unexpected VT-d register");
    }
}

/* A fault is recorded in the first free register; when there is none, it is lost. */
static bool record(struct sim_unit *unit, uint16_t source, uint64_t information, unsigned reason,
                   bool write)
{
    for (unsigned i = 0; i < SIM_FAULTS && !unit->silent; i++) {
        if ((unit->faults[i][1] >> 63) == 0) {
            unit->faults[i][0] = information;
            unit->faults[i][1] =
                1ULL << 63 | (write ? 0 : 1ULL << 62) | (uint64_t)reason << 32 | source;
            unit->fsts |= 2;
            return false;
        }
    }
    unit->fsts |= unit->silent ? 0 : 1;
    return false;
}

static void forget_contexts(struct sim_unit *unit, unsigned granularity, uint16_t domain,
                            uint16_t source)
{
    for (unsigned i = 0; i < unit->device_count;) {
        const struct sim_device *device = &unit->devices[i];

        /* An entry that was not present is tagged with domain 0. */
        if (granularity == 1 ||
            (device->domain == domain && (granularity == 2 || device->source == source))) {
            unit->devices[i] = unit->devices[--unit->device_count];
        } else {
            i++;
        }
    }
}

static void forget_irqs(struct sim_unit *unit, bool all, uint32_t first, uint32_t count)
{
    for (unsigned i = 0; i < unit->irq_count;) {
        uint32_t index = unit->irqs[i].index;

        if (all || (index >= first && index - first < count)) {
            unit->irqs[i] = unit->irqs[--unit->irq_count];
        } else {
            i++;
        }
    }
}

static bool run_iotlb(struct sim_unit *unit, uint64_t low, uint64_t high)
{
    uint16_t domain = (uint16_t)(low >> 16);
    unsigned granularity = low >> 4 & 3, mask = high & 0x3f;
    uint64_t size = 4096ULL << mask, at = high & ~0xfffULL;

    switch (granularity) {
    case 1:
        unit->page_count = 0;
        return true;
    case 2:
        sim_forget_domain(unit, domain, 0, 0);
        return true;
    case 3:
        if ((unit->cap >> 39 & 1) == 0 || mask > (unit->cap >> 48 & 0x3f) || at % size != 0) {
            return false;
        }
        sim_forget_domain(unit, domain, at, size);
        return true;
    default:
        return false;
    }
}

static bool run_descriptor(struct sim_unit *unit, uint64_t low, uint64_t high)
{
    unit->commands++;
    switch (low & 0xf) {
    case 1:
        if ((low & 0xfffc00000000ffc0ULL) != 0 || high != 0) {
            return false;
        }
        forget_contexts(unit, low >> 4 & 3, (uint16_t)(low >> 16), (uint16_t)(low >> 32));
        return true;
    case 2:
        return (low & 0xffffffff0000ff00ULL) == 0 && run_iotlb(unit, low, high);
    case 4:
        if ((low & 0xffff000007ffffe0ULL) != 0 || high != 0) {
            return false;
        }
        forget_irqs(unit, (low & 0x10) == 0, (uint32_t)(low >> 32), 1U << (low >> 27 & 0x1f));
        return true;
    case 5:
        if ((low & 0xffffff00ULL) != 0 || (high & 3) != 0 || (low & 0x20) == 0) {
            return false;
        }
        sim_store(high & ~7ULL, low >> 32);
        return true;
    default:
        return false;
    }
}

static void queue_run(struct sim_unit *unit)
{
    while (unit->iqh != unit->iqt) {
        uint64_t at = (unit->iqa & ~0xfffULL) + unit->iqh;

        if (unit->queue_refuses ||
            !run_descriptor(unit, sim_load(unit, at), sim_load(unit, at + 8))) {
            unit->fsts |= 1U << 4;
            return;
        }
        unit->iqh = (unit->iqh + 16) % 4096;
    }
}

void sim_vtd_tick(struct sim_unit *unit)
{
    if (unit->gcmd_wait > 0 && --unit->gcmd_wait == 0) {
        command_done(unit);
    }
    if (unit->queue_wait > 0 && --unit->queue_wait == 0 && (unit->gsts & GCMD_QIE) != 0 &&
        !unit->queue_hangs && (unit->fsts & 0x10) == 0) {
        queue_run(unit);
    }
}

/* Section 3.4: the context entry of SOURCE, from the cache or from memory; NULL: blocked. */
static const struct sim_device *context_of(struct sim_unit *unit, uint16_t source, unsigned *reason)
{
    for (unsigned i = 0; i < unit->device_count; i++) {
        if (unit->devices[i].source == source) {
            *reason = 2;
            return unit->devices[i].present ? &unit->devices[i] : NULL;
        }
    }
    struct sim_device device = {.source = source};
    uint64_t root = sim_load(unit, (unit->root & ~0xfffULL) + (source >> 8) * 16UL);

    *reason = 1;
    if ((root & 1) != 0) {
        uint64_t at = (root & ~0xfffULL) + (source & 0xffUL) * 16;

        device.words[0] = sim_load(unit, at);
        device.words[1] = sim_load(unit, at + 8);
        device.present = (device.words[0] & 1) != 0;
        *reason = 2;
    }
    if (!device.present && (unit->cap & CAP_CM) == 0) {
        return NULL;
    }
    if (device.present) {
        device.domain = (uint16_t)(device.words[1] >> 8);
        sim_require((device.words[0] & 0xffeULL) == 0 && (device.words[1] & ~0xffff07ULL) == 0,
                    "reserved or unwanted bits in a context entry");
        sim_require(device.domain != 0 && device.domain < 1U << (4 + 2 * (unit->cap & 7)),
                    "a domain id that the unit does not have");
    }
    sim_require(unit->device_count < SIM_CACHE_MAX, "the simulated cache is full");
    unit->devices[unit->device_count++] = device;
    return device.present ? &unit->devices[unit->device_count - 1] : NULL;
}

/* Section 3.7: walk the second-stage table. */
static struct sim_page walk(struct sim_unit *unit, const struct sim_device *device, uint64_t iova)
{
    unsigned levels = (device->words[1] & 7) + 2;
    uint64_t table = device->words[0] & ~0xfffULL;
    struct sim_page page = {.domain = device->domain, .read = true, .write = true};

    sim_require((unit->cap >> 8 >> (levels - 2) & 1) != 0, "a depth that the unit does not have");
    for (unsigned level = levels; level > 0; level--) {
        uint64_t size = 4096ULL << 9 * (level - 1);
        uint64_t entry = sim_load(unit, table + (iova / size % 512) * 8);
        bool large = level > 1 && (entry & 0x80) != 0;

        page.tables[level] = table;
        page.size = size;
        page.iova = iova & ~(size - 1);
        if ((entry & 3) == 0) {
            return page;
        }
        page.read = page.read && (entry & 1) != 0;
        page.write = page.write && (entry & 2) != 0;
        sim_require(!large || (level == 2 && (unit->cap >> 34 & 1) != 0) ||
                        (level == 3 && (unit->cap >> 35 & 1) != 0),
                    "a large page that the unit does not have");
        if (level == 1 || large) {
            sim_require(((unit->ecap >> 7 & 1) != 0) == ((entry & 0x800) != 0),
                        "snooping is forced exactly where that can be done");
            page.base = entry & 0x000ffffffffff000ULL;
            sim_require(page.base % size == 0, "reserved bits in a large page's entry");
            page.present = true;
            return page;
        }
        sim_require((entry & 0xffcULL) == 0, "unwanted bits in an entry that leads to a table");
        table = entry & 0x000ffffffffff000ULL;
    }
    return page;
}

static const struct sim_page *page_of(struct sim_unit *unit, const struct sim_device *device,
                                      uint64_t iova)
{
    for (unsigned i = 0; i < unit->page_count; i++) {
        const struct sim_page *page = &unit->pages[i];

        if (page->domain == device->domain && iova - page->iova < page->size &&
            (page->present || (unit->cap & CAP_CM) != 0)) {
            return page;
        }
    }
    /* What is not present is not used again outside caching mode, but its tables stay known. */
    struct sim_page page = walk(unit, device, iova);

    return sim_remember(unit, &page);
}

bool sim_vtd_dma(struct sim_unit *unit, uint16_t source, uint64_t iova, bool write, uint64_t *base)
{
    unsigned reason;

    if ((unit->gsts & GCMD_TE) == 0) {
        *base = iova;
        return true;
    }
    const struct sim_device *device = context_of(unit, source, &reason);

    if (device == NULL) {
        return record(unit, source, iova & ~0xfffULL, reason, write);
    }
    if (iova >> ((unit->cap >> 16 & 0x3f) + 1) != 0) {
        return record(unit, source, iova & ~0xfffULL, 4, write);
    }
    const struct sim_page *page = page_of(unit, device, iova);

    if (!page->present || !(write ? page->write : page->read)) {
        return record(unit, source, iova & ~0xfffULL, write ? 5 : 6, write);
    }
    *base = page->base + (iova - page->iova);
    return true;
}

/* Section 5.1. */
bool sim_vtd_message(struct sim_unit *unit, uint16_t source, uint64_t address, uint32_t data,
                     uint32_t *apic_id, uint8_t *vector)
{
    struct sim_irq irq = {.index = (uint32_t)(address >> 5 & 0x7fff) | (uint32_t)(address >> 2 & 1)
                                                                           << 15};
    unsigned i = 0;

    if ((unit->gsts & GCMD_IRE) == 0) {
        *apic_id = (uint32_t)(address >> 12 & 0xff);
        *vector = (uint8_t)data;
        return true;
    }
    if ((address & 0x10) == 0) {
        return record(unit, source, 0, 0x25, true);
    }
    if (irq.index >= 2U << (unit->irq_table & 0xf)) {
        return record(unit, source, (uint64_t)irq.index << 48, 0x21, true);
    }
    while (i < unit->irq_count && unit->irqs[i].index != irq.index) {
        i++;
    }
    if (i == unit->irq_count) {
        uint64_t at = (unit->irq_table & ~0xfffULL) + irq.index * 16UL;

        irq.page = at & ~0xfffULL;
        irq.words[0] = sim_load(unit, at);
        irq.words[1] = sim_load(unit, at + 8);
        sim_require(i < SIM_CACHE_MAX, "the simulated cache is full");
        unit->irqs[unit->irq_count++] = irq;
    }
    irq = unit->irqs[i];
    if ((irq.words[0] & 1) == 0) {
        return record(unit, source, (uint64_t)irq.index << 48, 0x22, true);
    }
    sim_require((irq.words[0] & 0xff00fffeULL) == 0 && (irq.words[1] >> 20) == 0,
                "reserved or unwanted bits in an interrupt entry");
    if ((irq.words[1] >> 18 & 3) != 1 || (irq.words[1] >> 16 & 3) != 0 ||
        (uint16_t)irq.words[1] != source) {
        return record(unit, source, (uint64_t)irq.index << 48, 0x26, true);
    }
    *apic_id = (unit->irq_table & 0x800) != 0 ? (uint32_t)(irq.words[0] >> 32)
                                              : (uint32_t)(irq.words[0] >> 40 & 0xff);
    *vector = (uint8_t)(irq.words[0] >> 16);
    return true;
}
