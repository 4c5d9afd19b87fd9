/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices: vmm/vfio_user/vfio_user_edge.h for a VM and for its VFs, but for their states. */
#include "vmm/portal/portal_internal.h"
#include "vmm/vfio_user/vfio_user_edge.h"

#include <string.h>

#define REGION_RAM  0U
#define REGION_TEXT 1U

#define WORD_PAGES   64U
#define WORD_BYTES   (WORD_PAGES * PAGE_SIZE) /* of RAM */
#define WORDS_A_TIME 64U

static struct portal_move *move_of(struct vfio_user *server)
{
    return &channel_of(server)->portal->move;
}

/* ---- Open and close ---- */

/* RAM of a VM is one region, of which only what lies at the sides of the hole is there. */
static void describe_ram(unsigned vm, struct vfio_user_region *region)
{
    struct vfio_user_area run;

    for (unsigned i = 0; portal_edge_run(vm, i, &run); i++) {
        struct vfio_user_area *last = &region->area[region->areas == 0 ? 0 : region->areas - 1];

        if (region->areas != 0 && last->offset + last->size == run.offset) {
            last->size += run.size;
        } else if (region->areas < VFIO_USER_AREAS_MAX) {
            region->area[region->areas++] = run;
        }
        region->size = run.offset + run.size;
    }
}

static void describe(struct portal_channel *channel, uint32_t text)
{
    struct vfio_user_function *f = &channel->function;

    *f = (struct vfio_user_function){.migrates = true};
    for (unsigned i = 0; i < VFIO_USER_PCI_REGIONS; i++) {
        f->region[i].handle = NO_HANDLE;
    }
    f->region[REGION_TEXT].size = text;
    if (channel->vf == PORTAL_WHOLE) {
        f->logs = true;
        describe_ram(channel->portal->move.vm, &f->region[REGION_RAM]);
    }
}

enum status portal_open(struct portal *portal, unsigned channel, uint32_t vf, uint32_t driver)
{
    struct portal_channel *c = &portal->device[channel];
    bool whole = vf == PORTAL_WHOLE;
    struct vfio_user_setup setup = {.function = &c->function,
                                    .data = whole ? PORTAL_DATA : PORTAL_VF_DATA,
                                    .input = whole ? portal->input : c->input,
                                    .output = portal->output};
    enum status status = portal_edge_text(portal->move.vm, vf, driver, portal->text);

    if (status != STATUS_OK) {
        return status;
    }
    c->vf = vf;
    c->driver = driver;
    c->state = whole && portal->move.side == PORTAL_SOURCE ? BIT_RUNNING : 0;
    c->saved = false;
    c->read = 0;
    describe(c, (uint32_t)strlen(portal->text));
    status = vfio_user_init(&c->server, &setup);
    c->open = status == STATUS_OK;
    return status;
}

void portal_close(struct portal_channel *channel)
{
    channel->open = false;
    vfio_user_disconnected(&channel->server);
}

/* ---- The transport ---- */

void vfio_user_edge_send(struct vfio_user *server, const uint8_t *bytes, uint32_t size,
                         const int *handle, uint32_t count)
{
    struct portal_channel *channel = channel_of(server);
    struct portal *portal = channel->portal;

    portal_send(portal, (unsigned)(channel - portal->device), bytes, size);
}

/* No handles pass. */
void vfio_user_edge_close(struct vfio_user *server, int handle) {}

/* ---- Regions ---- */

static enum status access_ram(struct vfio_user *server, uint64_t offset, uint8_t **ram,
                              uint32_t count)
{
    *ram = portal_edge_ram(move_of(server)->vm, offset, count);
    return *ram == NULL ? STATUS_INVALID : STATUS_OK;
}

