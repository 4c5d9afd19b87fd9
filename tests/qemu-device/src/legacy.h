/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The legacy registers of a VF: one set, reached through the memory block
 * and through the administration queue.
 */
#ifndef PORTOLAN_LEGACY_H
#define PORTOLAN_LEGACY_H

#include "device.h"

extern const MemoryRegionOps legacy_block_ops;
extern const MemoryRegionOps legacy_doorbell_ops;

/* The field at OFFSET of the header, or of the device configuration. */
const Field *legacy_field(PCIDevice *vf, bool config, unsigned offset);

/* N bytes at OFFSET, all inside FIELD. */
void legacy_read_bytes(PCIDevice *vf, bool config, const Field *field,
                       unsigned offset, uint8_t *to, unsigned n);
void legacy_write_bytes(PCIDevice *vf, bool config, const Field *field,
                        unsigned offset, const uint8_t *from, unsigned n);

/* The same as 0 in the status, whatever the VF is doing. */
void legacy_reset(PCIDevice *vf);

#endif
