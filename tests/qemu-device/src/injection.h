/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PORTOLAN_INJECTION_H
#define PORTOLAN_INJECTION_H

#include "qemu/osdep.h"
#include "qemu/qemu-plugin.h"

/* Each interrupt of EVENTINJ is delivered once, by CPUs made from now on. */
void injection_mend(qemu_plugin_id_t id);

#endif
