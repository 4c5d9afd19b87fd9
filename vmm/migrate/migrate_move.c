/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFs of a VM are exchanged for spares, all of them together. The point of no return is the first
 * target's step to RUNNING, when its device has said that it was done: before it all sources go on,
 * after it the targets do, but for one that does not run: its source does.
 */
#include "vmm/host/time.h"
#include "vmm/legacy/inflight.h"
#include "vmm/migrate/migrate_internal.h"
#include "vmm/state/state.h"

#include <string.h>

#define QUEUES_SHOWN 4U
#define NET_MAC      (1U << 5) /* its configuration begins with the address */
#define ADDRESS_SIZE 6U

enum step {
    STEP_PREPARE,
    STEP_COMPARE,
    STEP_QUIESCE,
    STEP_FREEZE,
    STEP_STOP_TARGET,
    STEP_HOLD_TARGET,
    STEP_COPY,
    STEP_EXCHANGE,
    STEP_REBUILD,
    STEP_THAW_TARGET,
    STEP_RUN_TARGET,
    STEP_FINISH,
    STEPS
};

static struct {
    uint32_t count;
    const struct vf_owner *owner;
    uint64_t began[STEPS + 1]; /* ns; 0: it has not */
} move;

/* ---- The rings, in the guest's memory ---- */

/* False: the guest's driver does not use QUEUE; both are 0. */
static bool read_indexes(const struct vf *vf, unsigned queue, uint16_t *avail, uint16_t *used)
{
    *avail = *used = 0;
    if (vf->function.state.queue[queue].pfn == 0) {
        return false;
    }
    legacy_indexes(&vf->function, queue, avail, used);
    return true;
}

static void note_indexes(struct member *m)
{
    uint16_t avail;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        (void)read_indexes(m->from, i, &avail, &m->used[i]);
    }
}

/* Have the used indexes stayed where they were, or, with ONWARD, gone on within the ring? */
static bool indexes_are_right(const struct member *m, const struct vf *vf, bool onward)
{
    uint16_t avail, used;
    bool right = true;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        uint16_t most = onward ? vf->function.state.queue[i].size : 0;

        (void)read_indexes(vf, i, &avail, &used);
        right = right && (uint16_t)(used - m->used[i]) <= most;
    }
    return right;
}

/*
 * Before DRIVER_OK only queues with something for the device: one that has no use for it yet
 * (QEMU's for a net VF's transmit queue) may think for good that it has been told, and say "no
 * need".
 */
void migrate_poke(struct vf *vf, bool config)
{
    uint64_t idle[LEGACY_QUEUE_WORDS] = {0};
    bool ready = (vf->function.state.status & VIRTIO_STATUS_DRIVER_OK) != 0;
    uint16_t avail, used;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX && !ready; i++) {
        (void)read_indexes(vf, i, &avail, &used);
        idle[i / 64] |= (uint64_t)(avail == used) << i % 64;
    }
    legacy_poke(&vf->function, config, idle);
}

static void say_indexes(const struct member *m)
{
    const struct vf *vf = m->to;
    unsigned shown = 0;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX && shown < QUEUES_SHOWN; i++) {
        uint16_t avail, used;

        if (read_indexes(vf, i, &avail, &used)) {
            say("  queue %u: used index %u at the stop, now %u of %u offered", i, m->used[i], used,
                avail);
            shown++;
        }
    }
}

/* ---- The steps ---- */

static enum status prepare(struct member *m)
{
    enum status status = vf_spare_add((uint32_t)(m - workspace.member), m->from);

    migrate_open(&m->target, m->to);
    return status;
}

/* The guest's network knows the VF by its address. By 1.4 it is in a device's state only where the
 * driver can set it by the control queue. */
void migrate_keep_address(const struct vf *vf, const struct legacy_description *d,
                          struct legacy_state *state)
{
    if (d->type == VIRTIO_TYPE_NET && (d->features & NET_MAC) != 0 &&
        !vf_state_facts(vf->pf->control.kind)->has_config) {
        memcpy(state->device_config, d->config, ADDRESS_SIZE);
        memset(state->device_written, 1, ADDRESS_SIZE);
    }
}

