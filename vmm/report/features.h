/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the report is made of: the table of CPU features (where each is told, and what it means that
 * one is missing), the IOMMUs, and what the machine lacks. Private to vmm/report.
 */
#ifndef PORTOLAN_VMM_REPORT_FEATURES_H
#define PORTOLAN_VMM_REPORT_FEATURES_H

#include "vmm/report/report.h"

enum feature_need {
    FEATURE_NEEDED, /* without it the VMM cannot run a VM */
    FEATURE_WANTED  /* without it something costs more, or is not to be had */
};

enum feature_source { SOURCE_ECX, SOURCE_EDX, SOURCE_MSR };

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

/* LEAF of this CPU, or zeros when it has no such leaf (Intel's would give another one's data). */
struct cpuid report_leaf(uint32_t leaf);

/* How many of the lowest bits of an APIC id tell the threads of a core apart? */
uint32_t report_thread_bits(void);

/*
 * Read the capability registers of the IOMMUs that facts->acpi lists into FACTS. Maps them and
 * releases them again; switches nothing on. Boot CPU.
 */
void iommu_gather(struct platform_facts *facts);

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
};

/*
 * Step through what is missing, most grave first: start with '*cursor' 0; false at the end. Pure.
 */
bool lack_next(const struct platform_facts *facts, uint32_t *cursor, struct lack *lack);

/* Can the IOMMUs be relied on: there are some, each answers, and the firmware's table is whole? */
bool iommus_usable(const struct platform_facts *facts);

#endif
