/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An AMD-Vi unit. Written from the manual (AMD I/O Virtualization Technology Specification 3.08),
 * with numbers of its own: nothing here comes from the driver's headers.
 */
#include "tests/unit/iommu/sim.h"

#define CONTROL_ENABLE   (1ULL << 0)
#define CONTROL_EVENTS   (1ULL << 2)
#define CONTROL_COMMANDS (1ULL << 12)
#define CONTROL_WIDE     (1ULL << 17)
#define CONTROL_X2APIC   (1ULL << 50)
#define STATUS_OVERFLOW  1ULL
#define STATUS_EVENTS    8ULL
#define STATUS_COMMANDS  16ULL
#define ADDRESS          0x000ffffffffff000ULL

static bool runs(const struct sim_unit *unit, uint64_t ring)
{
    return (unit->control & CONTROL_ENABLE) != 0 && (unit->control & ring) != 0;
}

static uint64_t *register_of(struct sim_unit *unit, uint32_t offset)
{
    switch (offset) {
    case 0x18:
        return &unit->control;
    case 0x2000:
        return &unit->head;
    case 0x2008:
        return &unit->tail;
    case 0x2010:
        return &unit->event_head;
    case 0x2018:
        return &unit->event_tail;
    default:
        sim_require(offset % 8 == 0 && offset < 0x38, "access to an unexpected AMD-Vi register");
        return &unit->registers[offset / 8];
    }
}

uint64_t sim_amdvi_read64(struct sim_unit *unit, uint32_t offset)
{
    if (offset == 0x30) {
        return unit->features;
    }
    if (offset == 0x2020) {
        return unit->status |
               (runs(unit, CONTROL_EVENTS) && (unit->status & 1) == 0 ? STATUS_EVENTS : 0) |
               (runs(unit, CONTROL_COMMANDS) ? STATUS_COMMANDS : 0);
    }
    return *register_of(unit, offset);
}

static void control_write(struct sim_unit *unit, uint64_t value)
{
    uint64_t change = unit->control ^ value;

    sim_require((value & CONTROL_ENABLE) == 0 || (change & (CONTROL_WIDE | CONTROL_X2APIC)) == 0,
                "the format of interrupt entries is set before the unit is on");
    unit->control = value;
}

void sim_amdvi_write64(struct sim_unit *unit, uint32_t offset, uint64_t value)
{
    if (unit->forgets_writes) {
        return;
    }
    if (offset == 0x18) {
        control_write(unit, value);
        return;
    }
    if (offset == 0x2020) {
        unit->status &= ~(value & 0x67U);
        return;
    }
    sim_require(offset >= 0x2000 || (unit->control & CONTROL_ENABLE) == 0,
                "a table or ring is moved while the unit is on");
    *register_of(unit, offset) = value;
    if (offset == 0x2008) {
        unit->queue_wait = unit->delay + 1;
    }
}

static uint64_t ring_size(uint64_t base)
{
    return 16ULL << (base >> 56 & 0xf);
}

static bool event(struct sim_unit *unit, unsigned code, uint64_t low, uint64_t high)
{
    uint64_t base = unit->registers[0x10 / 8];
    uint64_t next = (unit->event_tail + 16) % ring_size(base);

    if (unit->silent || !runs(unit, CONTROL_EVENTS) || (unit->status & STATUS_OVERFLOW) != 0) {
        return false;
    }
    if (next == unit->event_head) {
        unit->status |= STATUS_OVERFLOW;
        return false;
    }
    sim_store((base & ADDRESS) + unit->event_tail, (uint64_t)code << 60 | low);
    sim_store((base & ADDRESS) + unit->event_tail + 8, high);
    unit->event_tail = next;
    return false;
}

static void forget_device(struct sim_unit *unit, uint16_t source)
{
    for (unsigned i = 0; i < unit->device_count;) {
        if (unit->devices[i].source == source) {
            unit->devices[i] = unit->devices[--unit->device_count];
        } else {
            i++;
        }
    }
}

static void forget_irqs(struct sim_unit *unit, uint16_t source)
{
    for (unsigned i = 0; i < unit->irq_count;) {
        if (unit->irqs[i].source == source) {
            unit->irqs[i] = unit->irqs[--unit->irq_count];
        } else {
            i++;
        }
    }
}