static enum status compare(struct member *m)
{
    enum status status =
        migrate_text(m->to, &m->from->function.state.features, &workspace.there, workspace.text);

    if (status == STATUS_OK) {
        status = m->lost ? migrate_lost_text(m, m->text)
                         : migrate_text(m->from, NULL, &workspace.here, m->text);
    }
    if (status == STATUS_OK && !m->lost) {
        migrate_keep_address(m->from, &workspace.here, &m->from->function.state);
    }
    m->news = status == STATUS_OK &&
              (m->lost || compatibility_has_news(&workspace.here, &workspace.there));
    return status == STATUS_OK ? compare_texts(m->text, workspace.text, workspace.why) : status;
}

static enum status save(struct member *m, struct record *record)
{
    enum status status = migrate_save(&m->source, m->from, m->text, &m->size, record);

    if (status != STATUS_OK) {
        return status;
    }
    note_indexes(m);
    return migrate_to(&m->source, DEVICE_STOP);
}

static enum status restore(struct member *m, const struct record *record)
{
    struct state_reader reader;
    uint32_t kind;

    m->device_size = record->size[RECORD_DEVICE];
    memcpy(&kind, record->part[RECORD_KIND], sizeof(kind));
    if (kind != m->target.vf->control->kind) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    state_reader_init(&reader, record->part[RECORD_FUNCTION], record->size[RECORD_FUNCTION]);
    enum status status = state_find_section(&reader, &legacy_section, 0, &m->function);

    if (status == STATUS_OK) {
        status = device_write(&m->target, record->part[RECORD_DEVICE], m->device_size);
    }
    return status == STATUS_OK ? migrate_to(&m->target, DEVICE_STOP) : status;
}

/* Through the one record that there is room for. */
static enum status copy(struct member *m)
{
    struct record record;
    enum status status = save(m, &record);

    if (status != STATUS_OK) {
        return status;
    }
    migrate_rewind(m, &record);
    return restore(m, &record);
}

/* The function too: its state as it was saved, its interrupts, its DMA. */
static enum status exchange(struct member *m)
{
    enum status status = m->lost ? migrate_lost_take(m) : STATUS_OK;

    if (status != STATUS_OK) {
        return status;
    }
    if (m->lost) {
        note_indexes(m);
    }
    (void)vf_spare_exchange((uint32_t)(m - workspace.member), m->from);
    m->exchanged = true;
    status = legacy_load(&m->to->function, &m->function);
    legacy_lend_master(&m->to->function, true);
    return status == STATUS_OK ? legacy_open_vectors(&m->to->function, &m->from->function) : status;
}

/* Instead of what a lost VF cannot give. */
static enum status rebuild(struct member *m)
{
    struct record record;
    enum status status = migrate_lost_rebuild(m, &record);

    return status == STATUS_OK ? restore(m, &record) : status;
}

static enum status finish(struct member *m)
{
    legacy_lend_master(&m->to->function, false);
    legacy_rebind(&m->to->function);
    legacy_take_messages(&m->to->function, &m->from->function);
    bool right = indexes_are_right(m, m->to, true);

    migrate_poke(m->to, m->news);
    if (!m->lost) {
        migrate_dirty_leave(m->from);
    }
    return right && !m->to->function.state.lost ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
}

/* Which moves have a step. */
enum when { ALWAYS, ALIVE, LOST };

