/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders to a VM that goes to another host, or comes from one: vm_move.h. */
#include "vmm/vm/vm_move.h"

#include "vmm/base/log.h"
#include "vmm/host/time.h"
#include "vmm/migrate/migrate_whole.h"
#include "vmm/pc/clock.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

#define IN(state) (1U << (state))

/* In which states of the move each order makes sense. */
static const struct {
    const char *name;
    uint8_t in;
} orders[VM_MOVE_ORDERS] = {
    [VM_MOVE_TRACK] = {"track",   IN(VM_MOVE_IDLE)                             },
    [VM_MOVE_UNTRACK] = {"untrack", IN(VM_MOVE_IDLE) | IN(VM_MOVE_STOPPED)       },
    [VM_MOVE_REPORT] = {"report",  IN(VM_MOVE_IDLE) | IN(VM_MOVE_STOPPED)       },
    [VM_MOVE_STOP] = {"stop",    IN(VM_MOVE_IDLE)                             },
    [VM_MOVE_SAVE_VF] = {"save VF", IN(VM_MOVE_STOPPED)                          },
    [VM_MOVE_GO_ON] = {"go on",   IN(VM_MOVE_STOPPED) | IN(VM_MOVE_HANDED_OVER)},
    [VM_MOVE_LOAD_VF] = {"load VF", IN(VM_MOVE_INCOMING)                         },
    [VM_MOVE_LOAD] = {"load",    IN(VM_MOVE_INCOMING)                         },
    [VM_MOVE_RUN] = {"run",     IN(VM_MOVE_READY)                            },
    [VM_MOVE_DISCARD] = {"discard", IN(VM_MOVE_INCOMING) | IN(VM_MOVE_READY)     },
};

static enum vm_move_state get_state(const struct vm *vm)
{
    return (enum vm_move_state)__atomic_load_n(&vm->move.state, __ATOMIC_SEQ_CST);
}

static void set_state(struct vm *vm, enum vm_move_state state)
{
    __atomic_store_n(&vm->move.state, state, __ATOMIC_SEQ_CST);
}

static bool is_tracked(const struct vm *vm)
{
    return __atomic_load_n(&vm->move.tracked, __ATOMIC_SEQ_CST);
}

bool vm_move_is_under_way(const struct vm *vm)
{
    return get_state(vm) != VM_MOVE_IDLE || is_tracked(vm);
}

const char *vm_move_state_name(const struct vm *vm)
{
    static const char *const names[] = {
        [VM_STOPPED] = "off",   [VM_STARTING] = "starting", [VM_RUNNING] = "running",
        [VM_PAUSED] = "paused", [VM_ENDED] = "stopping",
    };
    static const char *const moves[] = {
        [VM_MOVE_STOPPED] = "moving",
        [VM_MOVE_HANDED_OVER] = "handed-over",
        [VM_MOVE_INCOMING] = "incoming",
        [VM_MOVE_READY] = "ready",
    };

    if (vm_is_stopping(vm)) {
        return "stopping";
    }
    if (vm_state(vm) == VM_RUNNING && is_tracked(vm)) {
        return "moving";
    }
    return vm_state(vm) == VM_PAUSED && get_state(vm) != VM_MOVE_IDLE ? moves[get_state(vm)]
                                                                      : names[vm_state(vm)];
}

/* ---- Orders: what is accepted ---- */

/* Does ORDER make sense now? At the beginning, and when it is carried out. */
static bool fits(const struct vm *vm, enum vm_move_order order)
{
    bool tracked = is_tracked(vm);

    return (orders[order].in & IN(get_state(vm))) && (order != VM_MOVE_TRACK || !tracked) &&
           ((order != VM_MOVE_UNTRACK && order != VM_MOVE_REPORT) || tracked) &&
           ((order != VM_MOVE_LOAD_VF && order != VM_MOVE_LOAD) || !vm->move.spoiled);
}

static enum status begin(struct vm *vm, enum vm_move_order order, uint32_t vf)
{
    uint32_t none = VM_MOVE_NONE;
    enum status status = STATUS_STATE;

