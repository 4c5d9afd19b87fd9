/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of VM entries that tests go by: each names itself when it alone is broken. */
#include "tests/simvf/entry_check.h"
#include "tests/unit/vmx/fake_vmcs.h"
#include "vmm/vmx/vmx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CODE_64   0xa09bU
#define DATA      0xc093U
#define BUSY_TSS  0x8bU
#define UNUSABLE  0x10000U
#define NOT_CANON 0x800000000000ULL
#define VALID     0x80000000U

const struct vmx_fixed *vmx_fixed(unsigned index)
{
    static const struct vmx_fixed fixed[] = {
        {0x80000021, UINT32_MAX},
        {0x2000,     0x3767ff  }
    };

    return &fixed[index];
}

struct write {
    uint16_t field;
    uint64_t value;
};

static void apply(const struct write *writes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fake_vmcs[writes[i].field] = writes[i].value;
    }
}

/* A guest in 64-bit mode, with APICv. */
static void make_good(void)
{
    static const struct write good[] = {
        {VMCS_PIN_CONTROLS,       0x29               },
        {VMCS_PRIMARY_CONTROLS,   1U << 21 | 1U << 31},
        {VMCS_SECONDARY_CONTROLS, 0x323              },
        {VMCS_VPID,               1                  },
        {VMCS_EPT_POINTER,        0x1234001e         },
        {VMCS_ENTRY_CONTROLS,     1U << 9            },
        {VMCS_HOST_CR0,           0x80000031         },
        {VMCS_HOST_CR4,           0x26a0             },
        {VMCS_HOST_PAT,           0x70406            },
        {VMCS_HOST_EFER,          0xd00              },
        {VMCS_HOST_CS,            8                  },
        {VMCS_HOST_TR,            0x18               },
        {VMCS_CR0,                0x80000031         },
        {VMCS_CR4,                0x2020             },
        {VMCS_EFER,               0xd01              },
        {VMCS_PAT,                0x70406            },
        {VMCS_RFLAGS,             2                  },
        {VMCS_LINK_POINTER,       UINT64_MAX         },
        {VMCS_RIGHTS + 2,         CODE_64            },
        {VMCS_RIGHTS + 14,        BUSY_TSS           },
        {VMCS_RIGHTS + 12,        UNUSABLE           },
    };

    fake_vmcs_fill(0);
    apply(good, sizeof(good) / sizeof(good[0]));
    for (unsigned i = 0; i < 6; i++) {
        if (i != 1) {
            fake_vmcs[VMCS_RIGHTS + 2 * i] = DATA;
            fake_vmcs[VMCS_LIMITS + 2 * i] = UINT32_MAX;
        }
    }
    fake_vmcs[VMCS_LIMITS + 2] = UINT32_MAX;
}

