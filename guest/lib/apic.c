/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/apic.h"

#define SPURIOUS_VECTOR 0xff
#define SVR_ENABLE      (1U << 8)

bool apic_is_x2apic(void)
{
    return rdmsr(MSR_APIC) & MSR_APIC_EXTD;
}

uint32_t apic_read(enum apic_register reg)
{
    return apic_is_x2apic() ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : mmio_read(APIC_BASE + reg);
}

void apic_write(enum apic_register reg, uint32_t value)
{
    if (apic_is_x2apic()) {
        wrmsr(MSR_X2APIC + reg / 16, value);
    } else {
        mmio_write(APIC_BASE + reg, value);
    }
}

void apic_send(uint32_t destination, uint32_t command)
{
    if (apic_is_x2apic()) {
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)destination << 32 | command);
        return;
    }
    mmio_write(APIC_BASE + APIC_ICR_HIGH, destination << 24);
    mmio_write(APIC_BASE + APIC_ICR, command);
    while (mmio_read(APIC_BASE + APIC_ICR) & ICR_PENDING) {
        cpu_relax();
    }
}

uint32_t apic_id(void)
{
    uint32_t value = apic_read(APIC_ID);

    return apic_is_x2apic() ? value : value >> 24;
}

bool apic_bit(enum apic_register first, unsigned vector)
{
    uint32_t value = apic_read((enum apic_register)(first + vector / 32 * 16));

    return value >> (vector % 32) & 1;
}

static void spurious(struct guest_frame *frame) {}

void apic_enable(void)
{
    interrupt_set_handler(SPURIOUS_VECTOR, spurious);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_LVT_MASKED);
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
}

void pic_mask_all(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

uint32_t ioapic_read(unsigned reg)
{
    mmio_write(IOAPIC_BASE, reg);
    return mmio_read(IOAPIC_BASE + 0x10);
}

void ioapic_write(unsigned reg, uint32_t value)
{
    mmio_write(IOAPIC_BASE, reg);
    mmio_write(IOAPIC_BASE + 0x10, value);
}

void ioapic_route(unsigned index, uint32_t low, uint32_t destination)
{
    ioapic_write(0x10 + 2 * index, APIC_LVT_MASKED);
    ioapic_write(0x11 + 2 * index, destination << 24);
    ioapic_write(0x10 + 2 * index, low);
}
