/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The function's configuration space: that of QEMU's legacy virtio devices, without anything of
 * virtio 1.x. Writes only change the bytes here; legacy_settle() makes them true.
 */
#include "vmm/legacy/legacy_internal.h"

#include <string.h>

#define VENDOR 0x1af4U
#define PIN_A  1U

#define STATUS_CAPABILITIES 0x10U
#define STATUS_INTERRUPT    0x08U

#define BAR_IO          0x1U
#define BAR_IO_FLAGS    0x3U
#define BAR_MMIO_FLAGS  0xfU
#define MSIX_BAR        1U
#define MSIX_CAPABILITY 0x11U

struct config_register {
    uint8_t offset;
    uint8_t size;
    uint32_t writable;
};

/* All that a guest may write. */
static const struct config_register writable_registers[] = {
    {CONFIG_COMMAND,  2, 0x0507    }, /* I/O, memory, bus master, SERR, INTx disable */
    {0x0c,            1, 0xff      }, /* cache line size */
    {0x0d,            1, 0xff      }, /* latency timer */
    {CONFIG_BAR0,     4, 0         }, /* by its size */
    {CONFIG_BAR1,     4, 0xfffff000},
    {0x3c,            1, 0xff      }, /* interrupt line */
    {CONFIG_MSIX + 2, 2, 0xc000    }, /* enable, function mask */
};

static uint32_t get(const struct legacy_function *f, unsigned offset, unsigned size)
{
    return (uint32_t)bytes_get(&f->state.config[offset], size);
}

/* Hand what legacy_settle() looks at over to it. */
static void publish(struct legacy_function *f)
{
    __atomic_store_n(&f->wanted_bar[0], get(f, CONFIG_BAR0, 4) & ~BAR_IO_FLAGS, __ATOMIC_RELAXED);
    __atomic_store_n(&f->wanted_bar[1], get(f, CONFIG_BAR1, 4) & ~BAR_MMIO_FLAGS, __ATOMIC_RELAXED);
    __atomic_store_n(&f->wanted_command, get(f, CONFIG_COMMAND, 2), __ATOMIC_RELAXED);
    __atomic_store_n(&f->wanted_msix, get(f, CONFIG_MSIX + 2, 2), __ATOMIC_RELAXED);
    __atomic_store_n(&f->attention, 1U, __ATOMIC_RELEASE);
}

/* As a BIOS leaves it for function INDEX of the VM. */
static void build(const struct legacy_function *f, unsigned index, uint8_t *config)
{
    memset(config, 0, LEGACY_CONFIG_SIZE);
    bytes_put(config, 2, VENDOR);
    bytes_put(config + 0x02, 2, f->type->device);
    bytes_put(config + CONFIG_COMMAND, 2, COMMAND_IO | COMMAND_MEMORY);
    bytes_put(config + CONFIG_STATUS, 2, STATUS_CAPABILITIES);
    bytes_put(config + 0x0a, 2, f->type->pci_class);
    bytes_put(config + CONFIG_BAR0, 4, (LEGACY_IO_BASE + index * LEGACY_IO_STEP) | BAR_IO);
    bytes_put(config + CONFIG_BAR1, 4, LEGACY_MMIO_BASE + index * LEGACY_MMIO_SIZE);
    bytes_put(config + 0x2c, 2, VENDOR);
    bytes_put(config + 0x2e, 2, f->type->type);
    bytes_put(config + 0x34, 1, CONFIG_MSIX);
    bytes_put(config + 0x3c, 1, f->setup.interrupt_line);
    bytes_put(config + 0x3d, 1, PIN_A);
    bytes_put(config + CONFIG_MSIX, 2, MSIX_CAPABILITY); /* the last capability */
    bytes_put(config + CONFIG_MSIX + 2, 2, f->vectors - 1U);
    bytes_put(config + CONFIG_MSIX + 4, 4, MSIX_BAR);
    bytes_put(config + CONFIG_MSIX + 8, 4, LEGACY_PBA_OFFSET | MSIX_BAR);
}

void legacy_config_reset(struct legacy_function *f, unsigned index)
{
    build(f, index, f->state.config);
    publish(f);
}

static uint32_t writable_bits(const struct legacy_function *f, unsigned offset)
{
    for (unsigned i = 0; i < ARRAY_SIZE(writable_registers); i++) {
        const struct config_register *r = &writable_registers[i];

        if (offset >= r->offset && offset < (unsigned)r->offset + r->size) {
            uint32_t bits = r->offset == CONFIG_BAR0 ? ~(f->io_size - 1) : r->writable;

            return bits >> 8 * (offset - r->offset) & 0xffU;
        }
    }
    return 0;
}

