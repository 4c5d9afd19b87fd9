/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual PC of one VM: an i440FX/PIIX machine without a heap, a thread or a clock of its own.
 *
 * Time. Callers pass the VM's virtual time in nanoseconds (vmm/pc/clock.h). Shared devices
 * (PIT, RTC, PM timer, UART) are driven by one CPU, which calls pc_run() when
 * pc_next_event() is due; each vCPU's local APIC timer by that vCPU's CPU, which calls
 * pc_vcpu_run() when pc_vcpu_next_event() is due. A time before one that was passed
 * already counts as that one.
 *
 * Locking. One lock per VM, pc_edge_lock(). The functions below take it themselves where they
 * need it, so callers must not hold it. What belongs to a vCPU (pc_vcpu_*, pc_msr_*,
 * pc_interrupt_*, pc_cr8_*, MMIO to the local APIC) is called only on the CPU that runs
 * that vCPU and takes the lock only to reach shared state: an EOI the I/O APIC waits for, a change
 * of routing, an acknowledge cycle of the 8259s. pc_msi() and IPIs take no lock at all.
 *
 * Guest input may be anything: every port, width, offset, value and order is safe.
 */
#ifndef PORTOLAN_VMM_PC_PC_H
#define PORTOLAN_VMM_PC_PC_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/pc/acpi_pm.h"
#include "vmm/pc/chipset.h"
#include "vmm/pc/flash.h"
#include "vmm/pc/fw_cfg.h"
#include "vmm/pc/i8042.h"
#include "vmm/pc/ioapic.h"
#include "vmm/pc/lapic.h"
#include "vmm/pc/pci_host.h"
#include "vmm/pc/pic.h"
#include "vmm/pc/pit.h"
#include "vmm/pc/portal_function.h"
#include "vmm/pc/rtc.h"
#include "vmm/pc/uart.h"
#include "vmm/pc/vga.h"

#define PC_VCPUS_MAX 64U

struct pc_config {
    unsigned vcpu_count;      /* 1..PC_VCPUS_MAX */
    uint64_t memory_below_4g; /* bytes of RAM from 0, at most PCI_HOLE_BASE */
    uint64_t memory_above_4g; /* bytes of RAM from 4 GiB */
    uint64_t tsc_hz;          /* rate of the guest's TSC, not 0 */
    int64_t rtc_seconds;      /* since 1970, UTC, at virtual time 0 */
    uint16_t debug_exit;      /* port whose writes end the VM; 0: none */
    bool keyboard;            /* a PS/2 keyboard */
    bool mouse;               /* and a mouse beside it */
    void *screen;             /* VGA_MEMORY_SIZE bytes for a VGA; NULL: there is none */
    const void *screen_rom;   /* and its option ROM; NULL: none */
    uint32_t screen_rom_size; /* at most VGA_ROM_MAX */
    uint8_t *flash;           /* FLASH_SIZE bytes below the firmware, for its variables; */
    uint32_t flash_size;      /* a multiple of FLASH_BLOCK, at most FLASH_SIZE_MAX; 0: none */
    uint64_t flash_at;        /* their guest-physical address */
    bool firmware;            /* there is a ROM; the guest begins at its reset vector */
    bool debug_output;        /* port 402h writes to the console */
    bool portal;              /* a function to speak to the VMM */
};

/* Who drives an interrupt line; a line is up while any of its sources is. */
enum irq_source {
    IRQ_SOURCE_PIT,
    IRQ_SOURCE_KEYBOARD,
    IRQ_SOURCE_UART,
    IRQ_SOURCE_RTC,
    IRQ_SOURCE_SCI,
    IRQ_SOURCE_PIRQ,                                /* four of them */
    IRQ_SOURCE_MOUSE = IRQ_SOURCE_PIRQ + PCI_PIRQS, /* there is room for 32 sources in all */
    IRQ_SOURCES
};

/* I/O blocks that the guest or the configuration places. */
enum port_window_id {
    PORT_WINDOW_PM,
    PORT_WINDOW_SMB,
    PORT_WINDOW_DEBUG_EXIT,
    PORT_WINDOW_VGA,      /* from here on a screen's */
    PORT_WINDOW_VBE,      /* its index, */
    PORT_WINDOW_VBE_DATA, /* and its data, which is at two places */
    PORT_WINDOW_VBE_OTHER,
    PORT_WINDOW_COUNT
};

