/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which function is at which port. Ports are looked up on every access and placed a few times at
 * boot: a table of one byte for each 32 ports, read without a lock. When functions overlap the one
 * that was added first wins; the platform's devices win over all.
 */
#include "vmm/legacy/legacy_edge.h"
#include "vmm/legacy/legacy_internal.h"

#define PORTS_END 0x10000U

static bool covers(const struct legacy_function *f, unsigned port)
{
    return f->io_base != 0 && port >= f->io_base && port - f->io_base < f->io_size;
}

/* Find the owner of each page of [BASE, BASE + SIZE) again; pages keep their value if it is the
 * same. */
static void update_owners(struct legacy_set *set, unsigned base, unsigned size)
{
    for (unsigned port = base; port < base + size && base != 0; port += LEGACY_PORT_PAGE) {
        unsigned i = 0;

        while (i < set->count && !covers(set->function[i], port)) {
            i++;
        }
        __atomic_store_n(&set->owner[port / LEGACY_PORT_PAGE],
                         (uint8_t)(i < set->count ? i + 1 : 0), __ATOMIC_RELEASE);
    }
}

static void recheck(struct legacy_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct legacy_function *f = set->function[i];
        uint16_t port = (uint16_t)(f->io_base + LEGACY_QUEUE_NOTIFY);
        /* One whose requests are followed is notified under its lock. */
        bool ours =
            f->io_base != 0 && !f->setup.inflight && !legacy_edge_port_claimed(set, port, 2);

        __atomic_store_n(&f->notify_port, ours ? port : 0U, __ATOMIC_RELEASE);
    }
}

void legacy_ports_recheck(struct legacy_set *set)
{
    spinlock_acquire(&set->ports_lock);
    recheck(set);
    spinlock_release(&set->ports_lock);
}

void legacy_ports_place(struct legacy_function *f, uint32_t io, uint32_t mmio)
{
    struct legacy_set *set = f->set;
    uint32_t before;

    __atomic_store_n(&f->mmio_base, mmio, __ATOMIC_RELEASE);
    if (io > PORTS_END - f->io_size) {
        io = 0; /* a 32-bit register, but the CPU has 64 Ki ports */
    }
    spinlock_acquire(&set->ports_lock);
    before = f->io_base;
    if (before != io) {
        __atomic_store_n(&f->notify_port, 0U, __ATOMIC_RELEASE);
        __atomic_store_n(&f->io_base, io, __ATOMIC_RELEASE);
        update_owners(set, before, f->io_size);
        update_owners(set, io, f->io_size);
    }
    recheck(set);
    spinlock_release(&set->ports_lock);
}

/* The function at PORT, and how far into its BAR. */
static struct legacy_function *find(struct legacy_set *set, uint16_t port, unsigned width,
                                    unsigned *offset)
{
    unsigned owner = __atomic_load_n(&set->owner[port / LEGACY_PORT_PAGE], __ATOMIC_ACQUIRE);
    struct legacy_function *f;
    uint32_t base;

    if (owner == 0 || legacy_edge_port_claimed(set, port, width)) {
        return NULL;
    }
    f = set->function[owner - 1];
    base = __atomic_load_n(&f->io_base, __ATOMIC_ACQUIRE);
    *offset = port - base;
    /* Another vCPU may just have moved it away. */
    return base != 0 && port >= base && *offset < f->io_size ? f : NULL;
}

bool legacy_port_waits(const struct legacy_set *set, uint16_t port)
{
    unsigned owner = __atomic_load_n(&set->owner[port / LEGACY_PORT_PAGE], __ATOMIC_ACQUIRE);

    return owner != 0 && legacy_is_lost(set->function[owner - 1]) &&
           !legacy_gone(set->function[owner - 1]);
}

bool legacy_port_read(struct legacy_set *set, uint16_t port, unsigned width, uint32_t *value)
{
    unsigned offset = 0;
    struct legacy_function *f = find(set, port, width, &offset);

    if (f == NULL) {
        return false;
    }
    if (legacy_is_lost(f)) {
        *value = all_ones(width);
    } else if (offset == LEGACY_ISR) {
        *value = legacy_interrupt_read_isr(f);
    } else {
        legacy_life_acquire(f);
        *value = legacy_registers_read(f, offset, width);
        spinlock_release(&f->lock);
    }
    return true;
}

bool legacy_port_write(struct legacy_set *set, uint16_t port, unsigned width, uint32_t value)
{
    unsigned offset = 0;
    struct legacy_function *f = find(set, port, width, &offset);

    if (f == NULL) {
        return false;
    }
    legacy_life_acquire(f);
    legacy_registers_write(f, offset, width, value);
    spinlock_release(&f->lock);
    return true;
}

/* Is there only a register to read or write, and nothing to wait for? Takes the lock. */
static bool acquire_now(struct legacy_function *f)
{
    return f->setup.transport == LEGACY_TRANSPORT_MMR && !legacy_is_lost(f) &&
           spinlock_try(&f->lock);
}

bool legacy_port_read_now(struct legacy_set *set, uint16_t port, unsigned width, uint32_t *value)
{
    unsigned offset = 0;
    struct legacy_function *f = find(set, port, width, &offset);

    if (f == NULL || legacy_is_lost(f)) {
        return false;
    }
    if (offset == LEGACY_ISR) {
        *value = legacy_interrupt_read_isr(f);
        return true;
    }
    if (!acquire_now(f)) {
        return false;
    }
    *value = legacy_registers_read(f, offset, width);
    spinlock_release(&f->lock);
    return !legacy_is_lost(f);
}

/* Of the writes only these: a queue's ring may need a vector, a status of 0 is a reset. */
static bool is_plain_write(const struct legacy_function *f, unsigned offset, uint32_t value)
{
    return offset == LEGACY_QUEUE_SELECT || offset == LEGACY_GUEST_FEATURES ||
           (offset == LEGACY_STATUS && (uint8_t)value != 0 && f->bus_master_on);
}

bool legacy_port_write_now(struct legacy_set *set, uint16_t port, unsigned width, uint32_t value)
{
    unsigned offset = 0;
    struct legacy_function *f = find(set, port, width, &offset);

    if (f == NULL || !acquire_now(f)) {
        return false;
    }
    bool plain = is_plain_write(f, offset, value);

    if (plain) {
        legacy_registers_write(f, offset, width, value);
    }
    spinlock_release(&f->lock);
    return plain && !legacy_is_lost(f);
}
