/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PF that takes no more commands, or none for one of its VFs (docs/virtio.md), must be reset
 * before its queue's memory is used again, and a reset takes all its VFs away. So it is done when a
 * VM that cannot do without commands is started and no VM that runs has a VF of that PF: nobody
 * loses what still works.
 *
 * Where VMs are started, one after the other. VMs may stop on other CPUs meanwhile.
 */
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/vf/vf_spare.h"

/* Does the VM run, or is it still giving its VFs back? */
static bool is_bound(const struct vf_set *set)
{
    return __atomic_load_n(&set->bound, __ATOMIC_ACQUIRE);
}

static bool has_vf_of(const struct vf_set *set, const struct pf *pf)
{
    for (uint32_t i = 0; set && i < set->count; i++) {
        if (set->vf[i]->pf == pf) {
            return true;
        }
    }
    return false;
}

static const struct vf_set *find_user(const struct pf *pf)
{
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        const struct vf_set *set = vf_set_at(i);

        if (has_vf_of(set, pf) && is_bound(set)) {
            return set;
        }
    }
    return NULL;
}

void vf_forget(struct vf *vf)
{
    if (vf->fit == STATUS_OK) {
        pci_msix_close(&vf->msix);
    }
    mmr_close(&vf->mmr);
    if (vf->doorbell) {
        map_release((void *)(uintptr_t)vf->doorbell, sizeof(*vf->doorbell));
        vf->doorbell = NULL;
    }
    __atomic_store_n(&vf->fresh, false, __ATOMIC_RELEASE);
    __atomic_store_n(&vf->pci, NULL, __ATOMIC_RELAXED);
    vf->fit = STATUS_STATE;
}

static void let_all_go(const struct pf *pf)
{
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        struct vf_set *set = vf_set_at(i);

        for (uint32_t k = 0; set && k < set->count; k++) {
            if (set->vf[k]->pf == pf) {
                vf_forget(set->vf[k]);
            }
        }
    }
}

static void find_all_again(const struct pf *pf)
{
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        if (has_vf_of(vf_set_at(i), pf)) {
            vf_find_again(vf_set_at(i), pf);
        }
    }
}

/* The spare first: until it is closed, the VF may be on its way to a VM's set. */
static enum status check_unused(const struct vf *vf)
{
    const struct pf *pf = vf->pf;
    const char *vm = vf->set->owner.config->name;

    if (vf_spare_uses(pf)) {
        log_warn("VM '%s' is not started: PF " BDF_FORMAT
                 " must be reset, and one of its VFs is being "
                 "given to a VM or taken from it; start it again",
                 vm, BDF_ARGS(pf->config->bdf));
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    const struct vf_set *user = find_user(pf);

    if (user) {
        log_warn("VM '%s' is not started: PF " BDF_FORMAT " takes no more commands for its VF "
                 "until it is reset, which would take the VFs of VM '%s' away: stop that one, then "
                 "start this one again",
                 vm, BDF_ARGS(pf->config->bdf), user->owner.config->name);
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    return STATUS_OK;
}

static enum status restart(const struct vf *vf)
{
    struct pf *pf = vf->pf;
    const char *vm = vf->set->owner.config->name;
    enum status status = check_unused(vf);

    if (status != STATUS_OK) {
        return status;
    }
    log_info("PF " BDF_FORMAT " is reset: it took no more commands for a VF of VM '%s'",
             BDF_ARGS(pf->config->bdf), vm);
    let_all_go(pf);
    status = pf_restart(pf);
    if (status != STATUS_OK) {
        log_warn("VM '%s' is not started: PF " BDF_FORMAT " could not be reset (%s); starting the "
                 "VM again tries it again",
                 vm, BDF_ARGS(pf->config->bdf), status_name(status));
        return status;
    }
    find_all_again(pf);
    return STATUS_OK;
}

/* Who opens a spare says so, and looks at this flag then: one of the two sees the other. */
static enum status recover(const struct vf *vf)
{
    __atomic_store_n(&vf->pf->restarting, true, __ATOMIC_SEQ_CST);
    enum status status = restart(vf);

    __atomic_store_n(&vf->pf->restarting, false, __ATOMIC_SEQ_CST);
    return status;
}

enum status vf_recover_pfs(struct vf_set *set)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        const struct vf *vf = set->vf[i];
        bool by_commands = vf->fit != STATUS_OK || !vf->mmr.registers;

        if (vf->pf && by_commands && vf_is_cut_off(vf)) {
            status = recover(vf);
        }
    }
    return status;
}
