/* SPDX-License-Identifier: BSD-2-Clause */
/* What VMX must and may offer: Intel SDM 3, sections 25.6 to 25.8, appendix A. */
#include "vmm/vmx/vmx.h"

const uint32_t vmx_word_msr[VMX_WORDS] = {
    [VMX_BASIC] = 0x480,     [VMX_EPT] = 0x48c,  [VMX_PIN] = 0x48d,   [VMX_PRIMARY] = 0x48e,
    [VMX_SECONDARY] = 0x48b, [VMX_EXIT] = 0x48f, [VMX_ENTRY] = 0x490,
};

#define EPT_GIANT_PAGES 17U
#define EPT_DIRTY       21U
#define EPT_INVEPT_ONE  25U

const struct vmx_row vmx_rows[] = {
    {VMX_BASIC,     55, VMX_REQUIRED, "true controls"             }, /* A.1 */
    {VMX_EPT,       6,  VMX_REQUIRED, "EPT of four levels"        }, /* A.10 */
    {VMX_EPT,       14, VMX_REQUIRED, "EPT write-back"            },
    {VMX_EPT,       16, VMX_REQUIRED, "EPT 2M pages"              },
    {VMX_EPT,       17, VMX_OPTIONAL, "EPT 1G pages"              },
    {VMX_EPT,       20, VMX_REQUIRED, "INVEPT"                    },
    {VMX_EPT,       21, VMX_OPTIONAL, "EPT dirty bits"            }, /* for PML */
    {VMX_EPT,       25, VMX_OPTIONAL, "INVEPT of one"             },
    {VMX_EPT,       26, VMX_REQUIRED, "INVEPT of all"             },
    {VMX_PIN,       0,  VMX_REQUIRED, "external-interrupt exiting"}, /* 25.6.1 */
    {VMX_PIN,       3,  VMX_REQUIRED, "NMI exiting"               },
    {VMX_PIN,       5,  VMX_REQUIRED, "virtual NMIs"              },
    {VMX_PRIMARY,   2,  VMX_SWITCHED, "interrupt-window exiting"  }, /* 25.6.2 */
    {VMX_PRIMARY,   3,  VMX_REQUIRED, "TSC offsetting"            },
    {VMX_PRIMARY,   7,  VMX_REQUIRED, "HLT exiting"               },
    {VMX_PRIMARY,   10, VMX_REQUIRED, "MWAIT exiting"             },
    {VMX_PRIMARY,   11, VMX_REQUIRED, "RDPMC exiting"             },
    {VMX_PRIMARY,   15, VMX_CLEAR,    "CR3 without load exiting"  },
    {VMX_PRIMARY,   16, VMX_CLEAR,    "CR3 without store exiting" },
    {VMX_PRIMARY,   19, VMX_SWITCHED, "CR8-load exiting"          },
    {VMX_PRIMARY,   20, VMX_CLEAR,    "CR8 without store exiting" },
    {VMX_PRIMARY,   21, VMX_REQUIRED, "TPR shadow"                },
    {VMX_PRIMARY,   22, VMX_SWITCHED, "NMI-window exiting"        },
    {VMX_PRIMARY,   24, VMX_REQUIRED, "unconditional I/O exiting" },
    {VMX_PRIMARY,   28, VMX_REQUIRED, "MSR bitmaps"               },
    {VMX_PRIMARY,   29, VMX_REQUIRED, "MONITOR exiting"           },
    {VMX_PRIMARY,   31, VMX_REQUIRED, "secondary controls"        },
    {VMX_SECONDARY, 0,  VMX_OPTIONAL, "APICv accesses"            }, /* with the next two, or not */
    {VMX_SECONDARY, 8,  VMX_OPTIONAL, "APICv registers"           },
    {VMX_SECONDARY, 9,  VMX_OPTIONAL, "APICv interrupts"          },
    {VMX_SECONDARY, 1,  VMX_REQUIRED, "EPT"                       },
    {VMX_SECONDARY, 3,  VMX_REQUIRED, "RDTSCP in VMs"             },
    {VMX_SECONDARY, 5,  VMX_OPTIONAL, "VPID"                      },
    {VMX_SECONDARY, 6,  VMX_OPTIONAL, "WBINVD exiting"            },
    {VMX_SECONDARY, 7,  VMX_REQUIRED, "unrestricted guest"        },
    {VMX_SECONDARY, 10, VMX_OPTIONAL, "PAUSE-loop exiting"        },
    {VMX_SECONDARY, 15, VMX_OPTIONAL, "ENCLS exiting"             },
    {VMX_SECONDARY, 17, VMX_OPTIONAL, "PML"                       }, /* with EPT's dirty bits */
    {VMX_SECONDARY, 25, VMX_OPTIONAL, "TSC scaling"               },
    {VMX_EXIT,      2,  VMX_REQUIRED, "saving of debug controls"  }, /* 25.7.1 */
    {VMX_EXIT,      9,  VMX_REQUIRED, "64-bit host"               },
    {VMX_EXIT,      19, VMX_REQUIRED, "exits that load PAT"       },
    {VMX_EXIT,      20, VMX_REQUIRED, "exits that save EFER"      },
    {VMX_EXIT,      21, VMX_REQUIRED, "exits that load EFER"      },
    {VMX_ENTRY,     2,  VMX_REQUIRED, "loading of debug controls" }, /* 25.8.1 */
    {VMX_ENTRY,     9,  VMX_SWITCHED, "64-bit guests"             },
    {VMX_ENTRY,     14, VMX_REQUIRED, "entries that load PAT"     },
    {VMX_ENTRY,     15, VMX_REQUIRED, "entries that load EFER"    },
};

