/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/irq_lines.h"

#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"

#define PIN_INTR  0U
#define ISA_LINES 16U

#define ENTRY_EXTINT(e) (((e) >> 8 & 7U) == APIC_DELIVERY_EXTINT)

/* Does the I/O APIC pass the 8259s' INTR on to VCPU? */
static bool ioapic_passes_intr(const struct pc *p, unsigned vcpu)
{
    uint64_t entry = p->ioapic.state.entry[PIN_INTR];
    struct apic_message message = {
        .destination = (uint32_t)(entry >> 56),
        .logical = (entry >> 11 & 1U) != 0,
    };

    return (entry & IOAPIC_ENTRY_MASKED) == 0 && ENTRY_EXTINT(entry) &&
           apic_bus_matches(p, &message, vcpu);
}

static void kick_targets(struct pc *p)
{
    for (unsigned vcpu = 0; vcpu < p->config.vcpu_count; vcpu++) {
        if ((p->pic_targets >> vcpu & 1U) != 0) {
            pc_edge_vcpu_kick(p, vcpu);
        }
    }
}

void irq_pulse_lint(struct pc *p, unsigned vcpu, enum lapic_lvt lint)
{
    struct lapic *l = &p->lapic[vcpu];
    uint32_t lvt = lapic_load(&l->state.lvt[lint]);
    unsigned delivery = lvt >> 8 & 7U;

    if (lapic_load(&l->state.mode) == LAPIC_DISABLED) {
        if (lint == LAPIC_LVT_LINT1 && l->id == 0) {
            pc_edge_vcpu_signal(p, vcpu, APIC_DELIVERY_NMI, 0);
        }
    } else if ((lvt & LAPIC_LVT_MASKED) != 0) {
        return;
    } else if (delivery == APIC_DELIVERY_NMI) {
        pc_edge_vcpu_signal(p, vcpu, APIC_DELIVERY_NMI, 0);
    } else if (delivery == APIC_DELIVERY_FIXED && lapic_accept(l, (uint8_t)lvt, false)) {
        pc_edge_vcpu_kick(p, vcpu);
    }
}

void irq_update_intr(struct pc *p)
{
    bool before = p->pic_output != 0;
    bool output = pic_output(&p->pic);

    if (output == before) {
        return;
    }
    __atomic_store_n(&p->pic_output, output ? 1 : 0, __ATOMIC_RELEASE);
    ioapic_set_line(p, &p->ioapic, PIN_INTR, output);
    if (output) {
        for (unsigned vcpu = 0; vcpu < p->config.vcpu_count; vcpu++) {
            irq_pulse_lint(p, vcpu, LAPIC_LVT_LINT0);
        }
        kick_targets(p);
    }
}

static void find_pic_targets(struct pc *p)
{
    uint64_t targets = 0;

    for (unsigned vcpu = 0; vcpu < p->config.vcpu_count; vcpu++) {
        if (lapic_accepts_extint(&p->lapic[vcpu]) || ioapic_passes_intr(p, vcpu)) {
            targets |= 1ULL << vcpu;
        }
    }
    __atomic_store_n(&p->pic_targets, targets, __ATOMIC_RELEASE);
}

void irq_update_routing(struct pc *p)
{
    find_pic_targets(p);
    ioapic_retry(p, &p->ioapic);
    if (p->pic_output != 0) {
        kick_targets(p);
    }
}

void irq_set(struct pc *p, unsigned source, unsigned gsi, bool level)
{
    uint32_t before = p->board.line_sources[gsi];
    uint32_t after = level ? before | 1U << source : before & ~(1U << source);

    p->board.line_sources[gsi] = after;
    if ((before != 0) == (after != 0)) {
        return;
    }
    bool asks = gsi < ISA_LINES && pic_set_irq(&p->pic, gsi == IRQ_GSI_TIMER ? 0 : gsi, after != 0);

    ioapic_set_line(p, &p->ioapic, gsi, after != 0);
    if (asks) {
        irq_update_intr(p);
    }
}

static bool pirq_asserted(const struct pc *p, unsigned pirq)
{
    const uint64_t *functions = p->board.intx[pirq];

    return (functions[0] | functions[1] | functions[2] | functions[3]) != 0;
}

static void drive_pirq(struct pc *p, unsigned pirq)
{
    bool level = pirq_asserted(p, pirq);

    irq_set(p, IRQ_SOURCE_PIRQ + pirq, IRQ_GSI_PIRQ + pirq, level);
    if (p->pirq_gsi[pirq] >= 0) {
        irq_set(p, IRQ_SOURCE_PIRQ + pirq, (unsigned)p->pirq_gsi[pirq], level);
    }
}

void irq_set_intx(struct pc *p, uint8_t devfn, unsigned pin, bool level)
{
    unsigned pirq = pci_host_pirq(devfn, pin) % PCI_PIRQS;
    uint64_t *word = &p->board.intx[pirq][devfn >> 6];
    uint64_t bit = 1ULL << (devfn & 63U);

    *word = level ? *word | bit : *word & ~bit;
    drive_pirq(p, pirq);
}

void irq_update_pirqs(struct pc *p)
{
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        int gsi = pci_host_pirq_irq(&p->pci, pirq);

        if (gsi != p->pirq_gsi[pirq]) {
            if (p->pirq_gsi[pirq] >= 0) {
                irq_set(p, IRQ_SOURCE_PIRQ + pirq, (unsigned)p->pirq_gsi[pirq], false);
            }
            p->pirq_gsi[pirq] = (int8_t)gsi;
            drive_pirq(p, pirq);
        }
    }
}

void irq_derive(struct pc *p)
{
    uint32_t lines = 0;

    for (unsigned gsi = 1; gsi < IOAPIC_PINS; gsi++) {
        lines |= p->board.line_sources[gsi] != 0 ? 1U << gsi : 0;
    }
    /* The timer's pin is not its IRQ: the 8259s have it on input 0, and each other on input 2. */
    uint32_t timer = lines >> IRQ_GSI_TIMER & 1U;
    pic_derive(&p->pic, (uint16_t)((lines & ~(1U << IRQ_GSI_TIMER)) | timer));
    p->pic_output = pic_output(&p->pic) ? 1 : 0;
    ioapic_derive(&p->ioapic, lines | p->pic_output << PIN_INTR);
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        p->pirq_gsi[pirq] = (int8_t)pci_host_pirq_irq(&p->pci, pirq);
    }
    find_pic_targets(p);
}
