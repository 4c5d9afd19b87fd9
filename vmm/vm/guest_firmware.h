/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM's firmware finds by fw_cfg: tables, the order of devices, option ROMs, a kernel. */
#ifndef PORTOLAN_VMM_VM_GUEST_FIRMWARE_H
#define PORTOLAN_VMM_VM_GUEST_FIRMWARE_H

#include "vmm/legacy/legacy.h"
#include "vmm/load/load.h"
#include "vmm/pc/guest_tables.h"

struct vm;

/* A VM's; what fw_cfg has points into it. */
struct firmware {
    struct firmware_files files;
    char order[48 * (LEGACY_FUNCTIONS_MAX + 1)]; /* what is booted from first: paths, one a line */
    uint32_t order_used;
    uint8_t menu_ms[4];
    uint8_t setup[LOAD_SETUP_MAX]; /* of a kernel with a 16-bit entry */
};

/* Offer all of it, unless it is there from before a reset. No vCPU runs. */
enum status firmware_load(struct vm *vm);

#endif
