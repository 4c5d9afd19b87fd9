/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's virtual time. It is the VMM's time less what it was when the VM began, and less all the
 * time for which the VM was paused; the guest's TSC goes with it.
 */
#include "vmm/host/instructions.h"
#include "vmm/host/time.h"
#include "vmm/vm/vm.h"

void vm_reset_time(struct vm *vm)
{
    vm->base_ns = time_now_ns();
    vm->base_tsc = time_ns_to_tsc(vm->base_ns);
    __atomic_store_n(&vm->frozen, false, __ATOMIC_RELEASE);
}

/* A CPU whose TSC lags may be before the VM's beginning: its time is 0 then, not the far future. */
uint64_t vm_now(const struct vm *vm)
{
    if (__atomic_load_n(&vm->frozen, __ATOMIC_ACQUIRE)) {
        return vm->clock.ns;
    }
    uint64_t now = time_now_ns();

    return now > vm->base_ns ? now - vm->base_ns : 0;
}

/* Both clocks from one look, or they would drift apart. Who looks at FROZEN has counted itself in
 * vm->touched before; the store must not wait until that was looked at. */
void vm_freeze_time(struct vm *vm)
{
    if (!vm->frozen) {
        uint64_t tsc = cpu_read_tsc(), ns = time_tsc_to_ns(tsc);

        vm->clock.ns = ns > vm->base_ns ? ns - vm->base_ns : 0;
        vm->clock.tsc = tsc - vm->base_tsc;
        __atomic_store_n(&vm->frozen, true, __ATOMIC_SEQ_CST);
    }
}

/* The TSC is set by itself: by way of nanoseconds it would step back by a tick now and then. */
void vm_thaw_time(struct vm *vm)
{
    if (vm->frozen) {
        uint64_t tsc = cpu_read_tsc();

        vm->base_ns = time_tsc_to_ns(tsc) - vm->clock.ns;
        vm->base_tsc = tsc - vm->clock.tsc;
        __atomic_store_n(&vm->frozen, false, __ATOMIC_SEQ_CST);
    }
}
