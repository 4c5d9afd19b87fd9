/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/migrate/migrate.h"

#include "vmm/host/percpu.h"
#include "vmm/host/pool.h"
#include "vmm/host/timer.h"
#include "vmm/legacy/inflight.h"
#include "vmm/migrate/migrate_internal.h"

struct workspace workspace;

/* CPU 0 alone leaves one that it has reserved, but for ACTING and what ends it. */
static uint32_t phase = PHASE_NONE;
static struct migrate_order order;
static struct vf *ordered[CONFIG_VM_VFS_MAX]; /* the VFs of the VM */

static void set_phase(enum phase value)
{
    __atomic_store_n(&phase, value, __ATOMIC_SEQ_CST);
}

static enum phase get_phase(void)
{
    return (enum phase)__atomic_load_n(&phase, __ATOMIC_SEQ_CST);
}

bool migrate_reserve(enum phase wanted)
{
    uint32_t none = PHASE_NONE;

    return __atomic_compare_exchange_n(&phase, &none, wanted, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

void migrate_end_reserve(void)
{
    set_phase(PHASE_NONE);
}

enum status migrate_create(const struct config *config)
{
    if (config->pf_count == 0) {
        return STATUS_OK;
    }
    workspace.member = pool_allocate(CONFIG_VM_VFS_MAX * sizeof(*workspace.member), PAGE_SIZE);
    workspace.texts = pool_allocate(CONFIG_VM_VFS_MAX * sizeof(*workspace.texts), PAGE_SIZE);
    workspace.store = pool_allocate(WORKSPACE_STORE, PAGE_SIZE);
    if (workspace.member && workspace.texts && workspace.store && vf_spare_create() == STATUS_OK) {
        workspace.record = pool_allocate(WORKSPACE_RECORD, PAGE_SIZE);
    }
    return workspace.record ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

static bool is_stopped(const struct vf *vf)
{
    return !(vf->device_state & DEVICE_RUNNING) && vf->device_state != DEVICE_ERROR;
}

/* Is VF I of ORDER one that it can be done with? */
static enum status check_source(const struct migrate_order *wanted, uint32_t i)
{
    struct vf *vf = vf_lookup(wanted->vf[i].pf, wanted->vf[i].index);
    bool move = wanted->action == MIGRATE_MOVE;

    if (!vf) {
        return STATUS_NOT_FOUND;
    }
    bool dead = move && wanted->count == 1 && legacy_is_lost(&vf->function);

    if (!__atomic_load_n(&vf->set->bound, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&vf->set->held, __ATOMIC_ACQUIRE) ||
        (wanted->action != MIGRATE_SHOW && !dead &&
         __atomic_load_n(&vf->asleep, __ATOMIC_ACQUIRE))) {
        return STATUS_STATE;
    }
    if (wanted->action >= MIGRATE_QUIESCE && !vf_state_facts(vf->pf->control.kind)->can_migrate) {
        return STATUS_UNSUPPORTED;
    }
    ordered[i] = vf;
    for (uint32_t k = 0; k < i; k++) {
        if (ordered[k] == vf || ordered[k]->set != vf->set ||
            (wanted->to[k].index == wanted->to[i].index &&
             bdf_equal(wanted->to[k].pf, wanted->to[i].pf))) {
            return STATUS_INVALID;
        }
    }
    return move && vf_lookup(wanted->to[i].pf, wanted->to[i].index) ? STATUS_CONFLICT : STATUS_OK;
}

enum status migrate_begin(const struct migrate_order *wanted)
{
    enum status status = STATUS_OK;

    if (!workspace.record || !migrate_reserve(PHASE_ACCEPTED)) {
        return STATUS_STATE;
    }
    for (uint32_t i = 0; i < wanted->count && status == STATUS_OK; i++) {
        status = check_source(wanted, i);
    }
    if (status != STATUS_OK) {
        migrate_end_reserve();
        return status;
    }
    order = *wanted;
    for (uint32_t i = 0; i < order.count && order.action == MIGRATE_MOVE; i++) {
        if (!vf_spare_open(i, ordered[i], order.to[i].pf, order.to[i].index)) {
            order.count = i; /* not closed before their FLRs have ended */
            set_phase(i > 0 ? PHASE_CLEANING : PHASE_NONE);
            return STATUS_DEVICE;
        }
    }
    set_phase(order.action == MIGRATE_MOVE ? PHASE_PREPARING : PHASE_WAITING);
    return STATUS_OK;
}

void migrate_wake_later(struct vf *vf)
{
    vf->wakes = 0;
    __atomic_store_n(&vf->asleep, true, __ATOMIC_RELEASE);
}

/* Has the answer that VF waits for come? Whether or not VF was reset meanwhile: a command that
 * meets a reset takes effect after it. */
static bool is_answered(struct vf *vf)
{
    return __atomic_load_n(&vf->asleep, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(&vf->set->bound, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&vf->set->held, __ATOMIC_ACQUIRE) &&
           virtio_admin_takes(&vf->pf->virtio.admin, VIRTIO_GROUP_SRIOV, vf->control.member);
}

/* It has, too late: the VF is told to run. */
static void wake(void)
{
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        const struct vf_set *set = vf_set_at(i);

        for (uint32_t k = 0; set && k < set->count; k++) {
            if (is_answered(set->vf[k]) && migrate_reserve(PHASE_ACCEPTED)) {
                __atomic_store_n(&set->vf[k]->asleep, false, __ATOMIC_RELEASE);
                order = (struct migrate_order){.action = MIGRATE_RUN, .own = true, .count = 1};
                ordered[0] = set->vf[k];
                set_phase(PHASE_WAITING);
                return;
            }
        }
    }
}

/* Are all spares' FLRs over? *FAILED: how many of them failed, which is said with THEN. */
static bool are_reset(uint32_t *failed, const char *then)
{
    enum status status[CONFIG_VM_VFS_MAX];

    *failed = 0;
    for (uint32_t i = 0; i < order.count; i++) {
        if (!vf_spare_is_reset(i, &status[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < order.count; i++) {
        if (status[i] != STATUS_OK) {
            (*failed)++;
            warn("VF " VF_NAME " cannot be reset; %s", VF_NAME_OF(vf_spare(i)), then);
        }
    }
    return true;
}

static void close_spares(void)
{
    for (uint32_t i = 0; i < order.count; i++) {
        vf_spare_close(i);
    }
}

/* One that is lost goes to its standby, as if the operator had ordered it. A guest that only waits
 * for interrupts does not find out, so this looks at the VF itself, too. */
static void look_after(struct vf *vf)
{
    const struct config_vf *standby = &vf->set->owner.config->standby;
    const struct migrate_order wanted = {
        .action = MIGRATE_MOVE,
        .own = true,
        .count = 1,
        .vf = {{vf->place.pf, vf->place.index}},
        .to = {{standby->pf, standby->index}},
    };

    /* Should it come back, nobody knows what became of its DMA meanwhile. */
    if (!legacy_is_lost(&vf->function) &&
        (!migrate_is_gone(vf) || !legacy_try_give_up(&vf->function, MIGRATE_GONE))) {
        return;
    }
    enum status status = migrate_begin(&wanted);

    if (status == STATUS_OK) {
        warn("VM '%s': VF " VF_NAME " is lost: its standby takes its place",
             vf->set->owner.config->name, VF_NAME_OF(vf));
    } else {
        warn("VM '%s': VF " VF_NAME " is lost, and its standby cannot be had (%s)",
             vf->set->owner.config->name, VF_NAME_OF(vf), status_name(status));
        legacy_forsake(&vf->function);
    }
}

static void look_after_all(void)
{
    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        const struct vf_set *set = vf_set_at(i);

        if (!set || !set->inflight || !__atomic_load_n(&set->bound, __ATOMIC_ACQUIRE) ||
            __atomic_load_n(&set->held, __ATOMIC_ACQUIRE)) {
            continue;
        }
        struct legacy_function *function = &set->vf[0]->function;

        legacy_inflight_poll(function);
        if (__atomic_load_n(&function->standby, __ATOMIC_ACQUIRE) && get_phase() == PHASE_NONE) {
            cpu_current()->guest_log = set->owner.log;
            look_after(set->vf[0]);
            cpu_current()->guest_log = NULL;
        }
    }
}

/* The VM that is to park; -1: none is. */
static int go_on(void)
{
    uint32_t failed;

    switch (get_phase()) {
    case PHASE_PREPARING:
        if (!are_reset(&failed, "its VM is not moved")) {
            break;
        }
        if (failed > 0) {
            if (legacy_is_lost(&ordered[0]->function)) {
                legacy_forsake(&ordered[0]->function);
            }
            close_spares();
            set_phase(PHASE_NONE);
            break;
        }
        set_phase(PHASE_WAITING);
        return (int)ordered[0]->set->owner.index;
    case PHASE_WAITING:
        return (int)ordered[0]->set->owner.index;
    case PHASE_CLEANING:
        if (are_reset(&failed, "it is not used any more")) {
            close_spares();
            set_phase(PHASE_NONE);
        }
        break;
    case PHASE_NONE:
        wake();
        break;
    case PHASE_ACCEPTED:
    case PHASE_ACTING:
    case PHASE_WHOLE:
        break;
    }
    return -1;
}

/* A guest that resets itself all the time may cause as many of the VMM's own orders. */
static void limit_lines(void)
{
    bool own = order.own && get_phase() != PHASE_NONE;

    cpu_current()->guest_log = own ? ordered[0]->set->owner.log : NULL;
}

int migrate_poll(void)
{
    limit_lines();
    int vm = go_on();

    cpu_current()->guest_log = NULL;
    look_after_all();
    return vm;
}

void migrate_cancel(void)
{
    uint32_t waiting = PHASE_WAITING;

    limit_lines();
    if (__atomic_compare_exchange_n(&phase, &waiting, PHASE_NONE, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        warn("VM '%s' does not run any more: nothing is done with its VF " VF_NAME,
             ordered[0]->set->owner.config->name, VF_NAME_OF(ordered[0]));
        if (order.action == MIGRATE_MOVE) {
            close_spares();
        }
    }
    cpu_current()->guest_log = NULL;
}

void migrate_act(struct vf_set *set, bool stays)
{
    uint32_t waiting = PHASE_WAITING;

    if (!__atomic_compare_exchange_n(&phase, &waiting, PHASE_ACTING, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        return;
    }
    if (ordered[0]->set != set) { /* not before: the order may be another one by then */
        set_phase(PHASE_WAITING);
        return;
    }
    if (!order.own) { /* the operator's: all of it is said */
        cpu_current()->guest_log = NULL;
    }
    if (order.action == MIGRATE_MOVE) {
        migrate_move(ordered, order.count);
    } else {
        migrate_do_order(order.action, ordered[0], stays);
    }
    cpu_current()->guest_log = set->owner.log;
    set_phase(order.action == MIGRATE_MOVE ? PHASE_CLEANING : PHASE_NONE);
}

void migrate_resume(struct vf_set *set)
{
    struct device device;

    for (uint32_t i = 0; i < set->count; i++) {
        struct vf *vf = set->vf[i];

        if (is_stopped(vf)) {
            migrate_open(&device, vf);
            if (migrate_to(&device, DEVICE_RUNNING) != STATUS_OK) {
                legacy_give_up(&vf->function, "does not run any more after it was frozen");
            }
        }
    }
}

void migrate_list(print_line *print)
{
    const struct pf *pf;

    for (uint32_t i = 0; (pf = pf_at(i)) != NULL; i++) {
        const struct pci_pf *pci = __atomic_load_n(&pf->pci, __ATOMIC_ACQUIRE); /* it may restart */
        uint32_t vfs = pci ? pci->vfs : 0;

        print("PF " BDF_FORMAT ": %u VFs, migration: %s", BDF_ARGS(pf->config->bdf), vfs,
              vf_state_facts(pf->control.kind)->name);
        for (uint32_t n = 0; n < vfs; n++) {
            const struct vf *vf = vf_lookup(pf->config->bdf, n);
            const char *state = !vf                       ? "free"
                                : !vf->attached           ? "its VM is off"
                                : vf->function.state.lost ? "lost"
                                                          : device_state_name(vf->device_state);

            print("  " BDF_FORMAT ":%u  %-15s %s%s", BDF_ARGS(pf->config->bdf), n,
                  vf ? vf->set->owner.config->name : "-", state,
                  vf && migrate_is_tracked(vf) ? ", its writes are noted" : "");
        }
    }
}
