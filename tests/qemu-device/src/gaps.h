/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PORTOLAN_GAPS_H
#define PORTOLAN_GAPS_H

#include "qemu/osdep.h"
#include "qemu/qemu-plugin.h"
#include "qom/object.h"

/* From now on all that CPUs execute is counted. */
void gaps_count(qemu_plugin_id_t id);
void gaps_cpu_made(unsigned index);

/* PFs of class OC get "cpu-gaps", for whoever asks by QMP; empty if nothing is counted. */
void gaps_add_property(ObjectClass *oc);

#endif
