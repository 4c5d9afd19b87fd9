/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that differs between the QEMU versions this device builds for
 * (7.2 and 10.0).  No other file asks which version it is built for.
 */
#ifndef PORTOLAN_COMPAT_H
#define PORTOLAN_COMPAT_H

#include "qemu/osdep.h"
#include "hw/pci/pci.h"
#if QEMU_VERSION_MAJOR >= 8
#include "hw/pci/pci_device.h"
#endif
#include "hw/core/cpu.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_sriov.h"
#if QEMU_VERSION_MAJOR >= 10
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "system/runstate.h"
#else
#include "qapi/qmp/qdict.h"
#include "sysemu/block-backend.h"
#include "sysemu/runstate.h"
#endif

#if QEMU_VERSION_MAJOR * 100 + QEMU_VERSION_MINOR >= 1001
typedef const void *CompatClassData;
#else
typedef void *CompatClassData;
#endif

/* Has an instance of TYPE, which is not abstract, SIZE bytes in this QEMU? */
bool compat_has_instance_size(const char *type, size_t size);

void compat_ari_init(PCIDevice *d, uint16_t position);

/*
 * Adds the SR-IOV capability.  The BARs are set up first in 10.0, which
 * creates all VFs here; 7.2 creates them when VF Enable is set.
 */
bool compat_sriov_init(PCIDevice *pf, uint16_t position, const char *vf_type,
                       uint16_t vf_device_id, uint16_t vfs, Error **errp);

/* How the PF is reset, where QEMU's own SR-IOV code does not do it. */
void compat_pf_class_init(DeviceClass *dc);

/*
 * Puts OURS before the function that delivers exceptions to CPUs of CLASS, and
 * returns that function; NULL, and nothing is done, if there is none (no TCG).
 */
typedef void CompatInterrupt(CPUState *cpu);
CompatInterrupt *compat_hook_do_interrupt(CPUClass *class,
                                          CompatInterrupt *ours);

/*
 * Passes a configuration write of the PF on to NEXT, and mends what QEMU's
 * SR-IOV code leaves behind.
 */
void compat_pf_config_write(PCIDevice *pf, PCIConfigWriteFunc *next,
                            uint32_t addr, uint32_t val, int len);

#endif
