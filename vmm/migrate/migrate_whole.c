/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFs go with their whole VM. There is no way back here from a device that was loaded but its FLR:
 * the source's VFs stand still until somebody says who goes on.
 */
#include "vmm/migrate/migrate_whole.h"

#include "vmm/migrate/migrate_internal.h"
#include "vmm/state/state.h"

#include <string.h>

/* Whose record is in the workspace, and whose texts are; NULL: nobody's. Atomic. */
static const struct vf *record_of;
static const struct vf_set *texts_of;
static uint32_t record_size;

static const struct vf *owner_of_record(void)
{
    return __atomic_load_n(&record_of, __ATOMIC_ACQUIRE);
}

/* ---- The record ---- */

static enum status claim(const struct vf *vf)
{
    if (owner_of_record() == vf) {
        return STATUS_OK;
    }
    if (!migrate_reserve(PHASE_WHOLE)) {
        return STATUS_STATE;
    }
    record_size = 0;
    __atomic_store_n(&record_of, vf, __ATOMIC_RELEASE);
    return STATUS_OK;
}

static void release(void)
{
    __atomic_store_n(&record_of, NULL, __ATOMIC_RELEASE);
    migrate_end_reserve();
}

const uint8_t *migrate_whole_record(const struct vf_set *set, uint32_t vf, uint32_t *size)
{
    *size = record_size;
    return owner_of_record() == set->vf[vf] ? workspace.record : NULL;
}

enum status migrate_whole_record_add(struct vf_set *set, uint32_t vf, const uint8_t *bytes,
                                     uint32_t size)
{
    enum status status = claim(set->vf[vf]);

    if (status != STATUS_OK) {
        return status;
    }
    if (size > WORKSPACE_RECORD - record_size) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    memcpy(workspace.record + record_size, bytes, size);
    record_size += size;
    return STATUS_OK;
}

void migrate_whole_record_free(const struct vf_set *set, uint32_t vf)
{
    const struct vf *owner = set->vf[vf];

    /* The VM's stop and the portal may both do so: once. */
    if (__atomic_compare_exchange_n(&record_of, &owner, NULL, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        migrate_end_reserve();
    }
}

void migrate_whole_free(const struct vf_set *set)
{
    const struct vf_set *texts = set;

    for (uint32_t i = 0; i < set->count; i++) {
        migrate_whole_record_free(set, i);
    }
    (void)__atomic_compare_exchange_n(&texts_of, &texts, NULL, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
}

/* ---- What the VFs write ---- */

enum status migrate_whole_track(struct vf_set *set)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        status = migrate_is_tracked(set->vf[i]) ? STATUS_OK : migrate_dirty_begin(set->vf[i]);
    }
    return status;
}

enum status migrate_whole_report(struct vf_set *set)
{
    enum status first = STATUS_OK;

    for (uint32_t i = 0; i < set->count; i++) {
        struct vf *vf = set->vf[i];
        enum status status;

        if (migrate_is_tracked(vf)) {
            status = migrate_dirty_report(vf);
        } else {
            migrate_dirty_mark_all(vf);
            status = migrate_dirty_begin(vf);
        }
        first = first == STATUS_OK ? status : first;
    }
    return first;
}

void migrate_whole_untrack(struct vf_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        (void)migrate_dirty_end(set->vf[i]);
    }
}

/* ---- The source ---- */

/* The operator may have done that to one of a VM that he had paused: its registers do not work. */
static bool is_frozen(const struct vf *vf)
{
    return !(vf->device_state & DEVICE_RUNNING);
}

enum status migrate_whole_check(const struct vf_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct vf *vf = set->vf[i];

        if (!workspace.record || !vf_state_facts(vf->pf->control.kind)->can_migrate) {
            return STATUS_UNSUPPORTED;
        }
        if (legacy_is_lost(&vf->function)) {
            return STATUS_DEVICE;
        }
        if (__atomic_load_n(&vf->asleep, __ATOMIC_ACQUIRE) || is_frozen(vf)) {
            return STATUS_STATE;
        }
    }
    return STATUS_OK;
}

