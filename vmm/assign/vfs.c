/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs come to a VM, are reset with it, and leave it. */
#include "drivers/virtio/legacy.h"
#include "vmm/assign/internal.h"
#include "vmm/console/log.h"
#include "vmm/mem/pool.h"

#define FIRST_SLOT 2U
#define LAST_SLOT  31U
#define PIRQ_SHIFT 3U /* pin INTA of slot s is PIRQ (s + 3) mod 4: docs/platform.md */

/* ---- At boot ---- */

static enum status refuse(const struct assign_vf *vf, const struct config_vf *config,
                          enum status status, const char *why)
{
    log_warn("VM '%s' cannot have VF %u of " BDF_FORMAT " and is not started: %s",
             vf->vm->config->name, config->index, BDF_ARGS(config->pf), why);
    return status;
}

static bool has_commands(const struct assign_pf *pf)
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
static enum status find_registers(struct assign_vf *vf, const struct config_vf *config,
                                  const struct virtio_bar *places)
{
    const struct config_pf *wanted = vf->pf->config;
    uint16_t device = vf->pf->pci->sriov.vf_device;
    enum status status = STATUS_NOT_FOUND;

    if (wanted->transport != CONFIG_TRANSPORT_ADMIN) {
        status = mmr_open(vf->pci->bdf, device, places, wanted, &vf->mmr);
    }
    if (status == STATUS_OK) {
        vf->setup.transport = LEGACY_TRANSPORT_MMR;
        vf->setup.type = vf->mmr.type;
        vf->setup.block_length = vf->mmr.length;
        return STATUS_OK;
    }
    if (wanted->transport == CONFIG_TRANSPORT_MMR || !has_commands(vf->pf)) {
        return refuse(vf, config, status,
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
static void place_block(struct assign_vf *vf, const struct virtio_bar *places)
{
    for (uint8_t i = 0; i < PCI_BARS_MAX && vf->mmr.registers; i++) {
        if (vf->mmr.base.raw - places[i].base.raw < places[i].size) {
            vf->setup.block_bar = i;
            vf->setup.block_offset = vf->mmr.base.raw - places[i].base.raw;
        }
    }
}

static enum status find_vf(struct assign_vf *vf, const struct config_vf *config)
{
    struct virtio_bar places[PCI_BARS_MAX];
    struct pci_bar bars[PCI_BARS_MAX];

    vf->pf = assign_pf_find(config->pf);
    if (!vf->pf || !vf->pf->pci) {
        return refuse(vf, config, STATUS_UNSUPPORTED, "its PF has no VFs; see above");
    }
    vf->pci = pci_vf_of(vf->pf->pci, config->index);
    if (!vf->pci || !vf->pci->present) {
        return refuse(vf, config, STATUS_DEVICE, "the VF does not answer");
    }
    if (!vf->pci->flr || vf->pci->msix_at == 0) {
        return refuse(vf, config, STATUS_UNSUPPORTED, "the VF has no FLR, or no MSI-X");
    }
    read_bars(vf->pci, bars, places);
    enum status status = find_registers(vf, config, places);

    if (status == STATUS_OK) {
        place_block(vf, places);
        vf->setup.vf = vf->pci->bdf;
        vf->setup.vectors = vf->pci->msix.vectors;
        vf->setup.slot = (uint8_t)config->slot;
        status = pci_msix_open(&vf->msix, vf->pci->bdf, vf->pci->msix_at, &vf->pci->msix, bars);
    }
    return status;
}

/* Slots that the configuration leaves open: the lowest free ones, in its order. */
static void choose_slots(struct assign *assign)
{
    uint32_t taken = (1U << FIRST_SLOT) - 1;

    for (uint32_t i = 0; i < assign->count; i++) {
        taken |= 1U << assign->vf[i]->setup.slot;
    }
    for (uint32_t i = 0; i < assign->count; i++) {
        if (assign->vf[i]->setup.slot == CONFIG_SLOT_AUTO) {
            uint8_t slot = (uint8_t)__builtin_ctz(~taken);

            assign->vf[i]->setup.slot = slot;
            taken |= 1U << slot;
        }
    }
}

_Static_assert(CONFIG_VM_VFS_MAX <= LAST_SLOT - FIRST_SLOT + 1, "there is a slot for every VF");

enum status assign_create(struct vm *vm)
{
    const struct config_vfs *wanted = &vm->config->vfs;

    legacy_init(&vm->legacy, vm->config->name);
    if (wanted->count == 0) {
        return STATUS_OK;
    }
    vm->assign = pool_allocate(sizeof(*vm->assign), PAGE_SIZE);
    if (!vm->assign) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    for (uint32_t i = 0; i < wanted->count; i++) {
        struct assign_vf *vf = pool_allocate(sizeof(*vf), PAGE_SIZE);

        if (!vf) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        vf->vm = vm;
        vm->assign->vf[vm->assign->count++] = vf;
        vf->fit = find_vf(vf, &wanted->vf[i]);
        vm->assign->fit = vf->fit == STATUS_OK ? vm->assign->fit : vf->fit;
    }
    choose_slots(vm->assign);
    return STATUS_OK;
}

/* VFs without a slot of the configuration's get the one they had: the lowest that are free. */
void assign_find_again(struct vm *vm, const struct assign_pf *pf)
{
    for (uint32_t i = 0; i < vm->assign->count; i++) {
        struct assign_vf *vf = vm->assign->vf[i];

        if (vf->pf == pf) {
            vf->fit = find_vf(vf, &vm->config->vfs.vf[i]);
        }
    }
    choose_slots(vm->assign);
}

/* ---- At each start and stop ---- */

static enum status map_ram(struct assign *assign, const struct ram *ram)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < ram->run_count && status == STATUS_OK; i++) {
        const struct ram_run *run = &ram->run[i];

        status =
            iommu_map(assign->domain, run->at, run->frames, run->size, IOMMU_READ | IOMMU_WRITE);
    }
    return status;
}

static enum status attach(struct vm *vm)
{
    struct assign *assign = vm->assign;
    enum status status = iommu_domain_create(vm->config->name, vm->index, &assign->domain);

    if (status == STATUS_OK) {
        status = map_ram(assign, &vm->ram);
    }
    for (uint32_t i = 0; i < assign->count && status == STATUS_OK; i++) {
        struct assign_vf *vf = assign->vf[i];

        status = iommu_attach(assign->domain, vf->pci->bdf, vf->pf->config->bdf);
        vf->attached = status == STATUS_OK;
    }
    return status;
}

/*
 * The VFs' DMA is confined: now they may be shown to the guest, which switches it on. One whose
 * reset fails is tried again, and said, when its turn comes.
 */
static enum status show(struct vm *vm)
{
    enum status resets[CONFIG_VM_VFS_MAX], status = STATUS_OK;

    assign_reset_vfs(vm->assign->vf, vm->assign->count, resets);

    for (uint32_t i = 0; i < vm->assign->count && status == STATUS_OK; i++) {
        struct assign_vf *vf = vm->assign->vf[i];
        int8_t line = vm->platform.pirq_gsi[(vf->setup.slot + PIRQ_SHIFT) % PCI_PIRQS];

        vf->setup.interrupt_line = line < 0 ? UINT8_MAX : (uint8_t)line;
        status = legacy_add(&vm->legacy, &vf->function, &vf->setup);
    }
    return status;
}

static void report(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm->assign->count; i++) {
        const struct assign_vf *vf = vm->assign->vf[i];
        const char *type = virtio_type_name(vf->setup.type);

        log_info("VM '%s': slot %u is %s VF " BDF_FORMAT " (%u of " BDF_FORMAT "), registers %s",
                 vm->config->name, vf->setup.slot, type ? type : "a", BDF_ARGS(vf->pci->bdf),
                 vf->pci->index, BDF_ARGS(vf->pf->config->bdf),
                 vf->mmr.registers ? "in its memory" : "by commands to its PF");
    }
}

