/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vf/vf_spare.h"

#include "drivers/pci/flr.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"

#include <string.h>

static struct spare {
    struct vf first, *vf;
    struct vf_set holder; /* of its legacy function, until that is the VM's */
    struct pci_flr flr;
    bool added; /* its legacy function is up */
    /* The PFs of the spare and of the VF that it is exchanged for; NULL: it is closed; atomic. */
    const struct pf *busy[2];
} * spares; /* CONFIG_VM_VFS_MAX; NULL: there are none */

enum status vf_spare_create(void)
{
    spares = pool_allocate(CONFIG_VM_VFS_MAX * sizeof(*spares), PAGE_SIZE);
    for (uint32_t n = 0; spares && n < CONFIG_VM_VFS_MAX; n++) {
        spares[n].vf = &spares[n].first;
    }
    return spares ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

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

struct vf *vf_spare(uint32_t n)
{
    return spares[n].vf;
}

bool vf_spare_uses(const struct pf *pf)
{
    bool used = false;

    for (uint32_t n = 0; spares && n < CONFIG_VM_VFS_MAX; n++) {
        used = used || __atomic_load_n(&spares[n].busy[0], __ATOMIC_SEQ_CST) == pf ||
               __atomic_load_n(&spares[n].busy[1], __ATOMIC_SEQ_CST) == pf;
    }
    return used;
}

static void set_busy(struct spare *spare, const struct pf *from, const struct pf *to)
{
    __atomic_store_n(&spare->busy[0], from, __ATOMIC_SEQ_CST);
    __atomic_store_n(&spare->busy[1], to, __ATOMIC_SEQ_CST);
}

static void begin_flr(struct spare *spare)
{
    if (pci_flr_start(&spare->flr, spare->vf->pci->bdf) != STATUS_OK) {
        spare->flr.state = PCI_FLR_FAILED;
    }
}

/* VF is what OLD's VM may have, and mapped; else why it cannot be had is said. */
static bool find(struct vf *vf, const struct vf *old, const struct pf *of)
{
    const char *vm = old->set->owner.config->name;

    if (of && __atomic_load_n(&of->restarting, __ATOMIC_SEQ_CST)) {
        log_warn("PF " BDF_FORMAT " is being reset: VM '%s' is not moved to a VF of it",
                 BDF_ARGS(vf->place.pf), vm);
        vf->fit = STATUS_STATE;
        return false;
    }
    vf->fit = vf_find(vf);
    if (vf->fit == STATUS_OK && !vf_is_separated(vf)) {
        log_warn("VF " BDF_FORMAT
                 " may reach VFs of another VM past the IOMMU, or they it: VM '%s' "
                 "is not moved to it",
                 BDF_ARGS(vf->pci->bdf), vm);
        return false;
    }
    return vf->fit == STATUS_OK;
}

struct vf *vf_spare_open(uint32_t n, const struct vf *old, bdf_t pf, uint32_t index)
{
    struct spare *spare = &spares[n];
    const struct pf *of = pf_find(pf);

    memset(spare->vf, 0, sizeof(*spare->vf));
    spare->added = false;
    spare->vf->set = old->set;
    spare->vf->place = (struct config_vf){.pf = pf, .index = index, .slot = old->setup.slot};
    set_busy(spare, old->pf, of);
    if (!find(spare->vf, old, of)) {
        vf_spare_close(n);
        return NULL;
    }
    begin_flr(spare);
    return spare->vf;
}

bool vf_spare_is_reset(uint32_t n, enum status *status)
{
    struct spare *spare = &spares[n];
    enum pci_flr_state state = pci_flr_poll(&spare->flr);

    if (state == PCI_FLR_DONE) {
        vf_is_new(spare->vf);
        __atomic_store_n(&spare->vf->fresh, true, __ATOMIC_RELEASE);
    }
    *status = state == PCI_FLR_DONE ? STATUS_OK : STATUS_DEVICE;
    return state == PCI_FLR_DONE || state == PCI_FLR_FAILED;
}

enum status vf_cut(struct vf *vf)
{
    if (!vf->attached) {
        return STATUS_OK;
    }
    enum status status = iommu_detach(vf->pci->bdf);

    vf->attached = false;
    vf_note_release(vf->set, status);
    return status;
}

enum status vf_join(struct vf *vf)
{
    enum status status = iommu_attach(vf->set->domain, vf->pci->bdf, vf->pf->config->bdf);

    vf->attached = status == STATUS_OK;
    return status;
}

enum status vf_spare_add(uint32_t n, const struct vf *old)
{
    struct vf_set *set = old->set, *holder = &spares[n].holder;
    struct vf *vf = spares[n].vf;
    enum status status = vf_join(vf);

    if (status != STATUS_OK) {
        return status;
    }
    *holder = (struct vf_set){.owner = set->owner};
    legacy_init(&holder->legacy, set->owner.config->name);
    holder->legacy.hidden = true;
    vf->setup.interrupt_line = old->setup.interrupt_line;
    /* The guest goes on to see the table that it knows. */
    if (vf->setup.vectors > old->function.vectors) {
        vf->setup.vectors = old->function.vectors;
    }
    status = legacy_add(&holder->legacy, &vf->function, &vf->setup);
    spares[n].added = status == STATUS_OK;
    return status;
}

struct vf *vf_spare_exchange(uint32_t n, struct vf *old)
{
    struct vf_set *set = old->set;
    struct vf *now = spares[n].vf;

    legacy_hand_over(&old->function, &now->function);
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->vf[i] == old) {
            set->vf[i] = now;
        }
    }
    spares[n].vf = old;
    return now;
}

void vf_spare_retire(uint32_t n)
{
    struct vf *vf = spares[n].vf;

    if (spares[n].added) {
        legacy_retire(&vf->function);
    }
    (void)vf_cut(vf);
    begin_flr(&spares[n]);
}

void vf_spare_close(uint32_t n)
{
    vf_forget(spares[n].vf);
    set_busy(&spares[n], NULL, NULL);
}
