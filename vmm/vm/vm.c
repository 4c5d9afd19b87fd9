/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/vm.h"

#include "vmm/base/log.h"
#include "vmm/host/instructions.h"
#include "vmm/host/pool.h"
#include "vmm/host/smp.h"
#include "vmm/host/time.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/program.h"

#include "drivers/rtc/cmos.h"

static struct vm *vms[CONFIG_VMS_MAX];
static unsigned count;

unsigned vm_count(void)
{
    return count;
}

struct vm *vm_by_index(unsigned index)
{
    return index < count ? vms[index] : NULL;
}

static enum vm_state state_of(const struct vm *vm)
{
    return (enum vm_state)__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);
}

unsigned vm_running(void)
{
    unsigned running = 0;

    for (unsigned i = 0; i < count; i++) {
        running += state_of(vms[i]) != VM_STOPPED;
    }
    return running;
}

uint64_t vm_now(const struct vm *vm)
{
    return time_now_ns() - vm->base_ns;
}

static enum status create_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = pool_allocate(sizeof(*vcpu), PAGE_SIZE);

        if (!vcpu) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        vcpu->vm = vm;
        vcpu->index = i;
        vcpu->cpu = cpu_by_index(vm->config->cpus.cpu[i]);
        vm->vcpu[i] = vcpu;
        enum status status = backend_vcpu_create(vcpu);

        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status map_ram(struct vm *vm)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < vm->ram.run_count && status == STATUS_OK; i++) {
        const struct ram_run *run = &vm->ram.run[i];

        status = nested_map(&vm->nested, run->at, run->frames, run->size,
                            NESTED_READ | NESTED_WRITE | NESTED_EXECUTE);
    }
    return status;
}

static enum status create(const struct config_vm *config)
{
    struct vm *vm = pool_allocate(sizeof(*vm), PAGE_SIZE);
    bool giant_pages;

    if (!vm) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    vm->config = config;
    vm->log.vm = config->name;
    vm->index = count;
    vm->vcpu_count = config->cpus.count;
    enum status status = create_vcpus(vm);

    if (status == STATUS_OK) {
        const struct nested_format *format = backend_nested_format(&giant_pages);

        status = nested_init(&vm->nested, format, giant_pages);
    }
    if (status == STATUS_OK) {
        status = ram_allocate(&vm->ram, config->memory);
    }
    if (status == STATUS_OK) {
        status = map_ram(vm);
    }
    if (status == STATUS_OK) {
        status = vf_create(&vm->vfs, &(struct vf_owner){.config = config,
                                                        .index = vm->index,
                                                        .pc = &vm->pc,
                                                        .ram = &vm->ram,
                                                        .log = &vm->log});
    }
    if (status == STATUS_OK) {
        vms[count++] = vm;
        log_info("VM '%s': %u vCPUs, %lu MiB in %u runs", config->name, vm->vcpu_count,
                 config->memory >> 20, vm->ram.run_count);
    } else {
        ram_free(&vm->ram); /* the other VMs may need it */
    }
    return status;
}

void vm_create_all(const struct config *config)
{
    for (uint32_t i = 0; i < config->vm_count; i++) {
        enum status status = create(&config->vms[i]);

        if (status != STATUS_OK) {
            log_warn("VM '%s' is left out: %s; give it less memory, or the others",
                     config->vms[i].name, status_name(status));
        }
    }
}

static enum status power_on(struct vm *vm)
{
    struct pc_config config = {
        .vcpu_count = vm->vcpu_count,
        .memory_below_4g = vm->ram.below_4g,
        .memory_above_4g = vm->ram.above_4g,
        .tsc_hz = time_facts()->tsc_khz * 1000,
        .rtc_seconds = cmos_read_seconds(),
        .debug_exit = (uint16_t)vm->config->debug_exit,
        .keyboard = true,
    };

