/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as a whole: power-on, reset, time, and what is shared between vCPUs. */
#include "vmm/platform/platform.h"

#include "vmm/console/log.h"
#include "vmm/platform/clock.h"
#include "vmm/platform/irq.h"
#include "vmm/platform/ports.h"
#include "vmm/platform/vm_edge.h"

#include <string.h>

#define SLAVE_LEVEL_LINES 0x0eU /* IRQ 9 (SCI), 10 and 11 (PIRQs), as firmware sets them */

#define LVT_EXTINT (APIC_DELIVERY_EXTINT << 8)
#define LVT_NMI    (APIC_DELIVERY_NMI << 8)

#define MSI_BASE           0xfeeU
#define MSI_LOGICAL        0x4U
#define MSI_DESTINATION(a) ((uint32_t)((a) >> 12 & 0xffU))

/* ---- Time and lines of the shared devices: under the lock ---- */

/* Carry the devices' outputs to the interrupt lines, and find when the next of them acts. */
static void settle(struct platform *p)
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
        vm_edge_deadline_changed(p, deadline);
    }
}

/* Bring the shared devices to NOW. */
static void advance(struct platform *p, uint64_t now)
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

void platform_run(struct platform *platform, uint64_t now)
{
    vm_edge_lock(platform);
    advance(platform, now);
    vm_edge_unlock(platform);
}

uint64_t platform_next_event(const struct platform *platform)
{
    return __atomic_load_n(&platform->deadline, __ATOMIC_RELAXED);
}

/* ---- Power-on and reset ---- */

static enum status check_config(const struct platform *p, const struct platform_config *config)
{
    if (config->vcpu_count == 0 || config->vcpu_count > PLATFORM_VCPUS_MAX) {
        log_warn("virtual machine: %u vCPUs are asked for; give it 1 to %u", config->vcpu_count,
                 PLATFORM_VCPUS_MAX);
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

/* The boot CPU's LINT pins as firmware leaves them: 8259s and NMI connected. */
static void connect_lint(struct lapic *l)
{
    if (l->id == 0) {
        lapic_store(&l->lvt[LAPIC_LVT_LINT0], LVT_EXTINT);
        lapic_store(&l->lvt[LAPIC_LVT_LINT1], LVT_NMI);
    }
}

static void reset_devices(struct platform *p)
{
    pic_reset(&p->pic);
    pic_write(&p->pic, PIC_PORT_ELCR + 1, SLAVE_LEVEL_LINES);
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
        connect_lint(&p->lapic[vcpu]);
    }
    irq_update_pirqs(p);
    irq_update_routing(p);
    settle(p);
}

enum status platform_init(struct platform *platform, const struct platform_config *config)
{
    memset(platform, 0, sizeof(*platform));
    pci_host_reset(&platform->pci);
    ports_place_windows(platform);
    enum status status = check_config(platform, config);
    if (status != STATUS_OK) {
        return status;
    }
    const struct rtc_config rtc = {
        .seconds = config->rtc_seconds,
        .memory_below_4g = config->memory_below_4g,
        .memory_above_4g = config->memory_above_4g,
        .vcpu_count = config->vcpu_count,
    };
    platform->config = *config;
    platform->deadline = CLOCK_NEVER;
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        platform->pirq_gsi[pirq] = -1;
    }
    rtc_power_on(&platform->rtc, &rtc);
    fw_cfg_init(&platform->fw_cfg, config->vcpu_count,
                config->memory_below_4g + config->memory_above_4g);
    vm_edge_lock(platform);
    reset_devices(platform);
    vm_edge_unlock(platform);
    return STATUS_OK;
}

void platform_reset(struct platform *platform, uint64_t now)
{
    vm_edge_lock(platform);
    platform->now = now > platform->now ? now : platform->now;
    reset_devices(platform);
    vm_edge_unlock(platform);
}

/* ---- Accesses and events from outside ---- */

