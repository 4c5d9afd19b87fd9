/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that a block VF has taken and not given to its back end yet.
 */
#ifndef PORTOLAN_HOLD_H
#define PORTOLAN_HOLD_H

#include "compat.h"

struct Image;

void hold_init(PCIDevice *vf);

/* Requests of queue N that are held. */
unsigned hold_count(PCIDevice *vf, unsigned n);

/* Of them, those that a stop does not wait for. */
unsigned hold_stays(PCIDevice *vf, unsigned n);

/* Gives all to the back end. */
void hold_release(PCIDevice *vf);
/* The same if nothing says any more that they are to be held. */
void hold_follow(PCIDevice *vf);

/* The device is about to be reset, or gone. */
void hold_drop(PCIDevice *vf);
void hold_exit(PCIDevice *vf);

/* Lists them as in flight. */
void hold_list(PCIDevice *vf, struct Image *image);

#endif
