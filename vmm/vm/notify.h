/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queue notifications straight from the exit: the hottest thing that a guest with VFs does. The
 * backend asks before it puts an exit into neutral words, and goes back into the guest at once.
 */
#ifndef PORTOLAN_VMM_VM_NOTIFY_H
#define PORTOLAN_VMM_VM_NOTIFY_H

#include "vmm/vm/vm.h"

/*
 * The guest writes the two bytes VALUE to PORT. True: it was a notification and is done, and
 * counted; else nothing has happened. On the vCPU's CPU, with interrupts off.
 */
static inline bool vcpu_notify_fast(struct vcpu *vcpu, uint16_t port, uint16_t value)
{
    if (!legacy_notify(&vcpu->vm->vfs.legacy, port, value)) {
        return false;
    }
    vcpu->counter[EXIT_NOTIFY].exits++;
    return true;
}

#endif