/* Ports in pages of 32, which are mostly nobody's; the last word is for what wraps around. */
#define PORT_PAGE_SHIFT 5U
#define PORT_PAGE_WORDS ((0x10000U >> PORT_PAGE_SHIFT) / 32U + 1U)

/* How often a guest did what no device answers to; for the console's statistics. */
struct pc_counters {
    uint64_t port_reads;
    uint64_t port_writes;
    uint64_t mmio;
    uint64_t msrs; /* refused with #GP */
};

/* What of the guest's machine is in no device. */
struct board_state {
    uint64_t now;                       /* latest virtual time seen by the shared devices */
    uint32_t line_sources[IOAPIC_PINS]; /* per GSI: bit n: source n asserts it */
    uint64_t intx[PCI_PIRQS][4];        /* per PIRQ: bit devfn: the function asserts it */
    uint32_t lowest_turn;               /* whose turn at lowest priority; atomic */
};

/*
 * What a guest wrote or can read is in the structures named x_state, and in struct pic_chip. It can
 * be saved and loaded (pc_sections); all else is configuration, derived from state by pc_derive(),
 * or counted.
 */
struct pc {
    struct pc_config config;
    struct board_state board;
    uint64_t due;      /* when the next of the shared devices acts; under the lock */
    uint64_t deadline; /* when one acts that a guest hears; written under the lock, read anywhere */
    struct pc_counters unclaimed;

    struct pic pic;
    struct pit pit;
    struct ioapic ioapic;
    struct rtc rtc;
    struct acpi_pm pm;
    struct uart_state uart;
    struct i8042 kbc;
    struct chipset_state chipset;
    struct pci_host_state pci;
    struct fw_cfg fw_cfg;
    struct vga vga;
    struct flash flash;
    struct portal_function portal;
    uint16_t window[PORT_WINDOW_COUNT];   /* the first port; 0: nowhere. Atomic */
    uint32_t port_pages[PORT_PAGE_WORDS]; /* a bit each: a device has some of its ports. Atomic */

    int8_t pirq_gsi[PCI_PIRQS]; /* the ISA line each PIRQ drives now; -1: none */
    uint32_t pic_output;        /* INTR; written under the lock, read anywhere */
    uint64_t pic_targets;       /* vCPUs that take ExtINT; likewise */
    struct lapic lapic[PC_VCPUS_MAX];
};

/*
 * Power the machine on at virtual time 0. Before any vCPU runs. CONFIG is as it says above; only
 * for its debug exit this has to look: CONFLICT, as the log says: the port belongs to a device.
 */
enum status pc_init(struct pc *pc, const struct pc_config *config);

/*
 * Hardware reset. No vCPU runs meanwhile. Time, battery-backed RAM and the VFs' lines stay; the TSC
 * offsets are 0 until pc_vcpu_set_tsc_offset().
 */
void pc_reset(struct pc *pc, uint64_t now);

/*
 * All sections of a struct pc that every PC has, and where its state lies in it; one with a flash
 * has flash_section and flash_block_section beside them. Nothing of the VM runs while it is saved
 * or loaded, and nothing raises interrupts.
 */
extern const struct section_place pc_sections[];
extern const unsigned pc_section_count;

/*
 * After state was loaded: find again all that follows from it. CONFIG must be that of the machine
 * that was saved. Kicks vCPUs that have an interrupt to take, and says when the next event is due.
 */
void pc_derive(struct pc *pc);

/* Fill state and all that is derived from it with BYTE: nothing of it is left for a load to find.
 */
void pc_fill(struct pc *pc, uint8_t byte);

/* ---- Shared devices: any CPU; take the lock ---- */

static inline bool pc_has_page(const struct pc *pc, unsigned page)
{
    return __atomic_load_n(&pc->port_pages[page / 32], __ATOMIC_RELAXED) >> page % 32 & 1U;
}

/* No device has any port near these: pc_port_read() reads all ones, pc_port_write() does nothing,
 * and both count it. No lock. */
static inline bool pc_port_is_free(const struct pc *pc, uint16_t port, unsigned width)
{
    return !pc_has_page(pc, port >> PORT_PAGE_SHIFT) &&
           !pc_has_page(pc, (port + width - 1) >> PORT_PAGE_SHIFT);
}

