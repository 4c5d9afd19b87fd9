/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM that is being moved: states of its device and of its VFs', and the orders that bring it
 * from one to another. Whoever goes away, here is decided who runs: docs/portal.md.
 */
#include "vmm/portal/portal_internal.h"

#include "vmm/base/log.h"
#include "vmm/vfio_user/vfio_user_edge.h"

#include <string.h>

/* ---- Orders ---- */

/* What is so from now on. */
static void order_ended(struct portal_move *move, enum status status)
{
    move->ordered = false;
    if (status != STATUS_OK) {
        return;
    }
    switch (move->order) {
    case VM_MOVE_TRACK:
    case VM_MOVE_UNTRACK:
        move->tracked = move->order == VM_MOVE_TRACK;
        break;
    case VM_MOVE_STOP:
    case VM_MOVE_GO_ON:
        move->stopped = move->order == VM_MOVE_STOP;
        move->drained = false;
        move->taken = 0;
        break;
    case VM_MOVE_REPORT:
        move->drained = move->stopped;
        break;
    case VM_MOVE_LOAD:
        move->ready = true;
        break;
    case VM_MOVE_RUN:
        move->runs = true;
        break;
    default:
        break;
    }
}

static enum status carry_out(struct portal_move *move, struct portal_channel *by,
                             enum vm_move_order order, uint32_t vf)
{
    enum status status;

    if (!move->ordered) {
        status = vm_move_begin(move->moved, order, vf);
        if (status != STATUS_OK) {
            return status;
        }
        move->ordered = true;
        move->order = (uint8_t)order;
        move->by = by;
    }
    if (!vm_move_done(move->moved, &status)) {
        return STATUS_AGAIN;
    }
    if (move->by != by || move->order != order) { /* it waits for its own answer */
        return STATUS_AGAIN;
    }
    order_ended(move, status);
    return status;
}

enum status portal_carry_out(struct portal_channel *channel, enum vm_move_order order)
{
    return carry_out(&channel->portal->move, channel, order, channel->vf);
}

/* ---- States ---- */

static bool is_whole(const struct portal_channel *channel)
{
    return channel->vf == PORTAL_WHOLE;
}

static uint32_t get_state(const struct portal_channel *channel)
{
    const struct portal_move *move = &channel->portal->move;
    bool runs = move->side == PORTAL_SOURCE ? !move->stopped : move->runs;

    return runs && !is_whole(channel) ? BIT_RUNNING : channel->state;
}

/* After its data have been read or taken, or will not be. */
static void forget_data(struct portal_channel *channel)
{
    if (channel->saved || channel->state == BIT_RESUMING) {
        vm_move_data_clear(channel->portal->move.moved, channel->vf);
    }
    channel->saved = false;
    channel->read = 0;
}

/* The VFs begin anew when the VM has gone on. */
static void forget_vfs(struct portal *portal)
{
    for (unsigned i = 1; i < PORTAL_CHANNELS; i++) {
        struct portal_channel *channel = &portal->device[i];

        if (channel->open && !is_whole(channel)) {
            forget_data(channel);
            channel->state = 0;
        }
    }
}

/* The order by which the VM goes from one state to another; VM_MOVE_NONE: none is needed. */
struct way {
    uint8_t side;
    uint8_t from, to;
    uint8_t order;
};

static const struct way vm_ways[] = {
    {PORTAL_SOURCE, BIT_RUNNING,              BIT_RUNNING | BIT_SAVING, VM_MOVE_NONE },
    {PORTAL_SOURCE, BIT_RUNNING | BIT_SAVING, BIT_RUNNING,              VM_MOVE_NONE },
    {PORTAL_SOURCE, BIT_RUNNING,              BIT_SAVING,               VM_MOVE_STOP },
    {PORTAL_SOURCE, BIT_RUNNING | BIT_SAVING, BIT_SAVING,               VM_MOVE_STOP },
    {PORTAL_SOURCE, BIT_SAVING,               0,                        VM_MOVE_NONE },
    {PORTAL_SOURCE, 0,                        BIT_SAVING,               VM_MOVE_NONE },
    {PORTAL_SOURCE, BIT_SAVING,               BIT_RUNNING,              VM_MOVE_GO_ON},
    {PORTAL_SOURCE, 0,                        BIT_RUNNING,              VM_MOVE_GO_ON},
    {PORTAL_TARGET, 0,                        BIT_RESUMING,             VM_MOVE_NONE },
    {PORTAL_TARGET, BIT_RESUMING,             0,                        VM_MOVE_LOAD },
    {PORTAL_TARGET, 0,                        BIT_RUNNING,              VM_MOVE_RUN  },
};

