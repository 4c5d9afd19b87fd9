/* SPDX-License-Identifier: BSD-2-Clause */
/* The permission maps that all guests share: AMD APM 2, sections 15.10 and 15.11. */
#ifndef PORTOLAN_VMM_SVM_MAPS_H
#define PORTOLAN_VMM_SVM_MAPS_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define MAPS_IO_SIZE  0x3000U /* a bit for each port, and one page more for accesses at FFFFh */
#define MAPS_MSR_SIZE 0x2000U

/* Pure: let every port exit. */
void maps_fill_io(uint8_t *map);

/* Pure: let every MSR exit but those that VMRUN, VMLOAD and VMSAVE switch. */
void maps_fill_msr(uint8_t *map);

/* Where the map says about MSR: its byte, and the bit for reading (that for writing is the next).
 * False: the map has no place for it, and it exits always. */
bool maps_find_msr(uint32_t msr, uint32_t *byte, unsigned *bit);

/* Allocate and fill both. Boot CPU, once. */
enum status maps_init(void);
hpa_t maps_io(void);
hpa_t maps_msr(void);

#endif