static void hold(struct vf_set *set, bool held)
{
    __atomic_store_n(&set->held, held, __ATOMIC_SEQ_CST);
}

/* All of SET, at the same time. STATUS[i]: of VF i. Returns the first failure. */
static enum status bring_all(struct vf_set *set, unsigned wanted, enum status *status)
{
    struct device own[CONFIG_VM_VFS_MAX], *device[CONFIG_VM_VFS_MAX];
    enum status first = STATUS_OK;

    for (uint32_t i = 0; i < set->count; i++) {
        device[i] = &own[i];
        device_open(device[i], &set->vf[i]->control, &set->vf[i]->device_state, NULL, 0);
    }
    migrate_all_to(device, set->count, wanted, status);
    for (uint32_t i = 0; i < set->count; i++) {
        if (status[i] != STATUS_OK && first == STATUS_OK) {
            log_warn("VM '%s': VF " VF_NAME " is not %s (%s)", set->owner.config->name,
                     VF_NAME_OF(set->vf[i]), device_state_name(wanted), status_name(status[i]));
            first = status[i];
        }
    }
    return first;
}

/* While the devices' registers work: they do not when all are frozen. */
static enum status note_texts(struct vf_set *set)
{
    const struct vf_set *nobody = NULL;
    struct legacy_description description;
    enum status status = STATUS_OK;

    if (!__atomic_compare_exchange_n(&texts_of, &nobody, set, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        return STATUS_STATE;
    }
    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        status = migrate_text(set->vf[i], NULL, &description, workspace.texts[i]);
        if (status == STATUS_OK) {
            migrate_keep_address(set->vf[i], &description, &set->vf[i]->function.state);
        }
    }
    return status;
}

enum status migrate_whole_stop(struct vf_set *set)
{
    enum status each[CONFIG_VM_VFS_MAX], status = STATUS_OK;

    for (uint32_t i = 0; i < set->count; i++) {
        if (migrate_is_gone(set->vf[i])) {
            legacy_give_up(&set->vf[i]->function, MIGRATE_GONE);
        }
    }
    status = migrate_whole_check(set);
    if (status != STATUS_OK || set->count == 0) {
        return status;
    }
    status = note_texts(set);
    if (status != STATUS_OK) {
        migrate_whole_free(set);
        return status;
    }
    hold(set, true);
    status = bring_all(set, DEVICE_RUNNING | DEVICE_NDMA, each);
    if (status == STATUS_OK) {
        status = bring_all(set, DEVICE_STOP, each);
    }
    if (status != STATUS_OK) {
        migrate_whole_go_on(set, false);
    }
    return status;
}

enum status migrate_whole_save(struct vf_set *set, uint32_t index)
{
    struct vf *vf = set->vf[index];
    struct device device;
    enum status status = texts_of == set ? claim(vf) : STATUS_STATE;

    if (status != STATUS_OK) {
        return status;
    }
    migrate_open(&device, vf);
    status = migrate_save(&device, vf, workspace.texts[index], &record_size, NULL);
    if (vf->device_state == DEVICE_SAVING) {
        enum status back = migrate_to(&device, DEVICE_STOP);

        status = status == STATUS_OK ? back : status;
    }
    if (status != STATUS_OK) {
        release();
    }
    return status;
}

/* ---- The target ---- */

void migrate_whole_await(struct vf_set *set)
{
    migrate_whole_free(set);
    hold(set, true);
}

