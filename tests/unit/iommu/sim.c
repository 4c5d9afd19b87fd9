/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/iommu/sim.h"

#include "drivers/iommu/iommu_backend.h"
#include "drivers/iommu/iommu_edge.h"
#include "tests/unit/fakes/irq.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES     4096U
#define POOL_BASE 0x100000000ULL

static uint8_t live[PAGES][PAGE_SIZE] __attribute__((aligned(4096)));   /* with the caches */
static uint8_t memory[PAGES][PAGE_SIZE] __attribute__((aligned(4096))); /* without */
static bool taken[PAGES];
static unsigned page_limit, pages_taken;
static int allocations_left;
static unsigned long write_backs, stores, stores_with_irqs_off;

static struct sim_unit units[SIM_UNITS_MAX];
static unsigned unit_count;
struct acpi_facts sim_acpi;
struct iommu_fault sim_edge[SIM_EDGE_MAX];
unsigned sim_edge_count;

void sim_require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "simulated IOMMU: %s\nlog:\n%s", what, fake_log_text());
        abort();
    }
}

void sim_reset(unsigned pages)
{
    memset(taken, 0, sizeof(taken));
    memset(units, 0, sizeof(units));
    memset(&sim_acpi, 0, sizeof(sim_acpi));
    page_limit = pages != 0 ? pages : PAGES;
    memset(memory, 0xff, (size_t)page_limit * PAGE_SIZE);
    pages_taken = unit_count = sim_edge_count = 0;
    write_backs = stores = stores_with_irqs_off = 0;
    allocations_left = -1;
    fake_pci_reset();
    fake_log_clear();
}

struct sim_unit *sim_add(enum sim_kind kind, uint64_t base)
{
    struct sim_unit *unit = &units[unit_count++];

    unit->kind = kind;
    unit->base = base;
    unit->coherent = true;
    unit->delay = 3;
    return unit;
}

static struct sim_unit *unit_of(const void *registers)
{
    for (unsigned i = 0; i < unit_count; i++) {
        if (registers == units[i].window) {
            return &units[i];
        }
    }
    sim_require(false, "access to registers of no unit");
    return NULL;
}

/* vmm/host/map_physical.h */
void *map_physical(hpa_t base, uint64_t size, enum map_kind kind)
{
    sim_require(kind == MAP_DEVICE && size % PAGE_SIZE == 0, "registers are mapped uncached");
    for (unsigned i = 0; i < unit_count; i++) {
        if (units[i].base == base.raw) {
            return units[i].window;
        }
    }
    return NULL;
}

void map_release(void *va, uint64_t size)
{
    (void)unit_of(va);
}

/* vmm/host/pool.h */
static unsigned run_find(unsigned count, unsigned align)
{
    for (unsigned first = 0; first + count <= page_limit; first += align) {
        unsigned length = 0;

        while (length < count && !taken[first + length]) {
            length++;
        }
        if (length == count) {
            return first;
        }
    }
    return PAGES;
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    unsigned count = (unsigned)(align_up(size, PAGE_SIZE) / PAGE_SIZE);
    unsigned first = run_find(count, (unsigned)(align / PAGE_SIZE));

    if (first == PAGES || allocations_left == 0) {
        return NULL;
    }
    allocations_left -= allocations_left > 0;
    memset(taken + first, 1, count);
    pages_taken += count;
    return memset(live[first], 0, (size_t)count * PAGE_SIZE);
}

static bool unit_knows(const struct sim_unit *unit, uint64_t page)
{
    for (unsigned i = 0; i < unit->page_count; i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(unit->pages[i].tables); k++) {
            if (unit->pages[i].tables[k] == page) {
                return true;
            }
        }
    }
    for (unsigned i = 0; i < unit->irq_count; i++) {
        if (unit->irqs[i].page == page) {
            return true;
        }
    }
    for (unsigned i = 0; i < unit->device_count; i++) {
        for (unsigned k = 0; unit->devices[i].present && k < 4; k++) {
            if (align_down(unit->devices[i].words[k] & 0x000fffffffffffffULL, PAGE_SIZE) == page) {
                return true;
            }
        }
    }
    return false;
}

/* The VMM's own tables are not here. */
void *pool_allocate_table(void)
{
    return NULL;
}

void pool_free(void *pointer, uint64_t size)
{
    hpa_t base = pool_hpa(pointer);

    for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
        unsigned page = (unsigned)((base.raw + at - POOL_BASE) / PAGE_SIZE);

        sim_require(page < PAGES && taken[page], "a page is freed that is free");
        for (unsigned i = 0; i < unit_count; i++) {
            sim_require(!unit_knows(&units[i], base.raw + at),
                        "a page is freed that a unit may still use");
        }
        taken[page] = false;
        pages_taken--;
        memset(live[page], 0xee, PAGE_SIZE);
        memset(memory[page], 0xee, PAGE_SIZE);
    }
}

hpa_t pool_hpa(const void *pointer)
{
    return hpa(POOL_BASE + (uint64_t)((const uint8_t *)pointer - &live[0][0]));
}

void *pool_pointer(hpa_t address)
{
    sim_require(address.raw >= POOL_BASE && address.raw < POOL_BASE + sizeof(live),
                "an address outside the pool");
    return &live[0][0] + (address.raw - POOL_BASE);
}

unsigned sim_pool_pages(void)
{
    return pages_taken;
}

void sim_pool_limit(int pages)
{
    allocations_left = pages;
}

/* Memory as hardware sees it. */
uint64_t sim_load(const struct sim_unit *unit, uint64_t address)
{
    uint64_t offset = address - POOL_BASE, value;
    const uint8_t *from = unit->coherent ? &live[0][0] : &memory[0][0];

    sim_require(address >= POOL_BASE && offset <= sizeof(live) - 8 && address % 8 == 0,
                "a unit reads outside the pool");
    memcpy(&value, from + offset, sizeof(value));
    return value;
}

