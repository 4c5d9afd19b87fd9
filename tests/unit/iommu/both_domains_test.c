/* SPDX-License-Identifier: BSD-2-Clause */
/* What a function reaches on either kind of unit: its domain's memory, and nothing else. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/iommu/both.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RW (IOMMU_READ | IOMMU_WRITE)
#define GB (1ULL << 30)

static void test_everything_is_blocked(void **state)
{
    static const bdf_t all[] = {
        {.bus = 0,    .devfn = 0xa0},
        {.bus = 1   },
        {.bus = 1, .devfn = 1             },
        {.bus = 2          },
        {.bus = 4,           .devfn = 8}
    };
    uint32_t apic_id;
    uint8_t vector;

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        machine_blocked(all[i], 0x1000, true);
        machine_blocked(all[i], 0x1000, false);
        assert_false(sim_message(machine_unit[all[i].bus == 2], machine_id(all[i]), 0xfee00000,
                                 0x30, &apic_id, &vector));
    }
    assert_int_equal(iommu_facts()->unit_count, 2);
    assert_true(iommu_facts()->interrupts);
    assert_true(iommu_facts()->x2apic);
}

static void test_a_function_reaches_its_domain_only(void **state)
{
    struct iommu_domain *one = machine_domain(1), *two = machine_domain(2);
    unsigned pages = sim_pool_pages();

    assert_int_equal(iommu_map(one, gpa(0), hpa(0x40000000), 0x3000, RW), STATUS_OK);
    assert_int_equal(iommu_map(two, gpa(0), hpa(0x50000000), 0x1000, RW), STATUS_OK);
    assert_int_equal(iommu_attach(one, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_attach(two, MACHINE_VF(1), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_attach(one, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    machine_reaches(MACHINE_VF(0), 0x2abc, 0x40002abc);
    machine_reaches(MACHINE_VF(1), 0x0abc, 0x50000abc);
    machine_reaches(MACHINE_OTHER, 0x1abc, 0x40001abc);
    machine_blocked(MACHINE_VF(0), 0x3000, false);
    machine_blocked(MACHINE_VF(1), 0x1000, false);
    machine_blocked(MACHINE_PF, 0, false);
    machine_blocked(MACHINE_VF(2), 0, false);

    assert_int_equal(iommu_attach(two, MACHINE_VF(0), MACHINE_PF), STATUS_CONFLICT);
    assert_int_equal(iommu_domain_destroy(one), STATUS_STATE);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_NOT_FOUND);
    machine_blocked(MACHINE_VF(0), 0x2abc, false);
    machine_reaches(MACHINE_OTHER, 0x1abc, 0x40001abc);
    machine_reaches(MACHINE_VF(1), 0x0abc, 0x50000abc);

    /* To the other VM, and nothing of the first is left. */
    assert_int_equal(iommu_attach(two, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_reaches(MACHINE_VF(0), 0x0abc, 0x50000abc);
    machine_blocked(MACHINE_VF(0), 0x2abc, false);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_VF(1)), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_OTHER), STATUS_OK);
    unsigned long commands = machine_unit[1]->commands;

    assert_int_equal(iommu_domain_destroy(one), STATUS_OK);
    assert_int_equal(machine_unit[1]->commands, commands); /* it has nothing of the domain */
    assert_int_equal(iommu_domain_destroy(two), STATUS_OK);
    assert_in_range(sim_pool_pages(), 0, pages); /* context tables may stay */
    both_check_no_leak(sim_pool_pages());
}

static void test_rights(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    uint64_t base;

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_map(domain, gpa(0x1000), hpa(0x40000000), 0x1000, IOMMU_READ),
                     STATUS_OK);
    assert_int_equal(iommu_map(domain, gpa(0x2000), hpa(0x40001000), 0x1000, IOMMU_WRITE),
                     STATUS_OK);
    assert_true(sim_dma(machine_unit[0], 0x101, 0x1000, false, &base));
    machine_blocked(MACHINE_VF(0), 0x1000, true);
    assert_true(sim_dma(machine_unit[0], 0x101, 0x2000, true, &base));
    machine_blocked(MACHINE_VF(0), 0x2000, false);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

