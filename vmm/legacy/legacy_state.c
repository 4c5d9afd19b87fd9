/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/legacy/legacy_state.h"

#include "vmm/legacy/legacy_internal.h"

#include <string.h>

#define S struct legacy_state

static const struct field fields[] = {
    FIELD_ARRAY(S, config, UINT8_MAX),
    FIELD(S, lost, 1),
    FIELD(S, status, LEGACY_STATUS_BITS),
    FIELD(S, bus_master, 1),
    FIELD(S, select, UINT16_MAX),
    FIELD(S, config_vector, UINT16_MAX),
    FIELD(S, features, LEGACY_FEATURES),
    FIELD_EACH(S, queue, pfn, UINT32_MAX),
    FIELD_EACH(S, queue, size, UINT16_MAX),
    FIELD_EACH(S, queue, vector, UINT16_MAX),
    FIELD_ARRAY(S, device_config, UINT8_MAX),
    FIELD_ARRAY(S, device_written, 1),
    FIELD(S, isr, LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG),
    FIELD_EACH(S, table, address, UINT64_MAX),
    FIELD_EACH(S, table, data, UINT32_MAX),
    FIELD_EACH(S, table, control, ENTRY_MASKED),
    FIELD_ARRAY(S, pending, UINT64_MAX),
    FIELD_ARRAY(S, arrived, UINT64_MAX),
};

#undef S

/* A ring needs a queue; the lowest bits of a message's address, and some of the status, are 0. */
static bool makes_sense(const void *state)
{
    const struct legacy_state *s = state;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        if (s->queue[i].pfn != 0 && s->queue[i].size == 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < LEGACY_VECTORS_MAX; i++) {
        if (s->table[i].address % 4 != 0) {
            return false;
        }
    }
    return (s->status & ~LEGACY_STATUS_BITS) == 0;
}

const struct section legacy_section =
    SECTION(struct legacy_state, "legacy", 1, fields, makes_sense);

/* Entries that the guest does not see have nothing pending. */
static bool entries_fit(const struct legacy_function *f, const struct legacy_state *s)
{
    for (unsigned i = f->vectors; i < LEGACY_VECTORS_MAX; i++) {
        if (bit_get(s->pending, i) || bit_get(s->arrived, i)) {
            return false;
        }
    }
    return true;
}

void legacy_rebuild(struct legacy_function *f, bool begun)
{
    spinlock_acquire(&f->lock);
    f->rebuilding = begun;
    spinlock_release(&f->lock);
}

void legacy_fill(struct legacy_function *f, uint8_t byte)
{
    uint8_t *bytes = (uint8_t *)&f->state;
    size_t lost = offsetof(struct legacy_state, lost), behind = lost + sizeof(f->state.lost);

    memset(bytes, byte, lost);
    memset(bytes + behind, byte, sizeof(f->state) - behind);
}

enum status legacy_load(struct legacy_function *f, const struct legacy_state *from)
{
    if (!makes_sense(from) || !legacy_config_fits(f, from->config) || !entries_fit(f, from)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    spinlock_acquire(&f->lock);
    f->state = *from;
    if (f->state.lost) {
        legacy_life_take_off(f);
    }
    legacy_config_derive(f);
    spinlock_release(&f->lock);
    return STATUS_OK;
}