static const struct {
    const char *name;
    enum status (*one)(struct member *m); /* for one VF after the other; NULL: */
    enum when when;
    bool targets;   /* all targets, or all sources, */
    uint8_t wanted; /* are brought to this at the same time */
} steps[STEPS] = {
    [STEP_PREPARE] = {"prepare",        prepare,  ALWAYS, false, 0                           },
    [STEP_COMPARE] = {"compare",        compare,  ALWAYS, false, 0                           },
    [STEP_QUIESCE] = {"quiesce",        NULL,     ALIVE,  false, DEVICE_RUNNING | DEVICE_NDMA},
    [STEP_FREEZE] = {"freeze",         NULL,     ALIVE,  false, DEVICE_STOP                 },
    [STEP_STOP_TARGET] = {"stop target",    NULL,     ALIVE,  true,  DEVICE_RESUMING             },
    [STEP_HOLD_TARGET] = {"quiesce target", NULL,     LOST,   true,  DEVICE_RUNNING | DEVICE_NDMA},
    [STEP_COPY] = {"copy",           copy,     ALIVE,  false, 0                           },
    [STEP_EXCHANGE] = {"exchange",       exchange, ALWAYS, false, 0                           },
    [STEP_REBUILD] = {"rebuild",        rebuild,  LOST,   false, 0                           },
    [STEP_THAW_TARGET] = {"thaw target",    NULL,     ALWAYS, true,  DEVICE_RUNNING | DEVICE_NDMA},
    [STEP_RUN_TARGET] = {"run target",     NULL,     ALWAYS, true,  DEVICE_RUNNING              },
    [STEP_FINISH] = {"finish",         finish,   ALWAYS, false, 0                           },
};

/* A lost VF is moved alone. */
static bool is_skipped(enum step step)
{
    return steps[step].when == (workspace.member[0].lost ? ALIVE : LOST);
}

static void bring_all(enum step step)
{
    struct device *device[CONFIG_VM_VFS_MAX];
    enum status status[CONFIG_VM_VFS_MAX];

    for (uint32_t i = 0; i < move.count; i++) {
        struct member *m = &workspace.member[i];

        device[i] = steps[step].targets ? &m->target : &m->source;
    }
    migrate_all_to(device, move.count, steps[step].wanted, status);
    for (uint32_t i = 0; i < move.count; i++) {
        workspace.member[i].status = status[i];
    }
}

/* Returns for how many it was not done. 'status' is why, or OK: it did not come to that one. */
static uint32_t do_step(enum step step)
{
    uint32_t failed = 0;

    move.began[step] = move.began[step + 1] = time_now_ns();
    if (is_skipped(step)) {
        return 0;
    }
    if (!steps[step].one) {
        bring_all(step);
    }
    for (uint32_t i = 0; i < move.count && (failed == 0 || !steps[step].one); i++) {
        struct member *m = &workspace.member[i];

        m->status = steps[step].one ? steps[step].one(m) : m->status;
        failed += m->status != STATUS_OK;
    }
    move.began[step + 1] = time_now_ns();
    return failed;
}

/* ---- The end ---- */

void migrate_go_on(struct vf *vf, enum status status, bool news)
{
    if (status == STATUS_OK) {
        migrate_poke(vf, news);
    } else if (vf->control.level == VF_STATE_UNKNOWN) {
        warn("  VF " VF_NAME " may stand still until its PF answers; 'vm reset' gives its work up",
             VF_NAME_OF(vf));
        migrate_wake_later(vf);
    } else {
        legacy_give_up(&vf->function, "does not run any more after a move");
    }
}

/*
 * The sources go on, but those whose target runs. The targets cannot, whatever becomes of commands
 * that they have not answered.
 */
static void go_back(enum step failed)
{
    struct device *device[CONFIG_VM_VFS_MAX] = {NULL};
    const struct member *back[CONFIG_VM_VFS_MAX];
    enum status status[CONFIG_VM_VFS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < move.count; i++) {
        struct member *m = &workspace.member[i];

        if (failed == STEP_RUN_TARGET && m->status == STATUS_OK) {
            continue;
        }
        if (m->exchanged) {
            m->exchanged = false;
            (void)vf_spare_exchange(i, m->to);
        }
        vf_spare_retire(i);
        if (m->lost) {
            migrate_lost_go_back(m);
        } else if (failed > STEP_COMPARE && migrate_is_gone(m->from)) {
            /* No interrupt then: its driver would look for its request. */
            legacy_give_up(&m->from->function, MIGRATE_GONE);
        } else if (failed >= STEP_THAW_TARGET && !indexes_are_right(m, m->from, false)) {
            legacy_give_up(&m->from->function, "has lost requests to the VF that did not answer");
        } else if (failed > STEP_COMPARE) {
            back[count] = m;
            device[count++] = &m->source;
        }
    }
    migrate_all_to(device, count, DEVICE_RUNNING, status);
    for (uint32_t i = 0; i < count; i++) {
        migrate_go_on(back[i]->from, status[i], false);
    }
}

