/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a VM. Clearing RAM, resetting VFs and copying a program take their time, which the
 * operator's console and other guests must not notice: all of it is done on a CPU of the VM, if
 * possible not on CPU 0, and one VM after the other, since VMs share PFs.
 */
#include "vmm/base/log.h"
#include "vmm/host/instructions.h"
#include "vmm/host/smp.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate_whole.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"
#include "vmm/vm/vm.h"

#include "drivers/rtc/cmos.h"

#define CLEAR_STEP (16ULL << 20) /* bytes between two looks at CPU 0's service */

_Static_assert(CONFIG_VM_CPUS_MAX <= PC_VCPUS_MAX, "the virtual PC has all vCPUs of a VM");

static uint32_t starting; /* a VM is being made ready; atomic */

static enum status clear_ram(const struct ram *ram)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < ram->run_count; i++) {
        const struct ram_run *run = &ram->run[i];

        for (uint64_t done = 0; done < run->size && status == STATUS_OK; done += CLEAR_STEP) {
            uint64_t left = run->size - done;

            status = ram_zero(ram, gpa(run->at.raw + done), left < CLEAR_STEP ? left : CLEAR_STEP);
            timer_service();
        }
    }
    return status;
}

static enum status power_on(struct vm *vm)
{
    struct pc_config config = {
        .vcpu_count = vm->vcpu_count,
        .memory_below_4g = vm->ram.below_4g,
        .memory_above_4g = vm->ram.above_4g,
        .tsc_hz = (uint64_t)vm->config->tsc_khz * 1000,
        .rtc_seconds = cmos_read_seconds(),
        .debug_exit = (uint16_t)vm->config->debug_exit,
        .keyboard = true,
        .firmware = vm->rom_size != 0,
        .debug_output = vm->config->debugcon,
    };

    enum status status = vm_set_tsc_rate(vm, &config.tsc_hz);

    if (status != STATUS_OK) {
        log_warn("VM '%s': this CPU cannot run a guest's TSC at %u kHz: only at its own %lu; leave "
                 "'tsc_khz' out",
                 vm->config->name, vm->config->tsc_khz, time_facts()->tsc_khz);
        return status;
    }
    vm_reset_time(vm);
    status = nvram_begin(vm, &config);
    if (status == STATUS_OK) {
        status = video_begin(vm, &config);
    }
    if (status == STATUS_OK) {
        service_begin(vm, &config);
        status = pc_init(&vm->pc, &config);
    }
    if (status == STATUS_OK) {
        nvram_settle(vm);
        video_settle(vm);
        service_settle(vm);
    }
    return status;
}

/* The program of one that waits comes with its RAM; what its firmware is offered does not. */
static enum status load(struct vm *vm)
{
    if (!vm->awaits) {
        return program_load(vm);
    }
    return vm->rom_size != 0 ? firmware_load(vm) : STATUS_OK;
}

/* Errors are said in the log. */
static enum status make_ready(struct vm *vm)
{
    enum status status = clear_ram(&vm->ram);

    if (status == STATUS_OK) {
        status = power_on(vm);
    }
    if (status == STATUS_OK) {
        status = vf_bind(&vm->vfs);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = load(vm);
    if (status != STATUS_OK) {
        vf_unbind(&vm->vfs);
    }
    return status;
}

/* No key, no interrupt and no time get to it until it has its state. */
static void hold(struct vm *vm)
{
    vm_freeze_time(vm);
    migrate_whole_await(&vm->vfs);
}

enum status vm_make_new(struct vm *vm)
{
    legacy_silence(&vm->vfs.legacy);
    enum status status = clear_ram(&vm->ram);

    if (status == STATUS_OK) {
        status = power_on(vm);
    }
    if (status != STATUS_OK) {
        return status;
    }
    legacy_reset(&vm->vfs.legacy);
    hold(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        __atomic_store_n(&vm->vcpu[i]->requests, 0, __ATOMIC_SEQ_CST);
    }
    return load(vm);
}

static void launch_vcpus(struct vm *vm)
{
    vm->parked = 0;
    __atomic_store_n(&vm->presses, 0, __ATOMIC_SEQ_CST);
    vm->paused = vm->awaits;
    vm->clock.paused = 0;
    vm->died = false;
    vm->reset_loop = (struct reset_loop){0};
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        __atomic_store_n(&vm->vcpu[i]->requests, 0, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&vm->active, vm->vcpu_count, __ATOMIC_SEQ_CST);
    checkpoint_begin(vm);
    if (!vm_is_by_service(vm)) {
        guest_log_refill(&vm->log);
        guest_log_refill(&vm->orders_log);
    }
    if (vm->awaits) {
        legacy_pause(&vm->vfs.legacy);
        hold(vm);
    }
    vm_move_reset(vm, vm->awaits ? VM_MOVE_INCOMING : VM_MOVE_IDLE);
    log_info("VM '%s': %s", vm->config->name, vm->awaits ? "waits for its state" : "started");
    __atomic_store_n(&vm->state, vm->awaits ? VM_PAUSED : VM_RUNNING, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        (void)smp_call(vm->vcpu[i]->cpu, vcpu_main, vm->vcpu[i]);
    }
}

/* One that has nothing else to do, if the VM has one. */
static struct cpu *choose_cpu(const struct vm *vm)
{
    struct cpu *first = vm->vcpu[0]->cpu;

    return first->index == 0 && vm->vcpu_count > 1 ? vm->vcpu[1]->cpu : first;
}

static void start(void *argument)
{
    struct vm *vm = argument;
    struct cpu *cpu = choose_cpu(vm); /* this one */

    cpu->guest_log = vm_orders_log(vm);
    while (__atomic_exchange_n(&starting, 1, __ATOMIC_ACQUIRE)) {
        timer_service();
        cpu_relax();
    }
    enum status status = make_ready(vm);

    __atomic_store_n(&starting, 0, __ATOMIC_RELEASE);
    if (status == STATUS_OK) {
        launch_vcpus(vm);
    } else {
        log_warn("VM '%s': not started: %s", vm->config->name, status_name(status));
        __atomic_store_n(&vm->state, VM_STOPPED, __ATOMIC_SEQ_CST);
    }
    cpu->guest_log = NULL;
}

/* Who reads that a VM has stopped may start it, however slow the CPU is that says so. */
static void await_last_words(const struct vm *vm)
{
    while (vm_state(vm) == VM_ENDED) {
        cpu_relax();
    }
}

static enum status begin(struct vm *vm, bool awaits)
{
    await_last_words(vm);
    if (vm_state(vm) != VM_STOPPED) {
        return STATUS_STATE;
    }
    vm->awaits = awaits;
    __atomic_store_n(&vm->request, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&vm->checkpoints.wanted, 0, __ATOMIC_SEQ_CST);
    vm->checkpoints.taken = 0;
    vm->checkpoints.next_ns = 0;
    __atomic_store_n(&vm->after, VM_AFTER_GO_ON, __ATOMIC_SEQ_CST);
    __atomic_store_n(&vm->state, VM_STARTING, __ATOMIC_SEQ_CST);
    enum status status = smp_call(choose_cpu(vm), start, vm);

    if (status != STATUS_OK) {
        __atomic_store_n(&vm->state, VM_STOPPED, __ATOMIC_SEQ_CST);
    }
    return status;
}

enum status vm_start(struct vm *vm)
{
    return begin(vm, false);
}

enum status vm_await(struct vm *vm)
{
    return begin(vm, true);
}
