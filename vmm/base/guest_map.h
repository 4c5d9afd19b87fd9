/* SPDX-License-Identifier: BSD-2-Clause */
/* What several layers must agree on about a guest's physical addresses. */
#ifndef PORTOLAN_VMM_BASE_GUEST_MAP_H
#define PORTOLAN_VMM_BASE_GUEST_MAP_H

/* 32-bit space for the BARs of passed-through functions; low RAM ends at or below it. */
#define PCI_HOLE_BASE 0xe0000000U
#define PCI_HOLE_END  0xfec00000U

#endif
