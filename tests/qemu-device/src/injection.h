/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PORTOLAN_INJECTION_H
#define PORTOLAN_INJECTION_H

#include "qemu/osdep.h"
#include "qemu/qemu-plugin.h"

/* From now on, deliver each interrupt of EVENTINJ once.  Costs some speed. */
void injection_mend(qemu_plugin_id_t id);

#endif
