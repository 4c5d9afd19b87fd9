/* SPDX-License-Identifier: BSD-2-Clause */
/* The IOMMU and the PFs, at boot. */
#include "drivers/acpi/acpi.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/room.h"
#include "vmm/base/log.h"
#include "vmm/host/apic.h"
#include "vmm/host/pool.h"
#include "vmm/vf/vf_internal.h"

#define HIGH_MEMORY (1ULL << 32)

static struct pf pfs[CONFIG_PFS_MAX];
static uint32_t count;

/* One for all PFs: it maps the administration queues' pages and nothing else. */
static struct iommu_domain *own;

struct pf *pf_at(uint32_t index)
{
    return index < count ? &pfs[index] : NULL;
}

struct pf *pf_find(bdf_t bdf)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bdf_equal(pfs[i].config->bdf, bdf)) {
            return &pfs[i];
        }
    }
    return NULL;
}

void vf_confine_devices(unsigned physical_bits)
{
    if (iommu_init(acpi_facts(), apic_is_x2apic(), physical_bits) != STATUS_OK) {
        log_info("IOMMU: devices cannot be confined (%s): VMs get no VFs",
                 iommu_facts()->unavailable ? iommu_facts()->unavailable : "it does not work");
    }
}

static const struct virtio_function *find_virtio(bdf_t bdf)
{
    for (uint32_t i = 0; i < virtio_count(); i++) {
        if (bdf_equal(virtio_function_at(i)->pci->bdf, bdf)) {
            return virtio_function_at(i);
        }
    }
    return NULL;
}

static void find_bars(const struct pci_function *function, struct virtio_bar bars[PCI_BARS_MAX])
{
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        if (pci_room_find(function, PCI_ROOM_BAR + i, &bars[i].base, &bars[i].size) != STATUS_OK) {
            bars[i] = (struct virtio_bar){.size = 0};
        }
    }
}

/* Let PFs reach the pages of MEMORY, at their own addresses. */
static enum status map_own(const struct virtio_dma *memory)
{
    return iommu_map(own, gpa(memory->iova), hpa(memory->iova), memory->size,
                     IOMMU_READ | IOMMU_WRITE);
}

/* DMA to the pages of MEMORY, and to nothing else of what is no PF's. */
static enum status confine(bdf_t bdf, const struct virtio_dma *memory)
{
    enum status status = own ? STATUS_OK : iommu_domain_create("VMM", IOMMU_OWNER_VMM, &own);

    if (status == STATUS_OK) {
        status = map_own(memory);
    }
    return status == STATUS_OK ? iommu_attach(own, bdf, bdf) : status;
}

const struct virtio_dma *vf_map_memory(const struct vf *vf, uint64_t size)
{
    struct vf_set *set = vf->set;
    uint32_t place = 0;

    while (place < set->count - 1 && set->vf[place] != vf) {
        place++;
    }
    struct virtio_dma *map = &set->map[place];

    if (map->size >= size) {
        return map;
    }
    /* A smaller one stays as it is: there is no way to take it from the PFs again. */
    struct virtio_dma larger = {.va = pool_allocate(size, PAGE_SIZE), .size = size};

    if (!larger.va) {
        return NULL;
    }
    larger.iova = pool_hpa(larger.va).raw;
    if (map_own(&larger) != STATUS_OK) {
        pool_free(larger.va, size);
        return NULL;
    }
    *map = larger;
    return map;
}

/*
 * The bridges above let DMA through from here on. The function itself may have been told by its
 * last driver to write anywhere: its own bit stays off until virtio_pf_start() has reset it.
 */
static enum status open_path(struct pf *pf, bdf_t bdf)
{
    enum status status = pci_master_acquire(&pf->master, bdf);

    if (status == STATUS_OK) {
        uint32_t command = pci_config_read(bdf, PCI_COMMAND, 2);

        pci_config_write(bdf, PCI_COMMAND, 2, command & ~PCI_COMMAND_BUS_MASTER);
    }
    return status;
}

static enum status bring_up(struct pf *pf)
{
    bdf_t bdf = pf->config->bdf;
    enum status status = virtio_pf_allocate(&pf->memory);

    if (status == STATUS_OK) {
        status = open_path(pf, bdf);
    }
    if (status == STATUS_OK) {
        status = confine(bdf, &pf->memory);
    }
    if (status == STATUS_OK) {
        find_bars(pf->function->pci, pf->bars);
        status = virtio_pf_start(&pf->virtio, pf->function, pf->bars, &pf->memory);
    }
    if (status != STATUS_OK) {
        pci_master_release(&pf->master, bdf); /* it stays attached: to nothing but these pages */
    }
    return status;
}

/*
 * Which commands for VFs it has: none is no failure, VFs may have registers of their own, and a
 * device of 2021 may have no list.
 */
static void list_commands(struct pf *pf)
{
    uint64_t wanted = VIRTIO_LEGACY_COMMANDS | VIRTIO_LEGACY_NOTIFY | VF_STATE_COMMANDS;
    enum status status = STATUS_UNSUPPORTED;

    pf->commands = 0;
    pf->virtio.admin.timeout_ms = pf->config->admin_timeout * 1000;
    if (pf->virtio.has_admin) {
        status = virtio_admin_use(&pf->virtio.admin, VIRTIO_GROUP_SRIOV, wanted, &pf->commands);
    }
    if (status != STATUS_OK && status != STATUS_UNSUPPORTED) {
        log_warn("PF " BDF_FORMAT ": its commands for VFs cannot be used",
                 BDF_ARGS(pf->config->bdf));
    }
    vf_state_probe(&pf->control, &pf->virtio, pf->commands);
}

