/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs come to a VM, and leave it. */
#include "drivers/pci/acs.h"
#include "drivers/pci/caps.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"
#include "vmm/legacy/inflight.h"
#include "vmm/vf/vf_spare.h"

#define FIRST_SLOT 2U
#define LAST_SLOT  31U
#define PIN_A      1U

static struct vf_set *sets[CONFIG_VMS_MAX]; /* those that have VFs */

struct vf_set *vf_set_at(unsigned index)
{
    return index < ARRAY_SIZE(sets) ? sets[index] : NULL;
}

/* ---- At boot ---- */

/* Of a VM that runs it is one that it was to be moved to: at each of its resets perhaps, if that is
 * its standby. */
static enum status refuse(const struct vf *vf, enum status status, const char *why)
{
    log_warn("VM '%s' cannot have VF %u of " BDF_FORMAT "%s: %s", vf->set->owner.config->name,
             vf->place.index, BDF_ARGS(vf->place.pf), vf->set->bound ? "" : " and is not started",
             why);
    return status;
}

static bool has_commands(const struct pf *pf)
{
    return (pf->commands & VIRTIO_LEGACY_COMMANDS) == VIRTIO_LEGACY_COMMANDS;
}

static void read_bars(const struct pci_vf *vf, struct pci_bar bars[PCI_BARS_MAX],
                      struct virtio_bar places[PCI_BARS_MAX])
{
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        bars[i] = pci_vf_bar(vf, i);
        places[i] = (struct virtio_bar){.base = hpa(bars[i].base), .size = bars[i].size};
    }
}

/* Where its legacy registers are: in memory if it has them there, else behind the PF's queue. */
static enum status find_registers(struct vf *vf, const struct virtio_bar *places)
{
    const struct config_pf *wanted = vf->pf->config;
    const struct mmr_place place = {
        .pf = wanted->bdf,
        .bar = wanted->mmr_bar,
        .offset = wanted->mmr_offset,
        .length = wanted->mmr_length,
        .type = wanted->mmr_type,
    };
    uint16_t device = vf->pf->pci->sriov.vf_device;
    enum status status = STATUS_NOT_FOUND;

    if (wanted->transport != CONFIG_TRANSPORT_ADMIN) {
        status = mmr_open(vf->pci->bdf, device, places, &place, &vf->mmr);
    }
    if (status == STATUS_OK) {
        vf->setup.transport = LEGACY_TRANSPORT_MMR;
        vf->setup.type = vf->mmr.type;
        vf->setup.block_length = vf->mmr.length;
        return STATUS_OK;
    }
    if (wanted->transport == CONFIG_TRANSPORT_MMR || !has_commands(vf->pf)) {
        return refuse(vf, status,
                      wanted->transport == CONFIG_TRANSPORT_ADMIN
                          ? "its PF has no commands for legacy registers ('transport = admin')"
                          : "it has no legacy registers in its memory that can be used");
    }
    vf->mmr.registers = NULL;
    vf->setup.transport = LEGACY_TRANSPORT_ADMIN;
    vf->setup.type = wanted->mmr_type != 0 ? (uint16_t)wanted->mmr_type
                                           : virtio_type_resolve(device, vf->pci->subsystem);
    return STATUS_OK;
}

/* The BAR and offset of the block, for the doorbell. */
static void place_block(struct vf *vf, const struct virtio_bar *places)
{
    for (uint8_t i = 0; i < PCI_BARS_MAX && vf->mmr.registers; i++) {
        if (vf->mmr.base.raw - places[i].base.raw < places[i].size) {
            vf->setup.block_bar = i;
            vf->setup.block_offset = vf->mmr.base.raw - places[i].base.raw;
        }
    }
}

/* Is there another VF to take its place? */
static bool has_standby(const struct vf *vf)
{
    const struct config_vf *standby = &vf->set->owner.config->standby;

    return standby->line != 0 &&
           !(bdf_equal(standby->pf, vf->place.pf) && standby->index == vf->place.index);
}

enum status vf_find(struct vf *vf)
{
    const struct config_vf *config = &vf->place;
    struct virtio_bar places[PCI_BARS_MAX];
    struct pci_bar bars[PCI_BARS_MAX];

