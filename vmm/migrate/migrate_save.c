/* SPDX-License-Identifier: BSD-2-Clause */
/* One VF: its text, its device's state, its record. */
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate_internal.h"
#include "vmm/state/state.h"

#include <string.h>

#define PATIENT_NS 1000000000ULL /* then a line says what is waited for */

static uint32_t begin_all(struct device *const *device, uint32_t count, unsigned wanted,
                          enum status *status)
{
    uint32_t begun = 0;

    for (uint32_t i = 0; i < count; i++) {
        status[i] = device_begin(device[i], wanted);
        begun |= (uint32_t)(status[i] == STATUS_OK) << i;
    }
    return begun;
}

/* Which of WAITING, bit i: device i, are still on their way? */
static uint32_t look_at_all(struct device *const *device, uint32_t waiting, uint32_t passed_us,
                            enum status *status)
{
    for (uint32_t left = waiting; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);

        if (device_done(device[i], passed_us, &status[i])) {
            waiting &= ~(1U << i);
        }
    }
    return waiting;
}

_Static_assert(CONFIG_VM_VFS_MAX <= 32, "a bit for each");

void migrate_all_to(struct device *const *device, uint32_t count, unsigned wanted,
                    enum status *status)
{
    uint64_t now = time_now_ns(), last = now, line = now;
    uint32_t waiting = begin_all(device, count, wanted, status);

    while (waiting != 0) {
        waiting = look_at_all(device, waiting, (uint32_t)((now - last) / 1000), status);
        if (waiting == 0) {
            break;
        }
        timer_service();
        time_delay_us(MIGRATE_LOOK_US);
        last = now;
        now = time_now_ns();
        if (now - line >= PATIENT_NS) {
            line = now;
            say("VF %u: still waiting until it is %s",
                device[__builtin_ctz(waiting)]->vf->member - 1U, device_state_name(wanted));
        }
    }
}

enum status migrate_to(struct device *device, unsigned wanted)
{
    enum status status;

    migrate_all_to(&device, 1, wanted, &status);
    return status;
}

void migrate_open(struct device *device, struct vf *vf)
{
    device_open(device, &vf->control, &vf->device_state, workspace.store, WORKSPACE_STORE);
}

enum status migrate_text(struct vf *vf, const uint32_t *features, struct legacy_description *d,
                         char *text)
{
    enum status status = legacy_describe(&vf->function, features, d);

    return status == STATUS_OK
               ? compatibility_text(d, vf_state_facts(vf->pf->control.kind)->name, text)
               : status;
}

static void put_part(struct record_writer *w, enum record_type type, const void *data,
                     uint32_t size)
{
    uint32_t room;
    uint8_t *at = record_open(w, type, &room);

    if (size <= room) {
        memcpy(at, data, size);
    }
    record_close(w, size);
}

static void put_function(struct record_writer *w, struct legacy_function *function)
{
    uint32_t room;
    uint8_t *at = record_open(w, RECORD_FUNCTION, &room);
    struct state_writer stream;

    state_writer_init(&stream, at, room);
    state_put_section(&stream, &legacy_section, 0, legacy_save(function));
    record_close(w, (uint32_t)stream.used);
}

/* Segment by segment, until there is no more. */
static enum status put_device(struct record_writer *w, struct device *device)
{
    uint32_t room, used = 0, size = 1;
    uint8_t *at = record_open(w, RECORD_DEVICE, &room);
    enum status status = STATUS_OK;
    const uint8_t *data;

    while (status == STATUS_OK && size > 0 && device_pending(device) > 0) {
        status = device_read(device, &data, &size);
        if (status == STATUS_OK && size > room - used) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        if (status == STATUS_OK) {
            memcpy(at + used, data, size);
            used += size;
        }
    }
    if (status == STATUS_OK) {
        status = vf_state_check(device->vf->control->kind, at, used);
    }
    record_close(w, used);
    return status;
}

enum status migrate_save(struct device *device, struct vf *vf, const char *text, uint32_t *size,
                         struct record *record)
{
    uint32_t kind = device->vf->control->kind;
    struct record_writer w;
    enum status status = migrate_to(device, DEVICE_SAVING);

    if (status != STATUS_OK) {
        return status;
    }
    record_begin(&w, workspace.record, WORKSPACE_RECORD);
    put_part(&w, RECORD_COMPATIBILITY, text, (uint32_t)strlen(text));
    put_function(&w, &vf->function);
    put_part(&w, RECORD_KIND, &kind, sizeof(kind));
    status = put_device(&w, device);
    *size = record_end(&w);
    if (status == STATUS_OK && *size == 0) {
        status = STATUS_NOTE(STATUS_NO_MEMORY);
    }
    return status == STATUS_OK && record ? record_parse(workspace.record, *size, record) : status;
}
