/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real PCI device of the host in the guest, through VFIO: QEMU's 'edu', which interrupts when it
 * is told to. And a notification port whose eventfd the kernel signals by itself (ioeventfd).
 */
#ifndef PORTOLAN_BENCH_DEVICE_H
#define PORTOLAN_BENCH_DEVICE_H

#include <stdint.h>

enum { DEVICE_PORT_MODE = 0xc000, DEVICE_PORT_NOTIFY = 0xc010 };

/* Give the guest VM the device BDF ("0000:00:03.0") of IOMMU group GROUP: its BAR 0 at E0000000h.
 */
void device_open(int vm, const char *group, const char *bdf);

/* The guest wrote MODE to DEVICE_PORT_MODE: 0 INTx, on pin 17 of the IOAPIC; 1 MSI, vector 52h of
 * vCPU 0. */
void device_set_mode(uint32_t mode);

#endif