/* WIDTH 1, 2 or 4. Ports that nobody claims read all ones. */
uint32_t pc_port_read(struct pc *pc, uint16_t port, unsigned width, uint64_t now);
void pc_port_write(struct pc *pc, uint16_t port, unsigned width, uint32_t value, uint64_t now);

/* Let the shared devices act on what is due. */
void pc_run(struct pc *pc, uint64_t now);

/* When to call pc_run() next; CLOCK_NEVER. No lock. */
uint64_t pc_next_event(const struct pc *pc);

/* Drive pin 1..4 (INTA..INTD) of a function of slots 2..31, level-triggered. */
void pc_set_intx(struct pc *pc, uint8_t devfn, unsigned pin, bool level);

/* A byte typed on the console. False: the guest's UART has no room now; offer it again later. */
bool pc_console_read(struct pc *pc, uint8_t byte, uint64_t now);

/* A copy of the VGA's registers, for what draws; false: there is no screen. */
bool pc_screen(struct pc *pc, struct vga_state *state);

/* A key is struck (ps2.h). False: the guest has not taken the one before; offer it again later. */
bool pc_key(struct pc *pc, uint16_t stroke, uint64_t now);

/* The mouse moves by DELTA (right, up, wheel down) with BUTTONS held (bits: left, right, middle).
 */
void pc_mouse(struct pc *pc, const int16_t delta[3], uint8_t buttons, uint64_t now);

/* What the guest says by its portal; and what it is told: portal_function.h. */
void pc_portal_look(struct pc *pc, struct portal_look *look);
void pc_portal_tell(struct pc *pc, uint32_t session, uint32_t taken, uint32_t come, bool ended);

/* Its registers or its configuration space may have changed; the lock is held. */
void pc_settle_portal(struct pc *pc);

/* Is AT in the portal's registers? No lock. WIDTH bytes at OFFSET of them, with it. */
bool pc_portal_claims(const struct pc *pc, uint64_t at);
uint32_t pc_portal_read(struct pc *pc, uint32_t offset, unsigned width);
void pc_portal_write(struct pc *pc, uint32_t offset, unsigned width, uint32_t value);

/* The console takes bytes of the guest's UART again. */
void pc_console_ready(struct pc *pc, uint64_t now);

/* The administrator presses the power button, or raises an NMI (LINT1 of every vCPU). */
void pc_power_button(struct pc *pc, uint64_t now);
void pc_nmi(struct pc *pc);

/*
 * Go on with what a write to FW_CFG_PORT_DMA asks for, a page at most. False: it is not done yet;
 * until it is the guest writes the same again, which changes nothing.
 */
bool pc_dma_run(struct pc *pc);

/* ---- No lock, any CPU ---- */

/*
 * Where the guest's CPUs find what from PC_LOW_BASE to PC_LOW_END: areas, of which area N has bit
 * 2N of the result if reads reach RAM (else the ROM or devices), and bit 2N + 1 if writes do (else
 * devices, or nothing). The last begins at PC_LOW_HIGH and is all that 16-bit code reaches above 1
 * MiB: RAM, or with the A20 gate shut what lies 1 MiB below. Without firmware all is RAM, whatever
 * the PAM registers and the gate say. DMA of devices always reaches RAM.
 */
#define PC_LOW_BASE  0xa0000U
#define PC_LOW_HIGH  0x100000U
#define PC_LOW_END   0x110000U
#define PC_LOW_AREAS 15U
#define PC_LOW_RAM   ((1U << 2 * PC_LOW_AREAS) - 1) /* everywhere */

#define PC_LOW_READS(kinds, area)  (((kinds) >> 2 * (area)&1U) != 0)
#define PC_LOW_WRITES(kinds, area) (((kinds) >> (2 * (area) + 1) & 1U) != 0)

uint32_t pc_low_kinds(const struct pc *pc);

/* The area that holds AT, which is in that range; and where it begins: at the end of the one before
 * it. */
unsigned pc_low_area(uint32_t at);
uint32_t pc_low_start(unsigned area);

/* Deliver an MSI that a passed-through function would have written. False: nobody accepts it. */
bool pc_msi(struct pc *pc, uint64_t address, uint32_t data);

