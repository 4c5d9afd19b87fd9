/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as a whole: power-on, reset, time, and what is shared between vCPUs. */
#include "vmm/pc/pc.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc_edge.h"
#include "vmm/pc/ports.h"

#include <string.h>

#define LVT_LEVEL  0x8000U
#define LVT_EXTINT (LVT_LEVEL | APIC_DELIVERY_EXTINT << 8)
#define LVT_NMI    (LVT_LEVEL | APIC_DELIVERY_NMI << 8)

#define MSI_BASE           0xfeeU
#define MSI_LOGICAL        0x4U
#define MSI_DESTINATION(a) ((uint32_t)((a) >> 12 & 0xffU))

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

/* ---- Power-on and reset ---- */

/* ---- The power-on self test: what a BIOS sets up beyond the hardware's reset values, as SeaBIOS
 * leaves it. tests/machine/firmware.py holds a VM against a PC with SeaBIOS, by registers. ---- */

static const struct {
    uint16_t port;
    uint8_t value;
} post_words[] = {
    {0x20,              0x11}, /* 8259s: edges, cascaded; vectors 08h and 70h */
    {0x21,              0x08},
    {0x21,              0x04},
    {0x21,              0x01},
    {0xa0,              0x11},
    {0xa1,              0x70},
    {0xa1,              0x02},
    {0xa1,              0x01},
    {0x21,              0xfb}, /* all masked but the cascade: nobody here serves an interrupt */
    {0xa1,              0xff},
    {PIC_PORT_ELCR + 1, 0x0e}, /* levels: the SCI, 9, and the PIRQs' lines, 10 and 11 */
    {0x43,              0x34}, /* 8254: the tick of 18.2 Hz */
    {0x40,              0x00},
    {0x40,              0x00},
    {0x43,              0x54}, /* memory's refresh */
    {0x41,              0x12},
    {0x43,              0xb6}, /* the speaker, which is off */
    {0x42,              0x00},
    {0x42,              0x00},
    {0x70,              0x0a}, /* RTC: it runs, in 24 hours, without interrupts */
    {0x71,              0x26},
    {0x70,              0x0b},
    {0x71,              0x02},
};

/* The local APIC of the boot CPU: on, the 8259s and NMI connected. Others stay as they are. */
static void post_lapic(struct lapic *l)
{
    if (l->id == 0) {
        lapic_store(&l->state.svr, lapic_load(&l->state.svr) | LAPIC_SVR_ENABLED);
        lapic_store(&l->state.lvt[LAPIC_LVT_LINT0], LVT_EXTINT);
        lapic_store(&l->state.lvt[LAPIC_LVT_LINT1], LVT_NMI);
    }
}

static void reset_devices(struct pc *p)
{
    pic_reset(&p->pic);
    pit_reset(&p->pit, p->board.now);
    ioapic_reset(&p->ioapic);
    rtc_reset(&p->rtc, p->board.now);
    acpi_pm_reset(&p->pm, p->board.now);
    uart_reset(&p->uart);
    i8042_reset(&p->kbc, p->config.keyboard, p->config.mouse);
    vga_reset(&p->vga);
    p->chipset = (struct chipset_state){0};
    pci_host_reset(&p->pci);
    if (p->config.firmware) {
        pci_host_hide_ram(&p->pci);
    }
    fw_cfg_reset(&p->fw_cfg);
    ports_place_windows(p);
    for (unsigned vcpu = 0; vcpu < p->config.vcpu_count; vcpu++) {
        lapic_power_on(&p->lapic[vcpu], vcpu, p->config.tsc_hz);
        post_lapic(&p->lapic[vcpu]);
    }
    irq_update_pirqs(p);
    for (unsigned i = 0; i < ARRAY_SIZE(post_words); i++) {
        ports_write(p, post_words[i].port, 1, post_words[i].value);
    }
    irq_update_routing(p);
    pc_settle(p);
}

enum status pc_init(struct pc *pc, const struct pc_config *config)
{
    memset(pc, 0, sizeof(*pc));
    pci_host_reset(&pc->pci);
    pc->vga.memory = config->screen;
    pc->vga.rom = config->screen_rom;
    pc->vga.rom_size = config->screen_rom_size;
    ports_place_windows(pc);
    if (config->debug_exit != 0 && ports_claim(pc, config->debug_exit, 4)) {
        log_warn("virtual machine: debug_exit = %#x belongs to another device; choose a port whose "
                 "next four are free, such as 0xf4",
                 config->debug_exit);
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    pc->config = *config;
    pc->deadline = CLOCK_NEVER;
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        pc->pirq_gsi[pirq] = -1;
    }
    rtc_power_on(&pc->rtc, config);
    pc->fw_cfg.vcpu_count = (uint16_t)config->vcpu_count;
    pc->fw_cfg.screen = config->screen != NULL;
    pc->fw_cfg.ram_size = config->memory_below_4g + config->memory_above_4g;
    pc_edge_lock(pc);
    reset_devices(pc);
    pc_edge_unlock(pc);
    return STATUS_OK;
}

