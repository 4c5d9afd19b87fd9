/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual functions: switched on and off by the VMM, and listed. PCI Express Base 6.0, chapter 9;
 * docs/pci.md says what is done in which order.
 *
 * Boot CPU, after pci_scan() and pci_room_init(), unless a function says otherwise.
 */
#ifndef PORTOLAN_DRIVERS_PCI_PCI_VF_H
#define PORTOLAN_DRIVERS_PCI_PCI_VF_H

#include "drivers/pci/bridge.h"
#include "drivers/pci/function.h"
#include "drivers/pci/sriov.h"
#include "vmm/base/log.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_PFS_MAX 64U
#define PCI_VFS_MAX 4096U

#define PCI_VF_SETTLE_NS 100000000ULL  /* VFs are left alone after VF Enable is set */
#define PCI_VF_ANSWER_NS 1000000000ULL /* from VF Enable: then they must answer */
#define PCI_VF_RELEASE_NS \
    1000000000ULL /* the capability is left alone after VF Enable is cleared */

#define PCI_VFS_FIT 0U /* for pci_vf_enable(): as many as there is room for */

/* A VF. Its vendor id is its PF's, its device id sriov.vf_device of the PF. */
struct pci_vf {
    struct pci_msix msix;
    bdf_t bdf;
    uint16_t index; /* 0.. among its PF's; virtio's member id is one more */
    uint16_t subsystem;
    uint8_t pf;       /* for pci_pf_at() */
    uint16_t msix_at; /* offset of its MSI-X capability; 0: none that can be used */
    bool present;     /* it answers; if not, nothing but bdf, index and pf is known */
    bool flr;         /* it has function level reset, as every VF must */
    struct pci_master master;
};

/* A PF whose VFs are on. */
struct pci_pf {
    const struct pci_function *function;
    struct pci_sriov sriov; /* BARs with sizes of one VF, and the address of VF 0's */
    uint16_t vfs;
    uint16_t first; /* private: in the table of VFs */
};

/*
 * Switch COUNT VFs of the PF at PF on, or with PCI_VFS_FIT the most that have room (BARs, buses,
 * table), and then the log says what the others lack: their BARs are placed if firmware did not,
 * they have answered, and Bus Master is off in all of them. VFs that firmware or an earlier call
 * left on are switched off first. Takes 100 ms, at most 1.2 s, and up to 1 s more after
 * pci_vf_disable().
 *
 * On failure the VFs are off, and the log says why and what to do: RANGE for a count or addresses
 * (of functions) that cannot be, UNSUPPORTED for what the device or the way to it lacks, CONFLICT
 * when VFs would be where other functions are, NO_ROOM without addresses for BARs, NO_MEMORY
 * without room in a table, DEVICE when the device contradicts itself or does not answer, NOT_FOUND
 * when it is no PF. A VF that does not answer is no failure as long as another one does: it is
 * listed as not present.
 */
enum status pci_vf_enable(bdf_t pf, uint16_t count);

/* Switch all VFs of the PF off; nobody may use them. STATE when they are not on. */
enum status pci_vf_disable(bdf_t pf);

/* The PF of index INDEX < PCI_PFS_MAX, NULL: none has that index now. Any CPU, between changes. */
const struct pci_pf *pci_pf_at(uint32_t index);

/* The PF at BDF if its VFs are on, else NULL. */
const struct pci_pf *pci_pf_find(bdf_t bdf);

/* VF INDEX of PF, NULL beyond pf->vfs. It stays where it is until its PF's VFs are switched off. */
const struct pci_vf *pci_vf_of(const struct pci_pf *pf, uint32_t index);

/* The VF at BDF, NULL when there is none. Cost linear in VFs. */
const struct pci_vf *pci_vf_find(bdf_t bdf);

/*
 * BAR of VF, 0..5, with address and size, kind NONE: none. They are the PF's to know: BARs in a
 * VF's own configuration space read 0 (9.3.4.1.11).
 */
struct pci_bar pci_vf_bar(const struct pci_vf *vf, uint32_t bar);

/* Let VF do DMA, or forbid it; drivers/pci/bridge.h. The only bit its Command register has. */
enum status pci_vf_set_master(const struct pci_vf *vf, bool on);

/* ---- Between pci_vf.c and vf_plan.c: where VFs will be, before they are switched on ---- */

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
 * 9.3.3.3.1: 1 s). No time at all if it was not.
 */
void pci_vf_await_release(const struct pci_function *pf);

#endif
