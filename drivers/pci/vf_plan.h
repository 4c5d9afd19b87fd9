/* SPDX-License-Identifier: BSD-2-Clause */
/* Where VFs will be, before they are switched on; for vf.c alone. */
#ifndef PORTOLAN_DRIVERS_PCI_VF_PLAN_H
#define PORTOLAN_DRIVERS_PCI_VF_PLAN_H

#include "drivers/pci/function.h"
#include "drivers/pci/sriov.h"
#include "vmm/base/log.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

/*
 * With VF Enable clear: set NumVFs to COUNT, and ARI if the VFs need it, and read offset and stride
 * into *SRIOV. Refuses, and says why at LEVEL, VFs that would be on buses that do not lead here, or
 * where other functions are, or which the port above does not reach. All buses of the VFs are open
 * then.
 */
enum status pci_vf_plan(const struct pci_function *pf, struct pci_sriov *sriov, uint16_t count,
                        enum log_level level);

/*
 * VF Enable of PF was cleared: sleep until its SR-IOV capability may be used again (PCIe 6.0,
 * 9.3.3.3.1: 1 s). No time at all if it was not. Implemented by pci_vf.c.
 */
void pci_vf_await_release(const struct pci_function *pf);

#endif
