/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VM's vCPUs park, so that what belongs to all of them can be touched: reset, stop, pause,
 * and whatever takes state out of the VM. vCPU 0 leads: it waits until all others have left the
 * guest, acts, and releases them; while the VM is paused they come back at once. They cannot stay
 * away: a kick ends every guest's run, and nothing else on their CPUs waits for a guest. All sleep
 * meanwhile, and CPU 0 goes on with its service.
 */
#include "vmm/base/log.h"
#include "vmm/host/instructions.h"
#include "vmm/host/irq.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"
#include "vmm/vm/vm.h"

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* Sleep on VCPU's CPU while *WORD is VALUE; who changes it kicks the vCPU afterwards. */
static void sleep_while(struct vcpu *vcpu, const uint32_t *word, uint32_t value)
{
    while (load(word) == value) {
        uint64_t flags = irq_save();

        store(&vcpu->kicked, 0);
        if (load(word) == value && !timer_service_is_due()) {
            wait_for_interrupt();
        }
        irq_restore(flags);
        timer_service();
    }
}

static void follow(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    uint32_t round = load(&vm->round);

    __atomic_fetch_add(&vm->parked, 1, __ATOMIC_SEQ_CST);
    vcpu_kick(vm->vcpu[0]);
    sleep_while(vcpu, &vm->round, round);
}

static void wait_for_others(struct vm *vm)
{
    uint32_t others = vm->vcpu_count - 1, parked;

    for (unsigned i = 1; i < vm->vcpu_count; i++) {
        vcpu_kick(vm->vcpu[i]);
    }
    while ((parked = load(&vm->parked)) != others) {
        sleep_while(vm->vcpu[0], &vm->parked, parked);
    }
}

/* Is it worth another try? */
static bool goes_on(struct vm *vm)
{
    bool died = __atomic_exchange_n(&vm->died, false, __ATOMIC_RELAXED);
    uint64_t interrupts = 0;

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        interrupts += vm->vcpu[i]->interrupts;
    }
    if (reset_loop_goes_on(&vm->reset_loop, died, interrupts, vm_now(vm))) {
        return true;
    }
    log_warn("VM '%s' stays off: it died %u times in a row before its first interrupt; mend it, "
             "then 'vm start %s'",
             vm->config->name, RESET_LOOP_DEATHS_MAX, vm->config->name);
    return false;
}

/* False: it cannot go on, and stops. */
static bool reset(struct vm *vm)
{
    if (!goes_on(vm)) {
        return false;
    }
    __atomic_fetch_add(&vm->resets, 1, __ATOMIC_RELAXED);
    legacy_silence(&vm->vfs.legacy);
    pc_reset(&vm->pc, vm_now(vm));
    nvram_settle(vm);
    video_settle(vm);
    service_settle(vm);
    legacy_reset(&vm->vfs.legacy);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        /* Those of the VM's last life. */
        __atomic_fetch_and(&vm->vcpu[i]->requests, VCPU_REQUEST_PORTAL, __ATOMIC_SEQ_CST);
    }
    return program_load(vm) == STATUS_OK;
}

void vm_set_parked(struct vm *vm, bool parked)
{
    vm->paused = parked;
    store(&vm->state, parked ? VM_PAUSED : VM_RUNNING);
}

static void set_paused(struct vm *vm, bool paused)
{
    if (vm->paused != paused) {
        if (paused) {
            legacy_pause(&vm->vfs.legacy);
        } else {
            migrate_resume(&vm->vfs);
            legacy_resume(&vm->vfs.legacy);
        }
        vm_say(vm, "%s", paused ? "paused" : "resumed");
        vm->clock.paused = paused;
        vm_set_parked(vm, paused);
    }
}

/* What is said of a move is no guest's doing. */
static enum vm_after act_for_move(struct vm *vm)
{
    struct cpu *cpu = vm->vcpu[0]->cpu; /* this one: the leader's */
    struct guest_log *guest = cpu->guest_log;

    cpu->guest_log = &vm->orders_log;
    enum vm_after after = vm_move_act(vm);

    cpu->guest_log = guest;
    return after;
}

static enum vm_after touch_state(struct vm *vm, uint32_t requests)
{
    enum vm_after after = VM_AFTER_GO_ON;

