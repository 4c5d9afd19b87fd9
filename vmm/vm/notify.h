/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queue notifications straight from the exit: the hottest thing that a guest with VFs does. The
 * backend asks before it puts an exit into neutral words, and goes back into the guest at once.
 */
#ifndef PORTOLAN_VMM_VM_NOTIFY_H
#define PORTOLAN_VMM_VM_NOTIFY_H

#include "vmm/host/instructions.h"
#include "vmm/vm/vm.h"

/*
 * The guest writes the two bytes VALUE to PORT. True: it was a notification and is done, and
 * counted; else nothing has happened. On the vCPU's CPU, with interrupts off.
 */
static inline bool vcpu_notify_fast(struct vcpu *vcpu, uint16_t port, uint16_t value)
{
    uint64_t left = cpu_read_tsc();

    if (!legacy_notify(&vcpu->vm->vfs.legacy, port, value)) {
        return false;
    }
    uint64_t spent = cpu_read_tsc() - left;

    vcpu->counter[EXIT_NOTIFY].exits++;
    vcpu->counter[EXIT_NOTIFY].cycles += spent;
    vcpu->entered += spent;
    return true;
}

#endif