uint32_t platform_port_read(struct platform *platform, uint16_t port, unsigned width, uint64_t now)
{
    if (!ports_claim(platform, port, width)) {
        __atomic_fetch_add(&platform->unclaimed.port_reads, 1, __ATOMIC_RELAXED);
        return width == 4 ? 0xffffffffU : (1U << 8 * width) - 1;
    }
    vm_edge_lock(platform);
    advance(platform, now);
    uint32_t value = ports_read(platform, port, width);
    settle(platform);
    vm_edge_unlock(platform);
    return value;
}

void platform_port_write(struct platform *platform, uint16_t port, unsigned width, uint32_t value,
                         uint64_t now)
{
    if (!ports_claim(platform, port, width)) {
        __atomic_fetch_add(&platform->unclaimed.port_writes, 1, __ATOMIC_RELAXED);
        return;
    }
    vm_edge_lock(platform);
    advance(platform, now);
    ports_write(platform, port, width, value);
    settle(platform);
    vm_edge_unlock(platform);
}

void platform_set_irq(struct platform *platform, unsigned source, unsigned gsi, bool level)
{
    if (source < IRQ_SOURCE_VM || source >= IRQ_SOURCE_COUNT || gsi == 0 || gsi == IRQ_GSI_TIMER ||
        gsi >= IOAPIC_PINS) {
        return;
    }
    vm_edge_lock(platform);
    irq_set(platform, source, gsi, level);
    vm_edge_unlock(platform);
}

void platform_set_intx(struct platform *platform, uint8_t devfn, unsigned pin, bool level)
{
    if (pin < 1 || pin > PCI_PIRQS) {
        return;
    }
    vm_edge_lock(platform);
    irq_set_intx(platform, devfn, pin, level);
    vm_edge_unlock(platform);
}

bool platform_console_read(struct platform *platform, uint8_t byte, uint64_t now)
{
    vm_edge_lock(platform);
    advance(platform, now);
    bool taken = uart_receive(&platform->uart, byte, platform->now);
    settle(platform);
    vm_edge_unlock(platform);
    return taken;
}

void platform_power_button(struct platform *platform, uint64_t now)
{
    vm_edge_lock(platform);
    advance(platform, now);
    acpi_pm_power_button(&platform->pm);
    settle(platform);
    vm_edge_unlock(platform);
}

/* LINT1 of one vCPU: the NMI pin unless its LVT says something else. */
static void pulse_lint1(struct platform *p, unsigned vcpu)
{
    struct lapic *l = &p->lapic[vcpu];
    uint32_t lvt = lapic_load(&l->lvt[LAPIC_LVT_LINT1]);
    unsigned delivery = lvt >> 8 & 7U;

    if (lapic_load(&l->mode) == LAPIC_DISABLED) {
        if (l->id == 0) {
            vm_edge_vcpu_nmi(p, vcpu);
        }
    } else if ((lvt & LAPIC_LVT_MASKED) == 0 && delivery == APIC_DELIVERY_NMI) {
        vm_edge_vcpu_nmi(p, vcpu);
    } else if ((lvt & LAPIC_LVT_MASKED) == 0 && delivery == APIC_DELIVERY_FIXED &&
               lapic_accept(l, (uint8_t)lvt, false)) {
        vm_edge_vcpu_kick(p, vcpu);
    }
}

void platform_nmi(struct platform *platform)
{
    vm_edge_lock(platform);
    for (unsigned vcpu = 0; vcpu < platform->config.vcpu_count && !platform->rtc.nmi_masked;
         vcpu++) {
        pulse_lint1(platform, vcpu);
    }
    vm_edge_unlock(platform);
}

bool platform_msi(struct platform *platform, uint64_t address, uint32_t data)
{
    const struct apic_message message = {
        .destination = MSI_DESTINATION(address),
        .vector = (uint8_t)data,
        .delivery = data >> 8 & 7U,
        .logical = (address & MSI_LOGICAL) != 0,
    };

    return address >> 20 == MSI_BASE && apic_bus_deliver(platform, &message);
}

/* ---- One vCPU ---- */

void platform_vcpu_init(struct platform *platform, unsigned vcpu)
{
    lapic_init(&platform->lapic[vcpu]);
    connect_lint(&platform->lapic[vcpu]);
    vm_edge_lock(platform);
    irq_update_routing(platform);
    vm_edge_unlock(platform);
}