static bool run_command(struct sim_unit *unit, uint64_t low, uint64_t high)
{
    unit->commands++;
    switch (low >> 60) {
    case 1:
        if ((low & 0x0ff0000000000000ULL) != 0) {
            return false;
        }
        if ((low & 1) != 0) {
            sim_store(low & 0x000ffffffffffff8ULL, high);
        }
        return true;
    case 2:
        forget_device(unit, (uint16_t)low);
        return (low & 0x0fffffffffff0000ULL) == 0 && high == 0;
    case 3:
        if ((high & 2) == 0 || (high & 0xffcULL) != 0) {
            return false; /* the tables above must go as well */
        }
        if ((high & 1) == 0) {
            sim_forget_domain(unit, (uint16_t)(low >> 32), high & ~0xfffULL, 4096);
        } else {
            sim_require((high & ~0xfffULL) == 0x7ffffffffffff000ULL, "an odd range");
            sim_forget_domain(unit, (uint16_t)(low >> 32), 0, 0);
        }
        return true;
    case 5:
        forget_irqs(unit, (uint16_t)low);
        return (low & 0x0fffffffffff0000ULL) == 0 && high == 0;
    case 8:
        if ((unit->features >> 6 & 1) == 0) {
            return false;
        }
        unit->device_count = unit->page_count = unit->irq_count = 0;
        return true;
    default:
        return false;
    }
}

void sim_amdvi_tick(struct sim_unit *unit)
{
    uint64_t base = unit->registers[8 / 8];

    if (unit->queue_wait == 0 || --unit->queue_wait > 0 || !runs(unit, CONTROL_COMMANDS) ||
        unit->queue_hangs) {
        return;
    }
    while (unit->head != unit->tail) {
        uint64_t at = (base & ADDRESS) + unit->head;

        if (!run_command(unit, sim_load(unit, at), sim_load(unit, at + 8))) {
            (void)event(unit, 5, 0, at);
            unit->queue_hangs = true;
            return;
        }
        unit->head = (unit->head + 16) % ring_size(base);
    }
}

/* Section 3.4.8: HASup, HDSup. */
static bool has_marks(const struct sim_unit *unit)
{
    return (unit->features >> 49 & 1) != 0 && (unit->features >> 52 & 1) != 0;
}

/* Section 2.2.2: NULL: beyond the table. */
static const struct sim_device *device_of(struct sim_unit *unit, uint16_t source)
{
    uint64_t table = unit->registers[0];
    struct sim_device device = {.source = source, .present = true};

    for (unsigned i = 0; i < unit->device_count; i++) {
        if (unit->devices[i].source == source) {
            return &unit->devices[i];
        }
    }
    if (source * 32UL >= ((table & 0x1ff) + 1) * 4096) {
        return NULL;
    }
    for (unsigned i = 0; i < 4; i++) {
        device.words[i] = sim_load(unit, (table & ADDRESS) + source * 32UL + 8UL * i);
    }
    device.domain = (uint16_t)device.words[1];
    sim_require((device.words[0] & 3) == 3, "an entry that lets everything through");
    sim_require((device.words[0] & 0x81f000000000007cULL) == 0 &&
                    ((device.words[0] >> 7 & 3) == 0 || has_marks(unit)) &&
                    (device.words[1] & 0xfffffcffffff0000ULL) == 0 && device.words[3] == 0 &&
                    (device.words[2] & 1) != 0 && (device.words[2] & 0x0cf0000000000020ULL) == 0,
                "reserved or unwanted bits in a device table entry");
    sim_require((device.words[0] >> 61 & 3) == 0 || device.domain != 0,
                "an entry with rights and without a domain");
    sim_require(unit->device_count < SIM_CACHE_MAX, "the simulated cache is full");
    unit->devices[unit->device_count] = device;
    return &unit->devices[unit->device_count++];
}

/* Section 2.2.3. */
static struct sim_page walk(struct sim_unit *unit, const struct sim_device *device, uint64_t iova)
{
    unsigned level = device->words[0] >> 9 & 7;
    uint64_t table = device->words[0] & ADDRESS;
    struct sim_page page = {.domain = device->domain,
                            .read = (device->words[0] >> 61 & 1) != 0,
                            .write = (device->words[0] >> 62 & 1) != 0,
                            .size = UINT64_MAX};

    while (level > 0) {
        uint64_t size = 4096ULL << 9 * (level - 1);
        uint64_t entry = sim_load(unit, table + (iova / size % 512) * 8);
        unsigned next = entry >> 9 & 7;

        page.tables[level] = table;
        page.size = size;
        page.iova = iova & ~(size - 1);
        if ((entry & 1) == 0) {
            return page;
        }
        page.read = page.read && (entry >> 61 & 1) != 0;
        page.write = page.write && (entry >> 62 & 1) != 0;
        if (next == 0) {
            page.base = entry & ADDRESS;
            sim_require(page.base % size == 0 && level <= 3, "a page that cannot be");
            sim_require((entry >> 60 & 1) != 0, "snooping is forced");
            sim_require(has_marks(unit) || (entry & 0x60) == 0, "reserved bits of an entry");
            page.present = true;
            page.leaf = (device->words[0] >> 7 & 3) == 3 ? table + (iova / size % 512) * 8 : 0;
            return page;
        }
        sim_require(next == level - 1, "a level is left out or repeated");
        table = entry & ADDRESS;
        level = next;
    }
    return page;
}