static const struct way vf_ways[] = {
    {PORTAL_SOURCE, 0,            BIT_SAVING,   VM_MOVE_SAVE_VF},
    {PORTAL_SOURCE, BIT_SAVING,   0,            VM_MOVE_NONE   },
    {PORTAL_TARGET, 0,            BIT_RESUMING, VM_MOVE_NONE   },
    {PORTAL_TARGET, BIT_RESUMING, 0,            VM_MOVE_LOAD_VF},
};

static const struct way *find_way(const struct portal_channel *channel, uint32_t to)
{
    const struct portal_move *move = &channel->portal->move;
    const struct way *ways = is_whole(channel) ? vm_ways : vf_ways;
    unsigned count = is_whole(channel) ? ARRAY_SIZE(vm_ways) : ARRAY_SIZE(vf_ways);

    for (unsigned i = 0; i < count; i++) {
        if (ways[i].side == (uint8_t)move->side && ways[i].from == get_state(channel) &&
            ways[i].to == to) {
            return &ways[i];
        }
    }
    return NULL;
}

/* A target is loaded once, and runs when it is; VFs' states count for one that is not. */
static bool way_is_open(const struct portal_channel *channel, const struct way *way)
{
    const struct portal_move *move = &channel->portal->move;

    if (move->side == PORTAL_SOURCE) {
        return !move->handed_over;
    }
    return way->order == VM_MOVE_RUN ? move->ready && !move->runs : !move->ready;
}

/* What it shows could be changed after it was checked. */
static void before(struct portal_channel *channel, const struct way *way)
{
    if (way->order == VM_MOVE_LOAD && !channel->portal->move.ordered) {
        portal_edge_hide(0, PORTAL_WINDOW);
    }
    if (way->order == VM_MOVE_NONE && (way->to == BIT_RESUMING || way->from == BIT_SAVING) &&
        !(is_whole(channel) && way->from == BIT_SAVING)) {
        forget_data(channel);
    }
}

static void after(struct portal_channel *channel, const struct way *way)
{
    channel->state = way->to;
    if (way->order == VM_MOVE_STOP || way->order == VM_MOVE_SAVE_VF) {
        channel->saved = true;
        channel->read = 0;
    }
    if (way->order == VM_MOVE_GO_ON) {
        channel->saved = false;
        forget_vfs(channel->portal);
    }
}

uint32_t vfio_user_edge_state(struct vfio_user *server)
{
    return get_state(channel_of(server));
}

enum status vfio_user_edge_set_state(struct vfio_user *server, uint32_t state)
{
    struct portal_channel *channel = channel_of(server);
    const struct way *way = find_way(channel, state);
    enum status status = STATUS_OK;

    if (get_state(channel) == state) {
        return STATUS_OK;
    }
    if (way == NULL || !way_is_open(channel, way)) {
        return STATUS_STATE;
    }
    before(channel, way);
    if (way->order != VM_MOVE_NONE) {
        status = portal_carry_out(channel, (enum vm_move_order)way->order);
    }
    if (status == STATUS_OK) {
        after(channel, way);
    } else if (status != STATUS_AGAIN && way->order == VM_MOVE_LOAD) {
        channel->state = BITS_ERROR; /* half of it is there: only to be discarded */
    }
    return status;
}

/* ---- Data ---- */

static uint32_t mark_of(const struct portal_channel *channel)
{
    return is_whole(channel) ? PORTAL_TAKEN_WHOLE : 1U << channel->vf;
}

/* What is not read yet, LEFT bytes; 0: there is nothing, or the VM has just stopped. */
static const uint8_t *find_data(const struct portal_channel *channel, uint32_t *left)
{
    uint32_t size = 0;
    const uint8_t *data =
        channel->saved ? vm_move_data(channel->portal->move.moved, channel->vf, &size) : NULL;

    *left = data != NULL && size > channel->read ? size - channel->read : 0;
    return *left != 0 ? data + channel->read : NULL;
}