    vm->base_ns = time_now_ns();
    vm->base_tsc = time_ns_to_tsc(vm->base_ns);
    return pc_init(&vm->pc, &config);
}

static void launch_vcpus(struct vm *vm)
{
    vm->request = VM_REQUEST_NONE;
    vm->parked = 0;
    __atomic_store_n(&vm->stopping, false, __ATOMIC_RELAXED);
    __atomic_store_n(&vm->active, vm->vcpu_count, __ATOMIC_SEQ_CST);
    __atomic_store_n(&vm->state, VM_RUNNING, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        (void)smp_call(vm->vcpu[i]->cpu, vcpu_main, vm->vcpu[i]);
    }
}

/* Who reads that a VM has stopped may start it, however slow the CPU is that says so. */
static void await_last_words(const struct vm *vm)
{
    while (state_of(vm) == VM_ENDED) {
        cpu_relax();
    }
}

enum status vm_start(struct vm *vm)
{
    await_last_words(vm);
    if (state_of(vm) != VM_STOPPED) {
        return STATUS_STATE;
    }
    if (vm->config->firmware.text[0]) {
        log_warn("VM '%s': this version starts no firmware: give it 'kernel' or 'multiboot'",
                 vm->config->name);
        return STATUS_UNSUPPORTED;
    }
    ram_clear(&vm->ram);
    enum status status = power_on(vm);

    if (status == STATUS_OK) {
        status = vf_bind(&vm->vfs);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = program_load(vm);
    if (status != STATUS_OK) {
        vf_unbind(&vm->vfs);
        return status;
    }
    log_info("VM '%s': started", vm->config->name);
    launch_vcpus(vm);
    return STATUS_OK;
}

static bool is_decided(const struct vm *vm)
{
    return __atomic_load_n(&vm->stopping, __ATOMIC_RELAXED);
}

static uint32_t request_of(const struct vm *vm)
{
    return __atomic_load_n(&vm->request, __ATOMIC_RELAXED);
}

bool vm_is_stopping(const struct vm *vm)
{
    return state_of(vm) == VM_ENDED ||
           (state_of(vm) == VM_RUNNING && (is_decided(vm) || request_of(vm) == VM_REQUEST_STOP));
}

/* A stop replaces a reset that nobody has seen to yet, never the other way round. */
static enum status request(struct vm *vm, uint32_t wanted)
{
    uint32_t before = request_of(vm);

    if (state_of(vm) != VM_RUNNING || is_decided(vm) || before > wanted) {
        return STATUS_STATE;
    }
    while (before < wanted && !__atomic_compare_exchange_n(&vm->request, &before, wanted, false,
                                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
    }
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vcpu_kick(vm->vcpu[i]);
    }
    return STATUS_OK;
}

static enum status ask(struct vm *vm, uint32_t wanted, const char *what, const char *why)
{
    enum status status = request(vm, wanted);

    if (status == STATUS_OK && why) {
        log_info("VM '%s': %s: %s", vm->config->name, what, why);
    }
    return status;
}

enum status vm_stop(struct vm *vm, const char *why)
{
    return ask(vm, VM_REQUEST_STOP, "stop", why);
}

enum status vm_reset(struct vm *vm, const char *why)
{
    return ask(vm, VM_REQUEST_RESET, "reset", why);
}

void vm_flush(struct vm *vm)
{
    __atomic_fetch_add(&vm->nested_generation, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vcpu_kick(vm->vcpu[i]);
    }
}

void vm_vcpu_ended(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    if (__atomic_sub_fetch(&vm->active, 1, __ATOMIC_SEQ_CST) == 0) {
        vf_unbind(&vm->vfs);
        __atomic_store_n(&vm->state, VM_ENDED, __ATOMIC_SEQ_CST);
        log_info("VM '%s': stopped", vm->config->name);
        __atomic_store_n(&vm->state, VM_STOPPED, __ATOMIC_SEQ_CST);
    }
}
