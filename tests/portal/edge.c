/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/portal/portal_edge.h and vmm/vm/vm_move.h by simulated VMs, but for orders. */
#include "tests/portal/sim.h"
#include "vmm/base/format.h"

#include <stdio.h>
#include <string.h>

void portal_edge_look(struct portal_look *look)
{
    portal_function_look(&sim.function, look);
}

void portal_edge_tell(uint32_t session, uint32_t taken, uint32_t come, bool ended)
{
    portal_function_tell(&sim.function, session, taken, come, ended);
    if (portal_function_settle(&sim.function)) {
        socket_interrupt();
    }
}

/* So that a turn is cut in the tests, too. */
bool portal_edge_must_pause(void)
{
    static unsigned steps;

    return ++steps % 16 == 0;
}

enum status portal_edge_show(unsigned vm, uint64_t address, uint64_t bytes, uint64_t offset,
                             bool writable)
{
    socket_show((uint32_t)offset, (uint32_t)bytes, sim.vm[vm].at + address, writable);
    return STATUS_OK;
}

void portal_edge_hide(uint64_t offset, uint64_t bytes)
{
    socket_hide((uint32_t)offset, (uint32_t)bytes);
}

bool portal_edge_vm(unsigned index, struct portal_vm *info)
{
    struct vm *vm = &sim.vm[index];

    if (index >= sim.vms) {
        return false;
    }
    *info = (struct portal_vm){
        .vm = vm,
        .name = vm->name,
        .state = machine_state(vm),
        .cpus = vm->cpus,
        .vfs = vm->vfs,
        .memory = vm->memory,
        .service = vm->service,
        .migrates = vm->migrates,
        .incoming = vm->incoming_allowed,
        .resets = vm->resets,
        .powerdowns = vm->powerdowns,
    };
    return true;
}

void portal_edge_vf(unsigned vm, unsigned vf, struct portal_vf *info)
{
    (void)vm;
    *info = (struct portal_vf){.pf = 0x0300,
                               .number = (uint16_t)vf,
                               .devfn = (uint8_t)(0x18 + 8 * vf),
                               .type = vf % 2 == 0 ? 2 : 1};
}

enum status portal_edge_command(unsigned index, enum portal_command command)
{
    struct vm *vm = &sim.vm[index];
    bool moves = vm->move != MOVE_IDLE;

    switch (command) {
    case PORTAL_PAUSE:
    case PORTAL_RESUME:
        if (!vm->on || moves || vm->paused == (command == PORTAL_PAUSE)) {
            return STATUS_STATE;
        }
        machine_pause(vm, command == PORTAL_PAUSE);
        return STATUS_OK;
    case PORTAL_RESET:
    case PORTAL_POWERDOWN:
        if (!vm->on || moves) {
            return STATUS_STATE;
        }
        *(command == PORTAL_RESET ? &vm->resets : &vm->powerdowns) += 1;
        return STATUS_OK;
    case PORTAL_START:
        return machine_start(vm);
    case PORTAL_STOP:
        if (!vm->on) {
            return STATUS_STATE;
        }
        machine_stop(vm);
        return STATUS_OK;
    case PORTAL_AWAIT:
    default:
        if (!vm->incoming_allowed) {
            return STATUS_UNSUPPORTED;
        }
        if (vm->on) {
            return STATUS_STATE;
        }
        if (vm->await.times != 0) {
            vm->await.times--;
            return vm->await.fails;
        }
        vm->on = true;
        vm->move = MOVE_INCOMING;
        vm->loaded = vm->size = 0;
        vm->record_vf = PORTAL_WHOLE;
        memset(vm->ram, 0, vm->memory);
        return STATUS_OK;
    }
}

void portal_edge_progress(unsigned vm, const char *text)
{
    (void)printf("VM '%s': %s\n", sim.vm[vm].name, text);
    (void)fflush(stdout);
}

/* Two runs, so that somebody sees to it. */
bool portal_edge_run(unsigned vm, unsigned i, struct vfio_user_area *run)
{
    uint64_t half = sim.vm[vm].memory / 2 / (2U << 20) * (2U << 20);

    *run = i == 0 && half != 0 ? (struct vfio_user_area){0, half}
                               : (struct vfio_user_area){half, sim.vm[vm].memory - half};
    return i < (half != 0 ? 2U : 1U);
}

