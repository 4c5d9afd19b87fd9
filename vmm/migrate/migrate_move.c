/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's VF is exchanged for the spare. The point of no return is the target's step to RUNNING,
 * when its device has said that it was done: before it the source goes on, after it the target
 * does.
 */
#include "vmm/host/time.h"
#include "vmm/migrate/migrate_internal.h"
#include "vmm/state/state.h"

#include <string.h>

/* Legacy rings: virtio 1.3, 2.7.2. */
#define RING_ALIGN      4096U
#define DESCRIPTOR_SIZE 16U
#define AVAIL_INDEX     2U
#define AVAIL_RING      4U
#define USED_INDEX      2U
#define QUEUES_SHOWN    4U

enum step {
    STEP_PREPARE,
    STEP_COMPARE,
    STEP_QUIESCE,
    STEP_FREEZE,
    STEP_SAVE,
    STEP_STOP_TARGET,
    STEP_RESTORE,
    STEP_EXCHANGE,
    STEP_RUN_TARGET,
    STEP_FINISH,
    STEPS
};

static const char *const step_names[STEPS] = {
    "prepare",     "compare", "quiesce",  "freeze",     "save",
    "stop target", "restore", "exchange", "run target", "finish",
};

struct move {
    struct vf *from, *to;
    struct device source, target;
    struct record record;
    uint32_t size;
    bool exchanged;
    uint64_t began[STEPS + 1]; /* ns; 0: it has not */
    uint16_t used[LEGACY_QUEUES_MAX];
};

static struct move move;

/* ---- The rings, in the guest's memory ---- */

/* The two bytes at AT; 0 if that is no RAM. */
static uint16_t read_index(const struct ram *ram, uint64_t at)
{
    const uint16_t *index = ram_pointer(ram, gpa(at), sizeof(*index));

    return index ? __atomic_load_n(index, __ATOMIC_ACQUIRE) : 0;
}

static void read_indexes(const struct vf *vf, unsigned queue, uint16_t *avail, uint16_t *used)
{
    const struct legacy_queue *q = &vf->function.state.queue[queue];
    uint64_t ring = (uint64_t)q->pfn * RING_ALIGN;
    uint64_t available = ring + (uint64_t)DESCRIPTOR_SIZE * q->size;

    *avail = read_index(vf->set->owner.ram, available + AVAIL_INDEX);
    *used =
        read_index(vf->set->owner.ram,
                   align_up(available + AVAIL_RING + 2UL * q->size + 2, RING_ALIGN) + USED_INDEX);
}

static void note_indexes(const struct vf *vf)
{
    uint16_t avail;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        read_indexes(vf, i, &avail, &move.used[i]);
    }
}

/* Have the used indexes stayed where they were, or, with ONWARD, gone on within the ring? */
static bool indexes_are_right(const struct vf *vf, bool onward)
{
    uint16_t avail, used;
    bool right = true;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        const struct legacy_queue *q = &vf->function.state.queue[i];

        read_indexes(vf, i, &avail, &used);
        right = right && (q->pfn == 0 || (uint16_t)(used - move.used[i]) <= (onward ? q->size : 0));
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
        read_indexes(vf, i, &avail, &used);
        idle[i / 64] |= (uint64_t)(avail == used) << i % 64;
    }
    legacy_poke(&vf->function, config, idle);
}

static void say_indexes(const struct vf *vf)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX && shown < QUEUES_SHOWN; i++) {
        uint16_t avail, used;

        if (vf->function.state.queue[i].pfn != 0) {
            read_indexes(vf, i, &avail, &used);
            say("  queue %u: used index %u at the stop, now %u of %u offered", i, move.used[i],
                used, avail);
            shown++;
        }
    }
}

/* ---- The steps ---- */

static enum status compare(void)
{
    enum status status = migrate_text(move.from, false, &workspace.here, workspace.text[0]);

    if (status == STATUS_OK) {
        status = migrate_text(move.to, true, &workspace.there, workspace.text[1]);
    }
    return status == STATUS_OK
               ? compatibility_compare(workspace.text[0], workspace.text[1], workspace.why)
               : status;
}

static enum status save(void)
{
    enum status status = migrate_save(&move.source, move.from, workspace.text[0], &move.size);

    if (status == STATUS_OK) {
        note_indexes(move.from);
        migrate_dirty_leave(move.from);
        status = record_parse(workspace.record, move.size, &move.record);
    }
    return status == STATUS_OK ? migrate_to(&move.source, DEVICE_STOP) : status;
}

static enum status restore(void)
{
    const struct record *record = &move.record;
    uint32_t kind;

    memcpy(&kind, record->part[RECORD_KIND], sizeof(kind));
    return kind == move.target.vf->control->kind
               ? device_write(&move.target, record->part[RECORD_DEVICE],
                              record->size[RECORD_DEVICE])
               : STATUS_NOTE(STATUS_CONFLICT);
}

