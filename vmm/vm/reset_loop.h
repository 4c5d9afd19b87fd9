/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a VM that dies and is reset, again and again, worth another try? Pure logic.
 *
 * A death is a reset that nobody asked for: a triple fault. A sign of life between two resets is
 * an interrupt that a vCPU took, or RESET_LOOP_LIFE_NS of running; a reset that the guest or the
 * operator asks for is one too. After RESET_LOOP_DEATHS_MAX deaths in a row without one the VM
 * stays off until it is started again.
 */
#ifndef PORTOLAN_VMM_VM_RESET_LOOP_H
#define PORTOLAN_VMM_VM_RESET_LOOP_H

#include "vmm/base/types.h"

#define RESET_LOOP_DEATHS_MAX 16U
#define RESET_LOOP_LIFE_NS    10000000000ULL

/* All zero at the VM's start. */
struct reset_loop {
    uint32_t deaths; /* in a row, without a sign of life */
    uint64_t interrupts;
    uint64_t last_ns; /* virtual time of the last reset */
};

/*
 * A reset is due: DIED, or somebody asked for it, when the VM's vCPUs had taken INTERRUPTS in all,
 * at virtual time NOW_NS. False: it stays off. One caller at a time.
 */
bool reset_loop_goes_on(struct reset_loop *loop, bool died, uint64_t interrupts, uint64_t now_ns);

#endif
