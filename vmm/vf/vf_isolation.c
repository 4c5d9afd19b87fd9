/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine lets past the IOMMU, interrupts and requests to other devices: said, and refused
 * where it hits the VMM or another VM.
 */
#include "drivers/iommu/iommu.h"
#include "drivers/pci/acs.h"
#include "vmm/base/log.h"
#include "vmm/vf/vf_internal.h"

/* VF was found at boot: it has an address. */
static bool is_known(const struct vf *vf)
{
    return vf->pci != NULL;
}

/* Has a VF of VM before number COUNT the same gap? Then it has been said. */
static bool is_said(const struct vf_set *set, uint32_t count, const struct pci_function *gap)
{
    for (uint32_t i = 0; i < count; i++) {
        if (is_known(set->vf[i]) && pci_acs_gap(set->vf[i]->pci->bdf) == gap) {
            return true;
        }
    }
    return false;
}

static void warn_of_gaps(const struct vf_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct vf *vf = set->vf[i];
        const struct pci_function *gap = is_known(vf) ? pci_acs_gap(vf->pci->bdf) : NULL;

        if (gap && !is_said(set, i, gap)) {
            log_warn("VM '%s': VF " BDF_FORMAT
                     " may reach other devices past the IOMMU: port " BDF_FORMAT
                     " above it has no access control (ACS) that works; another slot may have it",
                     set->owner.config->name, BDF_ARGS(vf->pci->bdf), BDF_ARGS(gap->bdf));
        }
    }
}

/* On the way between devices, or within the one that both are of. */
static bool reaches(const struct vf *from, const struct vf *to)
{
    return pci_acs_reaches(from->pci->bdf, to->pci->bdf) ||
           (from->leaks && pci_acs_same_device(from->pf->config->bdf, to->pf->config->bdf));
}

/* A VF of ONE and one of OTHER of which either reaches the other; false: there are none. */
static bool find_pair(const struct vf_set *one, const struct vf_set *other, const struct vf **first,
                      const struct vf **second)
{
    for (uint32_t i = 0; i < one->count; i++) {
        for (uint32_t k = 0; k < other->count; k++) {
            *first = one->vf[i];
            *second = other->vf[k];
            if (is_known(*first) && is_known(*second) &&
                (reaches(*first, *second) || reaches(*second, *first))) {
                return true;
            }
        }
    }
    return false;
}

static bool unsafe_wanted;

bool vf_is_separated(struct vf *vf)
{
    struct vf_set mine = {.count = 1, .vf = {vf}};
    const struct vf *first, *second;

    for (unsigned i = 0; i < CONFIG_VMS_MAX && !unsafe_wanted; i++) {
        const struct vf_set *other = vf_set_at(i);

        if (other && other != vf->set && other->fit == STATUS_OK &&
            find_pair(&mine, other, &first, &second)) {
            return false;
        }
    }
    return true;
}

/* May VM run beside the VMs before it, those of them that are fit? */
static void check_against_earlier(struct vf_set *set, bool unsafe)
{
    const struct vf *mine, *theirs;

    for (unsigned i = 0; i < set->owner.index && set->fit == STATUS_OK; i++) {
        const struct vf_set *other = vf_set_at(i);

        if (!other || other->fit != STATUS_OK || !find_pair(set, other, &mine, &theirs)) {
            continue;
        }
        log_warn("VM '%s' and VM '%s' are not separated: past the IOMMU, VF " BDF_FORMAT
                 " and VF " BDF_FORMAT " may reach each other (no ACS); %s",
                 set->owner.config->name, other->owner.config->name, BDF_ARGS(mine->pci->bdf),
                 BDF_ARGS(theirs->pci->bdf),
                 unsafe ? "they are started all the same (unsafe_dma = yes)"
                        : "the first one is not started. Use VFs of one PF whose ACS works, "
                          "another slot, or 'unsafe_dma = yes' in [vmm] if both may do anything");
        set->fit = unsafe ? STATUS_OK : STATUS_NOTE(STATUS_CONFLICT);
    }
}

/* A guest makes its VF write what it likes to FEExxxxxh. */
static void check_interrupts(struct vf_set *set, bool unsafe)
{
    if (iommu_facts()->interrupts || set->fit != STATUS_OK) {
        return;
    }
    log_warn(
        "VM '%s' could send any interrupt to any CPU through its VFs, since the IOMMU does not "
        "remap interrupts; %s",
        set->owner.config->name,
        unsafe ? "it is started all the same (unsafe_dma = yes)"
               : "it is not started. Enable interrupt remapping (with VT-d, IOMMU) in the "
                 "firmware set-up; or write 'unsafe_dma = yes' in [vmm] if it may do anything");
    set->fit = unsafe ? STATUS_OK : STATUS_NOTE(STATUS_UNSUPPORTED);
}

void vf_check_isolation(bool unsafe)
{
    unsafe_wanted = unsafe;
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        struct vf_set *set = vf_set_at(i);

        if (set) {
            check_interrupts(set, unsafe);
            warn_of_gaps(set);
            check_against_earlier(set, unsafe);
        }
    }
}
