/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PORTOLAN_INJECTION_H
#define PORTOLAN_INJECTION_H

#include "qemu/osdep.h"
#include "hw/core/cpu.h"

/* CPU INDEX is made: each interrupt of EVENTINJ is delivered once. */
void injection_mend(unsigned index);

/* Where in its CPUs' state QEMU has what it saves as NAME; 0: nowhere. */
size_t injection_offset(CPUClass *class, const char *name);

#endif