    if (!__atomic_compare_exchange_n(&vm->move.order, &none, order, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        return STATUS_STATE;
    }
    vm->move.vf = vf;
    if (fits(vm, order)) {
        status = order == VM_MOVE_TRACK || order == VM_MOVE_STOP ? migrate_whole_check(&vm->vfs)
                                                                 : STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = vm_request(vm, VM_REQUEST_MOVE);
    }
    if (status != STATUS_OK) {
        __atomic_store_n(&vm->move.order, VM_MOVE_NONE, __ATOMIC_SEQ_CST);
    }
    return status;
}

enum status vm_move_begin(struct vm *vm, enum vm_move_order order, uint32_t vf)
{
    bool of_vf = order == VM_MOVE_SAVE_VF || order == VM_MOVE_LOAD_VF;

    if (of_vf && vf >= vm->vfs.count) {
        return STATUS_NOT_FOUND;
    }
    /* What is handed over goes on by the operator's word alone. */
    return order == VM_MOVE_GO_ON && get_state(vm) == VM_MOVE_HANDED_OVER ? STATUS_STATE
                                                                          : begin(vm, order, vf);
}

bool vm_move_done(struct vm *vm, enum status *status)
{
    if (__atomic_load_n(&vm->move.order, __ATOMIC_SEQ_CST) != VM_MOVE_NONE) {
        return false;
    }
    *status = vm->move.status;
    return true;
}

/* ---- Data ---- */

static bool waits(const struct vm *vm)
{
    return vm_is_up(vm) && get_state(vm) == VM_MOVE_INCOMING && !vm->move.spoiled &&
           __atomic_load_n(&vm->move.order, __ATOMIC_SEQ_CST) == VM_MOVE_NONE;
}

const uint8_t *vm_move_data(struct vm *vm, uint32_t vf, uint32_t *size)
{
    enum vm_move_state state = get_state(vm);

    if (!vm_is_up(vm)) {
        return NULL;
    }
    if (vf != VM_MOVE_WHOLE) {
        return vf < vm->vfs.count ? migrate_whole_record(&vm->vfs, vf, size) : NULL;
    }
    *size = vm->move.size;
    return state == VM_MOVE_STOPPED || state == VM_MOVE_HANDED_OVER ? vm->checkpoints.stream[0]
                                                                    : NULL;
}

enum status vm_move_data_add(struct vm *vm, uint32_t vf, const uint8_t *bytes, uint32_t size)
{
    if (!waits(vm) || (vf != VM_MOVE_WHOLE && vf >= vm->vfs.count)) {
        return STATUS_STATE;
    }
    if (vf != VM_MOVE_WHOLE) {
        return migrate_whole_record_add(&vm->vfs, vf, bytes, size);
    }
    if (size > vm->checkpoints.size - vm->move.size) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    memcpy(vm->checkpoints.stream[0] + vm->move.size, bytes, size);
    vm->move.size += size;
    return STATUS_OK;
}

void vm_move_data_clear(struct vm *vm, uint32_t vf)
{
    if (vf != VM_MOVE_WHOLE) {
        if (vf < vm->vfs.count) {
            migrate_whole_record_free(&vm->vfs, vf);
        }
    } else if (waits(vm)) {
        vm->move.size = 0;
    }
}

/* ---- Orders: the source ---- */

static enum status begin_tracking(struct vm *vm)
{
    dirty_stop(vm); /* the operator's */
    enum status status = dirty_start(vm);

    if (status == STATUS_OK) {
        status = migrate_whole_track(&vm->vfs);
    }
    __atomic_store_n(&vm->move.tracked, status == STATUS_OK, __ATOMIC_SEQ_CST);
    if (status != STATUS_OK) {
        migrate_whole_untrack(&vm->vfs);
        dirty_stop(vm);
    }
    return status;
}

static enum status track(struct vm *vm)
{
    uint64_t began = time_now_ns();

    if (!dirty_claim(vm)) { /* the operator is at it just now */
        return STATUS_STATE;
    }
    enum status status = begin_tracking(vm);

    dirty_release(vm);
    if (status != STATUS_OK) {
        return status;
    }
    log_info("VM '%s': what it writes is noted, which took %lu us to begin", vm->config->name,
             (time_now_ns() - began) / 1000);
    return STATUS_OK;
}

static void untrack(struct vm *vm)
{
    migrate_whole_untrack(&vm->vfs);
    dirty_stop(vm);
    __atomic_store_n(&vm->move.tracked, false, __ATOMIC_SEQ_CST);
}

/* From here on the VM is parked until somebody says what becomes of it. */
static enum status stop(struct vm *vm)
{
    struct state_writer writer;
    enum status status;

