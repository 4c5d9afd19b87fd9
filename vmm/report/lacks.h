/* SPDX-License-Identifier: BSD-2-Clause */
/* What this machine lacks: CPU features by their table, and what else a VMM wants of a machine. */
#ifndef PORTOLAN_VMM_REPORT_LACKS_H
#define PORTOLAN_VMM_REPORT_LACKS_H

#include "vmm/report/facts.h"

enum lack_need {
    LACK_NEEDED,      /* stops the VMM */
    LACK_PASSTHROUGH, /* no device can be passed through */
    LACK_WANTED,      /* costs something */
    LACK_NEEDS
};

struct lack {
    const char *name;
    const char *remedy;
    enum lack_need need;
    bool feature; /* 'name' is the name of a CPU feature, else a sentence's worth */
};

/*
 * Step through what is missing, most grave first: start with '*cursor' 0; false at the end. Pure.
 */
bool lack_next(const struct platform_facts *facts, uint32_t *cursor, struct lack *lack);

#endif
