/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a message of the VF to an interrupt of the guest.
 *
 * MSI-X. Entry n of the VF is entry n of the guest. A message whose entry the guest has masked is
 * remembered in the PBA, and the VF's own entry is masked ("held") until the guest unmasks its: one
 * interrupt of the VMM for each time that the guest masks, however busy the VF is. What the VF has
 * to say meanwhile it keeps in its own PBA and sends when the hold ends.
 *
 * INTx. No interrupt gets lost, because everything that follows happens under the interrupt lock:
 *
 *   message:   isr |= bit; line = f(state)
 *   ISR read:  returns isr; isr = 0; line = f(state)
 *
 * so the two are in some order. If the message comes first, the read returns its bit, and the
 * driver looks at its rings after it; the buffers that the message told of are there, because a
 * message never overtakes the data before it. If the read comes first, the message sets the bit
 * again and the line rises again: a new edge for the 8259s, a level for the I/O APIC. Two messages
 * before a read are one interrupt, as on a real device. An ISR read that was under way when the
 * guest's line rose only makes the driver look once too often.
 *
 * line = (isr != 0 and MSI-X is off and INTx is not disabled), always; a lost VF's isr is 0.
 */
#include "vmm/base/msi.h"
#include "vmm/host/irq.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/legacy/legacy_internal.h"

#include <string.h>

static uint64_t lock(struct legacy_function *f)
{
    uint64_t flags = irq_save();

    spinlock_acquire(&f->irq.lock);
    return flags;
}

static void unlock(struct legacy_function *f, uint64_t flags)
{
    spinlock_release(&f->irq.lock);
    irq_restore(flags);
}

static void update_line(struct legacy_function *f)
{
    struct legacy_interrupts *irq = &f->irq;
    bool line = f->state.isr != 0 && !irq->msix && !irq->intx_disable;

    if (line == irq->line) {
        return;
    }
    irq->line = line;
    f->counters.intx += line ? 1 : 0;
    legacy_edge_intx(f, line);
}

static void set_isr(struct legacy_function *f, uint8_t bits)
{
    __atomic_store_n(&f->state.isr, (uint8_t)(f->state.isr | bits), __ATOMIC_RELAXED);
    update_line(f);
}

static void clear_isr(struct legacy_function *f)
{
    __atomic_store_n(&f->state.isr, 0, __ATOMIC_RELAXED);
    update_line(f);
}

static bool masked(const struct legacy_function *f, unsigned entry)
{
    return f->irq.function_mask || (f->state.table[entry].control & ENTRY_MASKED) != 0;
}

/* A real device would write to memory there; this one must not. */
static void send(struct legacy_function *f, unsigned entry)
{
    const struct legacy_msix_entry *message = &f->state.table[entry];

    if (!MSI_IS_MESSAGE(message->address)) {
        f->counters.messages_invalid++;
    } else if (!legacy_edge_msi(f, message->address, message->data)) {
        f->counters.messages_unclaimed++;
    } else {
        f->counters.messages++;
    }
}

static void hold(struct legacy_function *f, unsigned entry)
{
    if (!bit_get(f->irq.held, entry)) {
        bit_set(f->irq.held, entry);
        legacy_edge_vector_mask(f, entry, true);
    }
}

static void release(struct legacy_function *f, unsigned entry)
{
    if (bit_get(f->irq.held, entry)) {
        bit_clear(f->irq.held, entry);
        legacy_edge_vector_mask(f, entry, false);
    }
}

/* Nothing to mask in the VF as long as the entry has no vector: held only AFTER_MESSAGE. */
static void deliver(struct legacy_function *f, unsigned entry, bool after_message)
{
    if (!masked(f, entry)) {
        send(f, entry);
        return;
    }
    bit_set(f->state.pending, entry);
    if (after_message) {
        hold(f, entry);
    }
}

/* An entry of the guest's table may have changed; the interrupt lock is held. */
static void entry_changed(struct legacy_function *f, unsigned entry)
{
    if (!f->irq.msix || masked(f, entry)) {
        return;
    }
    if (bit_get(f->state.pending, entry)) {
        bit_clear(f->state.pending, entry);
        send(f, entry);
    }
    release(f, entry);
}

/* What a message of ENTRY means to a guest with INTx. */
static uint8_t isr_bits(const struct legacy_function *f, unsigned entry)
{
    return entry == 0 ? __atomic_load_n(&f->irq.first_entry_isr, __ATOMIC_ACQUIRE)
                      : LEGACY_ISR_QUEUE;
}