void pc_reset(struct pc *pc, uint64_t now)
{
    pc_edge_lock(pc);
    pc->board.now = now > pc->board.now ? now : pc->board.now;
    reset_devices(pc);
    pc_edge_unlock(pc);
}

/* ---- State ---- */

static const struct field board_fields[] = {
    FIELD(struct board_state, now, CLOCK_LAST),
    FIELD_ARRAY(struct board_state, line_sources, UINT32_MAX),
    FIELD_MATRIX(struct board_state, intx, UINT64_MAX),
    FIELD(struct board_state, lowest_turn, UINT32_MAX),
};

static const struct section board_section =
    SECTION(struct board_state, "board", 1, board_fields, NULL);

const struct section_place pc_sections[] = {
    {&board_section,    offsetof(struct pc, board),        0,                       1},
    {&pic_section,      offsetof(struct pc, pic.chip),     sizeof(struct pic_chip), 2},
    {&pit_section,      offsetof(struct pc, pit.state),    0,                       1},
    {&ioapic_section,   offsetof(struct pc, ioapic.state), 0,                       1},
    {&rtc_section,      offsetof(struct pc, rtc.state),    0,                       1},
    {&acpi_pm_section,  offsetof(struct pc, pm.state),     0,                       1},
    {&uart_section,     offsetof(struct pc, uart),         0,                       1},
    {&i8042_section,    offsetof(struct pc, kbc.state),    0,                       1},
    {&chipset_section,  offsetof(struct pc, chipset),      0,                       1},
    {&pci_host_section, offsetof(struct pc, pci),          0,                       1},
    {&fw_cfg_section,   offsetof(struct pc, fw_cfg.state), 0,                       1},
    {&vga_section,      offsetof(struct pc, vga.state),    0,                       1},
    {&lapic_section,    offsetof(struct pc, lapic),        sizeof(struct lapic),    0},
};

const unsigned pc_section_count = ARRAY_SIZE(pc_sections);

void pc_fill(struct pc *pc, uint8_t byte)
{
    for (unsigned i = 0; i < pc_section_count; i++) {
        const struct section_place *place = &pc_sections[i];
        unsigned instances = place->instances ? place->instances : pc->config.vcpu_count;

        for (unsigned n = 0; n < instances; n++) {
            memset((uint8_t *)pc + place->offset + (size_t)n * place->stride, byte,
                   place->section->size);
        }
    }
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count; vcpu++) {
        memset(&pc->lapic[vcpu].timer_next, byte, sizeof(pc->lapic[vcpu].timer_next));
    }
    memset(&pc->deadline, byte, sizeof(pc->deadline));
    memset(&pc->due, byte, sizeof(pc->due));
    memset(&pc->pit.next_event, byte, sizeof(pc->pit.next_event));
    memset(&pc->rtc.next_event, byte, sizeof(pc->rtc.next_event));
    memset(&pc->pm.next_event, byte, sizeof(pc->pm.next_event));
    memset(&pc->ioapic.lines, byte, sizeof(pc->ioapic.lines));
    memset(pc->window, byte, sizeof(pc->window));
    memset(pc->port_pages, byte, sizeof(pc->port_pages));
    memset(pc->pirq_gsi, byte, sizeof(pc->pirq_gsi));
    memset(&pc->pic_output, byte, sizeof(pc->pic_output));
    memset(&pc->pic_targets, byte, sizeof(pc->pic_targets));
}

void pc_derive(struct pc *pc)
{
    pc_edge_lock(pc);
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count; vcpu++) {
        lapic_derive(&pc->lapic[vcpu]);
    }
    pit_derive(&pc->pit);
    rtc_derive(&pc->rtc);
    acpi_pm_derive(&pc->pm);
    i8042_derive(&pc->kbc);
    ports_place_windows(pc);
    irq_derive(pc);
    pc->deadline = CLOCK_NEVER;
    pc_settle(pc);
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count; vcpu++) {
        if (pc_interrupt_pending(pc, vcpu)) {
            pc_edge_vcpu_kick(pc, vcpu);
        }
    }
    pc_edge_unlock(pc);
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
    pc_edge_unlock(pc);
    vga_clear(&pc->vga);
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
        .logical = (address & MSI_LOGICAL) != 0,
    };

    return address >> 20 == MSI_BASE && apic_bus_deliver(pc, &message);
}

/* ---- One vCPU ---- */

void pc_vcpu_init(struct pc *pc, unsigned vcpu)
{
    lapic_init(&pc->lapic[vcpu]);
    post_lapic(&pc->lapic[vcpu]);
    pc_edge_lock(pc);
    irq_update_routing(pc);
    pc_edge_unlock(pc);
}