/* ---- One vCPU: on its own CPU ---- */

/* INIT reached the vCPU: reset its local APIC. */
void pc_vcpu_init(struct pc *pc, unsigned vcpu);

/*
 * Access to device memory, WIDTH 1, 2, 4 or 8. False: no device of the platform is there (a read
 * then gives all ones).
 */
bool pc_mmio_read(struct pc *pc, unsigned vcpu, gpa_t address, unsigned width, uint64_t now,
                  uint64_t *value);
bool pc_mmio_write(struct pc *pc, unsigned vcpu, gpa_t address, unsigned width, uint64_t value,
                   uint64_t now);

/* INVALID: the guest gets #GP. Only for MSRs the platform owns: APIC base, TSC deadline, x2APIC. */
enum status pc_msr_read(struct pc *pc, unsigned vcpu, uint32_t msr, uint64_t now, uint64_t *value);
enum status pc_msr_write(struct pc *pc, unsigned vcpu, uint32_t msr, uint64_t value, uint64_t now);

/* CR8: the task priority class, 0..15. */
uint8_t pc_cr8_read(const struct pc *pc, unsigned vcpu);
void pc_cr8_write(struct pc *pc, unsigned vcpu, uint8_t value);

/*
 * The CPU has carried out the guest's write of VALUE at OFFSET of the local APIC's page, or ended
 * VECTOR, a level, by itself, after the state was taken back from it: what else is to be done.
 */
void pc_lapic_written(struct pc *pc, unsigned vcpu, uint32_t offset, uint32_t value, uint64_t now);
void pc_lapic_ended(struct pc *pc, unsigned vcpu, uint8_t vector);

/*
 * Does what such a write does depend on the time? If not, 0 is as good: a time before one that was
 * passed counts as that one.
 */
static inline bool pc_lapic_needs_time(uint32_t offset)
{
    return offset != LAPIC_EOI && offset != LAPIC_TPR && offset != LAPIC_ICR &&
           offset != LAPIC_ICR_HIGH;
}

/* Does the local APIC's page answer? */
static inline bool pc_lapic_has_page(const struct pc *pc, unsigned vcpu)
{
    return pc->lapic[vcpu].state.mode == LAPIC_XAPIC;
}

/* Does the 8259s' INTR wait, which no local APIC holds? Acknowledge it: its vector, or -1. */
bool pc_extint_pending(const struct pc *pc, unsigned vcpu);
int pc_extint_take(struct pc *pc, unsigned vcpu);

/* Can an interrupt be delivered once the vCPU's RFLAGS.IF and interrupt shadow allow it? */
bool pc_interrupt_pending(const struct pc *pc, unsigned vcpu);

/* Acknowledge it: its vector, or -1 when it has gone meanwhile. The caller then delivers it. */
int pc_interrupt_take(struct pc *pc, unsigned vcpu);

/*
 * Offer the interrupt to the CPU, which delivers it once the vCPU's RFLAGS.IF and interrupt shadow
 * allow it: its vector; 0: that must be taken instead, once they do, for its acknowledgement cannot
 * be undone (ExtINT), or it is EXCEPT or no vector of an interrupt alone. After the vCPU has left
 * its guest the offer is settled, before anything else looks at the local APIC: TAKEN or not.
 */
uint8_t pc_interrupt_offer(struct pc *pc, unsigned vcpu, uint8_t except);
void pc_interrupt_settle(struct pc *pc, unsigned vcpu, uint8_t vector, bool taken);

/* Would a lower CR8 make an interrupt deliverable? Then CR8 writes must be intercepted. */
bool pc_interrupt_blocked_by_cr8(const struct pc *pc, unsigned vcpu);

/* From now on the guest's TSC runs at HZ, not 0: no vCPU runs, and what pc_derive() derives is due.
 */
void pc_set_tsc_rate(struct pc *pc, uint64_t hz);

/* The guest's TSC is OFFSET + virtual time * tsc_hz (modulo 2^64) on this vCPU. */
void pc_vcpu_set_tsc_offset(struct pc *pc, unsigned vcpu, uint64_t offset, uint64_t now);

void pc_vcpu_run(struct pc *pc, unsigned vcpu, uint64_t now);
uint64_t pc_vcpu_next_event(const struct pc *pc, unsigned vcpu);

#endif
