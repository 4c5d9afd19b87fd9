/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio PF that the VMM drives: nothing of the device is used but its administration queue and,
 * through PCI, its VFs. docs/virtio.md.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_PF_H
#define PORTOLAN_DRIVERS_VIRTIO_PF_H

#include "drivers/virtio/admin.h"
#include "drivers/virtio/device.h"
#include "drivers/virtio/transport.h"

struct virtio_pf {
    const struct virtio_function *function;
    struct virtio_transport transport;
    struct virtio_admin admin;
    bool has_admin; /* ADMIN_VQ was negotiated; without it 'admin' refuses all commands */
};

/*
 * Take VIRTIO_ADMIN_MEMORY bytes for a PF from the pool into *MEMORY, with the host-physical
 * address as iova: the caller maps it into the PF's IOMMU domain, and changes iova if it is mapped
 * elsewhere. NO_MEMORY. Boot CPU.
 */
enum status virtio_pf_allocate(struct virtio_dma *memory);

/*
 * Bring FUNCTION up, from whatever state: memory space on, INTx off, reset, features, bus mastering
 * on, administration queue, DRIVER_OK. BARS are its PCI_BARS_MAX BARs. MEMORY, as of
 * virtio_pf_allocate(), is the device's until virtio_pf_stop() says OK. Bridges above must let bus
 * mastering through. This may clear VF Enable: switch VFs on afterwards.
 *
 * Before its first start PF is all zero but for admin.lock, which its owner has initialised. At
 * later ones somebody may have that, to count commands.
 *
 * Errors as in transport.h and admin.h; then the function is reset, and bus mastering is off. One
 * CPU at a time for a PF.
 */
enum status virtio_pf_start(struct virtio_pf *pf, const struct virtio_function *function,
                            const struct virtio_bar *bars, const struct virtio_dma *memory);

/*
 * Reset the PF, switch its bus mastering off and unmap it; its VFs must be off. When it is not OK
 * (as virtio_transport_reset()), the DMA memory must not be used for anything else. May be followed
 * by virtio_pf_start().
 */
enum status virtio_pf_stop(struct virtio_pf *pf);

#endif
