/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as a whole: time, lines, and what comes to the devices that vCPUs share. */
#include "vmm/pc/pc.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/msi.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc_edge.h"
#include "vmm/pc/ports.h"

/* ---- Time and lines of the shared devices: under the lock ---- */

/*
 * A tick that no interrupt controller passes on needs nobody to wake for it: who looks at the PIT
 * or at the controllers brings all of them to the present first.
 */
static bool timer_is_heard(const struct pc *p)
{
    return (p->pic.chip[0].imr & 1U) == 0 ||
           (p->ioapic.state.entry[IRQ_GSI_TIMER] & IOAPIC_ENTRY_MASKED) == 0;
}

/* A device's output, which mostly is as it was: each access to a port asks for all of them. */
static inline void carry(struct pc *p, enum irq_source source, unsigned gsi, bool level)
{
    if ((p->board.line_sources[gsi] >> source & 1U) != level) {
        irq_set(p, source, gsi, level);
    }
}

/* Carry the devices' outputs to the interrupt lines, and find when the next of them acts. */
void pc_settle(struct pc *p)
{
    uint64_t before = p->deadline;

    if (pit_take_edge(&p->pit)) {
        irq_set(p, IRQ_SOURCE_PIT, IRQ_GSI_TIMER, false);
        irq_set(p, IRQ_SOURCE_PIT, IRQ_GSI_TIMER, true);
    }
    if (i8042_take_refill(&p->kbc)) {
        irq_set(p, IRQ_SOURCE_KEYBOARD, I8042_IRQ, false);
        irq_set(p, IRQ_SOURCE_MOUSE, I8042_AUX_IRQ, false);
    }
    carry(p, IRQ_SOURCE_KEYBOARD, I8042_IRQ, i8042_irq(&p->kbc, false));
    carry(p, IRQ_SOURCE_MOUSE, I8042_AUX_IRQ, i8042_irq(&p->kbc, true));
    if (uart_take_fall(&p->uart)) {
        irq_set(p, IRQ_SOURCE_UART, UART_IRQ, false);
    }
    carry(p, IRQ_SOURCE_UART, UART_IRQ, uart_irq(&p->uart));
    carry(p, IRQ_SOURCE_RTC, 8, rtc_irq(&p->rtc));
    carry(p, IRQ_SOURCE_SCI, ACPI_PM_SCI_IRQ, acpi_pm_irq(&p->pm));
    irq_update_intr(p);

    uint64_t deadline =
        clock_earliest(clock_earliest(p->rtc.next_event, p->pm.next_event), p->uart.next_event);

    p->due = clock_earliest(deadline, p->pit.next_event);
    deadline = timer_is_heard(p) ? p->due : deadline;
    __atomic_store_n(&p->deadline, deadline, __ATOMIC_RELAXED);
    if (deadline < before) {
        pc_edge_deadline_changed(p, deadline);
    }
}

/* Bring the shared devices to NOW. */
void pc_advance(struct pc *p, uint64_t now)
{
    p->board.now = now > p->board.now ? now : p->board.now;
    if (p->board.now >= p->due) {
        pit_run(&p->pit, p->board.now);
        rtc_run(&p->rtc, p->board.now);
        acpi_pm_run(&p->pm, p->board.now);
        uart_run(&p->uart, p->board.now);
        pc_settle(p);
    }
}

void pc_run(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    pc_advance(pc, now);
    pc_edge_unlock(pc);
}

uint64_t pc_next_event(const struct pc *pc)
{
    return __atomic_load_n(&pc->deadline, __ATOMIC_RELAXED);
}

/* ---- Accesses and events from outside ---- */

uint32_t pc_port_read(struct pc *pc, uint16_t port, unsigned width, uint64_t now)
{
    if (!ports_claim(pc, port, width)) {
        __atomic_fetch_add(&pc->unclaimed.port_reads, 1, __ATOMIC_RELAXED);
        return all_ones(width);
    }
    pc_edge_lock(pc);
    pc_advance(pc, now);
    uint32_t value = ports_read(pc, port, width);
    pc_settle(pc);
    pc_edge_unlock(pc);
    return value;
}

void pc_port_write(struct pc *pc, uint16_t port, unsigned width, uint32_t value, uint64_t now)
{
    if (!ports_claim(pc, port, width)) {
        __atomic_fetch_add(&pc->unclaimed.port_writes, 1, __ATOMIC_RELAXED);
        return;
    }
    pc_edge_lock(pc);
    pc_advance(pc, now);
    ports_write(pc, port, width, value);
    pc_settle(pc);
    uint32_t size = vga_take_clear(&pc->vga);
    pc_edge_unlock(pc);
    vga_clear(&pc->vga, size);
}

bool pc_dma_run(struct pc *pc)
{
    pc_edge_lock(pc);
    bool done = fw_cfg_dma_run(pc, &pc->fw_cfg);
    pc_edge_unlock(pc);
    return done;
}

void pc_set_intx(struct pc *pc, uint8_t devfn, unsigned pin, bool level)
{
    if (pin < 1 || pin > PCI_PIRQS) {
        return;
    }
    pc_edge_lock(pc);
    irq_set_intx(pc, devfn, pin, level);
    pc_edge_unlock(pc);
}

bool pc_console_read(struct pc *pc, uint8_t byte, uint64_t now)
{
    pc_edge_lock(pc);
    pc_advance(pc, now);
    bool taken = uart_receive(&pc->uart, byte, pc->board.now);
    pc_settle(pc);
    pc_edge_unlock(pc);
    return taken;
}

void pc_console_ready(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    pc_advance(pc, now);
    uart_set_full(&pc->uart, false);
    pc_settle(pc);
    pc_edge_unlock(pc);
}

bool pc_screen(struct pc *pc, struct vga_state *state)
{
    pc_edge_lock(pc);
    *state = pc->vga.state;
    pc_edge_unlock(pc);
    return pc->vga.memory;
}

bool pc_key(struct pc *pc, uint16_t stroke, uint64_t now)
{
    pc_edge_lock(pc);
    pc_advance(pc, now);
    bool taken = i8042_stroke(&pc->kbc, stroke);
    pc_settle(pc);
    pc_edge_unlock(pc);
    return taken;
}

void pc_mouse(struct pc *pc, const int16_t delta[3], uint8_t buttons, uint64_t now)
{
    pc_edge_lock(pc);
    pc_advance(pc, now);
    i8042_move(&pc->kbc, delta, buttons);
    pc_settle(pc);
    pc_edge_unlock(pc);
}

void pc_power_button(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    pc_advance(pc, now);
    acpi_pm_power_button(&pc->pm);
    pc_settle(pc);
    pc_edge_unlock(pc);
}

void pc_nmi(struct pc *pc)
{
    pc_edge_lock(pc);
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count && !pc->rtc.state.nmi_masked; vcpu++) {
        irq_pulse_lint(pc, vcpu, LAPIC_LVT_LINT1);
    }
    pc_edge_unlock(pc);
}

bool pc_msi(struct pc *pc, uint64_t address, uint32_t data)
{
    const struct apic_message message = {
        .destination = MSI_DESTINATION(address),
        .vector = (uint8_t)data,
        .delivery = data >> 8 & 7U,
        .logical = MSI_IS_LOGICAL(address),
    };

    return MSI_IS_MESSAGE(address) && apic_bus_deliver(pc, &message);
}
