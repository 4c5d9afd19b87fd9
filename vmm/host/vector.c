/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/vector.h"

#include "vmm/base/types.h"
#include "vmm/host/irq.h"
#include "vmm/host/pool.h"
#include "vmm/host/spinlock.h"

struct entry {
    vector_handler handler; /* NULL: free; written last, atomic */
    void *argument;
    uint32_t number;
    uint32_t running; /* the handler runs now; atomic */
};

struct vector_table {
    struct entry entry[VECTOR_DEVICES];
    uint32_t next; /* where to look first */
};

static struct spinlock lock = SPINLOCK(LOCK_VECTORS); /* for changes; handlers read without */
static uint32_t taken;
static uint64_t strays;

/* A CPU gets its table with its first device, and keeps it. */
static struct vector_table *table_of(struct cpu *cpu)
{
    if (!cpu->vectors) {
        struct vector_table *table = pool_allocate(sizeof(*table), PAGE_SIZE);

        __atomic_store_n(&cpu->vectors, table, __ATOMIC_RELEASE);
    }
    return cpu->vectors;
}

static enum status take(struct cpu *cpu, vector_handler handler, void *argument, unsigned number,
                        uint8_t *vector)
{
    struct vector_table *table = table_of(cpu);

    for (unsigned i = 0; table && i < VECTOR_DEVICES; i++) {
        unsigned index = (table->next + i) % VECTOR_DEVICES;
        struct entry *entry = &table->entry[index];

        if (!entry->handler) {
            entry->argument = argument;
            entry->number = number;
            __atomic_store_n(&entry->handler, handler, __ATOMIC_SEQ_CST);
            table->next = index + 1;
            taken++;
            *vector = (uint8_t)(VECTOR_DEVICE_FIRST + index);
            return STATUS_OK;
        }
    }
    return STATUS_NOTE(STATUS_NO_MEMORY);
}

enum status vector_allocate(struct cpu *cpu, vector_handler handler, void *argument,
                            unsigned number, uint8_t *vector)
{
    uint64_t flags = irq_save();

    spinlock_acquire(&lock);
    enum status status = take(cpu, handler, argument, number, vector);

    spinlock_release(&lock);
    irq_restore(flags);
    return status;
}

void vector_free(struct cpu *cpu, uint8_t vector)
{
    struct entry *entry = &cpu->vectors->entry[vector - VECTOR_DEVICE_FIRST];
    uint64_t flags = irq_save();

    spinlock_acquire(&lock);
    taken--;
    __atomic_store_n(&entry->handler, NULL, __ATOMIC_SEQ_CST);
    spinlock_release(&lock);
    irq_restore(flags);
    while (__atomic_load_n(&entry->running, __ATOMIC_SEQ_CST)) {
        __builtin_ia32_pause();
    }
}

bool vector_handle(uint64_t vector)
{
    struct vector_table *table = __atomic_load_n(&cpu_current()->vectors, __ATOMIC_ACQUIRE);

    if (!table || vector < VECTOR_DEVICE_FIRST || vector > VECTOR_DEVICE_LAST) {
        return false;
    }
    struct entry *entry = &table->entry[vector - VECTOR_DEVICE_FIRST];

    /* First 'running', then the handler: vector_free() does it the other way round. */
    __atomic_store_n(&entry->running, 1, __ATOMIC_SEQ_CST);
    vector_handler handler = __atomic_load_n(&entry->handler, __ATOMIC_SEQ_CST);
    bool known = handler || entry->argument;

    if (handler) {
        handler(entry->argument, entry->number);
    } else if (known) {
        __atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&entry->running, 0, __ATOMIC_RELEASE);
    return known;
}

uint32_t vector_count(void)
{
    return __atomic_load_n(&taken, __ATOMIC_RELAXED);
}

uint64_t vector_strays(void)
{
    return __atomic_load_n(&strays, __ATOMIC_RELAXED);
}