static enum status switch_on(struct pf *pf)
{
    bdf_t bdf = pf->config->bdf;
    enum status status = pci_vf_enable(bdf, (uint16_t)pf->config->num_vfs);

    if (status != STATUS_OK) {
        return status;
    }
    list_commands(pf);
    pf->pci = pci_pf_find(bdf);
    log_info("PF " BDF_FORMAT ": %u VFs, %s", BDF_ARGS(bdf), pf->pci->vfs,
             (pf->commands & VIRTIO_LEGACY_COMMANDS) == VIRTIO_LEGACY_COMMANDS
                 ? "commands for their legacy registers"
                 : "no commands for their legacy registers");
    return STATUS_OK;
}

static void start_pf(struct pf *pf)
{
    enum status status = STATUS_NOT_FOUND;

    spinlock_init(&pf->virtio.admin.lock, LOCK_ADMIN);
    pf->function = find_virtio(pf->config->bdf);
    if (pf->function) {
        status = bring_up(pf);
    }
    if (status == STATUS_OK) {
        status = switch_on(pf);
    }
    if (status != STATUS_OK) {
        log_warn("PF " BDF_FORMAT ": no VFs (%s): VMs that want one of them are not started",
                 BDF_ARGS(pf->config->bdf), status_name(status));
    }
}

bool vf_is_cut_off(const struct vf *vf)
{
    struct pf *pf = vf->pf;

    if (pf->broken || !pf->pci || !pf->virtio.has_admin) {
        return pf->broken;
    }
    /* Member 0: what is about all of them. */
    return !virtio_admin_takes(&pf->virtio.admin, VIRTIO_GROUP_SRIOV, 0) ||
           (vf->pci &&
            !virtio_admin_takes(&pf->virtio.admin, VIRTIO_GROUP_SRIOV, vf->pci->index + 1U));
}

enum status pf_restart(struct pf *pf)
{
    enum status status = STATUS_OK;

    if (pf->pci) {
        pf->pci = NULL;
        status = pci_vf_disable(pf->config->bdf);
    }
    pf->broken = true;
    /* Failing to reset it is no reason not to try: starting it begins with a reset. */
    if (status == STATUS_OK && pf->virtio.transport.common) {
        (void)virtio_pf_stop(&pf->virtio);
    }
    if (status == STATUS_OK) {
        status = virtio_pf_start(&pf->virtio, pf->function, pf->bars, &pf->memory);
    }
    if (status == STATUS_OK) {
        status = switch_on(pf);
    }
    pf->broken = status != STATUS_OK;
    return status;
}

/* Registers that no BAR shows: of AMD's IOMMU as much as those with counters have. */
#define IVHD_SIZE (512ULL << 10)

static enum status keep_registers_free(const struct acpi_facts *acpi)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < acpi->dmar.drhd_count && status != STATUS_NO_MEMORY; i++) {
        status = pci_room_reserve(acpi->dmar.drhds[i].base, acpi->dmar.drhds[i].size, false);
    }
    for (uint32_t i = 0; i < acpi->ivrs.ivhd_count && status != STATUS_NO_MEMORY; i++) {
        status = pci_room_reserve(acpi->ivrs.ivhds[i].base, IVHD_SIZE, false);
    }
    for (uint32_t i = 0; i < acpi->madt.ioapic_count && status != STATUS_NO_MEMORY; i++) {
        status = pci_room_reserve(acpi->madt.ioapics[i].base, PAGE_SIZE, false);
    }
    return status == STATUS_NO_MEMORY ? status : STATUS_OK;
}

/*
 * Where RAM is, no window of a bridge may grow. What is reserved may be the windows themselves:
 * above 4 GiB it is left out, below none grows over it. Regions that cannot be (RANGE) are
 * nobody's: frame_init() has said so.
 */
static enum status keep_map_free(const struct handoff_region *map, uint32_t regions)
{
    for (uint32_t i = 0; i < regions; i++) {
        bool listed = map[i].type == HANDOFF_MEMORY_RESERVED || map[i].type == HANDOFF_MEMORY_MMIO;

        if ((!listed || map[i].base < HIGH_MEMORY) &&
            pci_room_reserve(hpa(map[i].base), map[i].size, listed) == STATUS_NO_MEMORY) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

void vf_start_pfs(const struct config *config, const struct handoff_region *map, uint32_t regions)
{
    if (config->pf_count == 0 || !iommu_facts()->ready) {
        return;
    }
    if (pci_room_init() != STATUS_OK || keep_map_free(map, regions) != STATUS_OK ||
        keep_registers_free(acpi_facts()) != STATUS_OK) {
        log_warn("no VFs are switched on: the addresses of PCI functions could not be listed");
        return;
    }
    for (uint32_t i = 0; i < config->pf_count; i++) {
        struct pf *pf = &pfs[count++];

        pf->config = &config->pfs[i];
        start_pf(pf);
    }
}
