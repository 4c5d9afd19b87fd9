/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One AMD-Vi unit: what it can do, its commands, the order in which it is switched on, its events.
 * AMD I/O Virtualization Technology Specification 3.08, sections 2.4, 2.5 and 3.4.
 */
#include "drivers/iommu/amdvi.h"
#include "drivers/pci/pci_config.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

#define ALL_ONES (~0ULL)

/* How long the tail may be ahead of an entry's arrival in memory. */
#define EVENT_WAIT_US 100U

/*
 * What the unit's own PCI function says. Not its enable bit: firmware locks the registers on, and
 * QEMU's unit shows 0 there and answers. Whether it does is seen at the registers.
 */
static void capability_read(struct amdvi_unit *unit)
{
    uint32_t header = pci_config_read(unit->ivhd->bdf, unit->ivhd->capability, 4);

    /* All ones where the bus cannot be reached: the cautious reading. */
    unit->caches_absent = (header & AMDVI_CAP_NPCACHE) != 0;
}

enum status amdvi_unit_open(struct amdvi_unit *unit, const struct acpi_ivhd *ivhd)
{
    *unit = (struct amdvi_unit){.ivhd = ivhd};
    (void)format(unit->name, sizeof(unit->name), "AMD-Vi at %#llx",
                 (unsigned long long)ivhd->base.raw);
    capability_read(unit);
    unit->registers = map_physical(ivhd->base, AMDVI_REGISTERS_SIZE, MAP_DEVICE);
    unit->commands = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    unit->events = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    unit->status = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    if (unit->registers == NULL || unit->commands == NULL || unit->events == NULL ||
        unit->status == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    unit->features = iommu_hw_read64(unit->registers, AMDVI_FEATURES);
    if (unit->features == ALL_ONES) {
        log_warn("IOMMU: %s does not answer, though firmware's IVRS table names it", unit->name);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

_Static_assert(AMDVI_BATCH_MAX + 2 < AMDVI_RING_ENTRIES,
               "a batch and its wait never fill the ring");
_Static_assert(AMDVI_RING_ENTRIES * sizeof(struct amdvi_entry) == PAGE_SIZE, "a page each");

static void command_put(struct amdvi_unit *unit, struct amdvi_entry command)
{
    struct amdvi_entry *entry = &unit->commands[unit->tail];

    shared_store(&entry->word[0], command.word[0]);
    shared_store(&entry->word[1], command.word[1]);
    unit->tail = (unit->tail + 1) % AMDVI_RING_ENTRIES;
}

static enum status command_wait(const struct amdvi_unit *unit)
{
    for (unsigned us = 0; us < IOMMU_WAIT_US; us++) {
        if (shared_load(unit->status) == unit->sequence) {
            return STATUS_OK;
        }
        time_delay_us(1);
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

enum status amdvi_unit_run(struct amdvi_unit *unit, const struct amdvi_entry *commands,
                           unsigned count)
{
    if (unit->failed) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    for (unsigned i = 0; i < count; i++) {
        command_put(unit, commands[i]);
    }
    unit->sequence++;
    command_put(unit, amdvi_wait(pool_hpa(unit->status), unit->sequence));
    iommu_hw_write64(unit->registers, AMDVI_COMMAND_TAIL,
                     (uint64_t)unit->tail << AMDVI_ENTRY_SHIFT);
    enum status status = command_wait(unit);

    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not carry out a command within %u ms: status %#llx, commands at "
                 "%#llx of %#llx; nothing is assigned behind it any more",
                 unit->name, IOMMU_WAIT_US / 1000,
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_STATUS),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_COMMAND_HEAD),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_COMMAND_TAIL));
    }
    return status;
}

/* Units without INVALIDATE_IOMMU_ALL are told of every id and every domain that we will use. */
static enum status forget_each(struct amdvi_unit *unit, uint16_t last)
{
    struct amdvi_entry batch[AMDVI_BATCH_MAX];
    unsigned count = 0;
    enum status status = STATUS_OK;

    for (uint32_t id = 0; id <= last && status == STATUS_OK; id++) {
        batch[count++] = amdvi_invalidate_device((uint16_t)id);
        batch[count++] = amdvi_invalidate_irqs((uint16_t)id);
        if (count == AMDVI_BATCH_MAX || id == last) {
            status = amdvi_unit_run(unit, batch, count);
            count = 0;
        }
    }
    for (uint16_t domain = 0; domain <= IOMMU_DOMAINS_MAX && status == STATUS_OK; domain++) {
        struct amdvi_entry forget = amdvi_invalidate_domain(domain);

        status = amdvi_unit_run(unit, &forget, 1);
    }
    return status;
}

/* Forget all that the unit may have cached from before: device ids up to LAST. */
static enum status forget_all(struct amdvi_unit *unit, uint16_t last)
{
    const struct amdvi_entry all = amdvi_invalidate_all();

    return (unit->features & AMDVI_F_INVALIDATE_ALL) != 0 ? amdvi_unit_run(unit, &all, 1)
                                                          : forget_each(unit, last);
}

