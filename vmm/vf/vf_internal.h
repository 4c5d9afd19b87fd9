/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of vmm/vf share. */
#ifndef PORTOLAN_VMM_VF_VF_INTERNAL_H
#define PORTOLAN_VMM_VF_VF_INTERNAL_H

#include "drivers/iommu/iommu.h"
#include "drivers/pci/msix.h"
#include "drivers/pci/pci_vf.h"
#include "drivers/virtio/mmr.h"
#include "drivers/virtio/vf_state.h"
#include "vmm/host/percpu.h"
#include "vmm/vf/vf.h"

/* A PF of the configuration. */
struct pf {
    const struct config_pf *config;
    const struct pci_pf *pci; /* NULL: it is not up; the log has said why */
    const struct virtio_function *function;
    struct virtio_pf virtio;
    struct vf_state_pf control; /* of its VFs' state */
    struct virtio_dma memory;   /* of the administration queue */
    struct virtio_bar bars[PCI_BARS_MAX];
    struct pci_master master;
    bool broken;       /* it was up, and could not be restarted */
    bool restarting;   /* it is, or is about to be unless one of its VFs is in use; atomic */
    uint64_t commands; /* of the administration queue that may be used; bit n: opcode n */
};

/* An entry of a VF's MSI-X table that has a vector. */
struct vf_entry {
    struct cpu *cpu; /* NULL: it has none */
    uint32_t irq;    /* of the IOMMU */
    uint8_t vector;
};

/* A VF of a VM; made at boot, kept. */
struct vf {
    struct legacy_function function; /* valid while the VM runs */
    struct vf_set *set;
    struct pf *pf;
    const struct pci_vf *pci;
    struct config_vf place; /* of the configuration, or where the VM was moved to */
    enum status fit;        /* not OK: it cannot be had; see the log */
    struct pci_msix_table msix;
    struct mmr mmr; /* registers NULL: it goes by the PF's administration queue */
    struct legacy_setup setup;
    bool leaks;    /* it may get past the IOMMU to others of its device: no ACS that works */
    bool attached; /* to the VM's IOMMU domain */
    bool fresh;    /* an FLR was the last thing that was done to it; atomic */
    hpa_t doorbell_at;
    volatile uint16_t *doorbell; /* mapped once, at doorbell_at; NULL: not yet */
    struct vf_entry entry[LEGACY_VECTORS_MAX];
    struct vf_state control; /* of its device's state; new after each FLR */
    uint8_t device_state;    /* enum device_state of vmm/migrate; 1 after each FLR: it runs */
    bool asleep;             /* its PF owes an answer, then it is told to run; atomic */
    uint8_t wakes;           /* how often it was, and that was not answered in time either */
    bool watched;            /* the IOMMU tells what it writes; until an FLR */
    bool all_written;        /* nobody can tell what it writes, and somebody asks; until an FLR */
};

static inline struct vf *vf_of(struct legacy_function *function)
{
    return (struct vf *)((uintptr_t)function - offsetof(struct vf, function));
}

/* The VFs of the VM of that INDEX, which is below CONFIG_VMS_MAX; NULL: it has none. */
struct vf_set *vf_set_at(unsigned index);

/* The PF of INDEX in the configuration; NULL: there are not so many. */
struct pf *pf_at(uint32_t index);

/* The PF at BDF of the configuration; NULL. */
struct pf *pf_find(bdf_t bdf);

/* Was VF's PF up, and takes no more commands, or none for VF? Any CPU. */
bool vf_is_cut_off(const struct vf *vf);

/*
 * Reset PF, bring it up again, and switch its VFs on. No set that is bound has one of them, nothing
 * of them is mapped, and each must be found anew. Where VMs are started; takes 1 to 3 s. Errors,
 * said in the log, leave it down: it may be tried again.
 */
enum status pf_restart(struct pf *pf);

/*
 * SIZE bytes, whole pages, that PFs reach, for a map of what VF writes. They are kept for VF's
 * place in its VM: a device that still writes there only marks too much. NULL, said in the log:
 * there are none. One CPU at a time for a VM.
 */
const struct virtio_dma *vf_map_memory(const struct vf *vf, uint64_t size);

/* Find VF at its place, and map what it needs. Errors are said in the log. */
enum status vf_find(struct vf *vf);

/* Unmap what is mapped of a VF that goes away. */
void vf_forget(struct vf *vf);

/* After an FLR: its device's state is the default. */
void vf_is_new(struct vf *vf);

/* A unit of the IOMMU has, STATUS says how well, let go of SET's memory. */
void vf_note_release(struct vf_set *set, enum status status);

/* May VF, that a VM is to have, run beside the VFs of all other VMs? */
bool vf_is_separated(struct vf *vf);

/* Find SET's VFs of PF, as at boot; SET is not bound. */
void vf_find_again(struct vf_set *set, const struct pf *pf);

/*
 * See that SET's PFs take commands where its VFs need them: one that does not is restarted, unless
 * another VM runs on it. CONFLICT or what a restart fails with, said in the log: the VM cannot
 * start. SET is not bound.
 */
enum status vf_recover_pfs(struct vf_set *set);

/*
 * An FLR for each of COUNT VFs that is not fresh, all at the same time; STATUS[i] is that of VF[i].
 * Takes 100 ms, or no time if all are fresh.
 */
void vf_reset_each(struct vf *const *vf, uint32_t count, enum status *status);

#endif
