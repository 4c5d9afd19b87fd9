/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's virtual time. It is the VMM's time less what it was when the VM began, and less all the
 * time for which the VM was paused; the guest's TSC goes with it.
 */
#include "vmm/host/instructions.h"
#include "vmm/host/time.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/vm.h"

/* One in so many: what a guest that sets its clock by others makes good. */
#define RATE_DOUBT 2000U

static bool is_near(uint64_t hz, uint64_t host)
{
    return (hz > host ? hz - host : host - hz) <= host / RATE_DOUBT;
}

enum status vm_set_tsc_rate(struct vm *vm, uint64_t *hz)
{
    const struct backend_ratio *bits = &backend_offers.tsc_ratio;
    uint64_t host = time_facts()->tsc_khz * 1000, ratio = 0;

    if (*hz != 0 && *hz != host) {
        ratio = ratio_find(*hz, host, bits->fraction, bits->whole);
        if (ratio == 0 && !is_near(*hz, host)) {
            return STATUS_NOTE(STATUS_UNSUPPORTED);
        }
    }
    *hz = ratio ? *hz : host;
    vm->tsc_ratio = ratio;
    vm->tsc_fraction = bits->fraction;
    return STATUS_OK;
}

void vm_reset_time(struct vm *vm)
{
    vm->base_ns = time_now_ns();
    vm->base_tsc = vm_scale_tsc(vm, time_ns_to_tsc(vm->base_ns));
    __atomic_store_n(&vm->frozen, false, __ATOMIC_RELEASE);
}

/*
 * A CPU whose TSC lags may be before the VM's beginning: its time is 0 then, not the far future. A
 * VM that came from another host may be older than this one: BASE is below 0.
 */
static uint64_t since(uint64_t now, uint64_t base)
{
    return (int64_t)(now - base) > 0 ? now - base : 0;
}

uint64_t vm_now(const struct vm *vm)
{
    if (__atomic_load_n(&vm->frozen, __ATOMIC_ACQUIRE)) {
        return vm->clock.ns;
    }
    return since(time_now_ns(), vm->base_ns);
}

/* Both clocks from one look, or they would drift apart. Who looks at FROZEN has counted itself in
 * vm->touched before; the store must not wait until that was looked at. */
void vm_freeze_time(struct vm *vm)
{
    if (!vm->frozen) {
        uint64_t tsc = cpu_read_tsc(), ns = time_tsc_to_ns(tsc);

        vm->clock.ns = since(ns, vm->base_ns);
        vm->clock.tsc = vm_scale_tsc(vm, tsc) - vm->base_tsc;
        vm->clock.tsc_hz = vm->pc.config.tsc_hz;
        __atomic_store_n(&vm->frozen, true, __ATOMIC_SEQ_CST);
    }
}

/* The TSC is set by itself: by way of nanoseconds it would step back by a tick now and then. */
void vm_thaw_time(struct vm *vm)
{
    if (vm->frozen) {
        uint64_t tsc = cpu_read_tsc();

        vm->base_ns = time_tsc_to_ns(tsc) - vm->clock.ns;
        vm->base_tsc = vm_scale_tsc(vm, tsc) - vm->clock.tsc;
        __atomic_store_n(&vm->frozen, false, __ATOMIC_SEQ_CST);
    }
}
