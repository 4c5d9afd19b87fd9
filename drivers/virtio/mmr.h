/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy registers that a VF has in a memory BAR: docs/mmr-device.md, sections 4 and 5.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_MMR_H
#define PORTOLAN_DRIVERS_VIRTIO_MMR_H

#include "drivers/virtio/transport.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define MMR_LENGTH_MIN 24U       /* the header with its MSI-X vectors */
#define MMR_LENGTH_MAX PAGE_SIZE /* more is not mapped: no device has so much configuration */

/* What the operator says of the VFs of PF, for those that do not say it themselves. */
struct mmr_place {
    bdf_t pf;
    uint32_t bar; /* this and the next count if LENGTH > 0 */
    uint64_t offset;
    uint64_t length;
    uint32_t type; /* virtio device id; 0: as the VF says */
};

/* The mapped legacy block of one VF. Whoever has it opened it, and closes it. */
struct mmr {
    uint8_t *registers;
    uint32_t length; /* bytes that are mapped */
    uint16_t type;   /* virtio device id */
    hpa_t base;
};

/*
 * Find the legacy block of VF and map it, uncached. BARS are the VF's own PCI_BARS_MAX; VF_DEVICE
 * is the device id that its PF's SR-IOV capability gives. What PLACE says (NULL: nothing) goes
 * before the VF's capability.
 *
 * NOT_FOUND: the VF has no block and none is configured. DEVICE: it has one that is not sound.
 * INVALID: the configured one is not in its BAR. UNSUPPORTED: the device's type is not known.
 * NO_MEMORY: no window. All but the first with a warning. The VF's memory space must be on
 * before registers are used.
 */
enum status mmr_open(bdf_t vf, uint16_t vf_device, const struct virtio_bar *bars,
                     const struct mmr_place *place, struct mmr *mmr);

/* Unmap it. */
void mmr_close(struct mmr *mmr);

/*
 * Read or write the register of WIDTH = 1, 2 or 4 bytes at OFFSET. An offset that is misaligned or
 * beyond the block reads as all ones, and a write there is dropped: the block's end is the
 * device's word, so the caller's table of registers cannot know it. Any CPU.
 */
uint32_t mmr_read(const struct mmr *mmr, uint32_t offset, unsigned width);
void mmr_write(const struct mmr *mmr, uint32_t offset, unsigned width, uint32_t value);

#endif
