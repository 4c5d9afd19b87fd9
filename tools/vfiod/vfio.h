/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function of this machine by Linux's VFIO (linux/vfio.h): its group in a container of type
 * 1, which iommufd serves, too, where it stands in for it. One function, one thread.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_VFIO_H
#define PORTOLAN_TOOLS_VFIOD_VFIO_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define VFIO_REGIONS 8U /* BARs, ROM, configuration space: VFIO_PCI_*_REGION_INDEX */

struct vfio {
    int container, group, device; /* or -1 */
    uint64_t at[VFIO_REGIONS];    /* of regions, in 'device' */
    uint64_t size[VFIO_REGIONS];  /* 0: there is none */
    uint32_t vectors;             /* of MSI-X */
};

/* Open the function that is called BDF ("0000:01:00.1"), of which vfio-pci or its like is the
 * driver. False: a message says why, and nothing is open. */
bool vfio_open(struct vfio *v, const char *bdf);
void vfio_close(struct vfio *v);

/* An access of WIDTH 1, 2 or 4. All ones: it cannot be, or the function is gone. */
uint32_t vfio_read(const struct vfio *v, unsigned region, uint64_t offset, unsigned width);
void vfio_write(const struct vfio *v, unsigned region, uint64_t offset, unsigned width,
                uint32_t value);

/* FLR, or what else VFIO has for it. DEVICE: it failed. */
enum status vfio_reset(const struct vfio *v);

/* MSI-X Enable, with the first COUNT vectors, all masked; 0: off. DEVICE: it failed. */
enum status vfio_msix(const struct vfio *v, uint32_t count);

/* Messages of VECTOR count in EVENT, an eventfd; -1: it is masked. NO_MEMORY: Linux has none left.
 */
enum status vfio_vector(const struct vfio *v, uint32_t vector, int event);

/*
 * The function's DMA to SIZE bytes from IOVA on reaches those at HERE, whole pages, which stay in
 * RAM until vfio_unmap(), of all of one map, or of all that there are: 0 and UINT64_MAX. INVALID:
 * the IOMMU has no such addresses; NO_MEMORY: more than RLIMIT_MEMLOCK; NO_ROOM: too many maps.
 */
enum status vfio_map(const struct vfio *v, uint64_t iova, uint64_t size, void *here, bool readable,
                     bool writable);
void vfio_unmap(const struct vfio *v, uint64_t iova, uint64_t size);

/* The requests of ioctl() that all of these make but vfio_open(). */
const unsigned long *vfio_requests(unsigned *count);

#endif