/* Tables and rings may only be changed while the unit is off. Section 3.4. */
static enum status unit_stop(struct amdvi_unit *unit)
{
    uint64_t control = iommu_hw_read64(unit->registers, AMDVI_CONTROL);

    iommu_hw_write64(unit->registers, AMDVI_CONTROL,
                     control & ~(AMDVI_C_COMMANDS | AMDVI_C_EVENTS | AMDVI_C_ENABLE));
    return iommu_wait64(unit->registers, AMDVI_STATUS, AMDVI_S_EVENTS_RUN | AMDVI_S_COMMANDS_RUN,
                        0);
}

/* What firmware wants of this unit, by the flags of its IVRS block. Section 5.2.2.1. */
static uint64_t control_of_flags(uint8_t flags)
{
    return ((flags & AMDVI_IVHD_HT_TUNNEL) != 0 ? AMDVI_C_HT_TUNNEL : 0) |
           ((flags & AMDVI_IVHD_PASS_PW) != 0 ? AMDVI_C_PASS_PW : 0) |
           ((flags & AMDVI_IVHD_RESPONSE_PW) != 0 ? AMDVI_C_RESPONSE_PW : 0) |
           ((flags & AMDVI_IVHD_ISOCHRONOUS) != 0 ? AMDVI_C_ISOCHRONOUS : 0);
}

static void rings_set(struct amdvi_unit *unit)
{
    unit->tail = 0;
    iommu_hw_write64(unit->registers, AMDVI_COMMANDS,
                     pool_hpa(unit->commands).raw | AMDVI_RING_LENGTH);
    iommu_hw_write64(unit->registers, AMDVI_COMMAND_HEAD, 0);
    iommu_hw_write64(unit->registers, AMDVI_COMMAND_TAIL, 0);
    iommu_hw_write64(unit->registers, AMDVI_EVENTS, pool_hpa(unit->events).raw | AMDVI_RING_LENGTH);
    iommu_hw_write64(unit->registers, AMDVI_EVENT_HEAD, 0);
    iommu_hw_write64(unit->registers, AMDVI_EVENT_TAIL, 0);
}

enum status amdvi_unit_start(struct amdvi_unit *unit, hpa_t devices, uint64_t size, bool x2apic)
{
    uint64_t control = control_of_flags(unit->ivhd->flags) | AMDVI_C_COHERENT | AMDVI_C_TIMEOUT_1S |
                       (x2apic ? AMDVI_C_WIDE_IRQS | AMDVI_C_X2APIC : 0);
    uint64_t table = devices.raw | (size / PAGE_SIZE - 1);
    enum status status = unit_stop(unit);

    if (status == STATUS_OK) {
        iommu_hw_write64(unit->registers, AMDVI_DEVICE_TABLE, table);
        /* Registers that firmware left off, or that are not there, hold nothing. */
        status = iommu_hw_read64(unit->registers, AMDVI_DEVICE_TABLE) == table
                     ? STATUS_OK
                     : STATUS_NOTE(STATUS_DEVICE);
    }
    if (status == STATUS_OK) {
        iommu_hw_write64(unit->registers, AMDVI_EXCLUSION_BASE, 0); /* firmware's hole is closed */
        iommu_hw_write64(unit->registers, AMDVI_EXCLUSION_LIMIT, 0);
        rings_set(unit);
        iommu_hw_write64(unit->registers, AMDVI_STATUS, AMDVI_S_EVENT_OVERFLOW | AMDVI_S_EVENT_INT);
        /* Formats first, then the rings, which run only once the unit is on. */
        iommu_hw_write64(unit->registers, AMDVI_CONTROL, control);
        control |= AMDVI_C_EVENTS | AMDVI_C_COMMANDS | AMDVI_C_ENABLE;
        iommu_hw_write64(unit->registers, AMDVI_CONTROL, control);
        status =
            iommu_wait64(unit->registers, AMDVI_STATUS, AMDVI_S_COMMANDS_RUN, AMDVI_S_COMMANDS_RUN);
    }
    if (status == STATUS_OK) {
        status = forget_all(unit, (uint16_t)(size / sizeof(struct amdvi_device) - 1));
    }
    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not start (%s): control %#llx, status %#llx", unit->name,
                 status_name(status),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_CONTROL),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_STATUS));
    }
    return status;
}

/* ---- The event log. Section 2.5 ---- */

static const char *const texts[] = {
    [AMDVI_EVENT_ILLEGAL_DEVICE] = "its device table entry is missing or invalid",
    [AMDVI_EVENT_PAGE_FAULT] = "nothing is mapped there for it",
    [AMDVI_EVENT_DEVICE_TABLE] = "the device table could not be read",
    [AMDVI_EVENT_PAGE_TABLE] = "a page table could not be read",
    [AMDVI_EVENT_ILLEGAL_COMMAND] = "the unit refused a command",
    [AMDVI_EVENT_COMMAND_ERROR] = "the unit could not read a command",
    [AMDVI_EVENT_TLB_TIMEOUT] = "the device did not answer an invalidation of its TLB",
    [AMDVI_EVENT_INVALID_REQUEST] = "the device sent a request that it must not send",
};

