/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPUs are threads of one core: what CPUs of many kinds say, and their APIC ids. */
#include "vmm/host/cpuid.h"
#include "vmm/report/features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define THREADS (1U << 8) /* the kind of a level, in ECX */
#define CORES   (2U << 8)
#define TOPOEXT (1U << 22)
#define IDS_MAX 6

#define NONE       \
    {              \
        0, 0, 0, 0 \
    }

struct cpu_kind {
    const char *name;
    uint32_t basic_max, extended_max;
    struct cpuid leaf_b, leaf_1f;
    uint32_t extended_ecx, threads_ebx; /* of 80000001h, 8000001Eh */
    uint32_t bits;
    uint32_t apic_ids[IDS_MAX]; /* of some CPUs; each pair is one core's, where there are bits */
};

/* clang-format off */
static const struct cpu_kind kinds[] = {
    {"Core 2 Duo E6600", 0xa, 0x80000008, NONE, NONE, 0, 0, 0, {0, 1}},
    {"Xeon X5650", 0xb, 0x80000008, {1, 2, THREADS, 0}, NONE, 0, 0, 1, {0, 1, 2, 3, 32, 33}},
    {"Core i7-8700", 0x16, 0x80000008, {1, 2, THREADS, 0}, NONE, 0, 0, 1, {0, 1, 10, 11}},
    {"Core i5-9600K", 0x16, 0x80000008, {0, 1, THREADS, 0}, NONE, 0, 0, 0, {0, 2, 4}},
    {"Xeon Phi 7250", 0xd, 0x80000008, {2, 4, THREADS, 0}, NONE, 0, 0, 2, {0, 3, 4, 6}},
    /* With threads switched off in the firmware's set-up. */
    {"Xeon Gold 6330", 0x1b, 0x80000008, {1, 1, THREADS, 0}, NONE, 0, 0, 1, {0, 0, 2, 2}},
    /* The cores without threads have even ids. */
    {"Core i9-12900K", 0x20, 0x80000008, {1, 2, THREADS, 0}, {1, 2, THREADS, 0}, 0, 0, 1, {0, 1, 8, 9, 64, 64}},
    {"leaf 1Fh without threads", 0x1f, 0x80000008, {1, 2, THREADS, 0}, {3, 8, CORES, 0}, 0, 0, 1, {4, 5}},
    {"Opteron 6174", 5, 0x8000001b, NONE, NONE, 0, 0, 0, {0, 1}},
    {"Opteron 6376", 0xd, 0x8000001e, NONE, NONE, TOPOEXT, 0x100, 1, {32, 33}}, /* a unit's two */
    {"EPYC 7601", 0xd, 0x8000001f, NONE, NONE, TOPOEXT, 0x100, 1, {0, 1, 126, 127}},
    {"EPYC 7713", 0x10, 0x80000023, {1, 2, THREADS, 0}, NONE, TOPOEXT, 0x100, 1, {0, 1, 254, 255}},
    {"Ryzen 5 3500X", 0x10, 0x80000020, NONE, NONE, TOPOEXT, 0, 0, {0, 1, 4}},
    {"three threads a core", 0xd, 0x8000001e, NONE, NONE, TOPOEXT, 0x200, 2, {4, 6}},
};
/* clang-format on */

static const struct cpu_kind *now;

struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    assert_int_equal(subleaf, 0);
    switch (leaf) {
    case 0:
        return (struct cpuid){.eax = now->basic_max};
    case 0xb:
        return now->leaf_b;
    case 0x1f:
        assert_true(now->basic_max >= leaf);
        return now->leaf_1f;
    case 0x80000000:
        return (struct cpuid){.eax = now->extended_max};
    case 0x80000001:
        return (struct cpuid){.ecx = now->extended_ecx};
    case 0x8000001e:
        return (struct cpuid){.ebx = now->threads_ebx};
    default:
        fail_msg("leaf %#x", leaf);
        return (struct cpuid){0};
    }
}

static void test_kinds(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        now = &kinds[i];
        uint32_t bits = report_thread_bits();

        if (bits != now->bits) {
            fail_msg("%s: %u bits, not %u", now->name, bits, now->bits);
        }
        for (unsigned n = 0; n + 1 < IDS_MAX; n++) {
            uint32_t core = now->apic_ids[n] >> bits, next = now->apic_ids[n + 1] >> bits;

            if (now->apic_ids[n + 1]) {
                assert_int_equal(core == next, bits && n % 2 == 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
