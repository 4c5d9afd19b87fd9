/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vf/vf_spare.h"

#include "drivers/pci/flr.h"
#include "vmm/base/log.h"

#include <string.h>

static struct vf first;
static struct vf *spare = &first;
static struct vf_set holder; /* of its legacy function, until that is the VM's */
static struct pci_flr flr;
static bool added; /* its legacy function is up */

/* The PFs of the spare and of the VF that it is exchanged for; NULL: it is closed; atomic. */
static const struct pf *busy[2];

struct vf *vf_lookup(bdf_t pf, uint32_t index)
{
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        const struct vf_set *set = vf_set_at(i);

        for (uint32_t k = 0; set && k < set->count; k++) {
            if (bdf_equal(set->vf[k]->place.pf, pf) && set->vf[k]->place.index == index) {
                return set->vf[k];
            }
        }
    }
    return NULL;
}

struct vf *vf_spare(void)
{
    return spare;
}

bool vf_spare_uses(const struct pf *pf)
{
    return __atomic_load_n(&busy[0], __ATOMIC_SEQ_CST) == pf ||
           __atomic_load_n(&busy[1], __ATOMIC_SEQ_CST) == pf;
}

static void set_busy(const struct pf *from, const struct pf *to)
{
    __atomic_store_n(&busy[0], from, __ATOMIC_SEQ_CST);
    __atomic_store_n(&busy[1], to, __ATOMIC_SEQ_CST);
}

static void begin_flr(void)
{
    if (pci_flr_start(&flr, spare->pci->bdf) != STATUS_OK) {
        flr.state = PCI_FLR_FAILED;
    }
}

struct vf *vf_spare_open(const struct vf *old, bdf_t pf, uint32_t index)
{
    const struct pf *of = pf_find(pf);

    memset(spare, 0, sizeof(*spare));
    added = false;
    spare->set = old->set;
    spare->place = (struct config_vf){.pf = pf, .index = index, .slot = old->setup.slot};
    set_busy(old->pf, of);
    if (of && __atomic_load_n(&of->restarting, __ATOMIC_SEQ_CST)) {
        log_warn("PF " BDF_FORMAT " is being reset: VM '%s' is not moved to a VF of it",
                 BDF_ARGS(pf), old->set->owner.config->name);
        spare->fit = STATUS_STATE;
    } else {
        spare->fit = vf_find(spare);
    }
    if (spare->fit != STATUS_OK) {
        vf_spare_close();
        return NULL;
    }
    if (!vf_is_separated(spare)) {
        log_warn("VF " BDF_FORMAT
                 " may reach VFs of another VM past the IOMMU, or they it: VM '%s' "
                 "is not moved to it",
                 BDF_ARGS(spare->pci->bdf), old->set->owner.config->name);
        vf_spare_close();
        return NULL;
    }
    begin_flr();
    return spare;
}

bool vf_spare_is_reset(enum status *status)
{
    enum pci_flr_state state = pci_flr_poll(&flr);

    if (state == PCI_FLR_DONE) {
        vf_is_new(spare);
        __atomic_store_n(&spare->fresh, true, __ATOMIC_RELEASE);
    }
    *status = state == PCI_FLR_DONE ? STATUS_OK : STATUS_DEVICE;
    return state == PCI_FLR_DONE || state == PCI_FLR_FAILED;
}

enum status vf_spare_add(const struct vf *old)
{
    struct vf_set *set = old->set;
    enum status status = iommu_attach(set->domain, spare->pci->bdf, spare->pf->config->bdf);

    spare->attached = status == STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    holder = (struct vf_set){.owner = set->owner};
    legacy_init(&holder.legacy, set->owner.config->name);
    holder.legacy.hidden = true;
    spare->setup.interrupt_line = old->setup.interrupt_line;
    /* The guest goes on to see the table that it knows. */
    if (spare->setup.vectors > old->function.vectors) {
        spare->setup.vectors = old->function.vectors;
    }
    status = legacy_add(&holder.legacy, &spare->function, &spare->setup);
    added = status == STATUS_OK;
    return status;
}

struct vf *vf_spare_exchange(struct vf *old)
{
    struct vf_set *set = old->set;
    struct vf *now = spare;

    legacy_hand_over(&old->function, &now->function);
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->vf[i] == old) {
            set->vf[i] = now;
        }
    }
    spare = old;
    return now;
}

void vf_spare_retire(void)
{
    if (added) {
        legacy_retire(&spare->function);
    }
    if (spare->attached) {
        spare->attached = false;
        vf_note_release(spare->set, iommu_detach(spare->pci->bdf));
    }
    begin_flr();
}

void vf_spare_close(void)
{
    vf_forget(spare);
    set_busy(NULL, NULL);
}
