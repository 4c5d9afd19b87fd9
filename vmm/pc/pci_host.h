/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration mechanism 1 and the chipset's own functions on bus 0: i440FX host bridge 00.0,
 * PIIX3 ISA bridge 01.0, PIIX4 power management 01.3. Intel 290549 (440FX), 290550 (PIIX3),
 * 290562 (PIIX4); PCI 2.1, 3.2.2.3.2. What a guest may write stands in pci_registers.c.
 *
 * The VGA, if there is one, is 02.0, the portal 1f.0; the other functions of slots 2..31 belong to
 * the VM: pc_edge_pci_read() and pc_edge_pci_write(). After reset the registers are as firmware
 * leaves them, so that a kernel can be started directly. Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_PCI_HOST_H
#define PORTOLAN_VMM_PC_PCI_HOST_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define PCI_PORT_DATA 0xcfcU

#define PCI_CONFIG_SIZE 256U
#define PCI_PIRQS       4U

#define PCI_HOST_PAM 0x59U /* the first of seven, in the host bridge */

enum pci_host_function {
    PCI_HOST_BRIDGE,
    PCI_ISA_BRIDGE,
    PCI_POWER_MANAGEMENT,
    PCI_FUNCTION_COUNT
};

struct pci_host_register {
    const char *name;
    uint8_t offset;
    uint8_t size; /* bytes */
    uint32_t reset;
    uint32_t writable; /* mask */
};

struct pci_register_table {
    const struct pci_host_register *registers;
    unsigned count;
    uint8_t devfn;
};

extern const struct pci_register_table pci_register_tables[PCI_FUNCTION_COUNT];
extern const struct pci_register_table pci_vga_registers;    /* its state is the VGA's (vga.h), */
extern const struct pci_register_table pci_portal_registers; /* and the portal's its own */

/* CONFIG, of PCI_CONFIG_SIZE bytes: as after reset; does it differ from that only where it may? */
void pci_table_reset(const struct pci_register_table *table, uint8_t *config);
bool pci_table_fits(const struct pci_register_table *table, const uint8_t *config);

/* A guest writes WIDTH bytes of it at OFFSET. */
void pci_table_write(const struct pci_register_table *table, uint8_t *config, unsigned offset,
                     unsigned width, uint32_t value);

struct pc;

struct pci_host_state {
    uint32_t address; /* CF8h */
    uint8_t config[PCI_FUNCTION_COUNT][PCI_CONFIG_SIZE];
};

extern const struct section pci_host_section; /* struct pci_host_state */

void pci_host_reset(struct pci_host_state *host);

/* CF8h..CFBh: only 32-bit accesses reach the address register; the caller sees to that. */
void pci_host_write_address(struct pci_host_state *host, uint32_t value);

/* CFCh + OFFSET (0..3), WIDTH bytes, not beyond CFFh and aligned to WIDTH. */
uint32_t pci_host_read_data(struct pc *pc, struct pci_host_state *host, unsigned offset,
                            unsigned width);
void pci_host_write_data(struct pc *pc, struct pci_host_state *host, unsigned offset,
                         unsigned width, uint32_t value);

/* The ISA interrupt that PIRQ 0..3 is routed to; -1: none. */
int pci_host_pirq_irq(const struct pci_host_state *host, unsigned pirq);

/* The PIRQ 0..3 that pin 1..4 (INTA..INTD) of DEVFN is wired to. */
unsigned pci_host_pirq(uint8_t devfn, unsigned pin);

/* As the chip's reset leaves the PAM registers: reads below 1 MiB reach the ROM. */
void pci_host_hide_ram(struct pci_host_state *host);

/* Where the PM and SMBus I/O blocks lie; 0: switched off. */
uint16_t pci_host_pm_base(const struct pci_host_state *host);
uint16_t pci_host_smb_base(const struct pci_host_state *host);

#endif