static const struct sim_page *page_of(struct sim_unit *unit, const struct sim_device *device,
                                      uint64_t iova)
{
    for (unsigned i = 0; i < unit->page_count; i++) {
        const struct sim_page *page = &unit->pages[i];

        if (page->domain == device->domain && iova - page->iova < page->size &&
            (page->present || unit->np_cache)) {
            return page;
        }
    }
    /* What is not present is not used again without NpCache, but its tables stay known. */
    struct sim_page page = walk(unit, device, iova);

    return sim_remember(unit, &page);
}

/* Section 2.2.3.2: once for as long as the translation is cached, and not a moment too early. */
static void mark(struct sim_unit *unit, const struct sim_page *page)
{
    for (unsigned i = 0; i < unit->page_count && page->leaf != 0; i++) {
        if (&unit->pages[i] == page) {
            sim_store(page->leaf, sim_load(unit, page->leaf) | 1U << 6);
            unit->pages[i].leaf = 0;
            break;
        }
    }
}

bool sim_amdvi_dma(struct sim_unit *unit, uint16_t source, uint64_t iova, bool write,
                   uint64_t *base)
{
    if ((unit->control & CONTROL_ENABLE) == 0) {
        *base = iova;
        return true;
    }
    const struct sim_device *device = device_of(unit, source);

    if (device == NULL) {
        return event(unit, 1, source | (write ? 1ULL << 53 : 0), iova);
    }
    if ((device->words[0] >> 9 & 7) == 0) { /* no table: the entry's rights alone */
        *base = iova;
        return (device->words[0] >> (write ? 62 : 61) & 1) != 0
                   ? true
                   : event(unit, 2, source | 1ULL << 52 | 1ULL << 54 | (write ? 1ULL << 53 : 0),
                           iova);
    }
    const struct sim_page *page = page_of(unit, device, iova);

    if (!page->present || !(write ? page->write : page->read)) {
        return event(unit, 2,
                     source | (uint64_t)device->domain << 32 | (write ? 1ULL << 53 : 0) |
                         (page->present ? 1ULL << 52 | 1ULL << 54 : 0),
                     iova);
    }
    *base = page->base + (iova - page->iova);
    if (write) {
        mark(unit, page);
    }
    return true;
}

/* Section 2.2.5. */
bool sim_amdvi_message(struct sim_unit *unit, uint16_t source, uint64_t address, uint32_t data,
                       uint32_t *apic_id, uint8_t *vector)
{
    const struct sim_device *device = device_of(unit, source);
    struct sim_irq irq = {.index = data & 0x7ff, .source = source};
    uint64_t blocked = source | 1ULL << 51;
    unsigned i = 0;

    if (device == NULL || (device->words[2] >> 60 & 3) != 2) {
        return event(unit, 2, blocked, irq.index);
    }
    sim_require((address >> 20) == 0xfee, "an interrupt's address");
    if (irq.index >= 1U << (device->words[2] >> 1 & 0xf)) {
        return event(unit, 2, blocked, irq.index);
    }
    while (i < unit->irq_count &&
           (unit->irqs[i].index != irq.index || unit->irqs[i].source != source)) {
        i++;
    }
    if (i == unit->irq_count) {
        uint64_t table = device->words[2] & 0x000fffffffffffc0ULL;
        bool wide = (unit->control & CONTROL_WIDE) != 0;
        uint64_t at = table + irq.index * (wide ? 16UL : 4UL);

        irq.page = at & ~0xfffULL;
        irq.words[0] = sim_load(unit, at & ~7ULL);
        irq.words[1] = wide ? sim_load(unit, at + 8) : 0;
        irq.words[0] = wide ? irq.words[0] : irq.words[0] >> at % 8 * 8 & 0xffffffffULL;
        sim_require(i < SIM_CACHE_MAX, "the simulated cache is full");
        unit->irqs[unit->irq_count++] = irq;
    }
    irq = unit->irqs[i];
    if ((irq.words[0] & 1) == 0) {
        return event(unit, 2, blocked, irq.index);
    }
    sim_require((irq.words[0] & 0xfe) == 0, "fixed, edge, physical, not to a guest");
    if ((unit->control & CONTROL_WIDE) != 0) {
        *apic_id = (uint32_t)(irq.words[0] >> 8 & 0xffffff) | (uint32_t)(irq.words[1] >> 56 & 0xff)
                                                                  << 24;
        *vector = (uint8_t)irq.words[1];
    } else {
        *apic_id = (uint32_t)(irq.words[0] >> 8 & 0xff);
        *vector = (uint8_t)(irq.words[0] >> 16);
    }
    return true;
}