    vf->pf = pf_find(config->pf);
    if (!vf->pf || !vf->pf->pci) {
        return refuse(vf, STATUS_UNSUPPORTED, "its PF has no VFs; see above");
    }
    vf->pci = pci_vf_of(vf->pf->pci, config->index);
    if (!vf->pci) {
        return refuse(vf, STATUS_NO_ROOM,
                      "its PF has room for fewer VFs ('num_vfs = fit'); see above");
    }
    if (!vf->pci->present) {
        return refuse(vf, STATUS_DEVICE, "the VF does not answer");
    }
    if (!vf->pci->flr || vf->pci->msix_at == 0) {
        return refuse(vf, STATUS_UNSUPPORTED, "the VF has no FLR, or no MSI-X");
    }
    vf->leaks = pci_acs_leaks(config->pf) ||
                !pci_acs_set(vf->pci->bdf, pci_cap_find_extended(vf->pci->bdf, PCI_EXT_CAP_ACS));
    read_bars(vf->pci, bars, places);
    enum status status = find_registers(vf, places);

    if (status == STATUS_OK) {
        place_block(vf, places);
        vf->setup.vf = vf->pci->bdf;
        vf->setup.vectors = vf->pci->msix.vectors;
        vf->setup.slot = (uint8_t)config->slot;
        vf->setup.ram = vf->set->owner.ram;
        vf->setup.inflight = vf->set->inflight;
        vf->setup.standby = has_standby(vf);
        vf_is_new(vf);
        status = pci_msix_open(&vf->msix, vf->pci->bdf, vf->pci->msix_at, &vf->pci->msix, bars);
    }
    return status;
}

/* Slots that the configuration leaves open: the lowest free ones, in its order. */
static void choose_slots(struct vf_set *set)
{
    uint32_t taken = ((1U << FIRST_SLOT) - 1) |
                     (set->owner.config->vga ? 1U << CONFIG_SLOT_VGA : 0) |
                     (set->owner.config->service ? 1U << CONFIG_SLOT_PORTAL : 0);

    for (uint32_t i = 0; i < set->count; i++) {
        taken |= 1U << set->vf[i]->setup.slot;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->vf[i]->setup.slot == CONFIG_SLOT_AUTO) {
            uint8_t slot = (uint8_t)__builtin_ctz(~taken);

            set->vf[i]->setup.slot = slot;
            taken |= 1U << slot;
        }
    }
}

_Static_assert(CONFIG_VM_VFS_MAX < LAST_SLOT - FIRST_SLOT + 1, "there is a slot for every VF");

void vf_destroy(struct vf_set *set)
{
    if (sets[set->owner.index] == set) {
        sets[set->owner.index] = NULL;
    }
    for (; set->count > 0; set->count--) {
        struct vf *vf = set->vf[set->count - 1];

        vf_forget(vf);
        pool_free(vf, sizeof(*vf));
    }
    if (set->inflight) {
        pool_free(set->inflight, sizeof(*set->inflight));
        set->inflight = NULL;
    }
}

enum status vf_create(struct vf_set *set, const struct vf_owner *owner)
{
    const struct config_vfs *wanted = &owner->config->vfs;

    *set = (struct vf_set){.owner = *owner, .fault_log.vm = owner->config->name};
    legacy_init(&set->legacy, owner->config->name);
    if (owner->config->standby.line != 0) {
        set->inflight = pool_allocate(sizeof(*set->inflight), PAGE_SIZE);
        if (!set->inflight) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
    }
    for (uint32_t i = 0; i < wanted->count; i++) {
        struct vf *vf = pool_allocate(sizeof(*vf), PAGE_SIZE);

        if (!vf) {
            vf_destroy(set);
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        vf->set = set;
        set->vf[set->count++] = vf;
        vf->place = wanted->vf[i];
        vf->fit = vf_find(vf);
        set->fit = vf->fit == STATUS_OK ? set->fit : vf->fit;
    }
    choose_slots(set);
    sets[owner->index] = set->count > 0 ? set : NULL;
    return STATUS_OK;
}

/* VFs without a slot of the configuration's get the one they had: the lowest that are free. */
void vf_find_again(struct vf_set *set, const struct pf *pf)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct vf *vf = set->vf[i];

        if (vf->pf == pf) {
            vf->fit = vf_find(vf);
        }
    }
    choose_slots(set);
}

/* ---- At each start and stop ---- */