enum status vfio_user_edge_read(struct vfio_user *server, uint32_t region, uint64_t offset,
                                uint8_t *data, uint32_t count)
{
    struct portal_channel *channel = channel_of(server);
    struct portal *portal = channel->portal;
    enum status status;

    if (region == REGION_RAM) {
        uint8_t *ram;

        status = portal->move.runs ? STATUS_STATE : access_ram(server, offset, &ram, count);
        if (status == STATUS_OK) {
            memcpy(data, ram, count);
        }
        return status;
    }
    /* Its length is that of the region; what a VF's text says may have changed. */
    memset(portal->text, 0, sizeof(portal->text));
    status = portal_edge_text(portal->move.vm, channel->vf, channel->driver, portal->text);
    if (status == STATUS_OK) {
        memcpy(data, portal->text + offset, count);
    }
    return status;
}

enum status vfio_user_edge_write(struct vfio_user *server, uint32_t region, uint64_t offset,
                                 const uint8_t *data, uint32_t count)
{
    uint8_t *ram;
    enum status status;

    if (region != REGION_RAM) {
        return STATUS_INVALID;
    }
    if (channel_of(server)->state != BIT_RESUMING) {
        return STATUS_STATE;
    }
    status = access_ram(server, offset, &ram, count);
    if (status == STATUS_OK) {
        memcpy(ram, data, count);
    }
    return status;
}

/* ---- The log: what was written to the VM's RAM, by whomever ---- */

static bool covers(const struct vfio_user_area *range, uint32_t count,
                   const struct vfio_user_area *run)
{
    for (uint32_t i = 0; i < count; i++) {
        if (range[i].offset <= run->offset &&
            run->offset + run->size - 1 <= range[i].offset + (range[i].size - 1)) {
            return true;
        }
    }
    return count == 0;
}

/* All RAM is noted, or nothing. */
enum status vfio_user_edge_log_start(struct vfio_user *server, uint64_t *page_size,
                                     const struct vfio_user_area *range, uint32_t count)
{
    const struct portal_move *move = move_of(server);
    const struct vfio_user_region *ram = &channel_of(server)->function.region[REGION_RAM];

    for (uint32_t i = 0; i < ram->areas; i++) {
        if (!covers(range, count, &ram->area[i])) {
            return STATUS_INVALID;
        }
    }
    *page_size = PAGE_SIZE;
    return move->side != PORTAL_SOURCE || move->tracked
               ? STATUS_STATE
               : portal_carry_out(channel_of(server), VM_MOVE_TRACK);
}

enum status vfio_user_edge_log_stop(struct vfio_user *server)
{
    struct portal_channel *channel = channel_of(server);

    /* Of one that is closed portal_close_move() has seen to it. */
    return !channel->open || !move_of(server)->tracked ? STATUS_STATE
                                                       : portal_carry_out(channel, VM_MOVE_UNTRACK);
}

enum status vfio_user_edge_log_report(struct vfio_user *server, const struct vfio_user_area *range,
                                      uint64_t page_size, uint8_t *bitmap)
{
    struct portal_channel *channel = channel_of(server);
    uint64_t words[WORDS_A_TIME], count = range->size / WORD_BYTES, done = 0;
    enum status status;

    /* A bit is given once: none may be lost in what was not asked for. */
    if (page_size != PAGE_SIZE || range->offset % WORD_BYTES != 0 ||
        range->size % WORD_BYTES != 0) {
        return STATUS_INVALID;
    }
    if (!channel->portal->move.tracked) {
        return STATUS_STATE;
    }
    /* Each time all their maps are read: of VFs that stand still once is enough, in the pause. */
    status = channel->portal->move.drained ? STATUS_OK : portal_carry_out(channel, VM_MOVE_REPORT);
    while (status == STATUS_OK && done < count) {
        uint32_t now = count - done < WORDS_A_TIME ? (uint32_t)(count - done) : WORDS_A_TIME;

        portal_edge_collect(channel->portal->move.vm, range->offset / PAGE_SIZE + done * WORD_PAGES,
                            now, words);
        memcpy(bitmap + done * sizeof(words[0]), words, now * sizeof(words[0]));
        done += now;
    }
    return status;
}