/* Can it have all of them, at boot and now? */
static enum status fit(const struct assign *assign)
{
    enum status status = assign->fit;

    for (uint32_t i = 0; i < assign->count && status == STATUS_OK; i++) {
        status = assign->vf[i]->fit;
    }
    return status;
}

static enum status check(struct vm *vm)
{
    struct assign *assign = vm->assign;

    if (assign->tainted) {
        log_warn("VM '%s' is not started: the IOMMU may still let its VFs reach its old memory",
                 vm->config->name);
        return STATUS_STATE;
    }
    /* Not for VMs that were not fit at boot: who may run beside them was not looked at. */
    enum status status = assign->fit == STATUS_OK ? assign_revive_pfs(vm) : STATUS_OK;

    if (status == STATUS_OK) {
        status = fit(assign);
        if (status != STATUS_OK) {
            log_warn("VM '%s' is not started: its VFs cannot be had, as was said before",
                     vm->config->name);
        }
    }
    return status;
}

enum status assign_start(struct vm *vm)
{
    struct assign *assign = vm->assign;

    if (!assign) {
        return STATUS_OK;
    }
    enum status status = check(vm);

    if (status != STATUS_OK) {
        return status;
    }
    status = attach(vm);
    if (status == STATUS_OK) {
        status = show(vm);
    }
    if (status != STATUS_OK) {
        log_warn("VM '%s' is not started: its VFs cannot be given to it (%s)", vm->config->name,
                 status_name(status));
        assign_stop(vm);
        return status;
    }
    report(vm);
    return STATUS_OK;
}

void assign_silence(struct vm *vm)
{
    legacy_silence(&vm->legacy);
}

void assign_reset(struct vm *vm)
{
    legacy_reset(&vm->legacy);
}

static void note_release(struct vm *vm, enum status status)
{
    if (status != STATUS_OK) {
        vm->assign->tainted = true;
        log_warn("VM '%s': the IOMMU does not confirm that its VFs have let go of its memory (%s)",
                 vm->config->name, status_name(status));
    }
}

void assign_stop(struct vm *vm)
{
    struct assign *assign = vm->assign;

    if (!assign) {
        return;
    }
    legacy_release(&vm->legacy);
    for (uint32_t i = 0; i < assign->count; i++) {
        struct assign_vf *vf = assign->vf[i];

        if (vf->attached) {
            vf->attached = false;
            note_release(vm, iommu_detach(vf->pci->bdf));
        }
    }
    if (assign->domain) {
        note_release(vm, iommu_domain_destroy(assign->domain));
        assign->domain = NULL;
    }
}
