/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done against the side channels of CPUs of many kinds: the table, and where facts stand.
 */
#include "vmm/host/guards.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/vm/fake_cpu.h"
#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ARCH      0x10aU
#define MD_CLEAR  (1U << 10)
#define L1D_FLUSH (1U << 28)
#define HAS_ARCH  (1U << 29)
#define RTM       (1U << 11)
#define CTRL_ALL  (1U << 2 | 1U << 4) /* RRSBA_CTRL, BHI_CTRL */

/* As the vendor's lists of affected processors have them, with the microcode that they need. */
static const struct kind {
    const char *name;
    uint32_t ebx, edx, edx2; /* of leaf 7 and its subleaf 2 */
    uint64_t arch;
    uint32_t actions;
} kinds[] = {
    {"Skylake-SP",                         RTM, MD_CLEAR | L1D_FLUSH | HAS_ARCH, 0,        0x4,        GUARD_FLUSH_L1              },
    {"Skylake-SP's first microcode",       RTM, 0,                               0,        0,          GUARD_LACKS                 },
    {"Sandy Bridge, L1D_FLUSH only",       0,   L1D_FLUSH,                       0,        0,          GUARD_FLUSH_L1 | GUARD_LACKS},
    {"flushed by who is below us",         0,   MD_CLEAR | L1D_FLUSH | HAS_ARCH, 0,        0x8,        GUARD_BUFFERS               },
    {"Cascade Lake: TAA, FBSDP",           RTM, MD_CLEAR | L1D_FLUSH | HAS_ARCH, 0,        0x2002b,
     GUARD_BUFFERS | GUARD_IBRS                                                                                                    },
    {"Cascade Lake without TSX, FB_CLEAR", 0,   MD_CLEAR | L1D_FLUSH | HAS_ARCH, 0,        0x2b,       GUARD_IBRS                  },
    {"Sapphire Rapids",                    RTM, MD_CLEAR | L1D_FLUSH | HAS_ARCH, CTRL_ALL, 0x8e16b,
     GUARD_IBRS | GUARD_BHI_DIS | GUARD_RRSBA_DIS                                                                                  },
    {"Gracemont: RFDS",                    0,   MD_CLEAR | L1D_FLUSH | HAS_ARCH, CTRL_ALL, 0x1000e16b,
     GUARD_BUFFERS | GUARD_IBRS | GUARD_BHI_DIS                                                                                    },
    {"a future one, with all NO",          0,   MD_CLEAR | L1D_FLUSH | HAS_ARCH, CTRL_ALL, 0x810e16b,
     GUARD_IBRS                                                                                                                    },
};

static void become(const struct kind *kind)
{
    fake_cpu_intel();
    fake_cpuid_set(7, 0, (struct cpuid){.eax = 2, .ebx = kind->ebx, .edx = kind->edx});
    fake_cpuid_set(7, 2, (struct cpuid){.edx = kind->edx2});
    if (kind->arch) {
        fake_msr_set(ARCH, kind->arch);
    }
    fake_log_clear();
}

static void test_kinds(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        become(&kinds[i]);
        uint32_t actions = guards_init();

        if (actions != kinds[i].actions) {
            fail_msg("%s: %#x, not %#x", kinds[i].name, actions, kinds[i].actions);
        }
        assert_int_equal(fake_log_contains("nothing guards VMs against"),
                         (kinds[i].actions & GUARD_LACKS) != 0);
    }
}

/* Whatever other facts there are: each row acts with all it needs, and none of it alone does. */
static void test_rows(void **state)
{
    for (unsigned i = 0; i < guard_row_count; i++) {
        const struct guard_row *row = &guard_rows[i];

        assert_int_equal(row->need & row->unless, 0);
        assert_true(guards_choose(row->need) & (row->action | GUARD_FLUSH_L1));
        for (unsigned fact = 0; fact < FACTS; fact++) {
            uint32_t bit = 1U << fact, without = row->need & ~bit;

            if ((row->need & bit) && row->action != GUARD_LACKS) {
                bool other = false;

                for (unsigned n = 0; n < guard_row_count; n++) {
                    other |=
                        guard_rows[n].action == row->action && !(guard_rows[n].need & ~without);
                }
                assert_int_equal((guards_choose(without) & row->action) != 0, other);
            }
        }
    }
}

/* No other vendor's CPU is told what Intel's want, whatever its leaves say. */
static void test_vendors(void **state)
{
    fake_cpu_genoa();
    fake_log_clear();
    fake_cpuid_set(0x80000021, 0, (struct cpuid){.eax = 1U << 8});
    assert_int_equal(guards_init(), GUARD_AUTO_IBRS);
    assert_string_equal(fake_log_text(), "");
    fake_cpu_milan();
    fake_cpuid_set(7, 0, (struct cpuid){.eax = 2, .edx = MD_CLEAR | L1D_FLUSH});
    assert_int_equal(guards_init(), 0);
    assert_int_equal(guards_choose(UINT32_MAX & ~(1U << FACT_INTEL | 1U << FACT_AMD)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_vendors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