const unsigned vmx_row_count = ARRAY_SIZE(vmx_rows);

/* Is what ROW wants to be had? */
static bool is_met(const struct vmx_row *row, uint64_t capability)
{
    if (row->need == VMX_CLEAR) {
        return !(capability >> row->bit & 1);
    }
    return capability >> (row->word < VMX_PIN ? row->bit : 32U + row->bit) & 1;
}

const char *vmx_choose(const uint64_t *capability, struct vmx_features *features)
{
    uint32_t *secondary = &features->control[VMX_SECONDARY];

    *features = (struct vmx_features){.invept_one = capability[VMX_EPT] >> EPT_INVEPT_ONE & 1};
    for (unsigned word = VMX_PIN; word < VMX_WORDS; word++) {
        features->control[word] = (uint32_t)capability[word];
    }
    for (unsigned i = 0; i < vmx_row_count; i++) {
        const struct vmx_row *row = &vmx_rows[i];
        bool met = is_met(row, capability[row->word]);

        if (!met && row->need != VMX_OPTIONAL) {
            return row->name;
        }
        if (met && row->word >= VMX_PIN &&
            (row->need == VMX_REQUIRED || row->need == VMX_OPTIONAL)) {
            features->control[row->word] |= 1U << row->bit;
        }
    }
    if (~*secondary & VMCS_SECONDARY_APIC) {
        *secondary &= ~VMCS_SECONDARY_APIC;
    }
    if (!(capability[VMX_EPT] >> EPT_DIRTY & 1)) {
        *secondary &= ~VMCS_SECONDARY_LOG;
    }
    features->offers = (struct backend_offers){
        .giant_pages = capability[VMX_EPT] >> EPT_GIANT_PAGES & 1,
        .serves_apic = *secondary & VMCS_SECONDARY_APIC_ACCESS,
        .logs_writes = *secondary & VMCS_SECONDARY_LOG,
    };
    if (*secondary & VMCS_SECONDARY_TSC_SCALING) {
        features->offers.tsc_ratio =
            (struct backend_ratio){64 - VMX_TSC_FRACTION, VMX_TSC_FRACTION};
    }
    return NULL;
}
