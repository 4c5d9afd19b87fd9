/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA of a function is seen by the IOMMU under the function's requester id.
 */
#include "device.h"

/*
 * QEMU lets a virtio device bypass the IOMMU unless its driver negotiates
 * ACCESS_PLATFORM, which no legacy driver can.  The devices of a server do
 * not bypass anything, so these neither.
 */
void dma_through_function(PCIDevice *d)
{
    VirtIODevice *vdev = virtio_of(d);

    memory_listener_unregister(&vdev->listener);
    vdev->dma_as = pci_get_address_space(d);
    memory_listener_register(&vdev->listener, vdev->dma_as);
    virtio_add_feature(&vdev->host_features, VIRTIO_F_IOMMU_PLATFORM);
}

/*
 * A function takes its bus number from each configuration write.  QEMU asks
 * the IOMMU for an address space once, when the device is created and the
 * bridge above it has no bus number yet; amd-iommu goes by that number.
 */
void dma_follow_bus_number(PCIDevice *d)
{
    MemoryRegion *window = &d->bus_master_enable_region;
    AddressSpace *bus;
    MemoryRegion *root;
    bool enabled;

    if (!memory_region_is_mapped(window)) {
        return;     /* QEMU sets it up when the machine is complete */
    }
    bus = pci_device_iommu_address_space(d);
    root = pci_is_vf(d) ? tap_root(d, bus) : bus->root;
    if (window->alias == root) {
        return;
    }
    enabled = window->enabled;
    memory_region_transaction_begin();
    memory_region_del_subregion(&d->bus_master_container_region, window);
    object_unparent(OBJECT(window));
    memory_region_init_alias(window, OBJECT(d), "bus master", root, 0,
                             memory_region_size(root));
    memory_region_set_enabled(window, enabled);
    memory_region_add_subregion(&d->bus_master_container_region, 0, window);
    memory_region_transaction_commit();
}
