/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes of BARs. PCI Express Base 6.0, section 7.5.1.2.1, and 9.3.3.14 for those of VFs.
 *
 * Sizing writes all ones to a BAR, so whoever decodes it must be switched off meanwhile: that is
 * done here, and undone. Nothing is logged in between: the log's screen may be the function.
 */
#ifndef PORTOLAN_DRIVERS_PCI_BARS_H
#define PORTOLAN_DRIVERS_PCI_BARS_H

#include "drivers/pci/function.h"
#include "drivers/pci/sriov.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_BAR_SIZE_MAX    (1ULL << 42) /* a larger one is taken for nonsense */
#define PCI_ADDRESS_LIMIT   (1ULL << 52) /* no x86 CPU reaches further */
#define PCI_ADDRESS_LIMIT32 (1ULL << 32)

/*
 * Read the BARs of FUNCTION with their sizes into BARS, and its expansion ROM's into *ROM (a 32-bit
 * memory BAR, or NONE). Every register is as before afterwards. DEVICE when some BAR was refused,
 * with a warning: it has 'size' 0 then, and 'kind' and 'base' as firmware left them. Boot CPU,
 * while nobody uses the function. Host bridges may not be switched off: do not ask for theirs.
 */
enum status pci_bars_size(const struct pci_function *function, struct pci_bar bars[PCI_BARS_MAX],
                          struct pci_bar *rom);

/*
 * The like for the VF BARs of PF, into sriov->bars; sizes are those of one VF, and depend on the
 * System Page Size that is set. I/O BARs are refused, and sizes below a page.
 */
enum status pci_bars_size_vf(bdf_t pf, struct pci_sriov *sriov);

/*
 * Write ADDRESS to the BAR at OFFSET, which is BAR's, and read it back. Its decoding must be off.
 * DEVICE, with a warning, when it does not stick.
 */
enum status pci_bar_write(bdf_t bdf, uint32_t offset, const struct pci_bar *bar, uint64_t address);

#endif
