/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers, safe against registers that this CPU does not have: their #GP is caught
 * by the table of expected faults (vmm/host/trap.h). On the host, tests link a fake.
 */
#ifndef PORTOLAN_VMM_HOST_MSR_H
#define PORTOLAN_VMM_HOST_MSR_H

#include "vmm/base/status.h"

#include <stdint.h>

#define MSR_APIC_BASE       0x1bU
#define MSR_FEATURE_CONTROL 0x3aU
#define MSR_PRED_CMD        0x49U
#define MSR_PAT             0x277U
#define MSR_X2APIC_FIRST    0x800U
#define MSR_EFER            0xc0000080U
#define MSR_FS_BASE         0xc0000100U
#define MSR_GS_BASE         0xc0000101U
#define MSR_TSC_AUX         0xc0000103U
#define MSR_VM_CR           0xc0010114U
#define MSR_DE_CFG          0xc0011029U

#define FEATURE_CONTROL_LOCK  (1ULL << 0)
#define FEATURE_CONTROL_VMXON (1ULL << 2) /* outside of SMX */
#define PRED_CMD_IBPB         (1ULL << 0)
#define VM_CR_LOCK            (1ULL << 3)
#define VM_CR_SVMDIS          (1ULL << 4)
#define DE_CFG_LFENCE         (1ULL << 1) /* LFENCE waits for what is before it */

/* Read MSR into *VALUE. UNSUPPORTED, with *VALUE = 0, when the CPU refuses. Any CPU, traps on. */
enum status msr_read(uint32_t msr, uint64_t *value);

/* Write VALUE to MSR. UNSUPPORTED when the CPU refuses. Any CPU, traps on. */
enum status msr_write(uint32_t msr, uint64_t value);

#endif
