/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of interrupt messages: SDM 3, 11.11.1. DMA to them is never memory: VT-d 4.1, 3.14. */
#ifndef PORTOLAN_VMM_BASE_MSI_H
#define PORTOLAN_VMM_BASE_MSI_H

#define MSI_BASE                 0xfee00000ULL
#define MSI_SIZE                 0x100000ULL
#define MSI_IS_MESSAGE(address)  ((address) >> 20 == MSI_BASE >> 20)
#define MSI_ADDRESS(apic_id)     (MSI_BASE | (apic_id) << 12) /* physical */
#define MSI_DESTINATION(address) ((address) >> 12 & 0xffU)
#define MSI_IS_LOGICAL(address)  (((address) >> 2 & 1U) != 0)

#endif
