/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/msr_table.h"

#include "vmm/host/msr.h"
#include "vmm/vm/cpu_state.h"

#define MTRR_CAP      0x0508U /* 8 variable ranges, fixed ranges, write-combining */
#define MISC_ENABLE   0x1801U /* fast strings; no BTS, no PEBS */
#define HWCR_TSC_FREQ (1ULL << 24)
#define VM_CR_OFF     (VM_CR_SVMDIS | VM_CR_LOCK)

#define KEPT(member) (offsetof(struct cpu_state, member) / sizeof(uint64_t))

const struct msr_row msr_rows[] = {
    {0x00000010, 0x00000010, MSR_KIND_TSC,           KEPT(tsc_offset),             0,             "TSC"            },
    {0x00000017, 0x00000017, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "PLATFORM_ID"    },
    {0x0000001b, 0x0000001b, MSR_KIND_PLATFORM,      MSR_NOT_KEPT,                 0,             "APIC_BASE"      },
    {0x00000049, 0x00000049, MSR_KIND_IBPB,          MSR_NOT_KEPT,                 0,             "PRED_CMD"       },
    {0x0000008b, 0x0000008b, MSR_KIND_HOST,          MSR_NOT_KEPT,                 0,             "PATCH_LEVEL"    },
    {0x000000fe, 0x000000fe, MSR_KIND_FIXED,         MSR_NOT_KEPT,                 MTRR_CAP,      "MTRRCAP"        },
    {0x00000174, 0x00000174, MSR_KIND_PASSED,        KEPT(sysenter_cs),            0,             "SYSENTER_CS"    },
    {0x00000175, 0x00000175, MSR_KIND_PASSED,        KEPT(sysenter_esp),           0,             "SYSENTER_ESP"   },
    {0x00000176, 0x00000176, MSR_KIND_PASSED,        KEPT(sysenter_eip),           0,             "SYSENTER_EIP"   },
    {0x00000179, 0x00000179, MSR_KIND_FIXED,         MSR_NOT_KEPT,                 0,             "MCG_CAP"        },
    {0x0000017a, 0x0000017a, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "MCG_STATUS"     },
    {0x000001a0, 0x000001a0, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 MISC_ENABLE,   "MISC_ENABLE"    },
    {0x000001d9, 0x000001d9, MSR_KIND_DEBUGCTL,      KEPT(model.debugctl),         0,             "DEBUGCTL"       },
    {0x000001db, 0x000001de, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "LASTBRANCH"     },
    {0x00000200, 0x0000020f, MSR_KIND_MTRR_VARIABLE, KEPT(model.mtrr_variable),    0,             "MTRR_VARIABLE"  },
    {0x00000250, 0x00000250, MSR_KIND_MTRR_FIXED,    KEPT(model.mtrr_fixed[0]),    0,             "MTRR_FIX64K"    },
    {0x00000258, 0x00000259, MSR_KIND_MTRR_FIXED,    KEPT(model.mtrr_fixed[1]),    0,             "MTRR_FIX16K"    },
    {0x00000268, 0x0000026f, MSR_KIND_MTRR_FIXED,    KEPT(model.mtrr_fixed[3]),    0,             "MTRR_FIX4K"     },
    {0x00000277, 0x00000277, MSR_KIND_PAT,           KEPT(pat),                    0,             "PAT"            },
    {0x000002ff, 0x000002ff, MSR_KIND_MTRR_DEFAULT,  KEPT(model.mtrr_default),     0,             "MTRR_DEF_TYPE"  },
    {0x000006e0, 0x000006e0, MSR_KIND_PLATFORM,      MSR_NOT_KEPT,                 0,             "TSC_DEADLINE"   },
    {0x00000800, 0x000008ff, MSR_KIND_PLATFORM,      MSR_NOT_KEPT,                 0,             "X2APIC"         },
    {0xc0000080, 0xc0000080, MSR_KIND_EFER,          KEPT(efer),                   0,             "EFER"           },
    {0xc0000081, 0xc0000081, MSR_KIND_PASSED,        KEPT(star),                   0,             "STAR"           },
    {0xc0000082, 0xc0000082, MSR_KIND_PASSED,        KEPT(lstar),                  0,             "LSTAR"          },
    {0xc0000083, 0xc0000083, MSR_KIND_PASSED,        KEPT(cstar),                  0,             "CSTAR"          },
    {0xc0000084, 0xc0000084, MSR_KIND_PASSED,        KEPT(sfmask),                 0,             "SFMASK"         },
    {0xc0000100, 0xc0000100, MSR_KIND_PASSED,        KEPT(segment[STATE_FS].base), 0,             "FS_BASE"        },
    {0xc0000101, 0xc0000101, MSR_KIND_PASSED,        KEPT(segment[STATE_GS].base), 0,             "GS_BASE"        },
    {0xc0000102, 0xc0000102, MSR_KIND_PASSED,        KEPT(kernel_gs_base),         0,             "KERNEL_GS_BASE" },
    {0xc0000103, 0xc0000103, MSR_KIND_TSC_AUX,       KEPT(model.tsc_aux),          0,             "TSC_AUX"        },
    {0xc0010000, 0xc0010007, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "PERF_COUNTERS"  },
    {0xc0010010, 0xc0010010, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "SYSCFG"         },
    {0xc0010015, 0xc0010015, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 HWCR_TSC_FREQ, "HWCR"           },
    {0xc001001a, 0xc001001a, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "TOP_MEM"        },
    {0xc001001d, 0xc001001d, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "TOP_MEM2"       },
    {0xc001001f, 0xc001001f, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "NB_CFG"         },
    {0xc0010055, 0xc0010055, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "INT_PENDING"    },
    {0xc0010058, 0xc0010058, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "MMCONFIG_BASE"  },
    {0xc0010061, 0xc0010063, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "PSTATE"         },
    {0xc0010112, 0xc0010113, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "SMM_MEMORY"     },
    {0xc0010114, 0xc0010114, MSR_KIND_FIXED,         MSR_NOT_KEPT,                 VM_CR_OFF,     "VM_CR"          },
    {0xc0010140, 0xc0010141, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "OSVW"           },
    {0xc0011005, 0xc0011005, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "FEATURES"       },
    {0xc0011020, 0xc0011023, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "LS_IC_DC_BU_CFG"},
    {0xc0011028, 0xc0011028, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "FP_CFG"         },
    {0xc0011029, 0xc0011029, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 DE_CFG_LFENCE, "DE_CFG"         },
    {0xc001102a, 0xc001102a, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "BU_CFG2"        },
    {0xc001102c, 0xc001102d, MSR_KIND_CONSTANT,      MSR_NOT_KEPT,                 0,             "EX_LS_CFG2"     },
};

const unsigned msr_row_count = ARRAY_SIZE(msr_rows);
