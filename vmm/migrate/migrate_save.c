/* SPDX-License-Identifier: BSD-2-Clause */
/* One VF: its text, its device's state, its record. */
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate_internal.h"
#include "vmm/state/state.h"

#include <string.h>

#define PATIENT_NS 1000000000ULL /* then a line says what is waited for */

enum status migrate_to(struct device *device, unsigned wanted)
{
    enum status status = device_begin(device, wanted);
    uint64_t now = time_now_ns(), last = now, line = now;

    if (status != STATUS_OK) {
        return status;
    }
    while (!device_done(device, (uint32_t)((now - last) / 1000), &status)) {
        timer_service();
        time_delay_us(MIGRATE_LOOK_US);
        last = now;
        now = time_now_ns();
        if (now - line >= PATIENT_NS) {
            line = now;
            say("VF %u: still waiting until it is %s", device->vf->member - 1U,
                device_state_name(wanted));
        }
    }
    return status;
}

void migrate_open(struct device *device, struct vf *vf)
{
    device_open(device, &vf->control, &vf->device_state, workspace.store, WORKSPACE_STORE);
}

enum status migrate_text(struct vf *vf, bool free, struct legacy_description *d, char *text)
{
    enum status status = legacy_describe(&vf->function, free, d);

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

enum status migrate_save(struct device *device, struct vf *vf, const char *text, uint32_t *size)
{
    uint32_t kind = device->vf->control->kind;
    struct record_writer w;

    record_begin(&w, workspace.record, WORKSPACE_RECORD);
    put_part(&w, RECORD_COMPATIBILITY, text, (uint32_t)strlen(text));
    put_function(&w, &vf->function);
    put_part(&w, RECORD_KIND, &kind, sizeof(kind));
    enum status status = put_device(&w, device);

    *size = record_end(&w);
    return status == STATUS_OK && *size == 0 ? STATUS_NOTE(STATUS_NO_MEMORY) : status;
}