    vm->move.began = time_now_ns();
    status = migrate_whole_stop(&vm->vfs);
    if (status != STATUS_OK) {
        return status;
    }
    state_writer_init(&writer, vm->checkpoints.stream[0], vm->checkpoints.size);
    vm_save(vm, &writer);
    if (state_overflowed(&writer)) {
        migrate_whole_go_on(&vm->vfs, false);
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    vm->move.size = (uint32_t)writer.used;
    set_state(vm, VM_MOVE_STOPPED);
    vm_set_parked(vm, true);
    log_info("VM '%s': stopped to be moved, its state has %u bytes", vm->config->name,
             vm->move.size);
    return STATUS_OK;
}

/* VFs first: legacy_resume() gives the guest what they have sent. One that the operator had paused
 * stays so until he resumes it, on either host. */
static void go_on(struct vm *vm, bool came)
{
    bool paused = vm->clock.paused;

    migrate_whole_go_on(&vm->vfs, came);
    vm_set_parked(vm, paused);
    set_state(vm, VM_MOVE_IDLE);
    log_info("VM '%s': %s%s after %lu us", vm->config->name,
             came ? "came from another host, and " : "",
             paused ? "is paused as it was"
             : came ? "runs"
                    : "goes on here",
             (time_now_ns() - vm->move.began) / 1000);
}

/* ---- Orders: the target ---- */

static enum status load_vf(struct vm *vm)
{
    enum status status = migrate_whole_load(&vm->vfs, vm->move.vf);

    if (status == STATUS_OK) {
        vm->move.loaded |= 1U << vm->move.vf;
    }
    return status;
}

/*
 * Virtual time goes on from where the source stood. The TSC at a virtual time follows from this
 * host's rate; what the guest reads is as it was, for its offset takes up the difference.
 */
static void rebase_time(struct vm *vm)
{
    uint64_t tsc = clock_ticks(vm->clock.ns, vm->pc.config.tsc_hz, 1);

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vm->vcpu[i]->saved.tsc_offset += vm->clock.tsc - tsc;
    }
    vm->clock.tsc = tsc;
}

static enum status load(struct vm *vm)
{
    struct state_reader reader;

    if (vm->move.loaded != (1U << vm->vfs.count) - 1) {
        return STATUS_STATE;
    }
    vm->move.began = time_now_ns();
    state_reader_init(&reader, vm->checkpoints.stream[0], vm->move.size);
    enum status status = vm_load(vm, &reader);

    if (status != STATUS_OK) {
        log_warn("VM '%s': its state is refused: %s", vm->config->name,
                 reader.problem[0] ? reader.problem : "a VF's function is another one here");
        return status;
    }
    rebase_time(vm);
    status = migrate_whole_settle(&vm->vfs);
    if (status == STATUS_OK) {
        set_state(vm, VM_MOVE_READY);
        log_info("VM '%s': its state is loaded, it is ready to run", vm->config->name);
    }
    return status;
}

static enum vm_after discard(struct vm *vm, enum status *status)
{
    migrate_whole_await(&vm->vfs);
    *status = vm_make_new(vm);
    vm_move_reset(vm, VM_MOVE_INCOMING);
    if (*status != STATUS_OK) {
        log_warn("VM '%s': cannot be made new (%s)", vm->config->name, status_name(*status));
        return VM_AFTER_STOP;
    }
    log_info("VM '%s': what came is discarded, it waits again", vm->config->name);
    return VM_AFTER_RESET;
}

/* ---- The rendezvous ---- */

static enum vm_after carry_out(struct vm *vm, enum vm_move_order order, enum status *status)
{
    *status = STATUS_OK;
    switch (order) {
    case VM_MOVE_TRACK:
        *status = track(vm);
        break;
    case VM_MOVE_UNTRACK:
        untrack(vm);
        break;
    case VM_MOVE_REPORT:
        *status = migrate_whole_report(&vm->vfs);
        break;
    case VM_MOVE_STOP:
        *status = stop(vm);
        break;
    case VM_MOVE_SAVE_VF:
        *status = migrate_whole_save(&vm->vfs, vm->move.vf);
        break;
    case VM_MOVE_GO_ON:
        if (get_state(vm) == VM_MOVE_HANDED_OVER && is_tracked(vm)) {
            untrack(vm); /* nobody else will: the operator's word ends the move */
        }
        go_on(vm, false);
        break;
    case VM_MOVE_LOAD_VF:
        *status = load_vf(vm);
        vm->move.spoiled = *status != STATUS_OK;
        break;
    case VM_MOVE_LOAD:
        *status = load(vm);
        vm->move.spoiled = *status != STATUS_OK;
        return *status == STATUS_OK ? VM_AFTER_LOAD : VM_AFTER_GO_ON;
    case VM_MOVE_RUN:
        go_on(vm, true);
        break;
    case VM_MOVE_DISCARD:
        return discard(vm, status);
    case VM_MOVE_NONE:
    case VM_MOVE_ORDERS:
        break;
    }
    return VM_AFTER_GO_ON;
}

static void end_order(struct vm *vm, enum status status)
{
    vm->move.status = status;
    __atomic_store_n(&vm->move.order, VM_MOVE_NONE, __ATOMIC_SEQ_CST);
    vm_edge_move_ended(vm->index);
}

enum vm_after vm_move_act(struct vm *vm)
{
    enum vm_move_order order =
        (enum vm_move_order)__atomic_load_n(&vm->move.order, __ATOMIC_SEQ_CST);
    enum vm_after after = VM_AFTER_GO_ON;
    enum status status = STATUS_STATE;

