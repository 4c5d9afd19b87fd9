/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/vm.h"

#include "vmm/base/log.h"
#include "vmm/host/pool.h"
#include "vmm/pc/rom.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"
#include "vmm/vm/vm_edge.h"

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

unsigned vm_running(void)
{
    unsigned running = 0;

    for (unsigned i = 0; i < count; i++) {
        running += vm_state(vms[i]) != VM_STOPPED;
    }
    return running;
}

static enum status create_vcpu(struct vm *vm, unsigned index)
{
    struct vcpu *vcpu = pool_allocate(sizeof(*vcpu), PAGE_SIZE);

    if (!vcpu) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->cpu = cpu_by_index(vm->config->cpus.cpu[index]);
    vm->vcpu[index] = vcpu;
    vcpu->backend = pool_allocate(backend->vcpu_size, PAGE_SIZE);
    return vcpu->backend ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

/* All of it; and below 4 GiB its firmware, or the BIOS's segment of RAM a second time. */
static enum status map_ram(struct vm *vm)
{
    hpa_t rom = hpa(vm->ram.run[0].frames.raw + ROM_BASE);
    enum status status = rom_create(vm);

    if (status == STATUS_OK) {
        status = nvram_create(vm);
    }

    if (status == STATUS_OK && vm->rom_size == 0) {
        status = radix_map(&vm->nested, ROM_HIGH, rom, ROM_SIZE, RADIX_READ | RADIX_EXECUTE, NULL);
    }

    if (status == STATUS_OK && vm->apic_page) {
        status = radix_map(&vm->nested, LAPIC_BASE, pool_hpa(vm->apic_page), LAPIC_SIZE,
                           RADIX_READ | RADIX_WRITE, NULL);
    }
    for (unsigned i = 0; i < vm->ram.run_count && status == STATUS_OK; i++) {
        const struct ram_run *run = &vm->ram.run[i];

        status = radix_map(&vm->nested, run->at.raw, run->frames, run->size,
                           RADIX_READ | RADIX_WRITE | RADIX_EXECUTE, NULL);
    }
    return status;
}

static enum status create_parts(struct vm *vm)
{
    vm->nested = (struct radix){
        .format = backend->nested,
        .page_sizes = PAGE_SIZE | PAGE_SIZE_2M | (backend_offers.giant_pages ? PAGE_SIZE_1G : 0),
        .levels = VM_NESTED_LEVELS,
    };
    enum status status = radix_init(&vm->nested);

    if (status == STATUS_OK && backend_offers.serves_apic) {
        vm->apic_page = pool_allocate(LAPIC_SIZE, LAPIC_SIZE);
        status = vm->apic_page ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
    }

    for (unsigned i = 0; i < vm->vcpu_count && status == STATUS_OK; i++) {
        status = create_vcpu(vm, i);
    }
    if (status == STATUS_OK) {
        status = ram_allocate(&vm->ram, vm->config->memory);
    }
    if (status == STATUS_OK) {
        model_level_set(&vm->level, &vm->config->cpu, ram_end(&vm->ram));
        status = map_ram(vm);
    }
    if (status == STATUS_OK) {
        status = dirty_create(vm);
    }
    if (status == STATUS_OK) {
        status = video_create(vm);
    }
    if (status == STATUS_OK) {
        status = service_create(vm);
    }
    if (status == STATUS_OK) {
        const struct vf_owner owner = {.config = vm->config,
                                       .index = vm->index,
                                       .pc = &vm->pc,
                                       .ram = &vm->ram,
                                       .log = &vm->log};

        status = vf_create(&vm->vfs, &owner);
    }
    if (status == STATUS_OK) {
        status = checkpoint_create(vm);
    }
    return status;
}

/* A VM that could not be made leaves nothing behind: the other VMs may need it. */
static void destroy(struct vm *vm)
{
    dirty_destroy(vm);
    checkpoint_destroy(vm);
    vf_destroy(&vm->vfs);
    rom_destroy(vm);
    nvram_destroy(vm);
    video_destroy(vm);
    service_destroy(vm);
    ram_free(&vm->ram);
    for (unsigned i = 0; i < vm->vcpu_count && vm->vcpu[i]; i++) {
        if (vm->vcpu[i]->backend) {
            pool_free(vm->vcpu[i]->backend, backend->vcpu_size);
        }
        pool_free(vm->vcpu[i], sizeof(*vm->vcpu[i]));
    }
    if (vm->apic_page) {
        pool_free(vm->apic_page, LAPIC_SIZE);
    }
    radix_destroy(&vm->nested);
    pool_free(vm, sizeof(*vm));
}

static enum status create(const struct config_vm *config)
{
    struct vm *vm = pool_allocate(sizeof(*vm), PAGE_SIZE);

    if (!vm) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    spinlock_init(&vm->lock, LOCK_PC);
    spinlock_init(&vm->nested_lock, LOCK_NESTED);
    spinlock_init(&vm->trace.lock, LOCK_TRACE);
    vm->config = config;
    vm->log.vm = vm->orders_log.vm = config->name;
    vm->orders_log.times = VM_ORDERS_TIMES;
    vm->index = count;
    vm->vcpu_count = config->cpus.count;
    enum status status = create_parts(vm);

