/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PORTOLAN_POLL_H
#define PORTOLAN_POLL_H

#include "qemu/osdep.h"

/*
 * CPU INDEX is made: with MEND CPUs find what their local APIC has at once or
 * soon, with LOSE they are made to miss it now and then, as VMRUN makes them.
 */
void poll_handle(unsigned index, bool mend, bool lose);

#endif