/* While the VM runs nothing of its state can be read. */
uint64_t vfio_user_edge_pending(struct vfio_user *server)
{
    uint32_t left;

    (void)find_data(channel_of(server), &left);
    return left;
}

enum status vfio_user_edge_save(struct vfio_user *server, uint8_t *data, uint32_t *size)
{
    struct portal_channel *channel = channel_of(server);
    struct portal_move *move = &channel->portal->move;
    uint32_t left;
    const uint8_t *from = find_data(channel, &left);

    if (left == 0) {
        *size = 0;
        return STATUS_OK;
    }
    *size = *size < left ? *size : left;
    memcpy(data, from, *size);
    channel->read += *size;
    if (*size == left) {
        move->taken |= mark_of(channel);
    }
    return STATUS_OK;
}

enum status vfio_user_edge_load(struct vfio_user *server, const uint8_t *data, uint32_t size)
{
    const struct portal_channel *channel = channel_of(server);

    return vm_move_data_add(channel->portal->move.moved, channel->vf, data, size);
}

/* ---- The end ---- */

enum status portal_hand_over(struct portal *portal, unsigned vm)
{
    struct portal_move *move = &portal->move;
    struct portal_vm info;
    enum status status;

    if (!move->open || move->vm != vm || move->side != PORTAL_SOURCE || !move->stopped ||
        move->handed_over || move->ordered || !portal_edge_vm(vm, &info) ||
        move->taken != (((1U << info.vfs) - 1) | PORTAL_TAKEN_WHOLE)) {
        return STATUS_STATE;
    }
    status = vm_move_hand_over(move->moved);
    move->handed_over = status == STATUS_OK;
    return status;
}

enum status portal_close_vf(struct portal_channel *channel)
{
    struct portal_move *move = &channel->portal->move;
    enum status status;

    if (move->ordered && move->by == channel) {
        if (!vm_move_done(move->moved, &status)) {
            return STATUS_AGAIN;
        }
        order_ended(move, status);
        channel->saved = move->order == VM_MOVE_SAVE_VF;
    }
    forget_data(channel);
    portal_close(channel);
    return STATUS_OK;
}

/* What is still to be done, so that exactly one runs; VM_MOVE_NONE: nothing. */
static enum vm_move_order next_undoing(const struct portal_move *move)
{
    if (move->side == PORTAL_TARGET) {
        return move->ready || move->runs ? VM_MOVE_NONE : VM_MOVE_DISCARD;
    }
    if (move->handed_over) {
        return VM_MOVE_NONE;
    }
    return move->stopped ? VM_MOVE_GO_ON : move->tracked ? VM_MOVE_UNTRACK : VM_MOVE_NONE;
}

/* False: not all of it is done yet. A VM that does not take an order was stopped by others. */
static bool undo(struct portal_move *move)
{
    for (unsigned i = 0; i < 2; i++) { /* GO_ON, then UNTRACK */
        enum vm_move_order order = next_undoing(move);

        if (order == VM_MOVE_NONE) {
            return true;
        }
        enum status status = carry_out(move, NULL, order, 0);

        if (status == STATUS_AGAIN) {
            return false;
        }
        if (status != STATUS_OK) {
            log_warn("portal: a move was given up, but the VM cannot %s: %s",
                     order == VM_MOVE_DISCARD ? "be made anew" : "go on as before",
                     status_name(status));
            return true;
        }
        if (order == VM_MOVE_DISCARD) {
            return true;
        }
    }
    return true;
}

bool portal_close_move(struct portal *portal)
{
    struct portal_move *move = &portal->move;
    enum status status;

    if (!move->open) {
        return true;
    }
    if (move->ordered && move->by != NULL) { /* nobody waits for it any more */
        if (!vm_move_done(move->moved, &status)) {
            return false;
        }
        order_ended(move, status);
    }
    portal_edge_hide(0, PORTAL_WINDOW);
    if (!undo(move)) {
        return false;
    }
    for (unsigned i = 1; i < PORTAL_CHANNELS; i++) {
        if (portal->device[i].open) {
            forget_data(&portal->device[i]);
            portal_close(&portal->device[i]);
        }
    }
    portal_edge_expose(move->vm, false);
    *move = (struct portal_move){.open = false};
    return true;
}
