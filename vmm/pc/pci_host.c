/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/pci_host.h"

#include "vmm/base/little_endian.h"
#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"

#include <string.h>

#define ADDRESS_ENABLE   0x80000000U
#define ADDRESS_WRITABLE 0x80fffffcU
#define FIRST_VM_SLOT    2U

#define PAM_REGISTERS   7U
#define ISA_PIRQ_ROUTE  0x60U
#define PIRQ_OFF        0x80U
#define PM_BASE         0x40U
#define PM_MISC         0x80U
#define PM_MISC_ENABLE  0x01U
#define SMB_BASE        0x90U
#define SMB_HOST        0xd2U
#define SMB_HOST_ENABLE 0x01U
#define PM_COMMAND      0x04U
#define COMMAND_IO      0x01U

/* The ISA interrupts a PIRQ can be routed to (82371SB 2.2.9): not 0, 1, 2, 8 and 13. */
#define ROUTABLE 0xdef8U

void pci_host_reset(struct pci_host_state *host)
{
    host->address = 0;
    for (unsigned f = 0; f < PCI_FUNCTION_COUNT; f++) {
        pci_table_reset(&pci_register_tables[f], host->config[f]);
    }
}

static bool check_state(const void *state)
{
    const struct pci_host_state *host = state;
    bool good = (host->address & ~ADDRESS_WRITABLE) == 0;

    for (unsigned f = 0; f < PCI_FUNCTION_COUNT; f++) {
        good = good && pci_table_fits(&pci_register_tables[f], host->config[f]);
    }
    return good;
}

static const struct field pci_host_fields[] = {
    FIELD(struct pci_host_state, address, ADDRESS_WRITABLE),
    FIELD_MATRIX(struct pci_host_state, config, 0xff),
};

const struct section pci_host_section =
    SECTION(struct pci_host_state, "pci_host", 1, pci_host_fields, check_state);

void pci_host_write_address(struct pci_host_state *host, uint32_t value)
{
    host->address = value & ADDRESS_WRITABLE;
}

/* The platform's own function at DEVFN: its table, and its registers; NULL: it is none. */
static const struct pci_register_table *find_function(struct pc *pc, struct pci_host_state *host,
                                                      uint8_t devfn, uint8_t **config)
{
    if (devfn == VGA_DEVFN && pc->vga.memory) {
        *config = pc->vga.state.config;
        return &pci_vga_registers;
    }
    if (devfn == PORTAL_DEVFN && pc->portal.present) {
        *config = pc->portal.state.config;
        return &pci_portal_registers;
    }
    for (unsigned f = 0; f < PCI_FUNCTION_COUNT; f++) {
        if (pci_register_tables[f].devfn == devfn) {
            *config = host->config[f];
            return &pci_register_tables[f];
        }
    }
    return NULL;
}

/* Does the address register select something on bus 0? */
static bool selects(const struct pci_host_state *host, uint8_t *devfn)
{
    *devfn = (uint8_t)(host->address >> 8);
    return (host->address & ADDRESS_ENABLE) != 0 && (host->address >> 16 & 0xffU) == 0;
}

uint32_t pci_host_read_data(struct pc *pc, struct pci_host_state *host, unsigned offset,
                            unsigned width)
{
    uint8_t where = (uint8_t)((host->address & 0xfcU) + offset);
    uint8_t devfn, *config;

    if (!selects(host, &devfn)) {
        return all_ones(width);
    }
    if (find_function(pc, host, devfn, &config)) {
        return (uint32_t)bytes_get(config + where, width);
    }
    return devfn >> 3 >= FIRST_VM_SLOT ? pc_edge_pci_read(pc, devfn, where, width)
                                       : all_ones(width);
}

void pci_host_write_data(struct pc *pc, struct pci_host_state *host, unsigned offset,
                         unsigned width, uint32_t value)
{
    uint8_t where = (uint8_t)((host->address & 0xfcU) + offset);
    uint8_t devfn, *config;

    if (!selects(host, &devfn)) {
        return;
    }
    const struct pci_register_table *table = find_function(pc, host, devfn, &config);

    if (!table && devfn >> 3 >= FIRST_VM_SLOT) {
        pc_edge_pci_write(pc, devfn, where, width, value);
    }
    if (table) {
        pci_table_write(table, config, where, width, value);
    }
    if (table == &pci_vga_registers) {
        vga_config_written(&pc->vga);
    } else if (table == &pci_portal_registers) {
        pc_settle_portal(pc);
    }
}

int pci_host_pirq_irq(const struct pci_host_state *host, unsigned pirq)
{
    uint8_t route = host->config[PCI_ISA_BRIDGE][ISA_PIRQ_ROUTE + pirq];

    if ((route & PIRQ_OFF) != 0 || (ROUTABLE >> (route & 15U) & 1U) == 0) {
        return -1;
    }
    return route & 15;
}

unsigned pci_host_pirq(uint8_t devfn, unsigned pin)
{
    unsigned slot = devfn >> 3;

    return (slot + pin - 1 + PCI_PIRQS - 1) % PCI_PIRQS; /* slot 1's INTA is PIRQA */
}

void pci_host_hide_ram(struct pci_host_state *host)
{
    memset(&host->config[PCI_HOST_BRIDGE][PCI_HOST_PAM], 0, PAM_REGISTERS);
}

static uint16_t block_base(const uint8_t *config, unsigned base, unsigned enable, uint8_t bit)
{
    if ((config[enable] & bit) == 0 || (config[PM_COMMAND] & COMMAND_IO) == 0) {
        return 0;
    }
    return (uint16_t)(config[base + 1] << 8 | (config[base] & 0xf0U));
}

uint16_t pci_host_pm_base(const struct pci_host_state *host)
{
    const uint8_t *config = host->config[PCI_POWER_MANAGEMENT];

    /* This block, unlike the SMBus one, decodes whatever the command register says. */
    return (config[PM_MISC] & PM_MISC_ENABLE) == 0
               ? 0
               : (uint16_t)(config[PM_BASE + 1] << 8 | (config[PM_BASE] & 0xc0U));
}

uint16_t pci_host_smb_base(const struct pci_host_state *host)
{
    return block_base(host->config[PCI_POWER_MANAGEMENT], SMB_BASE, SMB_HOST, SMB_HOST_ENABLE);
}
