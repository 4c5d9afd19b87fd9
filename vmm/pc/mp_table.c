/* SPDX-License-Identifier: BSD-2-Clause */
/* The MP table, for kernels without ACPI: MultiProcessor Specification 1.4, chapter 4. */
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc.h"
#include "vmm/pc/table_writer.h"

#define FLOATING_SIZE 16U
#define HEADER_SIZE   44U
#define CPU_SIZE      20U
#define ENTRY_SIZE    8U
#define SPECIFICATION 4U

enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum { BUS_PCI, BUS_ISA };
enum { TYPE_INT = 0, TYPE_NMI = 1, TYPE_EXTINT = 3 };

#define CPU_ENABLED      1U
#define CPU_BOOT         2U
#define CPU_APIC_VERSION 0x14U
#define CPU_SIGNATURE    0x600U /* a P6; kernels ask CPUID */
#define CPU_FEATURES     0x201U /* FPU, APIC */
#define IOAPIC_VERSION   0x20U
#define ALL_CPUS         0xffU
#define LEVEL_HIGH       0xdU
#define FIRST_PCI_SLOT   2U
#define PCI_SLOTS        32U
#define ISA_IRQS         16U
#define NOT_ISA          (1U << 2 | 1U << 5 | 1U << 10 | 1U << 11) /* the cascade; PCI's */

struct mp_writer {
    struct table_writer *w;
    uint32_t first;
    uint32_t count;
};

static uint32_t add(struct mp_writer *mp, uint32_t size)
{
    mp->count++;
    return table_reserve(mp->w, size, 4);
}

static void add_cpu(struct mp_writer *mp, uint32_t id)
{
    uint32_t flags = CPU_ENABLED | (id == 0 ? CPU_BOOT : 0);
    uint32_t at = add(mp, CPU_SIZE);

    table_put(mp->w, at, 4, ENTRY_CPU | id << 8 | CPU_APIC_VERSION << 16 | flags << 24);
    table_put(mp->w, at + 4, 4, CPU_SIGNATURE);
    table_put(mp->w, at + 8, 4, CPU_FEATURES);
}

static void add_bus(struct mp_writer *mp, uint32_t id, const char *name)
{
    uint32_t at = add(mp, ENTRY_SIZE);

    table_put(mp->w, at, 2, ENTRY_BUS | id << 8);
    table_put_bytes(mp->w, at + 2, name, 6);
}

/* Also for local interrupt entries: a CPU instead of an I/O APIC, LINT instead of a pin. */
static void add_interrupt(struct mp_writer *mp, uint32_t entry, uint32_t type, uint32_t flags,
                          uint32_t bus, uint32_t irq, uint32_t apic, uint32_t pin)
{
    uint32_t at = add(mp, ENTRY_SIZE);

    table_put(mp->w, at, 4, entry | type << 8 | flags << 16);
    table_put(mp->w, at + 4, 4, bus | irq << 8 | apic << 16 | pin << 24);
}

static void add_interrupts(struct mp_writer *mp)
{
    for (uint32_t irq = 0; irq < ISA_IRQS; irq++) {
        if (~NOT_ISA >> irq & 1) {
            add_interrupt(mp, ENTRY_INTERRUPT, TYPE_INT, irq == ACPI_PM_SCI_IRQ ? LEVEL_HIGH : 0,
                          BUS_ISA, irq, 0, irq == 0 ? IRQ_GSI_TIMER : irq);
        }
    }
    for (uint32_t slot = FIRST_PCI_SLOT; slot < PCI_SLOTS; slot++) {
        for (uint32_t pin = 1; pin <= PCI_PIRQS; pin++) {
            add_interrupt(mp, ENTRY_INTERRUPT, TYPE_INT, 0, BUS_PCI, slot << 2 | (pin - 1), 0,
                          IRQ_GSI_PIRQ + pci_host_pirq((uint8_t)(slot << 3), pin));
        }
    }
    add_interrupt(mp, ENTRY_LOCAL, TYPE_EXTINT, 0, BUS_ISA, 0, 0, 0);
    add_interrupt(mp, ENTRY_LOCAL, TYPE_NMI, 0, BUS_ISA, 0, ALL_CPUS, 1);
}

static void finish(struct mp_writer *mp, uint32_t floating)
{
    struct table_writer *w = mp->w;
    uint32_t length = w->used - mp->first;

    table_put_bytes(w, mp->first, "PCMP", 4);
    table_put(w, mp->first + 4, 2, length);
    table_put(w, mp->first + 6, 1, SPECIFICATION);
    table_put_bytes(w, mp->first + 8, "PORTOLANVIRTUAL PC  ", 20);
    table_put(w, mp->first + 34, 2, mp->count);
    table_put(w, mp->first + 36, 4, LAPIC_BASE);
    table_checksum(w, mp->first, length, mp->first + 7);

    table_put_bytes(w, floating, "_MP_", 4);
    table_put(w, floating + 4, 4, w->base + mp->first);
    table_put(w, floating + 8, 1, 1); /* length in 16-byte units */
    table_put(w, floating + 9, 1, SPECIFICATION);
    table_checksum(w, floating, FLOATING_SIZE, floating + 10);
}

uint32_t mp_table_write(struct table_writer *w, const struct pc_config *config)
{
    uint32_t floating = table_reserve(w, FLOATING_SIZE, 16);
    struct mp_writer mp = {.w = w, .first = table_reserve(w, HEADER_SIZE, 16)};

    for (uint32_t id = 0; id < config->vcpu_count; id++) {
        add_cpu(&mp, id);
    }
    add_bus(&mp, BUS_PCI, "PCI   ");
    add_bus(&mp, BUS_ISA, "ISA   ");
    uint32_t ioapic = add(&mp, ENTRY_SIZE);
    table_put(w, ioapic, 4, ENTRY_IOAPIC | IOAPIC_VERSION << 16 | 1U << 24);
    table_put(w, ioapic + 4, 4, IOAPIC_BASE);
    add_interrupts(&mp);
    finish(&mp, floating);
    return floating;
}
