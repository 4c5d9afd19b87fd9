/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/guards.h"

#include "vmm/base/log.h"
#include "vmm/base/types.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/msr.h"

#define LEAF_FEATURES 7U
#define EXTENDED      0x80000000U
#define LEAF_AMD_2    0x80000021U
#define MSR_ARCH      0x10aU
#define INTEL_EBX     0x756e6547U /* Genu */
#define AMD_EBX       0x68747541U /* Auth */
#define HYGON_EBX     0x6f677948U /* Hygo */

#define F(name) (1U << FACT_##name)

const struct guard_row guard_rows[] = {
    {"L1TF (INTEL-SA-00161)",  F(INTEL) | F(L1D_FLUSH),             F(RDCL_NO) | F(SKIP_L1DFL),                GUARD_FLUSH_L1 },
    {"L1TF (INTEL-SA-00161)",  F(INTEL),                            F(L1D_FLUSH) | F(RDCL_NO) | F(SKIP_L1DFL), GUARD_LACKS    },
    {"MDS (INTEL-SA-00233)",   F(INTEL) | F(MD_CLEAR),              F(MDS_NO),                                 GUARD_BUFFERS  },
    {"MDS (INTEL-SA-00233)",   F(INTEL),                            F(MD_CLEAR) | F(MDS_NO),                   GUARD_LACKS    },
    {"TAA (INTEL-SA-00270)",   F(INTEL) | F(MD_CLEAR) | F(RTM),     F(TAA_NO),                                 GUARD_BUFFERS  },
    {"SBDS (INTEL-SA-00615)",  F(INTEL) | F(FB_CLEAR),              F(SBDR_NO),                                GUARD_BUFFERS  },
    {"FBSDP (INTEL-SA-00615)", F(INTEL) | F(FB_CLEAR),              F(FBSDP_NO),                               GUARD_BUFFERS  },
    {"PSDP (INTEL-SA-00615)",  F(INTEL) | F(FB_CLEAR),              F(PSDP_NO),                                GUARD_BUFFERS  },
    {"RFDS (INTEL-SA-00898)",  F(INTEL) | F(RFDS_CLEAR),            F(RFDS_NO),                                GUARD_BUFFERS  },
    {"BTI (INTEL-SA-00088)",   F(INTEL) | F(IBRS_ALL),              0,                                         GUARD_IBRS     },
    {"BHI (INTEL-SA-00598)",   F(INTEL) | F(BHI_CTRL),              F(BHI_NO),                                 GUARD_BHI_DIS  },
    {"RSBU (INTEL-SA-00707)",  F(INTEL) | F(RRSBA) | F(RRSBA_CTRL), 0,                                         GUARD_RRSBA_DIS},
    {"BTI (AMD-SB-1036)",      F(AMD) | F(AUTO_IBRS),               0,                                         GUARD_AUTO_IBRS},
};

const unsigned guard_row_count = ARRAY_SIZE(guard_rows);

enum source { LEAF_7_EBX, LEAF_7_EDX, LEAF_7_2_EDX, AMD_2_EAX, ARCH, SOURCES };

static const struct {
    uint8_t fact, source, bit;
} places[] = {
    {FACT_RTM,        LEAF_7_EBX,   11},
    {FACT_MD_CLEAR,   LEAF_7_EDX,   10},
    {FACT_L1D_FLUSH,  LEAF_7_EDX,   28},
    {FACT_RRSBA_CTRL, LEAF_7_2_EDX, 2 },
    {FACT_BHI_CTRL,   LEAF_7_2_EDX, 4 },
    {FACT_AUTO_IBRS,  AMD_2_EAX,    8 },
    {FACT_RDCL_NO,    ARCH,         0 },
    {FACT_IBRS_ALL,   ARCH,         1 },
    {FACT_SKIP_L1DFL, ARCH,         3 },
    {FACT_MDS_NO,     ARCH,         5 },
    {FACT_TAA_NO,     ARCH,         8 },
    {FACT_SBDR_NO,    ARCH,         13},
    {FACT_FBSDP_NO,   ARCH,         14},
    {FACT_PSDP_NO,    ARCH,         15},
    {FACT_FB_CLEAR,   ARCH,         17},
    {FACT_RRSBA,      ARCH,         19},
    {FACT_BHI_NO,     ARCH,         20},
    {FACT_RFDS_NO,    ARCH,         27},
    {FACT_RFDS_CLEAR, ARCH,         28},
};

/* The facts of this CPU, bits 1 << FACT_... */
static uint32_t read_facts(void)
{
    struct cpuid vendor = cpuid_read(0, 0);
    uint64_t words[SOURCES] = {0};
    uint32_t facts = vendor.ebx == INTEL_EBX ? F(INTEL) : 0;

    facts |= vendor.ebx == AMD_EBX || vendor.ebx == HYGON_EBX ? F(AMD) : 0;
    if (vendor.eax >= LEAF_FEATURES) {
        struct cpuid features = cpuid_read(LEAF_FEATURES, 0);

        words[LEAF_7_EBX] = features.ebx;
        words[LEAF_7_EDX] = features.edx;
        words[LEAF_7_2_EDX] = features.eax >= 2 ? cpuid_read(LEAF_FEATURES, 2).edx : 0;
    }
    if (cpuid_read(EXTENDED, 0).eax >= LEAF_AMD_2) {
        words[AMD_2_EAX] = cpuid_read(LEAF_AMD_2, 0).eax;
    }
    (void)msr_read(MSR_ARCH, &words[ARCH]); /* 0: it has none */
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        facts |= (uint32_t)(words[places[i].source] >> places[i].bit & 1) << places[i].fact;
    }
    return facts;
}

static bool holds(const struct guard_row *row, uint32_t facts)
{
    return (row->need & ~facts) == 0 && (row->unless & facts) == 0;
}

uint32_t guards_choose(uint32_t facts)
{
    uint32_t actions = 0;

    for (unsigned i = 0; i < guard_row_count; i++) {
        actions |= holds(&guard_rows[i], facts) ? guard_rows[i].action : 0;
    }
    return actions & GUARD_FLUSH_L1 ? actions & ~(uint32_t)GUARD_BUFFERS : actions;
}

uint32_t guards_init(void)
{
    uint32_t facts = read_facts();

    for (unsigned i = 0; i < guard_row_count; i++) {
        if (guard_rows[i].action == GUARD_LACKS && holds(&guard_rows[i], facts)) {
            log_warn("CPU: nothing guards VMs against %s: update the firmware, which brings newer "
                     "microcode; what a core held a hostile VM may read",
                     guard_rows[i].name);
        }
    }
    return guards_choose(facts);
}
