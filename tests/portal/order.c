/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders, as vmm/vm/vm_move.h has them: each takes its time, and fails if a test wants it. */
#include "tests/portal/sim.h"

#include <string.h>
#include <time.h>

const char *const order_names[VM_MOVE_ORDERS] = {
    [VM_MOVE_TRACK] = "track",     [VM_MOVE_UNTRACK] = "untrack", [VM_MOVE_REPORT] = "report",
    [VM_MOVE_STOP] = "stop",       [VM_MOVE_SAVE_VF] = "save-vf", [VM_MOVE_GO_ON] = "go-on",
    [VM_MOVE_LOAD_VF] = "load-vf", [VM_MOVE_LOAD] = "load",       [VM_MOVE_RUN] = "run",
    [VM_MOVE_DISCARD] = "discard",
};

uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int order_wait(void)
{
    uint64_t now = now_ms(), first = UINT64_MAX;

    for (unsigned i = 0; i < sim.vms; i++) {
        if (sim.vm[i].busy && sim.vm[i].due < first) {
            first = sim.vm[i].due;
        }
    }
    return first == UINT64_MAX ? -1 : first > now ? (int)(first - now) : 0;
}

/* In which state of the VM it makes sense. */
static bool fits(const struct vm *vm, enum vm_move_order order)
{
    switch ((unsigned)order) {
    case VM_MOVE_TRACK:
        return !vm->tracked && (vm->move == MOVE_IDLE || vm->move == MOVE_STOPPED);
    case VM_MOVE_UNTRACK:
        return vm->tracked;
    case VM_MOVE_REPORT:
        return vm->tracked && (vm->move == MOVE_IDLE || vm->move == MOVE_STOPPED);
    case VM_MOVE_STOP:
        return vm->move == MOVE_IDLE;
    case VM_MOVE_SAVE_VF:
        return vm->move == MOVE_STOPPED && vm->record_vf == PORTAL_WHOLE;
    case VM_MOVE_GO_ON:
        return vm->move == MOVE_STOPPED;
    case VM_MOVE_LOAD_VF:
    case VM_MOVE_LOAD:
        return vm->move == MOVE_INCOMING;
    case VM_MOVE_RUN:
        return vm->move == MOVE_READY;
    case VM_MOVE_DISCARD:
        return vm->move == MOVE_INCOMING || vm->move == MOVE_READY;
    default:
        return false;
    }
}

enum status vm_move_begin(struct vm *vm, enum vm_move_order order, uint32_t vf)
{
    struct ordered *ordered = &vm->ordered[order];

    if (!vm->on || vm->busy || !fits(vm, order)) {
        return STATUS_STATE;
    }
    vm->busy = true;
    vm->order = order;
    vm->vf = vf;
    vm->due = now_ms() + ordered->delay_ms;
    vm->result = STATUS_OK;
    if (ordered->times != 0) {
        ordered->times--;
        vm->result = ordered->fails;
    }
    return STATUS_OK;
}

static enum status track(struct vm *vm, bool on)
{
    pthread_mutex_lock(&vm->lock);
    vm->tracked = on;
    memset(vm->marks, 0, vm->memory / PAGE_SIZE / 8);
    pthread_mutex_unlock(&vm->lock);
    return STATUS_OK;
}

static enum status act(struct vm *vm)
{
    enum status status = STATUS_OK;

    switch ((unsigned)vm->order) {
    case VM_MOVE_TRACK:
    case VM_MOVE_UNTRACK:
        return track(vm, vm->order == VM_MOVE_TRACK);
    case VM_MOVE_REPORT:
        if (vm->blind) { /* nobody can say what its VFs write */
            memset(vm->marks, 0xff, vm->memory / PAGE_SIZE / 8);
        }
        return STATUS_OK;
    case VM_MOVE_STOP:
        machine_hold(vm, true);
        vm->move = MOVE_STOPPED;
        stream_save(vm);
        return STATUS_OK;
    case VM_MOVE_SAVE_VF:
        record_save(vm, vm->vf);
        return STATUS_OK;
    case VM_MOVE_GO_ON:
    case VM_MOVE_RUN:
        vm->move = MOVE_IDLE;
        machine_hold(vm, false);
        return STATUS_OK;
    case VM_MOVE_LOAD_VF:
        status = record_load(vm, vm->vf);
        vm->record_vf = PORTAL_WHOLE;
        return status;
    case VM_MOVE_LOAD:
        status = stream_load(vm);
        vm->move = status == STATUS_OK ? MOVE_READY : vm->move;
        return status;
    case VM_MOVE_DISCARD:
        vm->move = MOVE_INCOMING;
        vm->loaded = vm->size = 0;
        vm->record_vf = PORTAL_WHOLE;
        memset(vm->ram, 0, vm->memory);
        return STATUS_OK;
    default:
        return STATUS_OK;
    }
}

bool vm_move_done(struct vm *vm, enum status *status)
{
    if (vm->busy && vm->due > now_ms()) {
        return false;
    }
    if (vm->busy) {
        vm->busy = false;
        /* What GO_ON and RUN begin is done whatever happens: somebody must run. */
        if (vm->result == STATUS_OK) {
            vm->result = vm->on ? act(vm) : STATUS_STATE;
        }
    }
    *status = vm->result;
    return true;
}
