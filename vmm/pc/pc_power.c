/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's devices are made, reset, filled and derived from their state: all of them in turn.
 */
#include "vmm/base/log.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"
#include "vmm/pc/ports.h"

#include <string.h>

#define LVT_LEVEL  0x8000U
#define LVT_EXTINT (LVT_LEVEL | APIC_DELIVERY_EXTINT << 8)
#define LVT_NMI    (LVT_LEVEL | APIC_DELIVERY_NMI << 8)

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
    flash_reset(&p->flash);
    portal_function_reset(&p->portal);
    p->chipset = (struct chipset_state){0};
    pci_host_reset(&p->pci);
    if (p->config.firmware) {
        pci_host_hide_ram(&p->pci);
    }
    fw_cfg_reset(&p->fw_cfg);
    if (p->portal.present) {
        pc_settle_portal(p);
        pc_edge_portal_rang(p);
    }
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
    pc->vga.bars_from = config->memory_below_4g > PC_LOW_END ? config->memory_below_4g : PC_LOW_END;
    pc->flash = (struct flash){
        .bytes = config->flash, .size = config->flash_size, .base = config->flash_at};
    pc->portal.present = config->portal;
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

void pc_vcpu_init(struct pc *pc, unsigned vcpu)
{
    lapic_init(&pc->lapic[vcpu]);
    post_lapic(&pc->lapic[vcpu]);
    pc_edge_lock(pc);
    irq_update_routing(pc);
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
    {&portal_section,   offsetof(struct pc, portal.state), 0,                       1},
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
    memset(&pc->flash.state, byte, sizeof(pc->flash.state));
    if (pc->flash.size != 0) {
        memset(pc->flash.bytes, byte, pc->flash.size);
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
    memset(&pc->ioapic.waiting, byte, sizeof(pc->ioapic.waiting));
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
