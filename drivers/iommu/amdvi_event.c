/* SPDX-License-Identifier: BSD-2-Clause */
/* The event log. AMD I/O Virtualization Technology Specification 3.08, section 2.5. */
#include "drivers/iommu/amdvi.h"
#include "drivers/iommu/hardware.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"

/* How long the tail may be ahead of an entry's arrival in memory. */
#define EVENT_WAIT_US 100U

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

static void unit_poll(struct amdvi_unit *unit)
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

void amdvi_event_poll(void)
{
    for (uint32_t i = 0; i < amdvi_unit_count; i++) {
        unit_poll(&amdvi_units[i]);
    }
}
