/* SPDX-License-Identifier: BSD-2-Clause */
/* What is delivered to a guest, and when. On the vCPU's own CPU. */
#ifndef PORTOLAN_VMM_VM_INTERRUPTS_H
#define PORTOLAN_VMM_VM_INTERRUPTS_H

#include "vmm/vm/vm.h"

/* Before an entry, interrupts off: choose vcpu->event, and offer the rest to the CPU, or watch for
 * the moment when it can be delivered. */
void interrupts_prepare(struct vcpu *vcpu);

/* Does anything end a HLT? */
bool interrupts_wake(const struct vcpu *vcpu);

/* After an exit, before anything else: OFFERED was in vcpu->offer at the entry, and not 0. */
void interrupts_settle(struct vcpu *vcpu, uint8_t offered);

/* After an exit: the guest may have written CR8, which was BEFORE at its entry. */
static inline void interrupts_see_cr8(struct vcpu *vcpu, uint8_t before)
{
    if (vcpu->cr8 != before && !vcpu->apic) {
        pc_cr8_write(&vcpu->vm->pc, vcpu->index, vcpu->cr8);
    }
}

#endif
