/* SPDX-License-Identifier: BSD-2-Clause */
/* Channel 0: lines, and what they ask for. */
#include "vmm/base/format.h"
#include "vmm/config/value.h"
#include "vmm/portal/portal_internal.h"

#include <string.h>

#define WORDS_MAX    5U
#define FIELD_MAX    64U
#define PORTAL_LEVEL 1U /* of the requests: what `hello` says */

#ifndef PORTOLAN_VERSION
#define PORTOLAN_VERSION "test"
#endif

/* A line, cut into words, and its answer: the TEXT behind "ok", or why it is an error. */
struct request {
    unsigned count;
    const char *word[WORDS_MAX];
    unsigned vm; /* that a word names: find_vm() */
    struct portal_vm info;
    enum portal_command command; /* of command() */
    char text[PORTAL_LINE_MAX - 8];
    const char *why; /* NULL: as the status says */
};

static enum status fail(struct request *r, enum status status, const char *why)
{
    r->why = why;
    return status;
}

/* ---- Words ---- */

static struct slice slice_of(const char *word)
{
    return (struct slice){word, strlen(word)};
}

/* NUMBERS of the words from FIRST on. */
static enum status numbers(struct request *r, unsigned first, unsigned count, uint64_t *value)
{
    for (unsigned i = 0; i < count; i++) {
        if (!value_number(slice_of(r->word[first + i]), &value[i])) {
            return fail(r, STATUS_INVALID, "a number is wanted");
        }
    }
    return STATUS_OK;
}

/* The VM that word I names. */
static enum status find_vm(struct request *r, unsigned i)
{
    for (r->vm = 0; r->vm < PORTAL_VMS_MAX && portal_edge_vm(r->vm, &r->info); r->vm++) {
        if (strcmp(r->info.name, r->word[i]) == 0) {
            return STATUS_OK;
        }
    }
    return fail(r, STATUS_NOT_FOUND, "no VM has this name");
}

static const char *yes(bool truth)
{
    return truth ? "yes" : "no";
}

/* ---- What there is ---- */

static enum status hello(struct portal *portal, struct request *r)
{
    struct portal_vm info;
    unsigned count = 0;

    while (count < PORTAL_VMS_MAX && portal_edge_vm(count, &info)) {
        count++;
    }
    __atomic_store_n(&portal->greeted, true, __ATOMIC_RELEASE);
    (void)format(r->text, sizeof(r->text), " portolan=%s portal=%u vms=%u", PORTOLAN_VERSION,
                 PORTAL_LEVEL, count);
    return STATUS_OK;
}

static enum status vm(struct portal *portal, struct request *r)
{
    struct portal_vm info;
    uint64_t index;
    enum status status = numbers(r, 1, 1, &index);

    if (status == STATUS_OK &&
        (index >= PORTAL_VMS_MAX || !portal_edge_vm((unsigned)index, &info))) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        (void)format(r->text, sizeof(r->text),
                     " vm=%s state=%s cpus=%u memory=%lu vfs=%u migrate=%s incoming=%s service=%s",
                     info.name, info.state, info.cpus, (unsigned long)info.memory, info.vfs,
                     yes(info.migrates), yes(info.incoming), yes(info.service));
    }
    return status;
}

static enum status vf(struct portal *portal, struct request *r)
{
    struct portal_vf f;
    uint64_t index;
    enum status status = numbers(r, 2, 1, &index);

    if (status == STATUS_OK && index >= r->info.vfs) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        portal_edge_vf(r->vm, (unsigned)index, &f);
        (void)format(r->text, sizeof(r->text), " vf=%02x:%02x.%x/%u slot=%02x type=%u", f.pf >> 8,
                     f.pf >> 3 & 31U, f.pf & 7U, f.number, f.devfn, f.type);
    }
    return status;
}

/* ---- What is done with VMs ---- */

static enum status command(struct portal *portal, struct request *r)
{
    return portal_edge_command(r->vm, r->command);
}

static enum status progress(struct portal *portal, struct request *r)
{
    portal_edge_progress(r->vm, r->word[2]);
    return STATUS_OK;
}

static enum status handover(struct portal *portal, struct request *r)
{
    return portal_hand_over(portal, r->vm);
}

static enum status confirm(struct portal *portal, struct request *r)
{
    return vm_move_confirm(r->info.vm);
}

/* ---- Channels ---- */

static enum status choose_side(const struct portal *portal, struct request *r,
                               struct portal_move *move)
{
    struct portal_vm info;

    if (!portal_edge_vm(move->vm, &info)) {
        return STATUS_NOT_FOUND;
    }
    if (strcmp(info.state, "incoming") == 0) {
        move->side = PORTAL_TARGET;
        return STATUS_OK;
    }
    if (strcmp(info.state, "running") != 0 && strcmp(info.state, "paused") != 0) {
        return STATUS_STATE;
    }
    return info.migrates || (portal->wanted >> move->vm & 1U) != 0
               ? STATUS_OK
               : fail(r, STATUS_UNSUPPORTED,
                      "neither its configuration nor the operator allows it");
}