void legacy_interrupt(struct legacy_function *f, unsigned entry)
{
    uint64_t flags = lock(f);

    f->counters.interrupts++;
    if (f->irq.paused && entry < f->vectors) {
        bit_set(f->irq.arrived, entry);
        hold(f, entry);
    } else if (legacy_is_lost(f) || entry >= f->vectors) {
        f->counters.interrupts_late++;
    } else if (f->irq.msix) {
        deliver(f, entry, true);
    } else {
        set_isr(f, isr_bits(f, entry));
    }
    unlock(f, flags);
}

uint8_t legacy_interrupt_read_isr(struct legacy_function *f)
{
    uint64_t flags = lock(f);
    uint8_t isr = f->state.isr;

    clear_isr(f);
    unlock(f, flags);
    return isr;
}

void legacy_interrupt_clear(struct legacy_function *f, bool msix)
{
    uint64_t flags = lock(f);

    f->irq.msix = msix;
    memset(f->state.pending, 0, sizeof(f->state.pending));
    memset(f->irq.arrived, 0, sizeof(f->irq.arrived));
    for (unsigned entry = 0; entry < f->vectors; entry++) {
        release(f, entry);
    }
    clear_isr(f);
    unlock(f, flags);
}

/*
 * Messages that went to the old vectors of running queues meant nothing to the guest any more. One
 * interrupt too many does no harm, one too few does. Without running queues there is nothing to
 * recover, and a line that nobody expects must stay low.
 */
void legacy_interrupt_recover(struct legacy_function *f)
{
    uint64_t flags = lock(f);
    bool any = false;

    for (unsigned queue = 0; queue < LEGACY_QUEUES_MAX && !legacy_is_lost(f); queue++) {
        if (!has_ring(f, queue)) {
            continue;
        }
        any = true;
        if (f->irq.msix && f->state.queue[queue].vector < f->vectors) {
            deliver(f, f->state.queue[queue].vector, false);
        }
    }
    if (any && !f->irq.msix) {
        set_isr(f, LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
    } else if (any && f->state.config_vector < f->vectors) {
        deliver(f, f->state.config_vector, false);
    }
    unlock(f, flags);
}

void legacy_interrupt_set_masks(struct legacy_function *f, bool intx_disable, bool function_mask)
{
    uint64_t flags = lock(f);

    f->irq.intx_disable = intx_disable;
    f->irq.function_mask = function_mask;
    update_line(f);
    for (unsigned entry = 0; entry < f->vectors; entry++) {
        entry_changed(f, entry);
    }
    unlock(f, flags);
}

/* ---- Pause ---- */

void legacy_pause(struct legacy_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        uint64_t flags = lock(set->function[i]);

        set->function[i]->irq.paused = true;
        unlock(set->function[i], flags);
    }
}

/* What was recorded goes on from here as if it came now; the state may be another one than then. */
static void resume(struct legacy_function *f)
{
    for (unsigned entry = 0; entry < f->vectors; entry++) {
        bool arrived = bit_get(f->irq.arrived, entry);

        bit_clear(f->irq.arrived, entry);
        if (arrived && !legacy_is_lost(f)) {
            if (f->irq.msix) {
                bit_set(f->state.pending, entry);
            } else {
                set_isr(f, isr_bits(f, entry));
            }
        }
        if (!f->irq.msix) {
            release(f, entry);
        }
        entry_changed(f, entry);
    }
}

void legacy_resume(struct legacy_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        uint64_t flags = lock(set->function[i]);

        set->function[i]->irq.paused = false;
        resume(set->function[i]);
        unlock(set->function[i], flags);
    }
}

const struct legacy_state *legacy_save(struct legacy_function *f)
{
    uint64_t flags = lock(f);

    memcpy(f->state.arrived, f->irq.arrived, sizeof(f->state.arrived));
    unlock(f, flags);
    return &f->state;
}

/* The platform may have been loaded, or made anew: it is told the line in any case. */
void legacy_interrupt_derive(struct legacy_function *f, uint32_t command, uint32_t msix)
{
    uint64_t flags = lock(f);

    for (unsigned i = 0; i < LEGACY_VECTOR_WORDS; i++) {
        f->irq.arrived[i] |= f->state.arrived[i];
    }
    f->irq.msix = (msix & MSIX_ENABLE) != 0;
    f->irq.function_mask = (msix & MSIX_FUNCTION_MASK) != 0;
    f->irq.intx_disable = (command & COMMAND_INTX_DISABLE) != 0;
    f->irq.line = f->state.isr != 0 && !f->irq.msix && !f->irq.intx_disable;
    legacy_edge_intx(f, f->irq.line);
    unlock(f, flags);
}

