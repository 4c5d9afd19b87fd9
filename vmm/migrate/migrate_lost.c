/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is other in the move of a VM whose VF is lost: nothing can be had from its device. What the
 * VMM and the guest's memory know is given to the target's.
 */
#include "drivers/pci/flr.h"
#include "drivers/pci/pci_config.h"
#include "vmm/legacy/inflight.h"
#include "vmm/migrate/migrate_internal.h"

#include <string.h>

bool migrate_is_gone(const struct vf *vf)
{
    return pci_config_read(vf->pci->bdf, PCI_COMMAND, 4) == UINT32_MAX;
}

enum status migrate_lost_text(const struct member *m, char *text)
{
    struct legacy_description *here = &workspace.here;

    (void)legacy_describe(&m->from->function, NULL, here);
    here->features = workspace.there.features;
    memcpy(here->config, workspace.there.config, sizeof(here->config));
    return compatibility_text(here, vf_state_facts(m->to->pf->control.kind)->name, text);
}

/*
 * Nothing is done twice at the same time: the old VF is cut off from memory and reset, if it still
 * answers, and only then what it had is offered to the new one.
 */
static enum status fence(struct vf *vf)
{
    enum status status = vf_cut(vf), reset;

    if (migrate_is_tracked(vf)) {
        vf->all_written = !vf->watched; /* it cannot tell any more */
        (void)migrate_dirty_report(vf);
    }
    vf_reset_each(&vf, 1, &reset);
    if (status == STATUS_OK && reset != STATUS_OK && pci_vf_answers(vf->pci->bdf)) {
        status = reset;
    }
    return status;
}

enum status migrate_lost_take(struct member *m)
{
    struct legacy_function *function = &m->from->function;
    unsigned queue = 0;

    m->function = *legacy_save(function);
    m->function.lost = 0;
    m->function.bus_master = function->lost_master;
    enum status status = fence(m->from);

    if (status == STATUS_OK) {
        status = legacy_offer_again(function, &queue);
        if (status != STATUS_OK) {
            format(workspace.why, sizeof(workspace.why),
                   "which requests of queue %u the lost VF still had is not known%s", queue,
                   function->setup.inflight ? ""
                                            : "; only those of a VM with a standby are followed");
        }
    }
    return status;
}

enum status migrate_lost_rebuild(struct member *m, struct record *record)
{
    legacy_replay(&m->to->function);
    enum status status = migrate_save(&m->target, m->to, m->text, &m->size, record);

    if (status == STATUS_OK) {
        status = migrate_to(&m->target, DEVICE_RESUMING);
    }
    if (status == STATUS_OK) {
        migrate_rewind(m, record);
    }
    return status;
}

void migrate_lost_go_back(struct member *m)
{
    if (!m->from->attached && vf_join(m->from) != STATUS_OK) {
        m->from->set->tainted = true; /* a reset of the VM could not give it its VF again */
    }
}
