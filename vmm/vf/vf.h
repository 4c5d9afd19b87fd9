/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving VFs to VMs: what lies between the configuration, the drivers (PCI, IOMMU, virtio) and
 * vmm/legacy. docs/vf.md tells the whole way.
 */
#ifndef PORTOLAN_VMM_VF_VF_H
#define PORTOLAN_VMM_VF_VF_H

#include "boot/handoff.h"
#include "drivers/virtio/queue.h"
#include "vmm/base/format.h"
#include "vmm/base/guest_log.h"
#include "vmm/base/status.h"
#include "vmm/config/config.h"
#include "vmm/host/guest_ram.h"
#include "vmm/legacy/legacy.h"
#include "vmm/pc/pc.h"

/* Whose VFs they are; the VM layer fills it, and all of it stays. */
struct vf_owner {
    const struct config_vm *config;
    unsigned index; /* of the VM */
    struct pc *pc;
    const struct ram *ram;
    struct guest_log *log;
};

/* All that a VM needs for its VFs. */
struct vf_set {
    struct legacy_set legacy; /* the first; its functions are there while the VM runs */
    struct vf_owner owner;
    struct iommu_domain *domain;      /* while the VM runs */
    enum status fit;                  /* not OK: it cannot be started; see the log. As of boot */
    bool bound;                       /* from the end of vf_bind() to that of vf_unbind(); atomic */
    struct legacy_inflight *inflight; /* of its only VF; NULL: it never has a standby */
    bool held;                        /* its VM goes to another host, or comes: no orders; atomic */
    bool tainted;                     /* a unit of the IOMMU may still reach its memory */
    uint32_t faults;                  /* DMA and interrupts of its VFs that were blocked; atomic */
    struct guest_log fault_log;       /* a share of its own: other lines cannot use it up */
    uint32_t count;                   /* 0: it has none */
    struct vf *vf[CONFIG_VM_VFS_MAX];
    struct virtio_dma map[CONFIG_VM_VFS_MAX]; /* vf_map_memory() */
};

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
 * Find the VFs of OWNER and what they need. Those that cannot be had are said, now and at each
 * start. NO_MEMORY. Boot CPU, once for each VM, after vf_start_pfs().
 */
enum status vf_create(struct vf_set *set, const struct vf_owner *owner);

/* The VM is left out: what vf_create() has found is given back. Nothing if that did not come to be,
 * and SET is all zero. Boot CPU. */
void vf_destroy(struct vf_set *set);

/*
 * Say what of a VM's VFs gets past the IOMMU. Unless UNSAFE, a VM with VFs cannot be started where
 * interrupts are not remapped; nor can, of two VMs of which one could reach a VF of the other since
 * a port above has no ACS, the later one of the configuration. Boot CPU, after all VMs are made.
 */
void vf_check_isolation(bool unsafe);

/*
 * Give the VM its VFs: DMA to its RAM and nothing else, reset, visible in its slots. The VM is
 * powered on, and no vCPU runs. Failure, said in the log: it has none of them. Takes 100 ms if one
 * of the VFs was not reset since its last use.
 */
enum status vf_bind(struct vf_set *set);

/*
 * Take its VFs away again. No vCPU runs any more. If a unit of the IOMMU does not confirm, the VM
 * cannot be started again, and its memory is never used for anything else. Any CPU.
 */
void vf_unbind(struct vf_set *set);

/* See what the IOMMU has blocked. CPU 0, from time to time. */
void vf_poll_faults(void);

/* Print a VM's VFs and what they have done, for the operator. */
void vf_print(const struct vf_set *set, print_line *print);

/* Print what is held for the VFs of all VMs. */
void vf_print_all(print_line *print);

#endif