bool legacy_config_fits(const struct legacy_function *f, const uint8_t *config)
{
    uint8_t mine[LEGACY_CONFIG_SIZE];

    build(f, 0, mine);
    for (unsigned i = 0; i < LEGACY_CONFIG_SIZE; i++) {
        if (((config[i] ^ mine[i]) & ~writable_bits(f, i)) != 0) {
            return false;
        }
    }
    return true;
}

static struct legacy_function *find(struct legacy_set *set, uint8_t devfn)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->function[i]->devfn == devfn) {
            return set->function[i];
        }
    }
    return NULL;
}

/* PCI 3.0, 6.2.3: whatever INTx Disable says. */
static uint32_t interrupt_status(const struct legacy_function *f)
{
    return __atomic_load_n(&f->state.isr, __ATOMIC_RELAXED) != 0 ? STATUS_INTERRUPT : 0;
}

uint32_t legacy_config_read(struct legacy_set *set, uint8_t devfn, uint8_t offset, unsigned width)
{
    struct legacy_function *f = find(set, devfn);
    uint32_t value;

    if (f == NULL || legacy_gone(f)) {
        return all_ones(width);
    }
    value = get(f, offset, width);
    if (offset <= CONFIG_STATUS && offset + width > CONFIG_STATUS) {
        value |= interrupt_status(f) << 8 * (CONFIG_STATUS - offset);
    }
    return value;
}

void legacy_config_write(struct legacy_set *set, uint8_t devfn, uint8_t offset, unsigned width,
                         uint32_t value)
{
    struct legacy_function *f = find(set, devfn);

    if (f == NULL || legacy_gone(f)) {
        return;
    }
    for (unsigned i = 0; i < width; i++) {
        uint32_t mask = writable_bits(f, offset + i);
        uint8_t *byte = &f->state.config[offset + i];

        *byte = (uint8_t)((*byte & ~mask) | (value >> 8 * i & mask));
    }
    publish(f);
}

static void place(struct legacy_function *f, uint32_t command)
{
    uint32_t io = __atomic_load_n(&f->wanted_bar[0], __ATOMIC_RELAXED);
    uint32_t mmio = __atomic_load_n(&f->wanted_bar[1], __ATOMIC_RELAXED);

    legacy_ports_place(f, (command & COMMAND_IO) != 0 ? io : 0,
                       (command & COMMAND_MEMORY) != 0 ? mmio : 0);
}

/* The order counts: masks are in force before messages may come, ports before the guest asks. */
static void settle(struct legacy_function *f)
{
    uint32_t command = __atomic_load_n(&f->wanted_command, __ATOMIC_RELAXED);
    uint32_t msix = __atomic_load_n(&f->wanted_msix, __ATOMIC_RELAXED);
    bool master = (command & COMMAND_MASTER) != 0;
    bool enable = (msix & MSIX_ENABLE) != 0;

    place(f, command);
    if (legacy_is_lost(f)) {
        return;
    }
    if (master != f->command_bus_master) {
        f->command_bus_master = master;
        legacy_life_set_bus_master(f, master);
    }
    legacy_interrupt_set_masks(f, (command & COMMAND_INTX_DISABLE) != 0,
                               (msix & MSIX_FUNCTION_MASK) != 0);
    if (enable != f->irq.msix) {
        legacy_vectors_switch(f, enable);
    }
}

void legacy_config_derive(struct legacy_function *f)
{
    uint32_t command = get(f, CONFIG_COMMAND, 2);

    publish(f);
    __atomic_store_n(&f->attention, 0U, __ATOMIC_RELAXED);
    place(f, command);
    f->command_bus_master = (command & COMMAND_MASTER) != 0;
    legacy_life_set_bus_master(f, f->state.bus_master != 0);
    legacy_interrupt_derive(f, command, f->wanted_msix);
}

/* Every lock is taken, also where there is nothing to do: another vCPU may be about to do it. */
void legacy_settle(struct legacy_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct legacy_function *f = set->function[i];

        legacy_life_acquire(f);
        if (__atomic_exchange_n(&f->attention, 0U, __ATOMIC_ACQUIRE) != 0) {
            settle(f);
        }
        spinlock_release(&f->lock);
    }
    legacy_ports_recheck(set);
}