void sim_store(uint64_t address, uint64_t value)
{
    uint64_t offset = address - POOL_BASE;

    sim_require(address >= POOL_BASE && offset <= sizeof(live) - 8, "a unit writes elsewhere");
    memcpy(&live[0][0] + offset, &value, sizeof(value));
    memcpy(&memory[0][0] + offset, &value, sizeof(value));
}

/* drivers/iommu/hardware.c */
uint32_t iommu_hw_read32(const void *registers, uint32_t offset)
{
    struct sim_unit *unit = unit_of(registers);

    sim_require(unit->kind == SIM_VTD, "AMD-Vi's registers have 64 bits");
    return unit->absent ? UINT32_MAX : sim_vtd_read32(unit, offset);
}

uint64_t iommu_hw_read64(const void *registers, uint32_t offset)
{
    struct sim_unit *unit = unit_of(registers);

    if (unit->absent) {
        return UINT64_MAX;
    }
    return unit->kind == SIM_VTD ? sim_vtd_read64(unit, offset) : sim_amdvi_read64(unit, offset);
}

void iommu_hw_write32(void *registers, uint32_t offset, uint32_t value)
{
    sim_vtd_write(unit_of(registers), offset, value, 4);
}

void iommu_hw_write64(void *registers, uint32_t offset, uint64_t value)
{
    struct sim_unit *unit = unit_of(registers);

    if (unit->kind == SIM_VTD) {
        sim_vtd_write(unit, offset, value, 8);
    } else {
        sim_amdvi_write64(unit, offset, value);
    }
}

uint64_t shared_load(const uint64_t *entry)
{
    return *entry;
}

/* The devices that never rest. */
static void devices_run(void)
{
    for (unsigned i = 0; i < unit_count; i++) {
        struct sim_unit *unit = &units[i];
        uint64_t base;

        if (unit->busy) {
            unit->silent = true;
            (void)sim_dma(unit, unit->busy_source, unit->busy_iova, true, &base);
            unit->silent = false;
        }
    }
}

void shared_store(uint64_t *entry, uint64_t value)
{
    *entry = value;
    stores++;
    stores_with_irqs_off += fake_irqs_are_off();
    devices_run();
}

void shared_clear(uint64_t *entry, uint64_t bits)
{
    shared_store(entry, *entry & ~bits);
}

void iommu_hw_store_pair(uint64_t entry[2], const uint64_t value[2])
{
    sim_require((uintptr_t)entry % 16 == 0, "CMPXCHG16B wants 16-byte alignment");
    entry[0] = value[0];
    entry[1] = value[1];
}

void shared_write_back(const void *from, uint64_t size)
{
    uint64_t offset = (uint64_t)((const uint8_t *)from - &live[0][0]);

    sim_require(offset + size <= sizeof(live), "only memory of the pool is written back");
    memcpy(&memory[0][0] + offset, from, size);
    write_backs++;
    devices_run();
}

unsigned long sim_stores(bool with_irqs_off)
{
    return with_irqs_off ? stores_with_irqs_off : stores;
}

unsigned long sim_write_backs(void)
{
    return write_backs;
}

/*
 * vmm/host/time.h: time passes only while the driver waits. Devices run as long as something is
 * under way; the wait for a unit that hangs has nothing more to show.
 */
void time_delay_us(uint64_t us)
{
    bool under_way = false;

    for (unsigned i = 0; i < unit_count; i++) {
        under_way = under_way || units[i].gcmd_wait > 0 || units[i].queue_wait > 0;
        if (units[i].kind == SIM_VTD) {
            sim_vtd_tick(&units[i]);
        } else {
            sim_amdvi_tick(&units[i]);
        }
    }
    if (under_way) {
        devices_run();
    }
}

void iommu_edge_fault(const struct iommu_fault *fault)
{
    if (sim_edge_count < SIM_EDGE_MAX) {
        sim_edge[sim_edge_count++] = *fault;
    }
}

const struct sim_page *sim_remember(struct sim_unit *unit, const struct sim_page *page)
{
    for (unsigned i = 0; i < unit->page_count; i++) {
        if (memcmp(&unit->pages[i], page, sizeof(*page)) == 0) {
            return &unit->pages[i];
        }
    }
    sim_require(unit->page_count < SIM_CACHE_MAX, "the simulated cache is full");
    unit->pages[unit->page_count] = *page;
    return &unit->pages[unit->page_count++];
}

/* Forget pages of DOMAIN that touch the range, with the tables that led to them; SIZE 0: all. */
void sim_forget_domain(struct sim_unit *unit, uint16_t domain, uint64_t iova, uint64_t size)
{
    for (unsigned i = 0; i < unit->page_count;) {
        const struct sim_page *page = &unit->pages[i];

        if (page->domain == domain &&
            (size == 0 || ranges_overlap(page->iova, page->size, iova, size))) {
            unit->pages[i] = unit->pages[--unit->page_count];
        } else {
            i++;
        }
    }
}

bool sim_dma(struct sim_unit *unit, uint16_t source, uint64_t iova, bool write, uint64_t *base)
{
    return unit->kind == SIM_VTD ? sim_vtd_dma(unit, source, iova, write, base)
                                 : sim_amdvi_dma(unit, source, iova, write, base);
}

bool sim_message(struct sim_unit *unit, uint16_t source, uint64_t address, uint32_t data,
                 uint32_t *apic_id, uint8_t *vector)
{
    return unit->kind == SIM_VTD ? sim_vtd_message(unit, source, address, data, apic_id, vector)
                                 : sim_amdvi_message(unit, source, address, data, apic_id, vector);
}
