/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as a whole: power-on, reset, time, and what is shared between vCPUs. */
#include "vmm/pc/pc.h"

#include "vmm/base/log.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc_edge.h"
#include "vmm/pc/ports.h"
#include "vmm/pc/post.h"

#include <string.h>

#define MSI_BASE           0xfeeU
#define MSI_LOGICAL        0x4U
#define MSI_DESTINATION(a) ((uint32_t)((a) >> 12 & 0xffU))

/* ---- Time and lines of the shared devices: under the lock ---- */

/* Carry the devices' outputs to the interrupt lines, and find when the next of them acts. */
static void settle(struct pc *p)
{
    uint64_t before = p->deadline;

    if (pit_take_edge(&p->pit)) {
        irq_set(p, IRQ_SOURCE_PIT, IRQ_GSI_TIMER, false);
        irq_set(p, IRQ_SOURCE_PIT, IRQ_GSI_TIMER, true);
    }
    if (i8042_take_refill(&p->kbc)) {
        irq_set(p, IRQ_SOURCE_KEYBOARD, I8042_IRQ, false);
    }
    irq_set(p, IRQ_SOURCE_KEYBOARD, I8042_IRQ, i8042_irq(&p->kbc));
    if (uart_take_fall(&p->uart)) {
        irq_set(p, IRQ_SOURCE_UART, UART_IRQ, false);
    }
    irq_set(p, IRQ_SOURCE_UART, UART_IRQ, uart_irq(&p->uart));
    irq_set(p, IRQ_SOURCE_RTC, 8, rtc_irq(&p->rtc));
    irq_set(p, IRQ_SOURCE_SCI, ACPI_PM_SCI_IRQ, acpi_pm_irq(&p->pm));
    irq_update_intr(p);

    uint64_t deadline = clock_earliest(clock_earliest(p->pit.next_event, p->rtc.next_event),
                                       clock_earliest(p->pm.next_event, p->uart.next_event));
    __atomic_store_n(&p->deadline, deadline, __ATOMIC_RELAXED);
    if (deadline < before) {
        pc_edge_deadline_changed(p, deadline);
    }
}

/* Bring the shared devices to NOW. */
static void advance(struct pc *p, uint64_t now)
{
    p->now = now > p->now ? now : p->now;
    if (p->now >= p->deadline) {
        pit_run(&p->pit, p->now);
        rtc_run(&p->rtc, p->now);
        acpi_pm_run(&p->pm, p->now);
        uart_run(&p->uart, p->now);
        settle(p);
    }
}

void pc_run(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    advance(pc, now);
    pc_edge_unlock(pc);
}

uint64_t pc_next_event(const struct pc *pc)
{
    return __atomic_load_n(&pc->deadline, __ATOMIC_RELAXED);
}

/* ---- Power-on and reset ---- */