/* clang-format off */
static const struct {
    struct write write[2];
    const char *vmcs, *guest; /* how the message begins; NULL: there is none */
} cases[] = {
    {{{VMCS_CR3_TARGETS, 1}}, "27.2.1.1: CR3 targets", NULL},
    {{{VMCS_MSR_BITMAP, 0x1001}}, "27.2.1.1: MSR bitmap", NULL},
    {{{VMCS_PRIMARY_CONTROLS, VALID}}, "27.2.1.1: APICv without", NULL},
    {{{VMCS_VIRTUAL_APIC, 8}}, "27.2.1.1: virtual-APIC", NULL},
    {{{VMCS_PIN_CONTROLS, 0x21}}, "27.2.1.1: virtual NMIs", NULL},
    {{{VMCS_PIN_CONTROLS, 9}, {VMCS_PRIMARY_CONTROLS, 1U << 21 | 1U << 22}}, "27.2.1.1: NMI window", NULL},
    {{{VMCS_APIC_ACCESS, 1}}, "27.2.1.1: APIC-access", NULL},
    {{{VMCS_PIN_CONTROLS, 0x28}}, "27.2.1.1: delivery", NULL},
    {{{VMCS_VPID, 0}}, "27.2.1.1: VPID", NULL},
    {{{VMCS_SECONDARY_CONTROLS, 1U << 25 | 0x323}, {VMCS_TSC_MULTIPLIER, 0}}, "27.2.1.1: TSC", NULL},
    {{{VMCS_SECONDARY_CONTROLS, 1U << 17 | 0x323}, {VMCS_LOG, 8}}, "27.2.1.1: PML's", NULL},
    {{{VMCS_SECONDARY_CONTROLS, 1U << 17 | 0x321}}, "27.2.1.1: PML without", NULL},
    {{{VMCS_EPT_POINTER, 0x12340016}}, "27.2.1.1: EPT", NULL},
    {{{VMCS_SECONDARY_CONTROLS, 0x22}, {VMCS_TPR_THRESHOLD, 16}}, "27.2.1.1: TPR threshold", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 1U << 8}}, "27.2.1.3: event type", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 2U << 8 | 3}}, "27.2.1.3: vector of an NMI", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 3U << 8 | 32}}, "27.2.1.3: vector of an exception", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 1U << 12 | 3U << 8}}, "27.2.1.3: event's", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 1U << 11 | 2U << 8 | 2}}, "27.2.1.3: error code", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 3U << 8 | 13}}, "27.2.1.3: error code", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 1U << 11 | 3U << 8 | 21}}, "27.2.1.3: error code", NULL},
    {{{VMCS_ENTRY_EVENT, VALID | 1U << 11 | 3U << 8 | 13}, {VMCS_ENTRY_ERROR, 0x10000}}, "27.2.1.3: error code's", NULL},
    {{{VMCS_HOST_CR0, 0x11}}, "27.2.2: host CR0", NULL},
    {{{VMCS_HOST_CR4, 0x6a0}}, "27.2.2: host CR4", NULL},
    {{{VMCS_HOST_CR3, 1ULL << 60}}, "27.2.2: host CR3", NULL},
    {{{VMCS_HOST_SYSENTER_EIP, NOT_CANON}}, "27.2.2: host SYSENTER", NULL},
    {{{VMCS_HOST_PAT, 2}}, "27.2.2: host PAT", NULL},
    {{{VMCS_HOST_EFER, 0x900}}, "27.2.2: host EFER", NULL},
    {{{VMCS_HOST_SS, 3}}, "27.2.3: host selector", NULL},
    {{{VMCS_HOST_TR, 0}}, "27.2.3: host CS or TR", NULL},
    {{{VMCS_HOST_GS_BASE, NOT_CANON}}, "27.2.3: host base", NULL},
    {{{VMCS_HOST_RIP, NOT_CANON}}, "27.2.4", NULL},
    {{{VMCS_CR0, 0x80000011}}, NULL, "27.3.1.1: CR0"},
    {{{VMCS_CR0, 0x80000030}}, NULL, "27.3.1.1: PG without PE"},
    {{{VMCS_CR4, 0x20}}, NULL, "27.3.1.1: CR4"},
    {{{VMCS_DEBUGCTL, 4}}, NULL, "27.3.1.1: DEBUGCTL"},
    {{{VMCS_CR4, 0x2000}}, NULL, "27.3.1.1: long mode"},
    {{{VMCS_CR3, 1ULL << 52}}, NULL, "27.3.1.1: CR3"},
    {{{VMCS_DR7, 1ULL << 32}}, NULL, "27.3.1.1: DR7"},
    {{{VMCS_SYSENTER_ESP, NOT_CANON}}, NULL, "27.3.1.1: SYSENTER"},
    {{{VMCS_PAT, 8ULL << 56}}, NULL, "27.3.1.1: PAT"},
    {{{VMCS_EFER, 0xd03}}, NULL, "27.3.1.1: EFER's"},
    {{{VMCS_EFER, 0x901}}, NULL, "27.3.1.1: EFER.LMA"},
    {{{VMCS_EFER, 0xc01}}, NULL, "27.3.1.1: EFER.LME"},
    {{{VMCS_BASES + 2, 1ULL << 32}}, NULL, "27.3.1.2: base of CS"},
    {{{VMCS_RIGHTS + 2, UNUSABLE}}, NULL, "27.3.1.2: CS unusable"},
    {{{VMCS_RIGHTS + 2, 0xa091}}, NULL, "27.3.1.2: type of CS"},
    {{{VMCS_RIGHTS + 2, 0xa0f3}}, NULL, "27.3.1.2: DPL of CS as data"},
    {{{VMCS_RIGHTS + 2, 0xa0fb}}, NULL, "27.3.1.2: DPL of CS"},
    {{{VMCS_RIGHTS + 2, 0xa0ff}}, NULL, "27.3.1.2: DPL of conforming CS"},
    {{{VMCS_RIGHTS + 2, 0xe09b}}, NULL, "27.3.1.2: L and D"},
    {{{VMCS_RIGHTS + 2, 0xa093}, {VMCS_RIGHTS + 4, 0xc0f3}}, NULL, "27.3.1.2: DPL of SS"},
    {{{VMCS_BASES + 6, 1ULL << 32}}, NULL, "27.3.1.2: base of a data"},
    {{{VMCS_BASES + 8, NOT_CANON}}, NULL, "27.3.1.2: base of FS"},
    {{{VMCS_RIGHTS + 6, 0xc013}}, NULL, "27.3.1.2: S or P"},
    {{{VMCS_RIGHTS + 6, 0xc193}}, NULL, "27.3.1.2: reserved"},
    {{{VMCS_RIGHTS + 6, 0x4093}}, NULL, "27.3.1.2: granularity"},
    {{{VMCS_RIGHTS, 0xc092}}, NULL, "27.3.1.2: not accessed"},
    {{{VMCS_RIGHTS, 0xc099}}, NULL, "27.3.1.2: unreadable"},
    {{{VMCS_RIGHTS + 4, 0xc091}}, NULL, "27.3.1.2: type of SS"},
    {{{VMCS_SELECTORS + 14, 4}}, NULL, "27.3.1.2: TR in"},
    {{{VMCS_RIGHTS + 14, 0x83}}, NULL, "27.3.1.2: type of TR"},
    {{{VMCS_RIGHTS + 14, UNUSABLE | BUSY_TSS}}, NULL, "27.3.1.2: rights of TR"},
    {{{VMCS_BASES + 14, NOT_CANON}}, NULL, "27.3.1.2: TR"},
    {{{VMCS_RIGHTS + 12, 0x8b}}, NULL, "27.3.1.2: rights of LDTR"},
    {{{VMCS_RIGHTS + 12, 0x82}, {VMCS_SELECTORS + 12, 4}}, NULL, "27.3.1.2: LDTR in"},
    {{{VMCS_RIGHTS + 12, 0x82}, {VMCS_LIMITS + 12, 1U << 20}}, NULL, "27.3.1.2: LDTR"},
    {{{VMCS_BASES + 16, NOT_CANON}}, NULL, "27.3.1.3"},
    {{{VMCS_LIMITS + 18, 0x10000}}, NULL, "27.3.1.3"},
    {{{VMCS_RIGHTS + 2, 0xc09b}, {VMCS_RIP, 1ULL << 32}}, NULL, "27.3.1.4: RIP"},
    {{{VMCS_RFLAGS, 0x8002}}, NULL, "27.3.1.4: RFLAGS"},
    {{{VMCS_RFLAGS, 0}}, NULL, "27.3.1.4: RFLAGS"},
    {{{VMCS_ENTRY_EVENT, VALID | 0x40}}, NULL, "27.3.1.4: interrupt"},
    {{{VMCS_ACTIVITY, 1}}, NULL, "27.3.1.5: activity"},
    {{{VMCS_INTERRUPTIBILITY, 3}}, NULL, "27.3.1.5: interruptibility"},
    {{{VMCS_INTERRUPTIBILITY, 1}}, NULL, "27.3.1.5: STI"},
    {{{VMCS_INTERRUPTIBILITY, 2}, {VMCS_ENTRY_EVENT, VALID | 2U << 8 | 2}}, NULL, "27.3.1.5: event"},
    {{{VMCS_INTERRUPTIBILITY, 8}, {VMCS_ENTRY_EVENT, VALID | 2U << 8 | 2}}, NULL, "27.3.1.5: NMI"},
    {{{VMCS_PENDING_DEBUG, 1U << 13}}, NULL, "27.3.1.5: pending"},
    {{{VMCS_INTERRUPTIBILITY, 2}, {VMCS_PENDING_DEBUG, 1U << 14}}, NULL, "27.3.1.5: BS"},
    {{{VMCS_LINK_POINTER, 0}}, NULL, "27.3.1.5: link"},
    {{{VMCS_ENTRY_EVENT, VALID | 3U << 8 | 6}, {VMCS_INTERRUPTIBILITY, 2}}, NULL, NULL},
    {{{VMCS_RFLAGS, 0x202}, {VMCS_ENTRY_EVENT, VALID | 0x40}}, NULL, NULL},
};
/* clang-format on */