/* Nobody starts a VM here while it is open. */
void portal_edge_expose(unsigned vm, bool exposed)
{
    (void)vm;
    (void)exposed;
}

uint8_t *portal_edge_ram(unsigned vm, uint64_t address, uint32_t size)
{
    return range_fits(address, size, sim.vm[vm].memory) ? sim.vm[vm].ram + address : NULL;
}

void portal_edge_collect(unsigned index, uint64_t first, uint32_t count, uint64_t *bitmap)
{
    struct vm *vm = &sim.vm[index];
    uint64_t words = vm->memory / PAGE_SIZE / 64;

    pthread_mutex_lock(&vm->lock);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t word = first / 64 + i;

        bitmap[i] = word < words ? vm->marks[word] : 0;
        if (word < words) {
            vm->marks[word] = 0;
        }
    }
    pthread_mutex_unlock(&vm->lock);
}

/* ---- Data ---- */

const uint8_t *vm_move_data(struct vm *vm, uint32_t vf, uint32_t *size)
{
    bool whole = vf == PORTAL_WHOLE;

    if (whole ? vm->move != MOVE_STOPPED && vm->move != MOVE_HANDED_OVER : vm->record_vf != vf) {
        return NULL;
    }
    *size = whole ? vm->size : vm->record_size;
    return whole ? vm->data : vm->record;
}

enum status vm_move_data_add(struct vm *vm, uint32_t vf, const uint8_t *bytes, uint32_t size)
{
    bool whole = vf == PORTAL_WHOLE;
    uint32_t *used = whole ? &vm->size : &vm->record_size;

    if (vm->move != MOVE_INCOMING ||
        (!whole && vm->record_vf != PORTAL_WHOLE && vm->record_vf != vf)) {
        return STATUS_STATE;
    }
    if (!whole && vm->record_vf == PORTAL_WHOLE) {
        vm->record_vf = vf;
        vm->record_size = 0;
    }
    if (size > STREAM_MAX - *used) {
        return STATUS_RANGE;
    }
    memcpy((whole ? vm->data : vm->record) + *used, bytes, size);
    *used += size;
    return STATUS_OK;
}

void vm_move_data_clear(struct vm *vm, uint32_t vf)
{
    if (vf == PORTAL_WHOLE && vm->move != MOVE_STOPPED) {
        vm->size = 0;
    } else if (vm->record_vf == vf) {
        vm->record_vf = PORTAL_WHOLE;
    }
}

enum status portal_edge_text(unsigned index, uint32_t vf, uint32_t driver, char *text)
{
    const struct vm *vm = &sim.vm[index];

    if (vf == PORTAL_WHOLE) {
        /* The keys of vmm/migrate/compare.c. */
        (void)format(text, PORTAL_TEXT_MAX,
                     "vm/1;pc=1;cpus=%u;ram=%lx;slots=%u;vga=0;rom=0;fwcfg=0;debug=0;"
                     "tsc=2000000000;vendor=Simulated;sig=%s;max=d;c1c=0;c1d=0;c7b=0;c7c=0;c7d=0;"
                     "x1c=0;x1d=0;x7d=0;x8a=0;x8b=0;xcr0=7;xsave=340;cache=0;brand=0;msr=0",
                     vm->cpus, vm->memory, vm->vfs, vm->cpu);
    } else {
        uint32_t features = vm->move == MOVE_IDLE ? 0x30000e54U : driver;

        (void)format(text, PORTAL_TEXT_MAX,
                     "virtio-vf/1;abi=2021;cfg=1f0a7c23;cfglen=60;driver=%x;features=30006e54;"
                     "msix=2;qsz=1x256;type=%u",
                     features, vf % 2 == 0 ? 2U : 1U);
    }
    return STATUS_OK;
}

enum status vm_move_hand_over(struct vm *vm)
{
    if (vm->move != MOVE_STOPPED) {
        return STATUS_STATE;
    }
    vm->move = MOVE_HANDED_OVER;
    sim.portal->ended |= vm->ends_session; /* before it can be answered */
    vm->ends_session = false;
    return STATUS_OK;
}

enum status vm_move_confirm(struct vm *vm)
{
    struct ordered *confirm = &vm->confirm;

    if (confirm->times != 0) {
        confirm->times--;
        return confirm->fails;
    }
    if (vm->move != MOVE_HANDED_OVER) {
        return STATUS_STATE;
    }
    machine_stop(vm);
    return STATUS_OK;
}