const char *amdvi_event_text(uint64_t word)
{
    unsigned code = AMDVI_EVENT_CODE(word);

    if (code == AMDVI_EVENT_PAGE_FAULT) {
        if ((word & AMDVI_EVENT_INTERRUPT) != 0) {
            return "the interrupt is not allocated to it";
        }
        if ((word & AMDVI_EVENT_PRESENT) != 0 && (word & AMDVI_EVENT_RESERVED) != 0) {
            return "reserved bits are set in a table";
        }
        if ((word & AMDVI_EVENT_PRESENT) != 0 && (word & AMDVI_EVENT_RIGHTS) != 0) {
            return (word & AMDVI_EVENT_WRITE) != 0 ? "it has no right to write there"
                                                   : "it has no right to read there";
        }
    }
    return code < ARRAY_SIZE(texts) && texts[code] != NULL ? texts[code] : "unknown event";
}

static void event_report(struct amdvi_unit *unit, uint64_t word, uint64_t address)
{
    unsigned code = AMDVI_EVENT_CODE(word);

    if (code == AMDVI_EVENT_ILLEGAL_COMMAND || code == AMDVI_EVENT_COMMAND_ERROR) {
        /* Of the unit, not of a device; whoever waits for the command gives the unit up. */
        log_warn("IOMMU: %s: %s, at %#llx", unit->name, amdvi_event_text(word),
                 (unsigned long long)address);
        return;
    }
    struct iommu_fault fault = {
        .bdf = iommu_requester_bdf(unit->ivhd->bdf.segment, AMDVI_EVENT_SOURCE(word)),
        .address = address,
        .reason = amdvi_event_text(word),
        .write = (word & AMDVI_EVENT_WRITE) != 0,
        .interrupt = (word & AMDVI_EVENT_INTERRUPT) != 0};

    iommu_fault_report(&fault);
}

/*
 * Events stopped because the log was full: start them again, now that it is empty. Section 2.5.1.
 * An entry may have arrived after it was given up; it must not be taken for a new one.
 */
static void overflow_clear(struct amdvi_unit *unit)
{
    uint64_t control = iommu_hw_read64(unit->registers, AMDVI_CONTROL);

    iommu_hw_write64(unit->registers, AMDVI_CONTROL, control & ~AMDVI_C_EVENTS);
    if (iommu_wait64(unit->registers, AMDVI_STATUS, AMDVI_S_EVENTS_RUN, 0) == STATUS_OK) {
        iommu_hw_write64(unit->registers, AMDVI_STATUS, AMDVI_S_EVENT_OVERFLOW);
    }
    for (unsigned i = 0; i < AMDVI_RING_ENTRIES; i++) {
        shared_store(&unit->events[i].word[0], 0);
    }
    iommu_hw_write64(unit->registers, AMDVI_EVENT_HEAD, 0);
    iommu_hw_write64(unit->registers, AMDVI_EVENT_TAIL, 0);
    iommu_hw_write64(unit->registers, AMDVI_CONTROL, control | AMDVI_C_EVENTS);
    iommu_fault_lost(unit->name);
}

/* The first word of ENTRY, once it has arrived; 0: it did not. */
static uint64_t event_load(const struct amdvi_entry *entry)
{
    uint64_t word = shared_load(&entry->word[0]);

    for (unsigned us = 0; us < EVENT_WAIT_US && AMDVI_EVENT_CODE(word) == 0; us++) {
        time_delay_us(1);
        word = shared_load(&entry->word[0]);
    }
    return word;
}

void amdvi_unit_poll(struct amdvi_unit *unit)
{
    uint64_t status = iommu_hw_read64(unit->registers, AMDVI_STATUS);
    uint64_t head = iommu_hw_read64(unit->registers, AMDVI_EVENT_HEAD) & AMDVI_RING_MASK;
    uint64_t tail = iommu_hw_read64(unit->registers, AMDVI_EVENT_TAIL) & AMDVI_RING_MASK;

    for (unsigned i = 0; i < AMDVI_RING_ENTRIES && head != tail; i++) {
        struct amdvi_entry *entry = &unit->events[head >> AMDVI_ENTRY_SHIFT];
        uint64_t word = event_load(entry), address = shared_load(&entry->word[1]);

        shared_store(&entry->word[0], 0); /* so that its next use can be told from this one */
        head = (head + (1U << AMDVI_ENTRY_SHIFT)) & AMDVI_RING_MASK;
        event_report(unit, word, address);
    }
    iommu_hw_write64(unit->registers, AMDVI_EVENT_HEAD, head);
    if ((status & AMDVI_S_EVENT_OVERFLOW) != 0) {
        overflow_clear(unit);
    }
}
