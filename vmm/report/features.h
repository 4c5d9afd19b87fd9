/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of CPU features: where each is told, and what it means that one is missing. */
#ifndef PORTOLAN_VMM_REPORT_FEATURES_H
#define PORTOLAN_VMM_REPORT_FEATURES_H

#include "vmm/report/facts.h"

enum feature_need {
    FEATURE_NEEDED, /* without it the VMM cannot run a VM */
    FEATURE_WANTED  /* without it something costs more, or is not to be had */
};

enum feature_source { SOURCE_EAX, SOURCE_EBX, SOURCE_ECX, SOURCE_EDX, SOURCE_MSR };

struct feature {
    const char *name;
    const char *remedy; /* what the lack costs and what to do about it */
    uint32_t where;     /* CPUID leaf (subleaf 0), or MSR */
    uint8_t source;     /* enum feature_source */
    uint8_t bit;
    uint8_t vendor; /* enum cpu_vendor; OTHER: all */
    uint8_t need;   /* enum feature_need */
    uint8_t parent; /* enum feature_id: only looked for when that is there; itself: always */
};

extern const struct feature features[FEATURE_COUNT];

#endif