/* ---- BAR 1: PCI 3.0, 6.8.2 ---- */

enum { ENTRY_ADDRESS = 0, ENTRY_ADDRESS_HIGH = 4, ENTRY_DATA = 8, ENTRY_CONTROL = 12 };
#define ENTRY_SIZE 16U

/* The aligned four bytes at OFFSET; what is neither table nor PBA is zero. */
static uint32_t read_word(const struct legacy_function *f, unsigned offset)
{
    const struct legacy_msix_entry *entry;

    if (offset >= LEGACY_PBA_OFFSET) {
        unsigned word = (offset - LEGACY_PBA_OFFSET) / 8;

        return word < LEGACY_VECTOR_WORDS ? (uint32_t)(f->state.pending[word] >> offset % 8 * 8)
                                          : 0;
    }
    if (offset / ENTRY_SIZE >= f->vectors) {
        return 0;
    }
    entry = &f->state.table[offset / ENTRY_SIZE];
    switch (offset % ENTRY_SIZE) {
    case ENTRY_ADDRESS:
        return (uint32_t)entry->address;
    case ENTRY_ADDRESS_HIGH:
        return (uint32_t)(entry->address >> 32);
    case ENTRY_DATA:
        return entry->data;
    default:
        return entry->control;
    }
}

static void write_word(struct legacy_function *f, unsigned offset, uint32_t value)
{
    struct legacy_msix_entry *entry;

    if (offset >= LEGACY_PBA_OFFSET || offset / ENTRY_SIZE >= f->vectors) {
        return;
    }
    entry = &f->state.table[offset / ENTRY_SIZE];
    switch (offset % ENTRY_SIZE) {
    case ENTRY_ADDRESS:
        entry->address = (entry->address & ~0xffffffffULL) | (value & ~3U);
        break;
    case ENTRY_ADDRESS_HIGH:
        entry->address = (entry->address & 0xffffffffULL) | (uint64_t)value << 32;
        break;
    case ENTRY_DATA:
        entry->data = value;
        break;
    default:
        entry->control = value & ENTRY_MASKED;
        entry_changed(f, offset / ENTRY_SIZE);
        break;
    }
}

/* Words and pairs of words are defined; a read of less is taken from its word. */
static bool whole_words(unsigned offset, unsigned width)
{
    return width >= 4 && offset % width == 0;
}

static struct legacy_function *find(struct legacy_set *set, uint64_t address, unsigned *offset)
{
    for (unsigned i = 0; i < set->count; i++) {
        uint32_t base = __atomic_load_n(&set->function[i]->mmio_base, __ATOMIC_RELAXED);

        if (base != 0 && address >= base && address - base < LEGACY_MMIO_SIZE) {
            *offset = (unsigned)(address - base);
            return set->function[i];
        }
    }
    return NULL;
}

bool legacy_mmio_read(struct legacy_set *set, gpa_t address, unsigned width, uint64_t *value)
{
    unsigned offset = 0;
    struct legacy_function *f = find(set, address.raw, &offset);
    uint64_t flags;

    if (f == NULL) {
        return false;
    }
    *value = UINT64_MAX;
    if (!legacy_gone(f) && offset % width == 0) {
        flags = lock(f);
        *value = (uint64_t)read_word(f, offset & ~3U) >> offset % 4 * 8;
        if (width == 8) {
            *value |= (uint64_t)read_word(f, offset + 4) << 32;
        }
        unlock(f, flags);
    }
    *value &= UINT64_MAX >> (64 - 8 * width);
    return true;
}

bool legacy_mmio_write(struct legacy_set *set, gpa_t address, unsigned width, uint64_t value)
{
    unsigned offset = 0;
    struct legacy_function *f = find(set, address.raw, &offset);
    uint64_t flags;

    if (f == NULL) {
        return false;
    }
    if (legacy_gone(f) || !whole_words(offset, width)) {
        return true;
    }
    flags = lock(f);
    write_word(f, offset, (uint32_t)value);
    if (width == 8) {
        write_word(f, offset + 4, (uint32_t)(value >> 32));
    }
    unlock(f, flags);
    return true;
}