static enum status open_vm(struct portal *portal, struct request *r, unsigned channel)
{
    struct portal_move move = {
        .open = true, .vm = r->vm, .moved = r->info.vm, .whole = &portal->device[channel]};
    enum status status;

    if (portal->move.open) {
        return fail(r, STATUS_STATE, "a VM is open already");
    }
    if (r->info.service) {
        return fail(r, STATUS_UNSUPPORTED, "it is the service VM");
    }
    /* Looked at again after it was exposed: if it stops later that ends. */
    portal_edge_expose(move.vm, true);
    status = choose_side(portal, r, &move);
    if (status == STATUS_OK) {
        portal->move = move;
        status = portal_open(portal, channel, PORTAL_WHOLE, 0);
        portal->move.open = status == STATUS_OK;
        portal->wanted &= ~(portal->move.open ? 1U << move.vm : 0); /* it was allowed once */
    }
    if (status != STATUS_OK) {
        portal_edge_expose(move.vm, false);
    }
    return status;
}

static enum status open_vf(struct portal *portal, struct request *r, unsigned channel)
{
    uint64_t index = 0, driver = 0;

    if (!portal->move.open || portal->move.vm != r->vm) {
        return fail(r, STATUS_STATE, "its VM is to be opened first");
    }
    if (r->count < 5) {
        return fail(r, STATUS_INVALID, "which one?");
    }
    /* The last word is what is left of the line. */
    char *rest = strchr(r->word[4], ' ');

    if (rest != NULL) {
        *rest++ = '\0';
    }
    if (!value_number(slice_of(r->word[4]), &index) ||
        (rest != NULL && (!value_hex(slice_of(rest), &driver) || driver > UINT32_MAX))) {
        return fail(r, STATUS_INVALID, "a number is wanted");
    }
    for (unsigned i = 1; i < PORTAL_CHANNELS; i++) {
        if (portal->device[i].open && portal->device[i].vf == index) {
            return STATUS_CONFLICT;
        }
    }
    return index < r->info.vfs ? portal_open(portal, channel, (uint32_t)index, (uint32_t)driver)
                               : STATUS_NOT_FOUND;
}

/* The channel that word 1 names. */
static enum status find_channel(struct portal *portal, struct request *r, bool open,
                                unsigned *channel)
{
    uint64_t value = 0;
    enum status status = numbers(r, 1, 1, &value);

    if (status == STATUS_OK && (value == 0 || value >= PORTAL_CHANNELS)) {
        status = STATUS_RANGE;
    }
    *channel = (unsigned)value;
    if (status == STATUS_OK && portal->device[*channel].open != open) {
        status = open ? STATUS_NOT_FOUND : STATUS_CONFLICT;
    }
    return status;
}

static enum status open_channel(struct portal *portal, struct request *r)
{
    bool whole = strcmp(r->word[2], "vm") == 0;
    unsigned channel;
    enum status status = find_channel(portal, r, false, &channel);

    if (status == STATUS_OK && !whole && strcmp(r->word[2], "vf") != 0) {
        status = fail(r, STATUS_INVALID, "'vm' or 'vf' is wanted");
    }
    if (status == STATUS_OK) {
        status = find_vm(r, 3);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return whole ? open_vm(portal, r, channel) : open_vf(portal, r, channel);
}

static enum status close_channel(struct portal *portal, struct request *r)
{
    unsigned channel = 0;
    enum status status = portal->closing ? STATUS_OK : find_channel(portal, r, true, &channel);

    if (status != STATUS_OK) {
        return status;
    }
    if (!portal->closing && portal->device[channel].vf != PORTAL_WHOLE) {
        return portal_close_vf(&portal->device[channel]);
    }
    portal->closing = !portal_close_move(portal);
    return portal->closing ? STATUS_AGAIN : STATUS_OK;
}

/* ---- The window ---- */

static bool is_of_pages(const uint64_t *value, unsigned count)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < count; i++) {
        all |= value[i];
    }
    return all % PAGE_SIZE == 0;
}

static enum status show(struct portal *portal, struct request *r)
{
    enum { ADDRESS, BYTES, OFFSET, COUNT };
    const struct portal_move *move = &portal->move;
    uint64_t v[COUNT];
    unsigned channel;
    enum status status = find_channel(portal, r, true, &channel);

