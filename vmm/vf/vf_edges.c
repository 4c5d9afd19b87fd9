/* SPDX-License-Identifier: BSD-2-Clause */
/* What vmm/legacy asks of the hardware: vmm/legacy/legacy_edge.h. */
#include "vmm/legacy/legacy_edge.h"

#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/timer.h"
#include "vmm/pc/pc_edge.h"
#include "vmm/pc/ports.h"
#include "vmm/vf/vf_internal.h"

/* How long a VM that stops waits for a device: one that is well answers long before. */
#define STOP_WAITS_US 100000U

/* Bridges count those that do DMA below them: one CPU at a time. */
static struct spinlock master_lock = SPINLOCK(LOCK_MASTER);

bool legacy_edge_wait(struct legacy_function *function, uint64_t passed_us)
{
    timer_service();
    return passed_us < STOP_WAITS_US || !pc_edge_is_stopping(vf_of(function)->set->owner.pc);
}

/* ---- Registers of the VF ---- */

uint32_t legacy_edge_mmr_read(struct legacy_function *function, uint32_t offset, unsigned width)
{
    return mmr_read(&vf_of(function)->mmr, offset, width);
}

void legacy_edge_mmr_write(struct legacy_function *function, uint32_t offset, unsigned width,
                           uint32_t value)
{
    mmr_write(&vf_of(function)->mmr, offset, width, value);
}

/* A queue that was given up is no answer either: the VF cannot be reached any more. */
enum status legacy_edge_admin(struct legacy_function *function, uint16_t opcode, const void *data,
                              size_t size, void *result, size_t result_size)
{
    struct vf *vf = vf_of(function);
    struct virtio_admin_command command = {
        .opcode = opcode,
        .group = VIRTIO_GROUP_SRIOV,
        .member = vf->pci->index + 1U,
        .data = data,
        .data_size = (uint32_t)size,
        .result = result,
        .result_size = (uint32_t)result_size,
        .whole = opcode != VIRTIO_ADMIN_LEGACY_NOTIFY_INFO,
    };
    struct virtio_admin *admin = &vf->pf->virtio.admin;
    enum status status;
    uint64_t passed_us = 0; /* over all tries */
    uint32_t us = 0;

    virtio_admin_begin(&command);
    while (!virtio_admin_poll(admin, &command, us, &status)) {
        if (!legacy_edge_wait(function, passed_us)) {
            virtio_admin_abandon(admin, &command);
            return STATUS_TIMEOUT;
        }
        us = virtio_admin_pause(&command);
        passed_us += us;
    }
    return status == STATUS_STATE ? STATUS_TIMEOUT : status;
}

static volatile uint16_t *map_doorbell(struct vf *vf, hpa_t at)
{
    if (vf->doorbell && vf->doorbell_at.raw != at.raw) {
        map_release((void *)(uintptr_t)vf->doorbell, sizeof(*vf->doorbell));
        vf->doorbell = NULL;
    }
    if (!vf->doorbell) {
        vf->doorbell = map_physical(at, sizeof(*vf->doorbell), MAP_DEVICE);
        vf->doorbell_at = at;
    }
    return vf->doorbell;
}

volatile uint16_t *legacy_edge_doorbell(struct legacy_function *function, bool owner, unsigned bar,
                                        uint64_t offset)
{
    struct vf *vf = vf_of(function);
    hpa_t base;
    uint64_t size;

    if (bar >= PCI_BARS_MAX) {
        return NULL;
    }
    if (owner) {
        base = vf->pf->bars[bar].base;
        size = vf->pf->bars[bar].size;
    } else {
        struct pci_bar place = pci_vf_bar(vf->pci, bar);

        base = hpa(place.base);
        size = place.kind == PCI_BAR_NONE ? 0 : place.size;
    }
    if (size < sizeof(uint16_t) || offset > size - sizeof(uint16_t)) {
        return NULL;
    }
    return map_doorbell(vf, hpa(base.raw + offset));
}

/* ---- The VF as a PCI function ---- */

void legacy_edge_bus_master(struct legacy_function *function, bool on)
{
    spinlock_acquire(&master_lock);
    enum status status = pci_vf_set_master(vf_of(function)->pci, on);

    spinlock_release(&master_lock);
    if (status != STATUS_OK) {
        guest_log(vf_of(function)->set->owner.log, LOG_WARN, "VF " BDF_FORMAT " cannot do DMA (%s)",
                  BDF_ARGS(function->setup.vf), status_name(status));
    }
}

enum status legacy_edge_msix_enable(struct legacy_function *function)
{
    __atomic_store_n(&vf_of(function)->fresh, false, __ATOMIC_RELEASE);
    return pci_msix_enable(&vf_of(function)->msix);
}

/* ---- The virtual PC ---- */

bool legacy_edge_msi(struct legacy_function *function, uint64_t address, uint32_t data)
{
    return pc_msi(vf_of(function)->set->owner.pc, address, data);
}

void legacy_edge_intx(struct legacy_function *function, bool level)
{
    pc_set_intx(vf_of(function)->set->owner.pc, function->devfn, 1, level);
}

bool legacy_edge_port_claimed(struct legacy_set *set, uint16_t port, unsigned width)
{
    const struct vf_set *vfs =
        (const struct vf_set *)((uintptr_t)set - offsetof(struct vf_set, legacy));

    return ports_claim(vfs->owner.pc, port, width);
}
