/* SPDX-License-Identifier: BSD-2-Clause */
/* What the constructors make, against numbers worked out from the manuals by hand. */
#include "drivers/iommu/amdvi_format.h"
#include "drivers/iommu/vtd_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *what;
    uint64_t found[2];
    uint64_t wanted[2];
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(rows[i].found, rows[i].wanted, sizeof(rows[i].found)) != 0) {
            fail_msg("%s: %016llx %016llx, wanted %016llx %016llx", rows[i].what,
                     (unsigned long long)rows[i].found[0], (unsigned long long)rows[i].found[1],
                     (unsigned long long)rows[i].wanted[0], (unsigned long long)rows[i].wanted[1]);
        }
    }
}

#define PAIR(pair)                     \
    {                                  \
        (pair).word[0], (pair).word[1] \
    }

static void test_vtd(void **state)
{
    const struct row rows[] = {
        {"root entry",                        PAIR(vtd_root_entry(hpa(0x123456000))),       {0x123456001, 0}                                                    },
        {                                                                                                                        "context, 3 levels", PAIR(vtd_context_entry(hpa(0x7000),                                            3,                                                                  1)), {0x7001, 0x101}},
        {                                                                                                         "context, 4 levels",                 PAIR(vtd_context_entry(hpa(0x7000),           4,                                                                    0xabcd)), {0x7001, 0xabcd02}},
        {       "context, 5 levels",                                   PAIR(vtd_context_entry(hpa(0x7000),                                                             5,                                                             2)), {0x7001, 0x203}},
        {                                                                                                                "irq, xAPIC",
         PAIR(vtd_irq_entry(0x12,                                                                0x41,                                                                                                                         0x0108, false)),
         {0x0000120000410001, 0x40108}},
        {                                                                                                                                                                                                                                                          "irq, x2APIC",
         PAIR(vtd_irq_entry(0x12345678,                                                                  0xfe,                                                                                                                           0xffff, true)),
         {0x1234567800fe0001, 0x4ffff}},
        {                                                                                                                                                                                                                                                  "all contexts",       PAIR(vtd_invalidate_contexts()),{0x11, 0}},
        {                                   "a context",                                   PAIR(vtd_invalidate_context(0x0108,                                                                  5)),                                                                                                 {0x0000010800050031, 0}},
        {"all",                         PAIR(vtd_invalidate_all()), {0xd2, 0}},
        {"a domain",                               PAIR(vtd_invalidate_domain(5)),                         {0x500e2, 0}                                                                                   },
        {                                                                                                                                                                                                                           "all irqs",PAIR(vtd_invalidate_irqs()),{0x4, 0}},
        {"an irq",                           PAIR(vtd_invalidate_irq(0x8001)),                                                                                         {0x0000800100000014, 0}                                                                                                                                                                                      },
        {                                                                                                                                                                                                                                                                                                                                                                                                 "wait",                                   PAIR(vtd_wait(hpa(0x123456004),                                                                          0x89abcdef)),{0x89abcdef00000065, 0x123456004}},
    };

    check_rows(rows, ARRAY_SIZE(rows));
    assert_int_equal(vtd_irq_address(0), 0xfee00010);
    assert_int_equal(vtd_irq_address(1), 0xfee00030);
    assert_int_equal(vtd_irq_address(0x7fff), 0xfeeffff0);
    assert_int_equal(vtd_irq_address(0x8000), 0xfee00014);
    assert_int_equal(VTD_CAP_DOMAINS(0), 16);
    assert_int_equal(VTD_CAP_DOMAINS(6), 65536);
    assert_int_equal(VTD_CAP_FAULTS_AT(0x22ULL << 24), 0x220);
    assert_int_equal(VTD_CAP_FAULTS(7ULL << 40), 8);
    assert_int_equal(VTD_CAP_MGAW(38ULL << 16), 39);
    assert_string_equal(vtd_fault_text(0x26), "the interrupt belongs to another device");
    assert_string_equal(vtd_fault_text(0x1f), "unknown reason");
    assert_string_equal(vtd_fault_text(0xff), "unknown reason");
}

static void test_amdvi(void **state)
{
    const struct row rows[] = {
        {"root, 4 levels",                          {amdvi_device_root(hpa(0x123456000), 4)}, {0x6000000123456803}},
        {"blocked",                                 {AMDVI_BLOCKED},                          {3}                 },
        {"no irqs",                                 {amdvi_device_irqs(hpa(0))},              {1}                 },
        {"irqs",                                    {amdvi_device_irqs(hpa(0x5000))},         {0x2000000000005011}},
        {"irq",                                     {amdvi_irq_entry(0x12, 0x41)},            {0x411201}          },
        {"irq, wide",
         PAIR(amdvi_irq_entry_wide(0x12345678,                                                0x41)),
         {0x34567801, 0x1200000000000041}},
        {"wait",                                         PAIR(amdvi_wait(hpa(0x1234567890),                                                                            7)),                       {0x1000001234567891, 7}},
        {"device",                  PAIR(amdvi_invalidate_device(0x108)),                                                          {0x2000000000000108, 0}                                                },
        {"domain",                  PAIR(amdvi_invalidate_domain(5)), {0x3000000500000000, 0x7ffffffffffff003}},
        {"irqs of", PAIR(amdvi_invalidate_irqs(0x108)),                                         {0x5000000000000108, 0}                                                                                       },
        {"all",                  PAIR(amdvi_invalidate_all()),                  {0x8000000000000000, 0}},
    };

    check_rows(rows, ARRAY_SIZE(rows));
    assert_int_equal(AMDVI_RING_LENGTH >> 56, 8);
    assert_string_equal(amdvi_event_text(0x2008000000000108),
                        "the interrupt is not allocated to it");
    assert_string_equal(amdvi_event_text(0x2070000500000108), "it has no right to write there");
    assert_string_equal(amdvi_event_text(0x2050000500000108), "it has no right to read there");
    assert_string_equal(amdvi_event_text(0x2020000500000108), "nothing is mapped there for it");
    assert_string_equal(amdvi_event_text(0x2090000500000108), "reserved bits are set in a table");
    assert_string_equal(amdvi_event_text(0xf000000000000000), "unknown event");
    assert_string_equal(amdvi_event_text(0), "unknown event");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vtd),
        cmocka_unit_test(test_amdvi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