/* The function too: its state as it was saved, its interrupts, its DMA. */
static enum status exchange(void)
{
    struct state_reader reader;

    state_reader_init(&reader, move.record.part[RECORD_FUNCTION],
                      move.record.size[RECORD_FUNCTION]);
    enum status status = state_find_section(&reader, &legacy_section, 0, workspace.function);

    if (status != STATUS_OK) {
        return status;
    }
    (void)vf_spare_exchange(move.from);
    move.exchanged = true;
    status = legacy_load(&move.to->function, workspace.function);
    return status == STATUS_OK ? legacy_open_vectors(&move.to->function, &move.from->function)
                               : status;
}

static enum status finish(void)
{
    legacy_rebind(&move.to->function);
    bool right = indexes_are_right(move.to, true);

    migrate_poke(move.to, compatibility_has_news(&workspace.here, &workspace.there));
    return right && !move.to->function.state.lost ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
}

static enum status do_step(enum step step)
{
    switch (step) {
    case STEP_PREPARE:
        return vf_spare_add(move.from);
    case STEP_COMPARE:
        return compare();
    case STEP_QUIESCE:
        return migrate_to(&move.source, DEVICE_RUNNING | DEVICE_NDMA);
    case STEP_FREEZE:
        return migrate_to(&move.source, DEVICE_SAVING);
    case STEP_SAVE:
        return save();
    case STEP_STOP_TARGET:
        return migrate_to(&move.target, DEVICE_RESUMING);
    case STEP_RESTORE:
        return restore();
    case STEP_EXCHANGE:
        return exchange();
    case STEP_RUN_TARGET:
        return migrate_to(&move.target, DEVICE_RUNNING);
    case STEP_FINISH:
        return finish();
    case STEPS:
        break;
    }
    return STATUS_INVALID;
}

/* ---- The end ---- */

/* The source goes on. The target cannot, whatever becomes of commands that it has not answered. */
static void go_back(enum step failed)
{
    bool moved;

    if (move.exchanged) {
        (void)vf_spare_exchange(move.to);
    }
    vf_spare_retire();
    if (failed <= STEP_COMPARE) {
        return;
    }
    moved = failed == STEP_RUN_TARGET && !indexes_are_right(move.from, false);
    enum status status = moved ? STATUS_CONFLICT : migrate_to(&move.source, DEVICE_RUNNING);

    if (status == STATUS_OK) {
        migrate_poke(move.from, false);
    } else if (move.source.vf->level == VF_STATE_UNKNOWN && !moved) {
        warn("  VF " VF_NAME " may stand still until its PF answers; 'vm reset' gives its work up",
             VF_NAME_OF(move.from));
        migrate_wake_later(move.from);
    } else {
        legacy_give_up(&move.from->function,
                       moved ? "has lost requests to the VF that did not answer"
                             : "does not run any more after a move that failed");
    }
}

static void say_times(void)
{
    char line[LOG_LINE_MAX - 32];
    size_t used = 0;

    for (unsigned i = 0; i < STEPS && move.began[i + 1] != 0 && used < sizeof(line); i++) {
        used += (size_t)format(line + used, sizeof(line) - used, "%s%s %lu", i > 0 ? ", " : "",
                               step_names[i], (move.began[i + 1] - move.began[i]) / 1000);
    }
    say("  us: %s; %lu in all", line, (time_now_ns() - move.began[0]) / 1000);
}

static void report(enum step failed, enum status status)
{
    const char *vm = move.from->set->owner.config->name;

    if (status == STATUS_OK) {
        say("VM '%s': moved from VF " VF_NAME " to VF " VF_NAME
            ": %u bytes, of them %u of the device",
            vm, VF_NAME_OF(move.from), VF_NAME_OF(move.to), move.size,
            move.record.size[RECORD_DEVICE]);
        say_indexes(move.to);
    } else {
        warn("VM '%s': %smoved from VF " VF_NAME " to VF " VF_NAME ": '%s' failed (%s)%s%s", vm,
             failed == STEP_FINISH ? "" : "not ", VF_NAME_OF(move.from), VF_NAME_OF(move.to),
             step_names[failed], status_name(status), workspace.why[0] ? ": " : "", workspace.why);
    }
    say_times();
}

void migrate_move(struct vf *vf)
{
    enum status status = STATUS_OK;
    enum step step;

    memset(&move, 0, sizeof(move));
    workspace.why[0] = '\0';
    move.from = vf;
    move.to = vf_spare();
    migrate_open(&move.source, move.from);
    for (step = STEP_PREPARE; step < STEPS; step++) {
        move.began[step] = time_now_ns();
        status = do_step(step);
        move.began[step + 1] = time_now_ns();
        if (status != STATUS_OK) {
            break;
        }
        if (step == STEP_PREPARE) {
            migrate_open(&move.target, move.to);
        }
    }
    if (status == STATUS_OK || step == STEP_FINISH) {
        vf_spare_retire();
    } else {
        go_back(step);
    }
    report(step, status);
}