    if (order == VM_MOVE_NONE) {
        return VM_AFTER_GO_ON;
    }
    if (fits(vm, order)) {
        after = carry_out(vm, order, &status);
    }
    if (status != STATUS_OK) {
        log_warn("VM '%s': move: '%s' failed (%s)", vm->config->name, orders[order].name,
                 status_name(status));
    }
    end_order(vm, status);
    return after;
}

void vm_move_reset(struct vm *vm, enum vm_move_state state)
{
    vm->move.spoiled = false;
    vm->move.loaded = vm->move.size = 0;
    set_state(vm, state);
}

void vm_move_end(struct vm *vm)
{
    migrate_whole_forget(&vm->vfs);
    if (is_tracked(vm)) {
        dirty_stop(vm);
        __atomic_store_n(&vm->move.tracked, false, __ATOMIC_SEQ_CST);
    }
    vm_move_reset(vm, VM_MOVE_IDLE);
    if (__atomic_load_n(&vm->move.order, __ATOMIC_SEQ_CST) != VM_MOVE_NONE) {
        end_order(vm, STATUS_STATE);
    }
}

/* ---- From one host to the other ---- */

enum status vm_move_hand_over(struct vm *vm)
{
    uint32_t stopped = VM_MOVE_STOPPED;

    /* If it stops meanwhile what has ended stays so. */
    if (!vm_is_up(vm) || __atomic_load_n(&vm->move.order, __ATOMIC_SEQ_CST) != VM_MOVE_NONE ||
        !__atomic_compare_exchange_n(&vm->move.state, &stopped, VM_MOVE_HANDED_OVER, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        return STATUS_STATE;
    }
    migrate_whole_free(&vm->vfs);
    log_info("VM '%s': handed over to another host", vm->config->name);
    return STATUS_OK;
}

enum status vm_move_confirm(struct vm *vm)
{
    return get_state(vm) == VM_MOVE_HANDED_OVER ? vm_stop(vm, "it runs on another host")
                                                : STATUS_STATE;
}

enum status vm_move_resolve(struct vm *vm, bool here)
{
    if (get_state(vm) == VM_MOVE_HANDED_OVER) {
        return here ? begin(vm, VM_MOVE_GO_ON, 0) : vm_move_confirm(vm);
    }
    if (get_state(vm) == VM_MOVE_READY) {
        return begin(vm, here ? VM_MOVE_RUN : VM_MOVE_DISCARD, 0);
    }
    return STATUS_STATE;
}

enum status vm_move_await(struct vm *vm)
{
    return vm->config->incoming ? vm_await(vm) : STATUS_NOTE(STATUS_UNSUPPORTED);
}

enum status vm_move_vf_text(struct vm *vm, uint32_t vf, uint32_t driver, char *text)
{
    if (!vm_is_up(vm)) {
        return STATUS_STATE;
    }
    if (vf >= vm->vfs.count) {
        return STATUS_NOT_FOUND;
    }
    return migrate_whole_text(&vm->vfs, vf, get_state(vm) == VM_MOVE_INCOMING ? &driver : NULL,
                              text);
}
