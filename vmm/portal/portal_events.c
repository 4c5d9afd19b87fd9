/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service VM is told without having asked. */
#include "vmm/base/format.h"
#include "vmm/portal/portal_internal.h"

#include <string.h>

#define EVENT_MAX 400U

/* CPU 0 reads what was told while it is written. */
static void note(struct portal_told *told, const struct portal_vm *now)
{
    __atomic_store_n(&told->state, now->state, __ATOMIC_RELAXED);
    __atomic_store_n(&told->resets, now->resets, __ATOMIC_RELAXED);
    __atomic_store_n(&told->powerdowns, now->powerdowns, __ATOMIC_RELAXED);
}

static struct portal_told look_at(const struct portal_told *told)
{
    return (struct portal_told){__atomic_load_n(&told->state, __ATOMIC_RELAXED),
                                __atomic_load_n(&told->resets, __ATOMIC_RELAXED),
                                __atomic_load_n(&told->powerdowns, __ATOMIC_RELAXED)};
}

static void say(struct portal *portal, const char *what, const char *name, const char *rest)
{
    char line[EVENT_MAX];
    int length = format(line, sizeof(line), "event %s vm=%s%s", what, name, rest);

    portal_send(portal, 0, (const uint8_t *)line, (uint32_t)length);
}

static void tell_state(struct portal *portal, const struct portal_vm *info)
{
    char rest[32];

    (void)format(rest, sizeof(rest), " state=%s", info->state);
    say(portal, "state", info->name, rest);
}

/* One event of a VM; false: there is none. */
static bool tell_one(struct portal *portal, unsigned vm)
{
    struct portal_told *told = &portal->told[vm];
    struct portal_vm info, now;

    if (!portal_edge_vm(vm, &info)) {
        return false;
    }
    now = (struct portal_vm){
        .state = told->state, .resets = told->resets, .powerdowns = told->powerdowns};
    if (told->resets != info.resets) {
        now.resets = info.resets;
        say(portal, "reset", info.name, "");
    } else if (told->powerdowns != info.powerdowns) {
        now.powerdowns = info.powerdowns;
        say(portal, "powerdown", info.name, "");
    } else if (told->state == NULL || strcmp(told->state, info.state) != 0) {
        now.state = info.state;
        tell_state(portal, &info);
    } else {
        return false;
    }
    note(told, &now);
    return true;
}

static void tell_wish(struct portal *portal)
{
    static const char *const names[] = {
        [PORTAL_MIGRATE] = "migrate",
        [PORTAL_CANCEL] = "cancel",
        [PORTAL_INCOMING] = "incoming",
    };
    struct portal_mail *mail = &portal->mail;
    char rest[PORTAL_HOST_MAX + 8] = "";
    struct portal_vm info;

    if (portal_edge_vm(mail->vm, &info)) {
        portal->wanted &= ~(1U << mail->vm);
        if (mail->wish == PORTAL_MIGRATE) {
            portal->wanted |= 1U << mail->vm;
            (void)format(rest, sizeof(rest), " to=%s", mail->to);
        }
        say(portal, names[mail->wish], info.name, rest);
    }
    __atomic_store_n(&mail->full, 0, __ATOMIC_RELEASE);
}

void portal_tell_events(struct portal *portal)
{
    if (!__atomic_load_n(&portal->greeted, __ATOMIC_RELAXED)) {
        return;
    }
    if (portal_has_room(portal) && __atomic_load_n(&portal->mail.full, __ATOMIC_ACQUIRE) != 0) {
        tell_wish(portal);
    }
    for (unsigned vm = 0; vm < PORTAL_VMS_MAX; vm++) {
        while (portal_has_room(portal) && tell_one(portal, vm)) {
        }
    }
}

bool portal_has_events(const struct portal *portal)
{
    struct portal_vm info;

    if (!__atomic_load_n(&portal->greeted, __ATOMIC_ACQUIRE)) {
        return false;
    }
    for (unsigned vm = 0; vm < PORTAL_VMS_MAX && portal_edge_vm(vm, &info); vm++) {
        struct portal_told told = look_at(&portal->told[vm]);

        if (told.state == NULL || strcmp(told.state, info.state) != 0 ||
            told.resets != info.resets || told.powerdowns != info.powerdowns) {
            return true;
        }
    }
    return false;
}

void portal_forget_events(struct portal *portal)
{
    struct portal_vm info;

    __atomic_store_n(&portal->mail.full, 0, __ATOMIC_RELEASE);
    for (unsigned vm = 0; vm < PORTAL_VMS_MAX && portal_edge_vm(vm, &info); vm++) {
        note(&portal->told[vm], &info);
    }
}

enum status portal_post(struct portal *portal, enum portal_wish wish, unsigned vm, const char *to)
{
    struct portal_mail *mail = &portal->mail;
    size_t length = wish == PORTAL_MIGRATE ? strlen(to) : 0;

    if (length >= PORTAL_HOST_MAX) {
        return STATUS_RANGE;
    }
    for (size_t i = 0; i < length; i++) {
        if (to[i] <= ' ' || to[i] > '~') {
            return STATUS_INVALID;
        }
    }
    if (!__atomic_load_n(&portal->greeted, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&mail->full, __ATOMIC_ACQUIRE) != 0) {
        return STATUS_STATE;
    }
    mail->wish = wish;
    mail->vm = vm;
    memcpy(mail->to, to, length);
    mail->to[length] = '\0';
    __atomic_store_n(&mail->full, 1, __ATOMIC_RELEASE);
    return STATUS_OK;
}