static void test_refusals(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    const struct {
        uint64_t iova, base, size;
        unsigned rights;
        enum status status;
    } rows[] = {
        {0,                   0,                   0,                 RW,     STATUS_INVALID },
        {1,                   0,                   0x1000,            RW,     STATUS_INVALID },
        {0,                   0x800,               0x1000,            RW,     STATUS_INVALID },
        {0,                   0,                   0x1001,            RW,     STATUS_INVALID },
        {0,                   0,                   0x1000,            0,      STATUS_INVALID },
        {0,                   0,                   0x1000,            RW | 4, STATUS_INVALID },
        {1ULL << 48,          0,                   0x1000,            RW,     STATUS_RANGE   },
        {(1ULL << 48) - 4096, 0,                   0x2000,            RW,     STATUS_RANGE   },
        {0,                   1ULL << 46,          0x1000,            RW,     STATUS_RANGE   },
        {0,                   (1ULL << 46) - 4096, 0x2000,            RW,     STATUS_RANGE   },
        {UINT64_MAX - 4095,   0,                   0x1000,            RW,     STATUS_RANGE   },
        {0,                   UINT64_MAX - 4095,   0x1000,            RW,     STATUS_RANGE   },
        {0,                   0,                   UINT64_MAX - 4095, RW,     STATUS_RANGE   },
        {0xfee00000,          0,                   0x1000,            RW,     STATUS_INVALID },
        {0xfedff000,          0,                   0x2000,            RW,     STATUS_INVALID },
        {0,                   0xfeeff000,          0x1000,            RW,     STATUS_INVALID },
        {0,                   0xfed90000,          0x1000,            RW,     STATUS_INVALID }, /* its own */
        {0,                   0xfed80000,          0x20000,           RW,     STATUS_INVALID },
        {0x5000,              0x1000,              0x1000,            RW,     STATUS_CONFLICT},
        {0x4000,              0x1000,              0x2000,            RW,     STATUS_CONFLICT},
        {0,                   0,                   GB,                RW,     STATUS_CONFLICT},
    };

    assert_int_equal(iommu_map(domain, gpa(0x5000), hpa(0), 0x1000, RW), STATUS_OK);
    uint64_t tables = iommu_counters().table_pages;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(
            iommu_map(domain, gpa(rows[i].iova), hpa(rows[i].base), rows[i].size, rows[i].rights),
            rows[i].status);
    }
    assert_int_equal(iommu_counters().table_pages, tables);
    assert_int_equal(iommu_counters().mapped_bytes, 0x1000);
    assert_int_equal(iommu_map(domain, gpa(0x5000 + 0x1000), hpa(0xfed98000), 0x1000, RW),
                     STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_STATE);
    assert_int_equal(iommu_map(domain, gpa(0), hpa(0), 0x1000, RW), STATUS_STATE);
}

static void test_large_pages(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    unsigned pages = sim_pool_pages();

    /* 1 GiB in one entry, then 2 MiB, then 4 KiB, and the like downwards. */
    assert_int_equal(
        iommu_map(domain, gpa(GB - 0x201000), hpa(8 * GB - 0x201000), 0x201000 + GB + 0x201000, RW),
        STATUS_OK);
    assert_int_equal(iommu_counters().table_pages, 1 + 1 + 4);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_reaches(MACHINE_VF(0), GB - 0x201000, 8 * GB - 0x201000);
    machine_reaches(MACHINE_VF(0), GB - 0x1000, 8 * GB - 0x1000);
    machine_reaches(MACHINE_VF(0), GB + 0x12345678, 8 * GB + 0x12345678);
    machine_reaches(MACHINE_VF(0), 2 * GB + 0x200fff, 9 * GB + 0x200fff);
    machine_blocked(MACHINE_VF(0), 2 * GB + 0x201000, true);

    /* What does not lie alike in both spaces goes into small pages. */
    assert_int_equal(iommu_map(domain, gpa(4 * GB), hpa(9 * GB + 0x1000), PAGE_SIZE_2M, RW),
                     STATUS_OK);
    machine_reaches(MACHINE_VF(0), 4 * GB + 0x1ff123, 9 * GB + 0x200123);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    machine_blocked(MACHINE_VF(0), GB + 0x12345678, false);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    assert_in_range(sim_pool_pages(), 0, pages);
}

/* A VM's RAM is mapped with interrupts on: only hardware is spoken to without. */
static void test_interrupts_stay_on(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    unsigned long before = sim_stores(false), before_off = sim_stores(true);

    assert_int_equal(iommu_map(domain, gpa(0), hpa(8 * GB + PAGE_SIZE), 1024 * PAGE_SIZE, RW),
                     STATUS_OK);
    assert_in_range(sim_stores(false) - before, 1024, 2048);
    assert_int_equal(sim_stores(true), before_off);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_reaches(MACHINE_VF(0), 0x5000, 8 * GB + 0x6000);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    before_off = sim_stores(true);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    assert_in_range(sim_stores(true) - before_off, 0, 16); /* no more than commands */
}

