/* SPDX-License-Identifier: BSD-2-Clause */
/* query-migrate and events, with QEMU's names (its qapi/migration.json and qapi/run-state.json). */
#include "guest/agent/move.h"
#include "guest/agent/qmp.h"

#include <string.h>
#include <sys/time.h>

static void put(json_t *object, const char *name, uint64_t value)
{
    (void)json_object_set_new(object, name, json_integer((json_int_t)value));
}

static uint64_t ms_between(uint64_t from, uint64_t to)
{
    return from == 0 || to < from ? 0 : (to - from) / AGENT_MS;
}

/* MigrationStats. What a file or a target has received counts as transferred, too. */
static json_t *ram(void)
{
    const struct move_figures *f = &move.figures;
    json_t *ram = json_object();

    put(ram, "transferred", move.source ? move.wire.sent : move.wire.received);
    put(ram, "remaining", f->remaining * PAGE_SIZE);
    put(ram, "total", f->total);
    put(ram, "duplicate", move.chunk.zero + move.chunk.pattern);
    put(ram, "normal", move.chunk.data);
    put(ram, "normal-bytes", move.chunk.data * PAGE_SIZE);
    put(ram, "x-portolan-unchanged", move.unchanged);
    put(ram, "dirty-pages-rate", f->dirty_rate);
    (void)json_object_set_new(ram, "mbps", json_real((double)f->bits_rate / 1e6));
    put(ram, "dirty-sync-count", f->rounds);
    put(ram, "postcopy-requests", 0);
    put(ram, "page-size", PAGE_SIZE);
    put(ram, "multifd-bytes", 0);
    put(ram, "pages-per-second", f->pages_rate);
    put(ram, "precopy-bytes", f->precopy_bytes != 0 ? f->precopy_bytes : move.wire.sent);
    put(ram, "downtime-bytes", f->downtime_bytes);
    put(ram, "postcopy-bytes", 0);
    put(ram, "dirty-sync-missed-zero-copy", 0);
    return ram;
}

json_t *qmp_query_migrate(void)
{
    const struct move_figures *f = &move.figures;
    json_t *info = json_object();

    if (move.status == MOVE_NONE) {
        return info;
    }
    (void)json_object_set_new(info, "status", json_string(move_status_name(move.status)));
    put(info, "total-time", ms_between(f->begun, f->ended != 0 ? f->ended : agent_now()));
    put(info, "setup-time", ms_between(f->begun, f->running));
    (void)json_object_set_new(info, "x-portolan-vm", json_string(move.vm.name));
    (void)json_object_set_new(info, "x-portolan-step",
                              json_string(move.step != NULL ? move.step : ""));
    if (move.status == MOVE_ACTIVE) {
        put(info, "expected-downtime", f->expected_ns / AGENT_MS);
    }
    if (move.status == MOVE_COMPLETED && move.source) {
        put(info, "downtime", ms_between(f->stopped, f->resumed));
    }
    if (move.status == MOVE_FAILED || move.status == MOVE_CANCELLED) {
        (void)json_object_set_new(info, "error-desc", json_string(move.why));
        (void)json_object_set_new(info, "x-portolan-undecided",
                                  json_boolean(move.handed_over || move.unknown || move.ready));
    }
    if (move.status >= MOVE_ACTIVE && move.status <= MOVE_COMPLETED) {
        (void)json_object_set_new(info, "ram", ram());
        if (move.vm.vfs != 0) {
            (void)json_object_set_new(info, "vfio",
                                      json_pack("{sI}", "transferred", (json_int_t)f->vf_bytes));
        }
    }
    return info;
}

/* ---- Events ---- */

json_t *qmp_make_event(const char *name)
{
    struct timeval now = {-1, -1};

    (void)gettimeofday(&now, NULL);
    return json_pack("{ss,s{sI,sI}}", "event", name, "timestamp", "seconds", (json_int_t)now.tv_sec,
                     "microseconds", (json_int_t)now.tv_usec);
}

void qmp_event_run(struct vm_entry *vm, bool runs)
{
    if (vm->runs != runs) {
        vm->runs = runs;
        qmp_event_vm(runs ? "RESUME" : "STOP", vm, NULL);
    }
}

/* One that is moved may have been paused before, and stays so. */
void qmp_event_state(struct vm_entry *vm, enum vm_state before)
{
    bool stops = move.figures.stopped != 0 && strcmp(move.vm.name, vm->name) == 0;

    if (vm->state == VM_PAUSED || vm->state == VM_RUNNING || (vm->state == VM_MOVING && !stops)) {
        qmp_event_run(vm, vm->state != VM_PAUSED);
        return;
    }
    vm->runs &= vm->state == VM_MOVING;
    if (vm->state == VM_OFF && before != VM_HANDED_OVER && before != VM_INCOMING &&
        before != VM_READY) {
        /* An operator stopped it, or its guest switched it off. */
        qmp_event_vm("SHUTDOWN", vm,
                     json_pack("{sb,ss}", "guest", !vm->stopping, "reason",
                               vm->stopping ? "host-qmp-quit" : "guest-shutdown"));
    }
}

void qmp_event_button(struct vm_entry *vm, bool reset)
{
    if (!reset) {
        qmp_event_vm("POWERDOWN", vm, NULL);
        return;
    }
    qmp_event_vm("RESET", vm,
                 json_pack("{sb,ss}", "guest", !vm->resetting, "reason",
                           vm->resetting ? "host-qmp-system-reset" : "guest-reset"));
    vm->resetting = false;
}
