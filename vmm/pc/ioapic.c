/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/ioapic.h"

#include "vmm/pc/apic_bus.h"

#define OFFSET_SELECT 0x00U
#define OFFSET_WINDOW 0x10U
#define OFFSET_EOI    0x40U

#define REGISTER_ID          0x00U
#define REGISTER_VERSION     0x01U
#define REGISTER_ARBITRATION 0x02U
#define REGISTER_TABLE       0x10U

#define ID_MASK 0x0f000000U
#define VERSION (((IOAPIC_PINS - 1) << 16) | 0x20U)

/* Vector, delivery mode, destination mode, polarity, trigger, mask; destination. */
#define ENTRY_WRITABLE    0xff0000000001afffULL
#define ENTRY_LOGICAL     (1ULL << 11)
#define ENTRY_DELIVERY(e) ((unsigned)((e) >> 8 & 7U))
#define ENTRY_DESTINATION 56
#define ENTRY_VECTOR(e)   ((uint8_t)(e))

static const struct field ioapic_fields[] = {
    FIELD_ARRAY(struct ioapic_state, entry, UINT64_MAX),
    FIELD(struct ioapic_state, id, ID_MASK),
    FIELD(struct ioapic_state, select, 0xff),
};

static bool is_level(uint64_t entry)
{
    unsigned delivery = ENTRY_DELIVERY(entry);

    /* The other delivery modes are edges by definition (82093AA, 3.2.4). */
    return (entry & IOAPIC_ENTRY_LEVEL) != 0 &&
           (delivery == APIC_DELIVERY_FIXED || delivery == APIC_DELIVERY_LOWEST);
}

static bool check_state(const void *state)
{
    const struct ioapic_state *io = state;
    bool good = (io->id & ~ID_MASK) == 0;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t extra = is_level(io->entry[pin]) ? IOAPIC_ENTRY_REMOTE_IRR : 0;

        good = good && (io->entry[pin] & ~(ENTRY_WRITABLE | extra)) == 0;
    }
    return good;
}

const struct section ioapic_section =
    SECTION(struct ioapic_state, "ioapic", 1, ioapic_fields, check_state);

static void set_waiting(struct ioapic *io, unsigned pin, bool waiting)
{
    uint64_t *entry = &io->state.entry[pin];
    uint32_t mask = 1U << pin;

    *entry = waiting ? *entry | IOAPIC_ENTRY_REMOTE_IRR : *entry & ~IOAPIC_ENTRY_REMOTE_IRR;
    io->waiting = waiting ? io->waiting | mask : io->waiting & ~mask;
}

void ioapic_derive(struct ioapic *io, uint32_t lines)
{
    io->lines = lines;
    io->waiting = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        set_waiting(io, pin, (io->state.entry[pin] & IOAPIC_ENTRY_REMOTE_IRR) != 0);
    }
}

/* Send PIN's message; a level that was accepted waits for its EOI. */
static void deliver(struct pc *pc, struct ioapic *io, unsigned pin)
{
    uint64_t entry = io->state.entry[pin];
    bool level = is_level(entry);
    struct apic_message message = {
        .destination = (uint32_t)(entry >> ENTRY_DESTINATION),
        .vector = ENTRY_VECTOR(entry),
        .delivery = (uint8_t)ENTRY_DELIVERY(entry),
        .logical = (entry & ENTRY_LOGICAL) != 0,
        .level = level,
    };

    if (message.delivery == APIC_DELIVERY_EXTINT) {
        return; /* not a message with a vector: irq_update_routing() looks at the entry */
    }
    if (apic_bus_deliver(pc, &message) && level) {
        set_waiting(io, pin, true);
    }
}

/* Offer a level that is asserted, not masked and not under way. */
static void offer_level(struct pc *pc, struct ioapic *io, unsigned pin)
{
    uint64_t entry = io->state.entry[pin];

    if ((io->lines >> pin & 1U) != 0 && is_level(entry) &&
        (entry & (IOAPIC_ENTRY_MASKED | IOAPIC_ENTRY_REMOTE_IRR)) == 0) {
        deliver(pc, io, pin);
    }
}

void ioapic_reset(struct ioapic *io)
{
    *io = (struct ioapic){.lines = io->lines};
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        io->state.entry[pin] = IOAPIC_ENTRY_MASKED;
    }
}

void ioapic_set_line(struct pc *pc, struct ioapic *io, unsigned pin, bool level)
{
    uint32_t mask = 1U << pin;
    bool rises = level && (io->lines & mask) == 0;
    uint64_t entry = io->state.entry[pin];

    io->lines = level ? io->lines | mask : io->lines & ~mask;
    if (!rises) {
        return;
    }
    if (is_level(entry)) {
        offer_level(pc, io, pin);
    } else if ((entry & IOAPIC_ENTRY_MASKED) == 0) {
        deliver(pc, io, pin);
    }
}

void ioapic_end_of_interrupt(struct pc *pc, struct ioapic *io, uint8_t vector)
{
    for (uint32_t left = io->waiting; left != 0; left &= left - 1) {
        unsigned pin = (unsigned)__builtin_ctz(left);

        if (ENTRY_VECTOR(io->state.entry[pin]) == vector) {
            set_waiting(io, pin, false);
            offer_level(pc, io, pin);
        }
    }
}

void ioapic_retry(struct pc *pc, struct ioapic *io)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        offer_level(pc, io, pin);
    }
}

static void write_entry(struct pc *pc, struct ioapic *io, unsigned index, uint32_t value)
{
    unsigned pin = index / 2;
    unsigned shift = index % 2 * 32;
    uint64_t mask = ENTRY_WRITABLE & 0xffffffffULL << shift;

    io->state.entry[pin] = (io->state.entry[pin] & ~mask) | ((uint64_t)value << shift & mask);
    if (!is_level(io->state.entry[pin])) {
        set_waiting(io, pin, false); /* how kernels free a stuck pin */
    }
    offer_level(pc, io, pin);
}

uint32_t ioapic_read(const struct ioapic *io, uint32_t offset)
{
    if (offset == OFFSET_SELECT) {
        return io->state.select;
    }
    if (offset != OFFSET_WINDOW) {
        return 0;
    }
    switch (io->state.select) {
    case REGISTER_ID:
    case REGISTER_ARBITRATION:
        return io->state.id;
    case REGISTER_VERSION:
        return VERSION;
    default:
        break;
    }
    unsigned index = io->state.select - REGISTER_TABLE;
    if (io->state.select < REGISTER_TABLE || index >= 2 * IOAPIC_PINS) {
        return 0;
    }
    return (uint32_t)(io->state.entry[index / 2] >> (index % 2 * 32));
}

void ioapic_write(struct pc *pc, struct ioapic *io, uint32_t offset, uint32_t value)
{
    if (offset == OFFSET_SELECT) {
        io->state.select = (uint8_t)value;
    } else if (offset == OFFSET_EOI) {
        ioapic_end_of_interrupt(pc, io, (uint8_t)value);
    } else if (offset == OFFSET_WINDOW) {
        if (io->state.select == REGISTER_ID) {
            io->state.id = value & ID_MASK;
        } else if (io->state.select >= REGISTER_TABLE &&
                   io->state.select < REGISTER_TABLE + 2 * IOAPIC_PINS) {
            write_entry(pc, io, io->state.select - REGISTER_TABLE, value);
        }
    }
}
