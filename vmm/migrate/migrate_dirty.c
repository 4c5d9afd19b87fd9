/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages a VF writes: into the marks of its VM's RAM, where the writes of CPUs are, too. What
 * cannot be told counts as written; docs/migration.md says why rings cannot tell it.
 */
#include "vmm/host/percpu.h"
#include "vmm/host/time.h"
#include "vmm/migrate/migrate_internal.h"

uint64_t migrate_dirty_mark_all(const struct vf *vf)
{
    const struct ram *ram = vf->set->owner.ram;
    uint64_t pages = 0;

    for (unsigned i = 0; i < ram->run_count; i++) {
        ram_mark(ram, ram->run[i].at, ram->run[i].size);
        pages += ram->run[i].size / PAGE_SIZE;
    }
    return pages;
}

bool migrate_is_tracked(const struct vf *vf)
{
    return vf->control.tracked != 0 || vf->watched || vf->all_written;
}

enum status migrate_dirty_begin(struct vf *vf)
{
    const struct ram *ram = vf->set->owner.ram;
    uint64_t size = vf_state_map_size(&vf->pf->control, ram_end(ram) / PAGE_SIZE);
    const struct virtio_dma *map = NULL;
    enum status status = STATUS_OK;

    if (migrate_is_tracked(vf)) {
        return STATUS_CONFLICT;
    }
    if (size > 0) {
        map = vf_map_memory(vf, size);
        status = map ? STATUS_OK : STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK) {
        status = vf_state_track(&vf->control, ram, map);
    }
    if (status == STATUS_UNSUPPORTED || status == STATUS_RANGE || status == STATUS_NO_MEMORY) {
        vf->watched = iommu_watch(vf->set->domain, ram) == STATUS_OK;
        vf->all_written = !vf->watched;
        say("VF " VF_NAME ": its PF cannot tell what it writes (%s): each report has %s",
            VF_NAME_OF(vf), status_name(status),
            vf->watched ? "what the IOMMU says that VFs of its VM wrote" : "all the RAM of its VM");
        status = STATUS_OK;
    }
    return status;
}

enum status migrate_dirty_report(struct vf *vf)
{
    enum status status = STATUS_OK;
    uint64_t pages = 0, began = time_now_ns();

    if (!migrate_is_tracked(vf)) {
        warn("VF " VF_NAME ": nobody notes what it writes: 'vf dirty ... on' comes first, again "
             "after a reset or a move",
             VF_NAME_OF(vf));
        return STATUS_STATE;
    }
    if (vf->watched) {
        status = iommu_take_written(vf->set->domain, vf->set->owner.ram, &pages);
    }
    if (vf->all_written || (vf->watched && status != STATUS_OK)) {
        pages = migrate_dirty_mark_all(vf);
    } else if (!vf->watched) {
        status = vf_state_report(&vf->control);
        pages = vf->control.reported;
    }
    /* Whole moves have many of these: the guest's limit is not for them. */
    log_write(cpu_current()->guest_log ? LOG_DEBUG : LOG_INFO,
              "VF " VF_NAME ": %lu pages written since the last report, which took %lu us%s",
              VF_NAME_OF(vf), pages, (time_now_ns() - began) / 1000,
              status == STATUS_OK ? "" : "; all count that it was not told of");
    return status;
}

enum status migrate_dirty_end(struct vf *vf)
{
    enum status status = vf_state_untrack(&vf->control);

    vf->watched = vf->all_written = false;
    if (status != STATUS_OK) {
        (void)migrate_dirty_mark_all(vf);
    }
    return status;
}

void migrate_dirty_leave(struct vf *vf)
{
    if (migrate_is_tracked(vf)) {
        (void)migrate_dirty_report(vf);
        (void)migrate_dirty_end(vf);
    }
}
