/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's time as data, while it stands still: what goes into its stream (checkpoint.h). */
#ifndef PORTOLAN_VMM_VM_VM_CLOCK_H
#define PORTOLAN_VMM_VM_VM_CLOCK_H

#include "vmm/state/state.h"

struct vm_clock {
    uint64_t ns;     /* virtual time */
    uint64_t tsc;    /* ticks since then */
    uint64_t tsc_hz; /* 0: that of the host */
    uint8_t paused;  /* 1: by the operator, who has to resume it, on whatever host it is then */
};

extern const struct section clock_section;

#endif