static void say_times(void)
{
    char line[LOG_LINE_MAX - 32];
    size_t used = 0;

    for (unsigned i = 0; i < STEPS && move.began[i + 1] != 0 && used < sizeof(line); i++) {
        if (!is_skipped(i)) {
            used += (size_t)format(line + used, sizeof(line) - used, "%s%s %lu", i > 0 ? ", " : "",
                                   steps[i].name, (move.began[i + 1] - move.began[i]) / 1000);
        }
    }
    say("  us: %s; %lu in all", line, (time_now_ns() - move.began[0]) / 1000);
}

static void report(const struct member *m, enum step failed)
{
    const char *vm = move.owner->config->name;

    if (m->status != STATUS_OK) {
        warn("VM '%s': %smoved from VF " VF_NAME " to VF " VF_NAME ": '%s' failed (%s)%s%s", vm,
             m->exchanged ? "" : "not ", VF_NAME_OF(m->from), VF_NAME_OF(m->to),
             steps[m->exchanged ? STEP_FINISH : failed].name, status_name(m->status),
             workspace.why[0] ? ": " : "", workspace.why);
    } else if (m->exchanged) {
        say("VM '%s': moved from VF " VF_NAME "%s to VF " VF_NAME
            ": %u bytes, of them %u of the device",
            vm, VF_NAME_OF(m->from), m->lost ? ", which is lost," : "", VF_NAME_OF(m->to), m->size,
            m->device_size);
        say_indexes(m);
    } else {
        warn("VM '%s': not moved from VF " VF_NAME " to VF " VF_NAME ", as another VF was not", vm,
             VF_NAME_OF(m->from), VF_NAME_OF(m->to));
    }
}

/* What has moved works from here on, and what it came from is done with. */
static void finish_all(void)
{
    move.began[STEP_FINISH] = time_now_ns();
    for (uint32_t i = 0; i < move.count; i++) {
        struct member *m = &workspace.member[i];

        if (m->exchanged) {
            m->status = finish(m);
            vf_spare_retire(i);
        }
    }
    move.began[STEPS] = time_now_ns();
}

void migrate_move(struct vf *const *vf, uint32_t count)
{
    uint32_t failed = 0;
    enum step step;

    memset(&move, 0, sizeof(move));
    move.count = count;
    move.owner = &vf[0]->set->owner;
    workspace.why[0] = '\0';
    memset(workspace.member, 0, count * sizeof(*workspace.member));
    for (uint32_t i = 0; i < count; i++) {
        workspace.member[i].from = vf[i];
        workspace.member[i].to = vf_spare(i);
        migrate_open(&workspace.member[i].source, vf[i]);
    }
    if (count == 1) {
        if (migrate_is_gone(vf[0])) {
            legacy_give_up(&vf[0]->function, MIGRATE_GONE);
        }
        workspace.member[0].lost = legacy_is_lost(&vf[0]->function);
    }
    for (step = STEP_PREPARE; step < STEP_FINISH; step++) {
        failed = do_step(step);
        if (failed > 0) {
            go_back(step);
            break;
        }
    }
    if (step >= STEP_RUN_TARGET && failed < count) {
        finish_all();
    }
    for (uint32_t i = 0; i < count; i++) {
        report(&workspace.member[i], step);
    }
    say_times();
    if (workspace.member[0].lost && !workspace.member[0].exchanged) {
        legacy_forsake(&vf[0]->function);
    }
}