/* Is VF one that the guest of the VF in RECORD can go on with? FUNCTION: its function's state. */
static enum status compare(struct vf *vf, const struct record *record,
                           const struct legacy_state *function)
{
    struct legacy_description description;
    char source[COMPATIBILITY_MAX];
    enum status status;

    if (record->size[RECORD_COMPATIBILITY] >= sizeof(source)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(source, record->part[RECORD_COMPATIBILITY], record->size[RECORD_COMPATIBILITY]);
    source[record->size[RECORD_COMPATIBILITY]] = '\0';
    status = migrate_text(vf, &function->features, &description, workspace.text);
    if (status == STATUS_OK) {
        status = compare_texts(source, workspace.text, workspace.why);
    }
    if (status != STATUS_OK) {
        log_warn("VM '%s': VF " VF_NAME " cannot take the place of the other host's: %s",
                 vf->set->owner.config->name, VF_NAME_OF(vf), workspace.why);
    }
    return status;
}

static enum status check_record(struct vf *vf, struct record *record)
{
    struct legacy_state *function = &workspace.member[0].function;
    struct state_reader reader;
    uint32_t kind;

    workspace.why[0] = '\0';
    enum status status = record_parse(workspace.record, record_size, record);

    if (status != STATUS_OK) {
        log_warn("VM '%s': the record of VF " VF_NAME " is refused: %s",
                 vf->set->owner.config->name, VF_NAME_OF(vf), record->problem);
        return status;
    }
    memcpy(&kind, record->part[RECORD_KIND], sizeof(kind));
    if (kind != vf->pf->control.kind) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    state_reader_init(&reader, record->part[RECORD_FUNCTION], record->size[RECORD_FUNCTION]);
    status = state_find_section(&reader, &legacy_section, 0, function);
    return status == STATUS_OK ? compare(vf, record, function) : status;
}

enum status migrate_whole_load(struct vf_set *set, uint32_t index)
{
    struct vf *vf = set->vf[index];
    struct device device;
    struct record record;

    if (owner_of_record() != vf) {
        return STATUS_STATE;
    }
    enum status status = check_record(vf, &record);

    if (status == STATUS_OK) {
        migrate_open(&device, vf);
        status = migrate_to(&device, DEVICE_RESUMING);
    }
    if (status == STATUS_OK) {
        status = device_write(&device, record.part[RECORD_DEVICE], record.size[RECORD_DEVICE]);
    }
    if (status == STATUS_OK) {
        status = migrate_to(&device, DEVICE_STOP);
    }
    release();
    return status;
}

enum status migrate_whole_settle(struct vf_set *set)
{
    enum status each[CONFIG_VM_VFS_MAX];
    enum status status = bring_all(set, DEVICE_RUNNING | DEVICE_NDMA, each);

    for (uint32_t i = 0; i < set->count && status == STATUS_OK; i++) {
        legacy_rebind(&set->vf[i]->function);
        status = legacy_is_lost(&set->vf[i]->function) ? STATUS_DEVICE : STATUS_OK;
    }
    return status;
}

/* ---- Both ---- */

void migrate_whole_go_on(struct vf_set *set, bool news)
{
    enum status each[CONFIG_VM_VFS_MAX];

    migrate_whole_free(set);
    (void)bring_all(set, DEVICE_RUNNING, each);
    for (uint32_t i = 0; i < set->count; i++) {
        migrate_go_on(set->vf[i], each[i], news);
    }
    hold(set, false);
}

void migrate_whole_forget(struct vf_set *set)
{
    migrate_whole_free(set);
    hold(set, false);
}

enum status migrate_whole_text(struct vf_set *set, uint32_t vf, const uint32_t *driver, char *text)
{
    struct legacy_description description;

    if (driver == NULL && is_frozen(set->vf[vf])) { /* registers do not work: what was noted */
        if (__atomic_load_n(&texts_of, __ATOMIC_ACQUIRE) != set) {
            return STATUS_STATE;
        }
        memcpy(text, workspace.texts[vf], sizeof(workspace.texts[vf]));
        return STATUS_OK;
    }
    return migrate_text(set->vf[vf], driver, &description, text);
}
