/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PF that takes no more commands, or none for one of its VFs (docs/virtio.md), must be reset
 * before its queue's memory is used again, and a reset takes all its VFs away. So it is done when a
 * VM that cannot do without commands is started and no VM that runs has a VF of that PF: nobody
 * loses what still works.
 *
 * CPU 0, where VMs are started. VMs may stop on other CPUs meanwhile, none may start.
 */
#include "drivers/virtio/legacy.h"
#include "vmm/assign/internal.h"
#include "vmm/console/log.h"
#include "vmm/mem/map.h"

/* Does the VM run, or is it still giving its VFs back? */
static bool runs(const struct vm *vm)
{
    return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) != VM_STOPPED;
}

static bool has_vf_of(const struct vm *vm, const struct assign_pf *pf)
{
    for (uint32_t i = 0; vm->assign && i < vm->assign->count; i++) {
        if (vm->assign->vf[i]->pf == pf) {
            return true;
        }
    }
    return false;
}

static const struct vm *find_user(const struct assign_pf *pf)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        const struct vm *vm = vm_by_index(i);

        if (runs(vm) && has_vf_of(vm, pf)) {
            return vm;
        }
    }
    return NULL;
}

/* What is mapped of a VF that goes away. */
static void let_go(struct assign_vf *vf)
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
    vf->pci = NULL;
    vf->fit = STATUS_STATE;
}

static void let_all_go(const struct assign_pf *pf)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        struct assign *assign = vm_by_index(i)->assign;

        for (uint32_t k = 0; assign && k < assign->count; k++) {
            if (assign->vf[k]->pf == pf) {
                let_go(assign->vf[k]);
            }
        }
    }
}

static void find_all_again(const struct assign_pf *pf)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        if (has_vf_of(vm_by_index(i), pf)) {
            assign_find_again(vm_by_index(i), pf);
        }
    }
}

static enum status revive(const struct vm *vm, const struct assign_vf *vf)
{
    struct assign_pf *pf = vf->pf;
    const struct vm *user = find_user(pf);
    enum status status;

    if (user) {
        log_warn("VM '%s' is not started: PF " BDF_FORMAT " takes no more commands for its VF "
                 "until it is reset, which would take the VFs of VM '%s' away: stop that one, then "
                 "start this one again",
                 vm->config->name, BDF_ARGS(pf->config->bdf), user->config->name);
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    log_info("PF " BDF_FORMAT " is reset: it took no more commands for a VF of VM '%s'",
             BDF_ARGS(pf->config->bdf), vm->config->name);
    let_all_go(pf);
    status = assign_pf_restart(pf);
    if (status != STATUS_OK) {
        log_warn("VM '%s' is not started: PF " BDF_FORMAT " could not be reset (%s); starting the "
                 "VM again tries it again",
                 vm->config->name, BDF_ARGS(pf->config->bdf), status_name(status));
        return status;
    }
    find_all_again(pf);
    return STATUS_OK;
}

enum status assign_revive_pfs(struct vm *vm)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < vm->assign->count && status == STATUS_OK; i++) {
        const struct assign_vf *vf = vm->assign->vf[i];
        bool by_commands = vf->fit != STATUS_OK || !vf->mmr.registers;

        if (vf->pf && by_commands && assign_is_cut_off(vf)) {
            status = revive(vm, vf);
        }
    }
    return status;
}
