/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PF's common configuration: QEMU's, with the fields of the
 * administration queue added.
 */
#include "device.h"
#include "standard-headers/linux/virtio_pci.h"

#define ADMIN_QUEUE_INDEX   60
#define COMMON_SIZE         64

static uint64_t common_read(void *opaque, hwaddr addr, unsigned size)
{
    PCIDevice *pf = opaque;
    uint64_t value = 0;

    if (addr >= ADMIN_QUEUE_INDEX) {
        /* admin_queue_index, then admin_queue_num */
        value = pf_state(pf)->admin.index | 1 << 16;
        return value >> (8 * (addr - ADMIN_QUEUE_INDEX));
    }
    if (addr == VIRTIO_PCI_COMMON_NUMQ) {
        return virtio_get_num_queues(virtio_of(pf));
    }
    memory_region_dispatch_read(&VIRTIO_PCI(pf)->common.mr, addr, &value,
                                size_memop(size) | MO_LE,
                                MEMTXATTRS_UNSPECIFIED);
    return value;
}

static void common_write(void *opaque, hwaddr addr, uint64_t value,
                         unsigned size)
{
    PCIDevice *pf = opaque;

    /*
     * A status of 0, or the first one after a reset of any kind, begins a
     * new session of the administration queue.
     */
    if (addr == VIRTIO_PCI_COMMON_STATUS &&
        (value == 0 || virtio_of(pf)->status == 0)) {
        admin_reset(pf);
    }
    memory_region_dispatch_write(&VIRTIO_PCI(pf)->common.mr, addr, value,
                                 size_memop(size) | MO_LE,
                                 MEMTXATTRS_UNSPECIFIED);
}

static const MemoryRegionOps common_ops = {
    .read = common_read,
    .write = common_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl = { .min_access_size = 1, .max_access_size = 4 },
};

void common_init(PCIDevice *pf)
{
    PFState *s = pf_state(pf);
    VirtIOPCIProxy *proxy = VIRTIO_PCI(pf);

    memory_region_init_io(&s->common, OBJECT(pf), &common_ops, pf,
                          "portolan-common", COMMON_SIZE);
    /* It passes accesses on to another region of the same device. */
    s->common.disable_reentrancy_guard = true;
    memory_region_add_subregion_overlap(&proxy->modern_bar,
                                        proxy->common.offset, &s->common, 1);
}