    if (status == STATUS_OK) {
        vms[count++] = vm;
        log_info("VM '%s': %u vCPUs, %lu MiB in %u runs", config->name, vm->vcpu_count,
                 config->memory >> 20, vm->ram.run_count);
    } else {
        destroy(vm);
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

static bool is_decided(const struct vm *vm)
{
    return __atomic_load_n(&vm->after, __ATOMIC_ACQUIRE) == VM_AFTER_STOP;
}

static uint32_t request_of(const struct vm *vm)
{
    return __atomic_load_n(&vm->request, __ATOMIC_ACQUIRE);
}

static bool is_alive(const struct vm *vm)
{
    enum vm_state state = vm_state(vm);

    return state == VM_STARTING || state == VM_RUNNING || state == VM_PAUSED;
}

bool vm_is_stopping(const struct vm *vm)
{
    return vm_state(vm) == VM_ENDED ||
           (is_alive(vm) && (is_decided(vm) || (request_of(vm) & VM_REQUEST_STOP)));
}

bool vm_is_up(const struct vm *vm)
{
    enum vm_state state = vm_state(vm);

    return (state == VM_RUNNING || state == VM_PAUSED) && !vm_is_stopping(vm);
}

/* In which states REQUEST makes sense: a VM that is not ready yet can only be stopped. */
static bool fits(const struct vm *vm, uint32_t request)
{
    if (__atomic_load_n(&vm->move.state, __ATOMIC_SEQ_CST) != VM_MOVE_IDLE &&
        request != VM_REQUEST_STOP && request != VM_REQUEST_MOVE) {
        return false; /* it is parked until somebody says what becomes of it */
    }
    switch (vm_state(vm)) {
    case VM_STARTING:
        return request == VM_REQUEST_STOP;
    case VM_RUNNING:
        return request != VM_REQUEST_RESUME;
    case VM_PAUSED:
        return request != VM_REQUEST_PAUSE;
    case VM_STOPPED:
    case VM_ENDED:
        break;
    }
    return false;
}

static enum status ask(struct vm *vm, uint32_t request, const char *what, const char *why)
{
    if (!fits(vm, request) || is_decided(vm) ||
        (request != VM_REQUEST_STOP && (request_of(vm) & VM_REQUEST_STOP))) {
        return STATUS_STATE;
    }
    uint32_t before = __atomic_fetch_or(&vm->request, request, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vcpu_kick(vm->vcpu[i]);
    }
    if (!why || (before & request)) {
        return STATUS_OK;
    }
    if (request == VM_REQUEST_STOP) { /* once for each start */
        vm_say(vm, "%s: %s", what, why);
    } else {
        guest_log(&vm->log, LOG_INFO, "%s: %s", what, why);
    }
    return STATUS_OK;
}

enum status vm_request(struct vm *vm, uint32_t request)
{
    return ask(vm, request, "", NULL);
}

bool vm_touch(struct vm *vm)
{
    __atomic_fetch_add(&vm->touched, 1, __ATOMIC_SEQ_CST);
    if (vm_state(vm) == VM_RUNNING && !__atomic_load_n(&vm->frozen, __ATOMIC_SEQ_CST)) {
        return true;
    }
    vm_touched(vm);
    return false;
}

void vm_touched(struct vm *vm)
{
    __atomic_fetch_sub(&vm->touched, 1, __ATOMIC_SEQ_CST);
}

void vm_press_held(struct vm *vm)
{
    uint32_t held = __atomic_exchange_n(&vm->presses, 0, __ATOMIC_SEQ_CST);

    if (held & VM_PRESS_POWER) {
        pc_power_button(&vm->pc, vm_now(vm));
        __atomic_fetch_add(&vm->powerdowns, 1, __ATOMIC_RELAXED);
    }
    if (held & VM_PRESS_NMI) {
        pc_nmi(&vm->pc);
    }
}

enum status vm_press(struct vm *vm, enum vm_press which)
{
    __atomic_fetch_or(&vm->presses, which, __ATOMIC_SEQ_CST);
    if (vm_touch(vm)) {
        vm_press_held(vm);
        vm_touched(vm);
    } else if (vm_state(vm) != VM_RUNNING) {
        __atomic_fetch_and(&vm->presses, ~(uint32_t)which, __ATOMIC_SEQ_CST);
        return STATUS_STATE;
    }
    return STATUS_OK;
}

enum status vm_stop(struct vm *vm, const char *why)
{
    return ask(vm, VM_REQUEST_STOP, "stop", why);
}

enum status vm_reset(struct vm *vm, const char *why)
{
    if (!why) {
        __atomic_store_n(&vm->died, true, __ATOMIC_RELAXED);
    }
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

    vcpu->cpu->guest_log = vm_orders_log(vm);
    if (__atomic_sub_fetch(&vm->active, 1, __ATOMIC_SEQ_CST) == 0) {
        /* Before anything of it goes: what the portal is at may be this VM. */
        __atomic_store_n(&vm->exposed, false, __ATOMIC_SEQ_CST);
        vm_edge_hide(vm->index);
        vf_unbind(&vm->vfs);
        if (vm->config->service) {
            vm_edge_portal_ended(vm->index);
        }
        vm_edge_flush(vm->index); /* its last words come before ours */
        __atomic_store_n(&vm->state, VM_ENDED, __ATOMIC_SEQ_CST);
        vm_move_end(vm);
        if (vm->config->checkpoints != 0) {
            log_info("VM '%s': %u checkpoints at random moments", vm->config->name,
                     vm->checkpoints.done);
        }
        log_info("VM '%s': stopped", vm->config->name);
        __atomic_store_n(&vm->state, VM_STOPPED, __ATOMIC_SEQ_CST);
    }
    vcpu->cpu->guest_log = NULL;
}