    if (status == STATUS_OK) {
        status = numbers(r, 2, COUNT, v);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (portal->device[channel].vf != PORTAL_WHOLE || !is_of_pages(v, COUNT) || v[BYTES] == 0) {
        return STATUS_INVALID;
    }
    if (!range_fits(v[OFFSET], v[BYTES], PORTAL_WINDOW) ||
        portal_edge_ram(move->vm, v[ADDRESS], (uint32_t)v[BYTES]) == NULL) {
        return STATUS_RANGE;
    }
    if (move->ready || move->runs || (move->ordered && move->order == VM_MOVE_LOAD)) {
        return STATUS_STATE;
    }
    return portal_edge_show(move->vm, v[ADDRESS], v[BYTES], v[OFFSET], move->side == PORTAL_TARGET);
}

static enum status hide(struct portal *portal, struct request *r)
{
    uint64_t v[2];
    enum status status = numbers(r, 1, 2, v);

    if (status == STATUS_OK && !is_of_pages(v, 2)) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK && !range_fits(v[0], v[1], PORTAL_WINDOW)) {
        status = STATUS_RANGE;
    }
    if (status == STATUS_OK && v[1] != 0) {
        portal_edge_hide(v[0], v[1]);
    }
    return status;
}

/* ---- Lines ---- */

/* The request, words at least, and words at most: the last is what is left of the line. OF_VM: word
 * 1 names the VM. */
static const struct {
    const char *name;
    uint8_t least, most;
    bool of_vm;
    uint8_t command; /* of command(): enum portal_command */
    enum status (*run)(struct portal *portal, struct request *r);
} requests[] = {
    {"hello",     1, 1, false, 0,                hello        },
    {"vm",        2, 2, false, 0,                vm           },
    {"vf",        3, 3, true,  0,                vf           },
    {"pause",     2, 2, true,  PORTAL_PAUSE,     command      },
    {"resume",    2, 2, true,  PORTAL_RESUME,    command      },
    {"reset",     2, 2, true,  PORTAL_RESET,     command      },
    {"powerdown", 2, 2, true,  PORTAL_POWERDOWN, command      },
    {"start",     2, 2, true,  PORTAL_START,     command      },
    {"stop",      2, 2, true,  PORTAL_STOP,      command      },
    {"incoming",  2, 2, true,  PORTAL_AWAIT,     command      },
    {"open",      4, 5, false, 0,                open_channel },
    {"close",     2, 2, false, 0,                close_channel},
    {"show",      5, 5, false, 0,                show         },
    {"hide",      3, 3, false, 0,                hide         },
    {"handover",  2, 2, true,  0,                handover     },
    {"confirm",   2, 2, true,  0,                confirm      },
    {"progress",  3, 3, true,  0,                progress     },
};

/* One space between words. */
static void cut(char *text, unsigned most, struct request *r)
{
    for (r->count = 0; text != NULL && r->count < most;) {
        r->word[r->count++] = text;
        text = r->count < most ? strchr(text, ' ') : NULL;
        if (text != NULL) {
            *text++ = '\0';
        }
    }
}

static enum status run(struct portal *portal, struct request *r)
{
    char *words = portal->words;
    unsigned i = 0;
    size_t size;

    for (; i < ARRAY_SIZE(requests); i++) {
        size = strlen(requests[i].name);
        if (strncmp(words, requests[i].name, size) == 0 &&
            (words[size] == ' ' || words[size] == '\0')) {
            break;
        }
    }
    if (i == ARRAY_SIZE(requests)) {
        return fail(r, STATUS_UNSUPPORTED, "there is no such request");
    }
    cut(words, requests[i].most, r);
    if (r->count < requests[i].least) {
        return fail(r, STATUS_INVALID, "words are missing");
    }
    enum status status = requests[i].of_vm ? find_vm(r, 1) : STATUS_OK;

    r->command = (enum portal_command)requests[i].command;
    return status == STATUS_OK ? requests[i].run(portal, r) : status;
}

static bool is_text(const struct portal *portal)
{
    for (uint32_t i = 0; i < portal->length; i++) {
        if (portal->line[i] < ' ' || portal->line[i] > '~') {
            return false;
        }
    }
    return true;
}

static void answer(struct portal *portal, struct request *r, enum status status)
{
    char line[PORTAL_LINE_MAX + 1], name[FIELD_MAX];
    int length;

    if (status == STATUS_OK) {
        length = format(line, sizeof(line), "ok%s", r->text);
    } else {
        (void)format(name, sizeof(name), "%s", status_name(status));
        for (char *at = name; *at != '\0'; at++) {
            if (*at == ' ') {
                *at = '-';
            }
        }
        length = format(line, sizeof(line), "error %s %s", name,
                        r->why != NULL ? r->why : status_name(status));
    }
    portal_send(portal, 0, (const uint8_t *)line, (uint32_t)length);
}

bool portal_control(struct portal *portal)
{
    struct request r = {.count = 0};
    enum status status;

    memcpy(portal->words, portal->line, sizeof(portal->words));
    status = is_text(portal) ? run(portal, &r) : STATUS_INVALID;
    if (status == STATUS_AGAIN) {
        return false;
    }
    answer(portal, &r, status);
    return true;
}
