/* SPDX-License-Identifier: BSD-2-Clause */
/* What both kinds of unit must do, each checked by what the simulated hardware lets through. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/iommu/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RW (IOMMU_READ | IOMMU_WRITE)
#define GB (1ULL << 30)

static enum sim_kind kind_of(void **state)
{
    return *(const enum sim_kind *)*state;
}

static int set_up(void **state)
{
    machine_up(kind_of(state));
    return 0;
}

/* Everything was given back: domains, functions, interrupts, tables. */
static void check_no_leak(unsigned pages)
{
    struct iommu_counters counters = iommu_counters();

    assert_int_equal(counters.domains, 0);
    assert_int_equal(counters.functions, 0);
    assert_int_equal(counters.irqs, 0);
    assert_int_equal(counters.table_pages, 0);
    assert_int_equal(counters.mapped_bytes, 0);
    assert_int_equal(counters.lost_pages, 0);
    assert_int_equal(sim_pool_pages(), pages);
}

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
    check_no_leak(sim_pool_pages());
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
    check_no_leak(sim_pool_pages());
}

static void test_interrupts(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    struct iommu_message message, second;
    uint32_t irq, other, apic_id = 0;
    uint8_t vector = 0;
    struct sim_unit *unit = machine_unit[0];

    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 0x40, &irq, &message), STATUS_NOT_FOUND);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(1), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 15, &irq, &message), STATUS_RANGE);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), UINT32_MAX, 64, &irq, &message),
                     STATUS_RANGE);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 0x12345, 0x41, &irq, &message), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(1), 7, 0x42, &other, &second), STATUS_OK);
    assert_true(message.remapped && second.remapped);
    assert_true(sim_message(unit, 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(apic_id, 0x12345);
    assert_int_equal(vector, 0x41);
    assert_true(sim_message(unit, 0x102, second.address, second.data, &apic_id, &vector));
    assert_int_equal(apic_id, 7);
    assert_int_equal(vector, 0x42);

    /* Messages that are not the device's own do not pass as they are. */
    if (kind_of(state) == SIM_VTD) {
        assert_false(sim_message(unit, 0x102, message.address, message.data, &apic_id, &vector));
    }
    assert_false(
        sim_message(unit, 0x101, message.address + 0x3e0, message.data + 31, &apic_id, &vector));
    assert_false(sim_message(unit, 0x103, message.address, message.data, &apic_id, &vector));

    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_STATE);
    assert_int_equal(iommu_irq_free(irq), STATUS_OK);
    assert_int_equal(iommu_irq_free(irq), STATUS_NOT_FOUND);
    assert_false(sim_message(unit, 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_irq_free(other), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_VF(1)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    check_no_leak(sim_pool_pages());
}

/* A VM that takes all that it can get leaves each other one its share. */
static void test_interrupts_of_others(void **state)
{
    enum { GREEDY = 14 };
    static uint32_t irqs[IOMMU_IRQS_MAX];
    struct iommu_domain *greedy = machine_domain(1), *late = machine_domain(2);
    struct iommu_message message;
    unsigned count = 0, mine = 0;

    machine_unit[0]->delay = 0;
    for (unsigned n = 0; n < GREEDY; n++) {
        assert_int_equal(iommu_attach(greedy, MACHINE_VF(n), MACHINE_PF), STATUS_OK);
        while (iommu_irq_allocate(MACHINE_VF(n), 1, 0x40, &irqs[count], &message) == STATUS_OK) {
            count++;
        }
    }
    assert_int_equal(iommu_attach(late, MACHINE_VF(GREEDY), MACHINE_PF), STATUS_OK);
    for (; mine < IOMMU_IRQS_EACH; mine++) {
        assert_int_equal(
            iommu_irq_allocate(MACHINE_VF(GREEDY), 2, 0x50, &irqs[count + mine], &message),
            STATUS_OK);
    }
    assert_int_equal(iommu_counters().irqs, count + mine);
    while (mine > 0 || count > 0) {
        assert_int_equal(iommu_irq_free(irqs[count + mine - 1]), STATUS_OK);
        count -= mine == 0;
        mine -= mine > 0;
    }
    for (unsigned n = 0; n <= GREEDY; n++) {
        assert_int_equal(iommu_detach(MACHINE_VF(n)), STATUS_OK);
    }
    assert_int_equal(iommu_domain_destroy(greedy), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(late), STATUS_OK);
    check_no_leak(sim_pool_pages());
}

/* Many interrupts of one function: no two share an entry; those freed are used again. */
static void test_many_interrupts(void **state)
{
    enum { COUNT = IOMMU_IRQS_MAX };
    static uint32_t irqs[COUNT];
    struct iommu_domain *domain = machine_domain(1);
    struct iommu_message message;
    unsigned promised = (IOMMU_OWNERS - 1) * IOMMU_IRQS_EACH;
    unsigned wanted = kind_of(state) == SIM_VTD ? COUNT - promised : 256, count = 0;
    uint32_t apic_id;
    uint8_t vector;

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_unit[0]->delay = 0;
    fake_log_clear();
    while (count < COUNT && iommu_irq_allocate(MACHINE_VF(0), count, (uint8_t)(0x20 + count % 64),
                                               &irqs[count], &message) == STATUS_OK) {
        if (count % 64 == 0) {
            assert_true(sim_message(machine_unit[0], 0x101, message.address, message.data, &apic_id,
                                    &vector));
            assert_int_equal(apic_id, count);
        }
        count++;
    }
    assert_int_equal(count, wanted);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 5, 0x77, &irqs[0], &message),
                     STATUS_NO_MEMORY);
    assert_int_equal(iommu_counters().irqs, wanted);
    assert_string_equal(fake_log_text(), ""); /* a guest can do this at will */
    assert_int_equal(iommu_irq_free(irqs[100]), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 5, 0x77, &irqs[100], &message), STATUS_OK);
    assert_true(
        sim_message(machine_unit[0], 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(vector, 0x77);
    while (count > 0) {
        assert_int_equal(iommu_irq_free(irqs[--count]), STATUS_OK);
    }
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    check_no_leak(sim_pool_pages());
}

static void test_faults_are_charged(void **state)
{
    struct iommu_domain *domain = machine_domain(42);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_blocked(MACHINE_VF(0), 0x123456789000, true);
    machine_blocked(MACHINE_VF(5), 0x2000, false);
    assert_int_equal(iommu_poll_faults(), 2);
    assert_int_equal(sim_edge_count, 2);
    assert_true(bdf_equal(sim_edge[0].bdf, MACHINE_VF(0)));
    assert_true(sim_edge[0].owned && sim_edge[0].write && !sim_edge[0].interrupt);
    assert_int_equal(sim_edge[0].owner, 42);
    assert_int_equal(sim_edge[0].address, 0x123456789000);
    assert_true(bdf_equal(sim_edge[1].bdf, MACHINE_VF(5)));
    assert_false(sim_edge[1].owned || sim_edge[1].write);
    assert_true(fake_log_contains("IOMMU: blocked a write of 0000:01:00.1 at 0x123456789000: "));
    assert_true(fake_log_contains("IOMMU: blocked a read of 0000:01:00.6 at 0x2000: "));
    assert_int_equal(iommu_poll_faults(), 0);

    /* Many of one: counted, told ever more rarely. */
    fake_log_clear();
    for (unsigned i = 0; i < 99; i++) {
        machine_blocked(MACHINE_VF(0), 0x5000 + 0x1000UL * i, true);
        assert_int_equal(iommu_poll_faults(), 1);
    }
    assert_true(fake_log_contains("(64 such so far)"));
    assert_false(fake_log_contains("(63 such so far)") || fake_log_contains("(100 such so far)"));
    assert_int_equal(iommu_counters().faults, 101);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

static void test_fault_table_is_bounded(void **state)
{
    for (unsigned i = 0; i < IOMMU_REQUESTERS + 20; i++) {
        bdf_t bdf = {.bus = 1, .devfn = (uint8_t)i};

        machine_blocked(bdf, 0x1000, true);
        assert_int_equal(iommu_poll_faults(), 1);
    }
    assert_int_equal(iommu_counters().faults, IOMMU_REQUESTERS + 20);
    /* Those beyond the table are told together: the first, the second, the fourth... */
    assert_true(fake_log_contains("0000:01:08.0 at 0x1000: "));
    assert_true(fake_log_contains("(16 such so far)"));
    assert_false(fake_log_contains("(17 such so far)"));
}

static void test_overflow(void **state)
{
    unsigned room = kind_of(state) == SIM_VTD ? SIM_FAULTS : 255;

    for (unsigned i = 0; i < room + 3; i++) {
        machine_blocked(MACHINE_VF(3), 0x1000UL * i, true);
    }
    assert_int_equal(iommu_poll_faults(), room);
    assert_int_equal(iommu_counters().faults_lost, 1);
    assert_true(fake_log_contains("blocked more than it could record (1 times so far)"));
    machine_blocked(MACHINE_VF(3), 0x7000, true);
    assert_int_equal(iommu_poll_faults(), 1); /* it records again */
    assert_int_equal(iommu_counters().faults_lost, 1);
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

#define BOTH(test)                                 \
    {"vtd " #test, test, set_up, NULL, &vtd},      \
    {                                              \
        "amdvi " #test, test, set_up, NULL, &amdvi \
    }

int main(void)
{
    static enum sim_kind vtd = SIM_VTD, amdvi = SIM_AMDVI;
    const struct CMUnitTest tests[] = {
        BOTH(test_everything_is_blocked),
        BOTH(test_a_function_reaches_its_domain_only),
        BOTH(test_rights),
        BOTH(test_refusals),
        BOTH(test_large_pages),
        BOTH(test_interrupts_stay_on),
        BOTH(test_random),
        BOTH(test_interrupts),
        BOTH(test_many_interrupts),
        BOTH(test_interrupts_of_others),
        BOTH(test_faults_are_charged),
        BOTH(test_fault_table_is_bounded),
        BOTH(test_overflow),
        BOTH(test_reserved_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
