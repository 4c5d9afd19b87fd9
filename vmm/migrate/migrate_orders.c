/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders that leave the VM its VF: look at its device's state, stop it, save it. */
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate_internal.h"

#define WAKES_MAX   5U /* in vain, of a VF */
#define PARTS_SHOWN 48U
#define BYTES_SHOWN 24U

static void say_part(const struct vf_state_part *part)
{
    char bytes[3 * BYTES_SHOWN + 8] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < part->length && i < BYTES_SHOWN; i++) {
        used += (size_t)format(bytes + used, sizeof(bytes) - used, " %02x", part->value[i]);
    }
    say("  %s%s %#lx: %u bytes:%s%s", part->name, part->optional ? " (optional)" : "",
        part->selector, part->length, bytes, part->length > BYTES_SHOWN ? " ..." : "");
}

/* The parts of a device's state, which has been checked. */
static void say_parts(enum vf_state_kind kind, const struct record *record)
{
    struct vf_state_part part;
    unsigned parts = 0;
    uint32_t at = 0;

    while (vf_state_next(kind, record->part[RECORD_DEVICE], record->size[RECORD_DEVICE], &at,
                         &part) == STATUS_OK) {
        if (parts++ < PARTS_SHOWN) {
            say_part(&part);
        }
    }
    say("  %u parts of the device's state%s; the function's: %u bytes", parts,
        parts > PARTS_SHOWN ? ", of which the first are shown" : "", record->size[RECORD_FUNCTION]);
}

static enum status save_and_run(struct device *device, struct vf *vf)
{
    unsigned before = vf->device_state;
    struct record record;
    uint32_t size = 0;
    enum status status = migrate_text(vf, NULL, &workspace.here, workspace.text);

    if (status == STATUS_OK) {
        status = migrate_save(device, vf, workspace.text, &size, &record);
    }
    if (status == STATUS_OK) {
        say("VF " VF_NAME ": saved: %u bytes, of them %u of the device", VF_NAME_OF(vf), size,
            record.size[RECORD_DEVICE]);
        say("  %s", workspace.text);
        say_parts(vf->pf->control.kind, &record);
    }
    enum status back = vf->device_state == DEVICE_ERROR ? STATUS_STATE : migrate_to(device, before);

    return status == STATUS_OK ? back : status;
}

static enum status show(struct vf *vf)
{
    enum status status = migrate_text(vf, NULL, &workspace.here, workspace.text);

    if (status == STATUS_OK) {
        say("VF " VF_NAME ": of VM '%s', %s", VF_NAME_OF(vf), vf->set->owner.config->name,
            device_state_name(vf->device_state));
        say("  %s", workspace.text);
    }
    return status;
}

/* What a VM that runs does with a VF whose registers do nothing is lost. */
static enum status freeze(struct device *device, struct vf *vf, bool stays)
{
    if (!stays) {
        warn("VF " VF_NAME ": its guest would lose what it writes to its registers: pause VM '%s' "
             "first",
             VF_NAME_OF(vf), vf->set->owner.config->name);
        return STATUS_STATE;
    }
    return migrate_to(device, DEVICE_STOP);
}

/* One that a command without an answer has left nobody knows where runs if its device says so. */
static enum status run(struct device *device, struct vf *vf)
{
    if (vf->control.level != VF_STATE_UNKNOWN) {
        return migrate_to(device, DEVICE_RUNNING);
    }
    enum status status = vf_state_begin(&vf->control, VF_STATE_RUNNING);
    uint64_t now = time_now_ns(), last = now;

    if (status != STATUS_OK) {
        return status;
    }
    while (!vf_state_done(&vf->control, (uint32_t)((now - last) / 1000), &status)) {
        timer_service();
        time_delay_us(MIGRATE_LOOK_US);
        last = now;
        now = time_now_ns();
    }
    vf->device_state = status == STATUS_OK ? DEVICE_RUNNING : DEVICE_ERROR;
    if (status == STATUS_OK) {
        migrate_poke(vf, false);
    } else if (status == STATUS_TIMEOUT && vf->wakes < WAKES_MAX) {
        vf->wakes++; /* once more when that answer comes; not for ever, as its VM waits each time */
        __atomic_store_n(&vf->asleep, true, __ATOMIC_RELEASE);
    }
    return status;
}

static enum status act(enum migrate_action action, struct vf *vf, bool stays)
{
    struct device device;

    migrate_open(&device, vf);
    switch (action) {
    case MIGRATE_SHOW:
        return show(vf);
    case MIGRATE_TRACK:
        return migrate_dirty_begin(vf);
    case MIGRATE_REPORT:
        return migrate_dirty_report(vf);
    case MIGRATE_UNTRACK:
        return migrate_dirty_end(vf);
    case MIGRATE_QUIESCE:
        return migrate_to(&device, DEVICE_RUNNING | DEVICE_NDMA);
    case MIGRATE_FREEZE:
        return freeze(&device, vf, stays);
    case MIGRATE_RUN:
        return run(&device, vf);
    case MIGRATE_SAVE:
        return save_and_run(&device, vf);
    case MIGRATE_MOVE:
        break;
    }
    return STATUS_INVALID;
}

void migrate_do_order(enum migrate_action action, struct vf *vf, bool stays)
{
    static const char *const names[] = {"show",      "dirty on", "dirty report",
                                        "dirty off", "quiesce",  "freeze",
                                        "run",       "save",     "move"};
    enum status status = act(action, vf, stays);

    if (status == STATUS_OK) {
        say("VF " VF_NAME ": %s: done, it is %s", VF_NAME_OF(vf), names[action],
            device_state_name(vf->device_state));
    } else {
        warn("VF " VF_NAME ": %s failed (%s), it is %s", VF_NAME_OF(vf), names[action],
             status_name(status), device_state_name(vf->device_state));
        if (action != MIGRATE_RUN && vf->device_state == DEVICE_ERROR &&
            vf->control.level == VF_STATE_UNKNOWN) {
            migrate_wake_later(vf);
        }
    }
}
