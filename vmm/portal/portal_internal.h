/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of vmm/portal share. */
#ifndef PORTOLAN_VMM_PORTAL_PORTAL_INTERNAL_H
#define PORTOLAN_VMM_PORTAL_PORTAL_INTERNAL_H

#include "vmm/portal/portal_edge.h"

#define PORTAL_TAKEN_WHOLE (1U << 31)

/* The four bits of a device's state. */
#define BIT_RUNNING  1U
#define BIT_SAVING   2U
#define BIT_RESUMING 4U
#define BITS_ERROR   (BIT_SAVING | BIT_RESUMING)

/* ---- portal.c ---- */

/* A frame of CHANNEL; there is room for it: portal_has_room(). */
void portal_send(struct portal *portal, unsigned channel, const uint8_t *bytes, uint32_t size);
bool portal_has_room(const struct portal *portal);

/* The service VM broke the rules: nothing more is done in this session. */
void portal_fail(struct portal *portal);

/* ---- portal_control.c ---- */

/* Carry out the line, and answer. False: it is not done yet, call again. */
bool portal_control(struct portal *portal);

/* ---- portal_events.c ---- */

/* Tell what has happened to VMs, and what the operator wishes, as far as there is room; or: what
 * has happened until now needs not be told. */
void portal_tell_events(struct portal *portal);
void portal_forget_events(struct portal *portal);

/* ---- portal_device.c ---- */

/* SERVER is a channel's. */
static inline struct portal_channel *channel_of(struct vfio_user *server)
{
    return (struct portal_channel *)((uintptr_t)server - offsetof(struct portal_channel, server));
}

/* Let CHANNEL, which is not open, serve VF of the VM that is being moved, or the VM. */
enum status portal_open(struct portal *portal, unsigned channel, uint32_t vf, uint32_t driver);
void portal_close(struct portal_channel *channel);

/* ---- portal_move.c ---- */

/*
 * Let CHANNEL's order be carried out. AGAIN: it is not done yet, ask the same again. Others' orders
 * go first if they were before.
 */
enum status portal_carry_out(struct portal_channel *channel, enum vm_move_order order);

/* STATE: not all of it is read. */
enum status portal_hand_over(struct portal *portal, unsigned vm);

/* Close the channel of a VF. AGAIN: its order has not ended. */
enum status portal_close_vf(struct portal_channel *channel);

/* Close the VM's channel, and all others. False: not done yet. */
bool portal_close_move(struct portal *portal);

#endif
