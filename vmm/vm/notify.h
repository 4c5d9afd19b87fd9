/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port accesses straight from the exit, and queue notifications first of all: the hottest thing
 * that a guest with VFs does. The backend asks before it puts an exit into neutral words, and goes
 * back into the guest at once.
 */
#ifndef PORTOLAN_VMM_VM_NOTIFY_H
#define PORTOLAN_VMM_VM_NOTIFY_H

#include "vmm/vm/vm.h"

/*
 * The guest writes the two bytes VALUE to PORT. True: it was a notification and is done, and
 * counted; else nothing has happened. Its time is not taken: two looks at the clock would cost more
 * than all the rest. On the vCPU's CPU, with interrupts off.
 */
static inline bool vcpu_notify_fast(struct vcpu *vcpu, uint16_t port, uint16_t value)
{
    if (!legacy_notify(&vcpu->vm->vfs.legacy, port, value)) {
        return false;
    }
    vcpu->counter[EXIT_NOTIFY].exits++;
    return true;
}

/*
 * The guest reads or writes IO, whose size is valid, *RAX being its RAX. True: it is done, and
 * counted. False: nothing has happened. On the vCPU's CPU, which cannot take interrupts until it is
 * in the guest again or calls cpu_irq_enable(): what would wait for a device is left alone. If the
 * access has news for this vCPU, vcpu->look is set: then the entry needs what others need.
 */
bool vcpu_io_quick(struct vcpu *vcpu, const struct exit_io *io, uint64_t *rax);

#endif