static enum status check_config(const struct pc *p, const struct pc_config *config)
{
    if (config->vcpu_count == 0 || config->vcpu_count > PC_VCPUS_MAX) {
        log_warn("virtual machine: %u vCPUs are asked for; give it 1 to %u", config->vcpu_count,
                 PC_VCPUS_MAX);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (config->memory_below_4g > PCI_HOLE_BASE || config->tsc_hz == 0) {
        log_warn("virtual machine: %llu bytes of low memory and a TSC of %llu Hz are asked for; "
                 "low memory must end by %#x and the TSC must run",
                 (unsigned long long)config->memory_below_4g, (unsigned long long)config->tsc_hz,
                 PCI_HOLE_BASE);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (config->debug_exit != 0 && ports_claim(p, config->debug_exit, 4)) {
        log_warn("virtual machine: debug_exit = %#x belongs to another device; choose a port whose "
                 "next four are free, such as 0xf4",
                 config->debug_exit);
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    return STATUS_OK;
}

static void reset_devices(struct pc *p)
{
    pic_reset(&p->pic);
    pit_reset(&p->pit, p->now);
    ioapic_reset(&p->ioapic);
    rtc_reset(&p->rtc, p->now);
    acpi_pm_reset(&p->pm, p->config.wide_pm_timer, p->now);
    uart_reset(&p->uart);
    i8042_reset(&p->kbc, p->config.keyboard);
    chipset_reset(&p->chipset);
    pci_host_reset(&p->pci);
    fw_cfg_reset(&p->fw_cfg);
    ports_place_windows(p);
    for (unsigned vcpu = 0; vcpu < p->config.vcpu_count; vcpu++) {
        lapic_power_on(&p->lapic[vcpu], vcpu, p->config.tsc_hz);
        post_run_lapic(&p->lapic[vcpu]);
    }
    irq_update_pirqs(p);
    post_run(p);
    irq_update_routing(p);
    settle(p);
}

enum status pc_init(struct pc *pc, const struct pc_config *config)
{
    memset(pc, 0, sizeof(*pc));
    pci_host_reset(&pc->pci);
    ports_place_windows(pc);
    enum status status = check_config(pc, config);
    if (status != STATUS_OK) {
        return status;
    }
    const struct rtc_config rtc = {
        .seconds = config->rtc_seconds,
        .memory_below_4g = config->memory_below_4g,
        .memory_above_4g = config->memory_above_4g,
        .vcpu_count = config->vcpu_count,
    };
    pc->config = *config;
    pc->deadline = CLOCK_NEVER;
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        pc->pirq_gsi[pirq] = -1;
    }
    rtc_power_on(&pc->rtc, &rtc);
    fw_cfg_init(&pc->fw_cfg, config->vcpu_count, config->memory_below_4g + config->memory_above_4g);
    pc_edge_lock(pc);
    reset_devices(pc);
    pc_edge_unlock(pc);
    return STATUS_OK;
}

void pc_reset(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    pc->now = now > pc->now ? now : pc->now;
    reset_devices(pc);
    pc_edge_unlock(pc);
}

/* ---- Accesses and events from outside ---- */

uint32_t pc_port_read(struct pc *pc, uint16_t port, unsigned width, uint64_t now)
{
    if (!ports_claim(pc, port, width)) {
        __atomic_fetch_add(&pc->unclaimed.port_reads, 1, __ATOMIC_RELAXED);
        return width == 4 ? 0xffffffffU : (1U << 8 * width) - 1;
    }
    pc_edge_lock(pc);
    advance(pc, now);
    uint32_t value = ports_read(pc, port, width);
    settle(pc);
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
    advance(pc, now);
    ports_write(pc, port, width, value);
    settle(pc);
    pc_edge_unlock(pc);
}

void pc_set_irq(struct pc *pc, unsigned source, unsigned gsi, bool level)
{
    if (source < IRQ_SOURCE_VM || source >= IRQ_SOURCE_COUNT || gsi == 0 || gsi == IRQ_GSI_TIMER ||
        gsi >= IOAPIC_PINS) {
        return;
    }
    pc_edge_lock(pc);
    irq_set(pc, source, gsi, level);
    pc_edge_unlock(pc);
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
    advance(pc, now);
    bool taken = uart_receive(&pc->uart, byte, pc->now);
    settle(pc);
    pc_edge_unlock(pc);
    return taken;
}

void pc_power_button(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    advance(pc, now);
    acpi_pm_power_button(&pc->pm);
    settle(pc);
    pc_edge_unlock(pc);
}

/* LINT1 of one vCPU: the NMI pin unless its LVT says something else. */
static void pulse_lint1(struct pc *p, unsigned vcpu)
{
    struct lapic *l = &p->lapic[vcpu];
    uint32_t lvt = lapic_load(&l->lvt[LAPIC_LVT_LINT1]);
    unsigned delivery = lvt >> 8 & 7U;

    if (lapic_load(&l->mode) == LAPIC_DISABLED) {
        if (l->id == 0) {
            pc_edge_vcpu_nmi(p, vcpu);
        }
    } else if ((lvt & LAPIC_LVT_MASKED) == 0 && delivery == APIC_DELIVERY_NMI) {
        pc_edge_vcpu_nmi(p, vcpu);
    } else if ((lvt & LAPIC_LVT_MASKED) == 0 && delivery == APIC_DELIVERY_FIXED &&
               lapic_accept(l, (uint8_t)lvt, false)) {
        pc_edge_vcpu_kick(p, vcpu);
    }
}

void pc_nmi(struct pc *pc)
{
    pc_edge_lock(pc);
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count && !pc->rtc.nmi_masked; vcpu++) {
        pulse_lint1(pc, vcpu);
    }
    pc_edge_unlock(pc);
}

bool pc_msi(struct pc *pc, uint64_t address, uint32_t data)
{
    const struct apic_message message = {
        .destination = MSI_DESTINATION(address),
        .vector = (uint8_t)data,
        .delivery = data >> 8 & 7U,
        .logical = (address & MSI_LOGICAL) != 0,
    };

    return address >> 20 == MSI_BASE && apic_bus_deliver(pc, &message);
}

/* ---- One vCPU ---- */

void pc_vcpu_init(struct pc *pc, unsigned vcpu)
{
    lapic_init(&pc->lapic[vcpu]);
    post_run_lapic(&pc->lapic[vcpu]);
    pc_edge_lock(pc);
    irq_update_routing(pc);
    pc_edge_unlock(pc);
}