static void expect(unsigned number, const char *rule, const char *wanted)
{
    if (wanted ? !rule || strncmp(rule, wanted, strlen(wanted)) != 0 : rule != NULL) {
        fail_msg("case %u: '%s', not '%s'", number, rule ? rule : "good", wanted ? wanted : "good");
    }
}

static void test_rules(void **state)
{
    make_good();
    expect(UINT32_MAX, entry_check_vmcs(), NULL);
    expect(UINT32_MAX, entry_check_guest(), NULL);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_good();
        apply(cases[i].write, cases[i].write[1].field ? 2 : 1);
        expect(i, entry_check_vmcs(), cases[i].vmcs);
        if (!cases[i].vmcs) {
            expect(i, entry_check_guest(), cases[i].guest);
        }
    }
}

/* Modes that have rules of their own. */
static void test_modes(void **state)
{
    static const struct write pae[] = {
        {VMCS_ENTRY_CONTROLS, 0     },
        {VMCS_EFER,           0     },
        {VMCS_RIGHTS + 2,     0xc09b},
        {VMCS_PDPTES + 4,     0x1007}
    };
    static const struct write v86[] = {
        {VMCS_ENTRY_CONTROLS, 0      },
        {VMCS_EFER,           0      },
        {VMCS_RFLAGS,         0x20002}
    };

    make_good();
    apply(pae, 4);
    expect(0, entry_check_guest(), "27.3.1.6");
    make_good();
    apply(v86, 3);
    expect(1, entry_check_guest(), "27.3.1.2: limit in virtual-8086");
    for (unsigned i = 0; i < 6; i++) {
        fake_vmcs[VMCS_LIMITS + 2 * i] = 0xffff;
        fake_vmcs[VMCS_RIGHTS + 2 * i] = 0xf3;
    }
    expect(2, entry_check_guest(), NULL);
    fake_vmcs[VMCS_SELECTORS + 6] = 1;
    expect(3, entry_check_guest(), "27.3.1.2: base in virtual-8086");
    fake_vmcs[VMCS_SELECTORS + 6] = 0;
    fake_vmcs[VMCS_RIGHTS + 6] = 0x93;
    expect(4, entry_check_guest(), "27.3.1.2: rights in virtual-8086");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_modes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
