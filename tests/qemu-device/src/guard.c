/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The modern registers of a VF that can be migrated.  QEMU's lie below; what
 * a VF that does not run has to keep or drop is sorted out here.
 */
#include "device.h"
#include "hold.h"
#include "staged.h"
#include "qemu/range.h"
#include "standard-headers/linux/virtio_pci.h"

#define GUARD_SIZE VF_DOORBELL_OFFSET

/* The notify_off_multiplier of QEMU, without page-per-vq. */
#define QUEUE_STRIDE 4

static VirtIOPCIRegion *region_at(PCIDevice *vf, hwaddr addr)
{
    VirtIOPCIProxy *proxy = VIRTIO_PCI(vf);
    VirtIOPCIRegion *const regions[] = {
        &proxy->common, &proxy->isr, &proxy->device, &proxy->notify,
    };

    for (int i = 0; i < ARRAY_SIZE(regions); i++) {
        if (range_covers_byte(regions[i]->offset, regions[i]->size, addr)) {
            return regions[i];
        }
    }
    return NULL;
}

static uint64_t guard_read(void *opaque, hwaddr addr, unsigned size)
{
    PCIDevice *vf = opaque;
    VirtIOPCIRegion *region = region_at(vf, addr);
    uint64_t value = 0;

    if (!region) {
        return 0;
    }
    /* Reading it would clear it. */
    if (region == &VIRTIO_PCI(vf)->isr &&
        vf_state(vf)->halt.phase == PHASE_FROZEN) {
        return virtio_of(vf)->isr;
    }
    memory_region_dispatch_read(&region->mr, addr - region->offset, &value,
                                size_memop(size) | MO_LE,
                                MEMTXATTRS_UNSPECIFIED);
    return value;
}

static void guard_write(void *opaque, hwaddr addr, uint64_t value,
                        unsigned size)
{
    PCIDevice *vf = opaque;
    VirtIOPCIProxy *proxy = VIRTIO_PCI(vf);
    VirtIOPCIRegion *region = region_at(vf, addr);

    if (!region || halt_drops_write(vf)) {
        return;
    }
    /* The place says which queue; what is written does not matter. */
    if (region == &proxy->notify &&
        halt_keeps_doorbell(vf, (addr - region->offset) /
                                QUEUE_STRIDE)) {
        return;
    }
    if (addr == proxy->common.offset + VIRTIO_PCI_COMMON_STATUS && !value) {
        hold_drop(vf);
        staged_forget(vf);
    }
    memory_region_dispatch_write(&region->mr, addr - region->offset, value,
                                 size_memop(size) | MO_LE,
                                 MEMTXATTRS_UNSPECIFIED);
    halt_after_write(vf);
}

static const MemoryRegionOps guard_ops = {
    .read = guard_read,
    .write = guard_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl = { .min_access_size = 1, .max_access_size = 4 },
};

void guard_init(PCIDevice *vf)
{
    VFState *s = vf_state(vf);

    memory_region_init_io(&s->guard, OBJECT(vf), &guard_ops, vf,
                          "portolan-guard", GUARD_SIZE);
    /* It passes accesses on to another region of the same device. */
    s->guard.disable_reentrancy_guard = true;
    memory_region_add_subregion_overlap(&VIRTIO_PCI(vf)->modern_bar, 0,
                                        &s->guard, 1);
}

void guard_exit(PCIDevice *vf)
{
    memory_region_del_subregion(&VIRTIO_PCI(vf)->modern_bar,
                                &vf_state(vf)->guard);
}
