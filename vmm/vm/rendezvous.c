/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VM's vCPUs meet to be reset or stopped together. vCPU 0 leads: it waits until all others
 * have left the guest, acts, and lets them go. They cannot stay away: a kick ends every guest's
 * run, and nothing else on their CPUs waits for a guest.
 */
#include "vmm/host/instructions.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/program.h"
#include "vmm/vm/vm.h"

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void follow(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    uint32_t round = load(&vm->round);

    __atomic_fetch_add(&vm->parked, 1, __ATOMIC_SEQ_CST);
    while (load(&vm->round) == round) {
        cpu_relax();
    }
}

static void wait_for_others(struct vm *vm)
{
    for (unsigned i = 1; i < vm->vcpu_count; i++) {
        vcpu_kick(vm->vcpu[i]);
    }
    while (load(&vm->parked) != vm->vcpu_count - 1) {
        cpu_relax();
    }
}

/* False: it cannot go on, and stops. */
static bool reset(struct vm *vm)
{
    vm->resets++;
    vf_silence(&vm->vfs);
    pc_reset(&vm->pc, vm_now(vm));
    vf_reset(&vm->vfs);
    return program_load(vm) == STATUS_OK;
}

static void lead(struct vm *vm)
{
    wait_for_others(vm);
    bool stop =
        __atomic_exchange_n(&vm->request, VM_REQUEST_NONE, __ATOMIC_SEQ_CST) == VM_REQUEST_STOP;

    __atomic_store_n(&vm->stopping, stop || !reset(vm), __ATOMIC_RELAXED);
    __atomic_store_n(&vm->parked, 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(&vm->round, 1, __ATOMIC_SEQ_CST);
}

bool vm_rendezvous(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    if (load(&vm->request) == VM_REQUEST_NONE) {
        return true;
    }
    if (vcpu->index == 0) {
        lead(vm);
    } else {
        follow(vcpu);
    }
    if (!vm->stopping) {
        vcpu_reset(vcpu);
    }
    return !vm->stopping;
}