/* A domain of both devices, after OLD, which has them and ends. */
static struct iommu_domain *domain_anew(struct iommu_domain *old)
{
    struct iommu_domain *domain;

    if (old != NULL) {
        assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
        assert_int_equal(iommu_detach(MACHINE_OTHER), STATUS_OK);
        assert_int_equal(iommu_domain_destroy(old), STATUS_OK);
    }
    domain = machine_domain(1);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_attach(domain, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    return domain;
}

/* Random maps, with DMA in between so that all is cached, in one domain after the other, against an
 * array. */
static void test_random(void **state)
{
    enum { SLOTS = 256 };
    static uint64_t model[SLOTS]; /* physical address + 1 of each 4 KiB page; 0: none */
    struct iommu_domain *domain = NULL;
    uint32_t seed = 12345;
    const uint64_t first = 0x40000000 - SLOTS / 2 * 0x1000; /* across a 1 GiB border */

    for (unsigned i = 0; i < 2; i++) {
        machine_unit[i]->busy = true;
        machine_unit[i]->busy_source = i == 0 ? 0x101 : 0x200;
        machine_unit[i]->busy_iova = first + 40 * 0x1000;
    }
    for (unsigned round = 0; round < 3000; round++) {
        seed = seed * 1664525U + 1013904223U;
        unsigned slot = seed >> 8 & (SLOTS - 1), count = (seed >> 20 & 15) + 1;
        bool free_run = true;
        uint64_t base = 0x80000000ULL + (seed >> 5 & 0xffff) * 0x1000ULL;

        if (round % 40 == 0) {
            domain = domain_anew(domain);
            memset(model, 0, sizeof(model));
        }
        count = slot + count > SLOTS ? SLOTS - slot : count;
        for (unsigned i = 0; i < count; i++) {
            free_run = free_run && model[slot + i] == 0;
        }
        assert_int_equal(
            iommu_map(domain, gpa(first + slot * 0x1000UL), hpa(base), count * 0x1000UL, RW),
            free_run ? STATUS_OK : STATUS_CONFLICT);
        for (unsigned i = 0; i < count && free_run; i++) {
            model[slot + i] = base + i * 0x1000UL + 1;
        }
        for (unsigned i = 0; i < 4; i++) {
            unsigned at = (slot + i * 37) % SLOTS;
            bdf_t device = i % 2 == 0 ? MACHINE_VF(0) : MACHINE_OTHER;

            if (model[at] != 0) {
                machine_reaches(device, first + at * 0x1000UL, model[at] - 1);
            } else {
                machine_blocked(device, first + at * 0x1000UL, true);
            }
        }
        (void)iommu_poll_faults();
    }
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_OTHER), STATUS_OK);
    machine_blocked(MACHINE_VF(0), machine_unit[0]->busy_iova, true);
    machine_blocked(MACHINE_OTHER, machine_unit[0]->busy_iova, true);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    both_check_no_leak(sim_pool_pages());
}

static void test_reserved_memory(void **state)
{
    struct iommu_domain *vm = machine_domain(1), *own = machine_domain(IOMMU_OWNER_VMM);

    assert_int_equal(iommu_attach(vm, MACHINE_RESERVED, MACHINE_RESERVED), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("firmware uses it for DMA of its own"));
    assert_int_equal(iommu_attach(own, MACHINE_RESERVED, MACHINE_RESERVED), STATUS_OK);
    machine_blocked(MACHINE_RESERVED, 0x7f000000, false); /* and it is not mapped */
    assert_int_equal(iommu_detach(MACHINE_RESERVED), STATUS_OK);
    assert_int_equal(iommu_attach(vm, MACHINE_RESERVED, MACHINE_PF), STATUS_OK); /* a VF */
    assert_int_equal(iommu_detach(MACHINE_RESERVED), STATUS_OK);
    assert_int_equal(iommu_attach(vm, MACHINE_LEGACY, MACHINE_LEGACY), STATUS_UNSUPPORTED);
    bdf_t far = {.segment = 7, .bus = 2};

    assert_int_equal(iommu_attach(vm, far, far), STATUS_UNSUPPORTED);
    assert_int_equal(iommu_attach(vm, far, MACHINE_PF), STATUS_STATE);
    assert_int_equal(iommu_domain_destroy(vm), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(own), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_TEST(test_everything_is_blocked),
        BOTH_TEST(test_a_function_reaches_its_domain_only),
        BOTH_TEST(test_rights),
        BOTH_TEST(test_refusals),
        BOTH_TEST(test_large_pages),
        BOTH_TEST(test_interrupts_stay_on),
        BOTH_TEST(test_random),
        BOTH_TEST(test_reserved_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
