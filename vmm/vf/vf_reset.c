/* SPDX-License-Identifier: BSD-2-Clause */
/* The FLRs of a VM's VFs: all at once, and none of a VF that nobody has used since its last one. */
#include "drivers/pci/flr.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/vf/vf_internal.h"

static bool is_fresh(const struct vf *vf)
{
    return __atomic_load_n(&vf->fresh, __ATOMIC_ACQUIRE);
}

/* FLR: of those that were started; one that was fresh is not among them. */
static enum status outcome(const struct pci_flr *flr, enum status started)
{
    if (started != STATUS_OK || flr->state == PCI_FLR_DONE) {
        return started;
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

void vf_is_new(struct vf *vf)
{
    vf_state_open(&vf->control, &vf->pf->control, (uint16_t)(vf->pci->index + 1U));
    vf->device_state = 1;
    vf->watched = vf->all_written = false;
}

void vf_reset_each(struct vf *const *vf, uint32_t count, enum status *status)
{
    struct pci_flr flr[CONFIG_VM_VFS_MAX];

    for (uint32_t i = 0; i < count; i++) {
        flr[i] = (struct pci_flr){.state = PCI_FLR_DONE};
        status[i] = is_fresh(vf[i]) ? STATUS_OK : pci_flr_start(&flr[i], vf[i]->pci->bdf);
    }
    pci_flr_finish(flr, count);
    for (uint32_t i = 0; i < count; i++) {
        status[i] = outcome(&flr[i], status[i]);
        __atomic_store_n(&vf[i]->fresh, status[i] == STATUS_OK, __ATOMIC_RELEASE);
        if (status[i] == STATUS_OK) {
            vf_is_new(vf[i]);
        }
    }
}

_Static_assert(LEGACY_FUNCTIONS_MAX == CONFIG_VM_VFS_MAX, "a set has no more VFs than a VM");

void legacy_edge_flr(struct legacy_function *const *function, unsigned count, enum status *status)
{
    struct vf *vf[LEGACY_FUNCTIONS_MAX];

    for (unsigned i = 0; i < count; i++) {
        vf[i] = vf_of(function[i]);
    }
    vf_reset_each(vf, count, status);
}
