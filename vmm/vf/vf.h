/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving VFs to VMs: what lies between the configuration, the drivers (PCI, IOMMU, virtio) and
 * vmm/passthrough. docs/vf.md tells the whole way.
 */
#ifndef PORTOLAN_VMM_VF_VF_H
#define PORTOLAN_VMM_VF_VF_H

#include "boot/handoff.h"
#include "vmm/base/status.h"
#include "vmm/config/config.h"

struct vm;

/*
 * Switch the IOMMU on, if there is one: from here on no device reaches memory that it was not
 * given. PHYSICAL_BITS: the CPU's address width. Boot CPU, once, after pci_scan().
 */
void vf_confine_devices(unsigned physical_bits);

/*
 * Bring the PFs of CONFIG up and switch their VFs on. One that fails is said, and left out: the VMs
 * that want its VFs are not started. MAP is the loader's, of REGIONS. Boot CPU, once, after
 * virtio_discover().
 */
void vf_start_pfs(const struct config *config, const struct handoff_region *map, uint32_t regions);

/*
 * Find the VFs of VM and what they need. Those that cannot be had are said, now and at each start.
 * NO_MEMORY. Boot CPU, after vf_start_pfs().
 */
enum status vf_create(struct vm *vm);

/*
 * Say what of a VM's VFs gets past the IOMMU. Unless UNSAFE, a VM with VFs cannot be started where
 * interrupts are not remapped; nor can, of two VMs of which one could reach a VF of the other since
 * a port above has no ACS, the later one of the configuration. Boot CPU, after all VMs are made.
 */
void vf_check_isolation(bool unsafe);

/*
 * Give VM its VFs: DMA to its RAM and nothing else, reset, visible in its slots. The VM is powered
 * on, and no vCPU runs. Failure, said in the log: it has none of them. Takes 100 ms if one of the
 * VFs was not reset since its last use.
 */
enum status vf_bind(struct vm *vm);

/*
 * The VM is reset: its VFs too. No vCPU runs. First they are silenced, so that none of their
 * interrupts gets into the new life of the pc; after pc_reset() they are reset.
 */
void vf_silence(struct vm *vm);
void vf_reset(struct vm *vm);

/*
 * Take its VFs away again. No vCPU runs any more. If a unit of the IOMMU does not confirm, the VM
 * cannot be started again, and its memory is never used for anything else. Any CPU.
 */
void vf_unbind(struct vm *vm);

/* See what the IOMMU has blocked. CPU 0, from time to time. */
void vf_poll_faults(void);

/* Print VM's VFs and what they have done on the operator's console. */
void vf_print(const struct vm *vm);

/* Print what is held for the VFs of all VMs. */
void vf_print_all(void);

#endif