    if (!vm->paused) {
        legacy_pause(&vm->vfs.legacy);
    }
    if (requests & VM_REQUEST_MIGRATE) {
        migrate_act(&vm->vfs, vm->paused);
    }
    if (requests & VM_REQUEST_CHECKPOINT) {
        after = checkpoint_take(vm) == STATUS_OK ? VM_AFTER_LOAD : VM_AFTER_STOP;
    }
    if ((requests & VM_REQUEST_MOVE) && after != VM_AFTER_STOP) {
        enum vm_after moved = act_for_move(vm);

        after = moved != VM_AFTER_GO_ON ? moved : after;
    }
    if (!vm->paused) {
        legacy_resume(&vm->vfs.legacy);
    }
    return after;
}

/* Nobody from outside is to touch the machine from here on. */
static void hold(struct vm *vm)
{
    vm_freeze_time(vm);
    while (load(&vm->touched) != 0) {
        cpu_relax();
    }
}

/* All are parked, and time stands still. */
static enum vm_after act(struct vm *vm, uint32_t requests)
{
    if (requests & VM_REQUEST_STOP) {
        return VM_AFTER_STOP;
    }
    if (load(&vm->move.state) != VM_MOVE_IDLE) {
        requests &= VM_REQUEST_MOVE; /* what was asked for just before comes too late */
    }
    if (requests & (VM_REQUEST_PAUSE | VM_REQUEST_RESUME)) {
        set_paused(vm, requests & VM_REQUEST_PAUSE);
    }
    if (requests & VM_REQUEST_RESET) {
        /* An order of a move comes after it. */
        __atomic_fetch_or(&vm->request, requests & VM_REQUEST_MOVE, __ATOMIC_SEQ_CST);
        return reset(vm) ? VM_AFTER_RESET : VM_AFTER_STOP;
    }
    return requests & (VM_REQUEST_CHECKPOINT | VM_REQUEST_MIGRATE | VM_REQUEST_MOVE)
               ? touch_state(vm, requests)
               : VM_AFTER_GO_ON;
}

static void lead(struct vm *vm)
{
    wait_for_others(vm);
    hold(vm);
    if (vm->paused) {
        sleep_while(vm->vcpu[0], &vm->request, 0);
    }
    enum vm_after after = act(vm, __atomic_exchange_n(&vm->request, 0, __ATOMIC_SEQ_CST));

    if (after == VM_AFTER_STOP || !vm->paused) {
        vm_thaw_time(vm);
        /* The console may have said so in vain meanwhile, or have been another one before. */
        pc_console_ready(&vm->pc, vm_now(vm));
        vm_press_held(vm);
    }
    store(&vm->after, after);
    store(&vm->parked, 0);
    __atomic_fetch_add(&vm->round, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 1; i < vm->vcpu_count; i++) {
        vcpu_kick(vm->vcpu[i]);
    }
}

/* One round; false: the VM has stopped. */
static bool park(struct vcpu *vcpu)
{
    timer_set(TIMER_VCPU, TIMER_NEVER);
    vcpu_go(vcpu, VCPU_AWAY);
    if (!vm_is_stopping(vcpu->vm)) { /* else nobody asks for it, and there may be none */
        vcpu_save(vcpu, &vcpu->saved);
    }
    if (vcpu->index == 0) {
        lead(vcpu->vm);
    } else {
        follow(vcpu);
    }
    switch ((enum vm_after)load(&vcpu->vm->after)) {
    case VM_AFTER_STOP:
        return false;
    case VM_AFTER_RESET:
        vcpu_reset(vcpu);
        break;
    case VM_AFTER_LOAD:
        checkpoint_scramble_vcpu(vcpu);
        vcpu_load(vcpu, &vcpu->saved);
        break;
    case VM_AFTER_GO_ON:
        vcpu_resume(vcpu);
        break;
    }
    return true;
}

static bool is_wanted(const struct vm *vm)
{
    return load(&vm->request) != 0 || vm_state(vm) == VM_PAUSED;
}

/* Out of line: what comes at each exit is the question alone. */
static __attribute__((noinline)) bool park_while_wanted(struct vcpu *vcpu)
{
    bool alive = true;

    while (alive && is_wanted(vcpu->vm)) {
        alive = park(vcpu);
    }
    return alive;
}

bool vm_rendezvous(struct vcpu *vcpu)
{
    return !is_wanted(vcpu->vm) || park_while_wanted(vcpu);
}