static enum status map_ram(struct vf_set *set)
{
    const struct ram *ram = set->owner.ram;
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < ram->run_count && status == STATUS_OK; i++) {
        const struct ram_run *run = &ram->run[i];

        status = iommu_map(set->domain, run->at, run->frames, run->size, IOMMU_READ | IOMMU_WRITE);
    }
    return status;
}

static enum status attach(struct vf_set *set)
{
    enum status status =
        iommu_domain_create(set->owner.config->name, set->owner.index, &set->domain);

    if (status == STATUS_OK) {
        status = map_ram(set);
    }
    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        status = vf_join(set->vf[i]);
    }
    return status;
}

/*
 * The VFs' DMA is confined: now they may be shown to the guest, which switches it on. One whose
 * reset fails is tried again, and said, when its turn comes.
 */
static enum status show(struct vf_set *set)
{
    enum status resets[CONFIG_VM_VFS_MAX], status = STATUS_OK;

    vf_reset_each(set->vf, set->count, resets);

    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        struct vf *vf = set->vf[i];
        int8_t line = set->owner.pc->pirq_gsi[pci_host_pirq((uint8_t)(vf->setup.slot << 3), PIN_A)];

        vf->setup.interrupt_line = line < 0 ? UINT8_MAX : (uint8_t)line;
        status = legacy_add(&set->legacy, &vf->function, &vf->setup);
    }
    return status;
}

static void report(const struct vf_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct vf *vf = set->vf[i];
        const char *type = virtio_type_name(vf->setup.type);

        log_info("VM '%s': slot %u is %s VF " BDF_FORMAT " (%u of " BDF_FORMAT "), registers %s",
                 set->owner.config->name, vf->setup.slot, type ? type : "a", BDF_ARGS(vf->pci->bdf),
                 vf->pci->index, BDF_ARGS(vf->pf->config->bdf),
                 vf->mmr.registers ? "in its memory" : "by commands to its PF");
    }
}

/* Can it have all of them, at boot and now? */
static enum status fit(const struct vf_set *set)
{
    enum status status = set->fit;

    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        status = set->vf[i]->fit;
    }
    return status;
}

static enum status check(struct vf_set *set)
{
    if (set->tainted) {
        log_warn("VM '%s' is not started: the IOMMU may still let its VFs reach its old memory",
                 set->owner.config->name);
        return STATUS_STATE;
    }
    /* Not for VMs that were not fit at boot: who may run beside them was not looked at. */
    enum status status = set->fit == STATUS_OK ? vf_recover_pfs(set) : STATUS_OK;

    if (status == STATUS_OK) {
        status = fit(set);
        if (status != STATUS_OK) {
            log_warn("VM '%s' is not started: its VFs cannot be had, as was said before",
                     set->owner.config->name);
        }
    }
    return status;
}

enum status vf_bind(struct vf_set *set)
{
    if (set->count == 0) {
        return STATUS_OK;
    }
    enum status status = check(set);

    if (status != STATUS_OK) {
        return status;
    }
    status = attach(set);
    if (status == STATUS_OK) {
        status = show(set);
    }
    if (status != STATUS_OK) {
        log_warn("VM '%s' is not started: its VFs cannot be given to it (%s)",
                 set->owner.config->name, status_name(status));
        vf_unbind(set);
        return status;
    }
    /* Not before: CPU 0 looks into the functions of a set that is bound, locks and all. */
    __atomic_store_n(&set->bound, true, __ATOMIC_RELEASE);
    report(set);
    return STATUS_OK;
}

void vf_note_release(struct vf_set *set, enum status status)
{
    if (status != STATUS_OK) {
        set->tainted = true;
        log_warn("VM '%s': the IOMMU does not confirm that its VFs have let go of its memory (%s)",
                 set->owner.config->name, status_name(status));
    }
}

void vf_unbind(struct vf_set *set)
{
    if (set->count == 0) {
        return;
    }
    legacy_release(&set->legacy);
    for (uint32_t i = 0; i < set->count; i++) {
        (void)vf_cut(set->vf[i]);
    }
    if (set->domain) {
        vf_note_release(set, iommu_domain_destroy(set->domain));
        set->domain = NULL;
    }
    __atomic_store_n(&set->bound, false, __ATOMIC_RELEASE);
}
