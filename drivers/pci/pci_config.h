/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space: ECAM where firmware describes it, else ports CF8h/CFCh.
 * PCI Express Base 6.0, section 7.2; PCI Local Bus 3.0, section 3.2.2.3.2.
 */
#ifndef PORTOLAN_DRIVERS_PCI_PCI_CONFIG_H
#define PORTOLAN_DRIVERS_PCI_PCI_CONFIG_H

#include "drivers/acpi/acpi.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_CONFIG_SIZE          256U  /* bytes of a function's space that ports reach */
#define PCI_CONFIG_SIZE_EXTENDED 4096U /* and that ECAM reaches */

/*
 * Choose the access method: ECAM for the ranges of MCFG, which must stay valid, or, when it has
 * none, the ports for segment 0. Boot CPU, before everything else here.
 */
void pci_config_init(const struct acpi_mcfg *mcfg);

/* How many runs of buses there are: the ECAM ranges, or one, segment 0, for the ports. */
uint32_t pci_config_ranges(void);

/* Range INDEX < pci_config_ranges(); 'base' is 0 for the ports. */
struct acpi_ecam pci_config_range(uint32_t index);

/*
 * Make BUS of SEGMENT reachable (maps its 1 MiB of ECAM once; later calls cost nothing).
 * NOT_FOUND when no range has it, NO_MEMORY when it cannot be mapped. Not at the same time as
 * another open or close.
 */
enum status pci_config_open(uint16_t segment, uint8_t bus);

/* Unmap BUS of SEGMENT again; nothing when it is not open. No CPU may be using it. */
void pci_config_close(uint16_t segment, uint8_t bus);

/* Bytes of configuration space that can be reached on BUS: 0 (not open), 256 or 4096. */
uint32_t pci_config_size(uint16_t segment, uint8_t bus);

/*
 * Read WIDTH (1, 2, 4) bytes at OFFSET, a multiple of WIDTH. All ones, as from a missing device,
 * when the bus is not open or OFFSET is beyond pci_config_size(). Any CPU; takes
 * the ports' lock when there is no ECAM.
 */
uint32_t pci_config_read(bdf_t bdf, uint32_t offset, unsigned width);

/* The like for writing; a write that cannot be done is dropped with a warning. */
void pci_config_write(bdf_t bdf, uint32_t offset, unsigned width, uint32_t value);

/*
 * Clear and set bits of a register of 16 bits, which is written only if that changes it; returns
 * what it reads afterwards. All ones: the function is gone, and nothing is written.
 */
static inline uint32_t pci_config_change(bdf_t bdf, uint32_t offset, uint32_t clear, uint32_t set)
{
    uint32_t value = pci_config_read(bdf, offset, 2), wanted = (value & ~clear) | set;

    if (value != 0xffffU && wanted != value) {
        pci_config_write(bdf, offset, 2, wanted);
        value = pci_config_read(bdf, offset, 2);
    }
    return value;
}

#endif
