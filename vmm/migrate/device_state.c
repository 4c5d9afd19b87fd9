/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/migrate/device_state.h"

#include <string.h>

/* A segment is what one command brings. */
#define SEGMENT 32768U

/* What each valid state is to the device; NULL: not valid. */
static const struct {
    const char *name;
    enum vf_state_level level;
} states[DEVICE_STATES] = {
    [DEVICE_STOP] = {"stopped",               VF_STATE_FROZEN },
    [DEVICE_RUNNING] = {"running",               VF_STATE_RUNNING},
    [DEVICE_SAVING] = {"saving",                VF_STATE_FROZEN },
    [DEVICE_SAVING | DEVICE_RUNNING] = {"running, being saved",  VF_STATE_RUNNING},
    [DEVICE_RESUMING] = {"resuming",              VF_STATE_FROZEN },
    [DEVICE_NDMA] = {"stopped",               VF_STATE_FROZEN },
    [DEVICE_NDMA | DEVICE_RUNNING] = {"quiesced",              VF_STATE_STOPPED},
    [DEVICE_NDMA | DEVICE_SAVING] = {"saving",                VF_STATE_FROZEN },
    [DEVICE_NDMA | DEVICE_SAVING | DEVICE_RUNNING] = {"quiesced, being saved", VF_STATE_STOPPED},
    [DEVICE_NDMA | DEVICE_RESUMING] = {"resuming",              VF_STATE_FROZEN },
};

bool device_state_is_valid(unsigned state)
{
    return state < DEVICE_STATES && states[state].name;
}

const char *device_state_name(unsigned state)
{
    return device_state_is_valid(state) ? states[state].name : "in error";
}

/* Only what is stopped has a state to read. */
static bool reads(unsigned state)
{
    return (state & (DEVICE_SAVING | DEVICE_RUNNING)) == DEVICE_SAVING;
}

void device_open(struct device *device, struct vf_state *vf, uint8_t *state, void *store,
                 uint32_t room)
{
    *device = (struct device){.vf = vf, .state = state, .store = store, .room = room};
}

static void close_save(struct device *device)
{
    if (device->saving) {
        device->saving = false;
        vf_state_close(device->vf);
    }
}

static enum status open_save(struct device *device)
{
    if (device->saving || !reads(device->wanted)) {
        return STATUS_OK;
    }
    enum status status = vf_state_open_save(device->vf, &device->size);

    device->offset = 0;
    device->ended = false;
    device->saving = status == STATUS_OK;
    return status;
}

/* Leaving RESUMING: what was written becomes the device's, whole or not at all. */
static enum status commit(struct device *device)
{
    if (!(*device->state & DEVICE_RESUMING) || (device->wanted & DEVICE_RESUMING) ||
        device->filled == 0) {
        return STATUS_OK;
    }
    enum status status = vf_state_check(device->vf->control->kind, device->store, device->filled);

    if (status == STATUS_OK) {
        status = vf_state_write(device->vf, device->store, device->filled);
        device->committed = true;
    }
    if (status == STATUS_INVALID) {
        device->committed = false; /* it is as it was */
    } else if (status != STATUS_OK) {
        *device->state = DEVICE_ERROR;
    }
    return status;
}

enum status device_begin(struct device *device, unsigned wanted)
{
    if (!device_state_is_valid(wanted)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (*device->state == DEVICE_ERROR) {
        return STATUS_NOTE(STATUS_STATE);
    }
    device->wanted = (uint8_t)wanted;
    device->undoing = device->committed = false;
    enum status status = commit(device);

    if (status != STATUS_OK) {
        return status;
    }
    if (wanted & DEVICE_RESUMING && !(*device->state & DEVICE_RESUMING)) {
        device->filled = 0;
    }
    if (!reads(wanted)) {
        close_save(device);
    }
    status = vf_state_begin(device->vf, states[wanted].level);
    if (status != STATUS_OK) { /* nothing was sent */
        device->wanted = *device->state;
        if (device->committed || open_save(device) != STATUS_OK) {
            *device->state = DEVICE_ERROR;
        }
    }
    return status;
}

/* Back to where it was; true: there is no way. */
static bool undo(struct device *device, enum status cause)
{
    device->cause = cause;
    if (device->undoing || device->committed) {
        return true;
    }
    device->undoing = true;
    device->wanted = *device->state;
    close_save(device);
    return vf_state_begin(device->vf, states[device->wanted].level) != STATUS_OK;
}

bool device_done(struct device *device, uint32_t passed_us, enum status *status)
{
    enum status step;

    if (!vf_state_done(device->vf, passed_us, &step)) {
        return false;
    }
    if (step == STATUS_OK) {
        step = open_save(device);
    }
    if (step == STATUS_OK) {
        *device->state = device->wanted;
        *status = device->undoing ? device->cause : STATUS_OK;
        return true;
    }
    bool second = device->undoing;

    if (undo(device, second ? device->cause : step)) {
        *device->state = DEVICE_ERROR;
        *status = device->cause;
        return true;
    }
    return false;
}

uint32_t device_pending(const struct device *device)
{
    return device->saving && !device->ended ? device->size - device->offset : 0;
}

enum status device_read(struct device *device, const uint8_t **data, uint32_t *size)
{
    uint32_t left = device_pending(device);
    uint32_t length = left < SEGMENT ? left : SEGMENT;

    *size = 0;
    *data = device->store;
    if (!device->saving) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (length > device->room) {
        length = device->room;
    }
    if (length == 0) {
        return STATUS_OK;
    }
    enum status status = vf_state_read(device->vf, device->offset, device->store, length, size);

    device->offset += *size;
    device->ended = *size < length;
    return status;
}

enum status device_write(struct device *device, const void *data, uint32_t size)
{
    if (!(*device->state & DEVICE_RESUMING) || *device->state == DEVICE_ERROR) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (size > device->room - device->filled) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    memcpy(device->store + device->filled, data, size);
    device->filled += size;
    return STATUS_OK;
}
