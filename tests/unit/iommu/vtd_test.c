/* SPDX-License-Identifier: BSD-2-Clause */
/* What is VT-d's own: kinds of unit, what firmware leaves behind, scopes, fault records. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/iommu/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RW     (IOMMU_READ | IOMMU_WRITE)
#define GB     (1ULL << 30)
#define G_TE   0x80000000U
#define G_SRTP 0x40000000U
#define G_WBF  0x08000000U
#define G_QIE  0x04000000U
#define G_IRE  0x02000000U
#define G_IRTP 0x01000000U
#define G_CFI  0x00800000U
#define CM     (1ULL << 7)
#define RWBF   (1ULL << 4)

static int set_up(void **state)
{
    machine_build(SIM_VTD, 0);
    return 0;
}

static void start(void)
{
    assert_int_equal(machine_start(), STATUS_OK);
}

static void for_both(uint64_t cap_set, uint64_t cap_clear, uint64_t ecap_clear)
{
    for (unsigned i = 0; i < 2; i++) {
        machine_unit[i]->cap = (machine_unit[i]->cap & ~cap_clear) | cap_set;
        machine_unit[i]->ecap &= ~ecap_clear;
    }
}

/* Map, use, map more, interrupts, detach: what must work on every kind of unit. */
static void check_life(void)
{
    struct iommu_domain *domain = machine_domain(1);
    struct iommu_message message;
    uint32_t irq, apic_id = 0;
    uint8_t vector = 0;

    machine_unit[0]->busy = true;
    machine_unit[0]->busy_source = 0x101;
    machine_unit[0]->busy_iova = 0x6000;
    machine_blocked(MACHINE_VF(0), 0x5000, true);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_blocked(MACHINE_VF(0), 0x5000,
                    true); /* now cached as not present, where that is done */
    assert_int_equal(iommu_map(domain, gpa(0x5000), hpa(0x40005000), 0x2000, RW), STATUS_OK);
    machine_reaches(MACHINE_VF(0), 0x5678, 0x40005678);
    machine_blocked(MACHINE_VF(0), 0x7678, false);
    assert_int_equal(iommu_map(domain, gpa(0x7000), hpa(0x8000), 0x1000, RW), STATUS_OK);
    machine_reaches(MACHINE_VF(0), 0x7678, 0x8678);
    machine_reaches(MACHINE_VF(0), 0x6678, 0x40006678);

    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 200, 0x41, &irq, &message), STATUS_OK);
    assert_true(
        sim_message(machine_unit[0], 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(apic_id, 200);
    assert_int_equal(vector, 0x41);
    assert_int_equal(iommu_irq_free(irq), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    machine_blocked(MACHINE_VF(0), 0x6678, false);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    machine_unit[0]->busy = false;
    (void)iommu_poll_faults();
}

static void test_not_coherent(void **state)
{
    for_both(0, 0, 1);
    machine_unit[0]->coherent = machine_unit[1]->coherent = false;
    start();
    assert_false(iommu_facts()->coherent);
    check_life();
    assert_true(sim_write_backs() > 0);
}

static void test_coherent(void **state)
{
    start();
    unsigned long before = sim_write_backs();

    check_life();
    assert_int_equal(sim_write_backs(), before);
}

/* One unit that does not snoop is enough: tables are shared. */
static void test_one_not_coherent(void **state)
{
    machine_unit[1]->ecap &= ~1ULL;
    machine_unit[1]->coherent = false;
    start();
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    machine_reaches(MACHINE_OTHER, 0, 0x1000);
}

static void test_caching_mode(void **state)
{
    for_both(CM, 0, 0);
    start();
    check_life();
}

static void test_write_buffer(void **state)
{
    for_both(RWBF, 0, 0);
    start();
    struct iommu_domain *domain = machine_domain(1);
    unsigned long before = machine_unit[0]->flushes;

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(machine_unit[0]->flushes, before + 1);
    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    assert_int_equal(machine_unit[0]->flushes, before + 2);
    assert_int_equal(machine_unit[1]->flushes, before); /* nothing of the domain is behind it */
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(machine_unit[0]->flushes, before + 3);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    check_life();
}

static void check_width(uint64_t sagaw0, uint64_t sagaw1, unsigned mgaw, unsigned bits)
{
    machine_build(SIM_VTD, 0);
    for_both(0, 0x3f1f00, 0);
    machine_unit[0]->cap |= sagaw0 << 8 | (mgaw - 1ULL) << 16;
    machine_unit[1]->cap |= sagaw1 << 8 | 47ULL << 16;
    start();
    assert_int_equal(iommu_facts()->iova_bits, bits);
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_map(domain, gpa((1ULL << bits) - 0x1000), hpa(0x1000), 0x1000, RW),
                     STATUS_OK);
    assert_int_equal(iommu_map(domain, gpa(1ULL << bits), hpa(0x1000), 0x1000, RW), STATUS_RANGE);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_reaches(MACHINE_VF(0), (1ULL << bits) - 1, 0x1fff);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    check_life();
}

static void test_widths(void **state)
{
    check_width(2, 2, 39, 39);
    check_width(6, 2, 48, 39);
    check_width(6, 4, 48, 48);
    check_width(8, 8, 48, 48); /* 5 levels, but fewer bits are wired */
    check_width(14, 14, 46, 46);

    machine_build(SIM_VTD, 0);
    machine_unit[0]->cap = (machine_unit[0]->cap & ~0x1f00ULL) | 2U << 8;
    assert_int_equal(machine_start(), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("no depth of page tables in common"));
}

static void test_small_pages_only(void **state)
{
    machine_unit[1]->cap &= ~(3ULL << 34);
    start();
    assert_int_equal(iommu_facts()->page_sizes, PAGE_SIZE);
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_map(domain, gpa(GB), hpa(8 * GB), 4 * PAGE_SIZE_2M, RW), STATUS_OK);
    assert_int_equal(iommu_counters().table_pages, 1 + 1 + 1 + 4);
    assert_int_equal(iommu_attach(domain, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    machine_reaches(MACHINE_OTHER, GB + 0x7fffff, 8 * GB + 0x7fffff);
    assert_int_equal(iommu_detach(MACHINE_OTHER), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    assert_int_equal(iommu_counters().table_pages, 0);
    machine_blocked(MACHINE_OTHER, GB + 0x7fffff, false);
}

static void test_few_domain_ids(void **state)
{
    struct iommu_domain *domain;

    machine_unit[1]->cap &= ~7ULL; /* ND 0: 16 ids, of which 0 is not used */
    start();
    for (unsigned i = 0; i < 15; i++) {
        domain = machine_domain(i);
    }
    assert_int_equal(iommu_attach(domain, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    machine_blocked(MACHINE_OTHER, 0, false);
    assert_int_equal(iommu_domain_create("vm", 15, &domain), STATUS_NO_MEMORY);
}

static void test_too_old(void **state)
{
    machine_unit[1]->ecap &= ~2ULL;
    assert_int_equal(machine_start(), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("it has no queued invalidation"));
}

/* Interrupts are remapped by all units or by none. */
static void test_plain_interrupts(void **state)
{
    struct iommu_message message;
    uint32_t irq;

    machine_unit[1]->ecap &= ~8ULL;
    machine_unit[0]->gsts = G_IRE; /* firmware's */
    start();
    assert_int_equal(machine_unit[0]->gsts & G_IRE, 0);
    assert_false(iommu_facts()->interrupts || iommu_facts()->x2apic);
    assert_true(fake_log_contains("without interrupt remapping"));
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 255, 0x41, &irq, &message), STATUS_RANGE);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 254, 0x41, &irq, &message), STATUS_OK);
    assert_int_equal(message.address, 0xfeefe000);
    assert_int_equal(message.data, 0x41);
    assert_false(message.remapped);
    assert_int_equal(iommu_irq_free(irq), STATUS_OK);

    machine_build(SIM_VTD, 0);
    sim_acpi.dmar.interrupt_remapping = false;
    start();
    assert_false(iommu_facts()->interrupts);
}

static void test_without_extended_mode(void **state)
{
    struct iommu_message message;
    uint32_t irq;

    machine_unit[0]->ecap &= ~0x10ULL;
    sim_acpi.dmar.x2apic_opt_out = true;
    start();
    assert_true(iommu_facts()->interrupts);
    assert_false(iommu_facts()->x2apic);
    assert_true(fake_log_contains("only CPUs with APIC ids up to 254"));
    assert_true(fake_log_contains("firmware asks not to use x2APIC mode"));
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 255, 0x41, &irq, &message), STATUS_RANGE);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    check_life();
}

/* Firmware had all on: its queue, its tables, protected ranges, old faults. */
static void test_after_firmware(void **state)
{
    struct sim_unit *unit = machine_unit[0];

    unit->gsts = G_TE | G_SRTP | G_QIE | G_IRE | G_IRTP | G_CFI;
    unit->iqa = 0xdead000;
    unit->iqh = unit->iqt = 0x40;
    unit->cap |= 1U << 5;
    unit->pmen = 0x80000001U;
    unit->fsts = 0x73;
    unit->faults[3][1] = 1ULL << 63 | 2ULL << 32 | 0x101;
    start();
    assert_int_equal(unit->pmen, 0);
    assert_int_equal(unit->gsts & (G_TE | G_IRE | G_QIE | G_CFI), G_TE | G_IRE | G_QIE);
    assert_int_equal(iommu_poll_faults(), 0);
    assert_int_equal(unit->fectl, 0x80000000U);
    check_life();

    machine_build(SIM_VTD, 0);
    machine_unit[0]->gsts = G_TE | G_SRTP;
    machine_unit[0]->rtaddr = 0x400; /* scalable mode: may not change while translation is on */
    start();
    check_life();

    machine_build(SIM_VTD, 0);
    machine_unit[0]->gsts = G_QIE; /* a queue that never gets empty is stopped all the same */
    machine_unit[0]->iqt = 0x40;
    machine_unit[0]->queue_hangs = false;
    start();
    check_life();
}

/* A command that is never carried out: said, given up, and the other unit still blocks. */
static void test_commands_time_out(void **state)
{
    static const uint32_t commands[] = {G_QIE, G_SRTP, G_TE, G_IRTP, G_IRE, G_WBF};

    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        machine_build(SIM_VTD, 0);
        for_both(RWBF, 0, 0);
        machine_unit[0]->hang = commands[i];
        assert_int_equal(machine_start(), STATUS_TIMEOUT);
        assert_true(fake_log_contains("VT-d at 0xfed90000 did not carry out command"));
        assert_false(iommu_facts()->ready);
        assert_int_equal(iommu_facts()->unit_count, 1);
        machine_blocked(MACHINE_OTHER, 0x1000, false);
    }
}

static void test_queue_refuses(void **state)
{
    start();
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    machine_unit[0]->queue_refuses = true;
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_DEVICE);
    assert_true(fake_log_contains("did not carry out an invalidation (device error)") ||
                fake_log_contains("fault status 0x10"));
}

/* Every reason has its words, and interrupts are told apart. */
static void test_fault_reasons(void **state)
{
    start();
    for (unsigned reason = 0; reason < 0x30; reason++) {
        bool interrupt = reason >= 0x20;

        machine_unit[1]->faults[5][0] = interrupt ? 0x1234ULL << 48 : 0xabcdef123000ULL;
        machine_unit[1]->faults[5][1] = 1ULL << 63 | 1ULL << 62 | (uint64_t)reason << 32 | 0x300;
        machine_unit[1]->fsts |= 2;
        assert_int_equal(iommu_poll_faults(), 1);
        const struct iommu_fault *fault = &sim_edge[sim_edge_count - 1];

        assert_int_equal(fault->interrupt, interrupt);
        assert_int_equal(fault->address, interrupt ? 0x1234 : 0xabcdef123000);
        assert_true(bdf_equal(fault->bdf, MACHINE_DEEP));
        assert_int_equal(strcmp(fault->reason, "unknown reason") == 0,
                         reason == 0 || reason == 0xf || reason == 0x10 ||
                             (reason > 0x10 && reason < 0x20) || reason > 0x26);
    }
}

static void test_scopes(void **state)
{
    struct acpi_dmar *dmar = &sim_acpi.dmar;

    /* Unit 1 has 02:00.0 alone, and what is behind 00:03.0 -> 02:00.1; unit 0 lists nothing. */
    dmar->drhds[1].scopes.count = 2;
    dmar->drhds[1].scopes.first = 2;
    dmar->scope_count = 5;
    dmar->scopes[2] = (struct acpi_scope){
        .type = ACPI_SCOPE_ENDPOINT, .path_length = 2, .path = {3 << 3, 0}
    };
    dmar->scopes[3] = (struct acpi_scope){
        .type = ACPI_SCOPE_BRIDGE, .path_length = 2, .path = {3 << 3, 1}
    };
    dmar->scopes[4] = (struct acpi_scope){
        .type = ACPI_SCOPE_ENDPOINT, .path_length = 3, .path = {9 << 3, 0, 0}
    }; /* not there */
    dmar->rmrrs[0].scopes.first = 4;
    start();
    struct iommu_domain *domain = machine_domain(1);
    const struct {
        bdf_t bdf, pf;
        unsigned unit;
    } rows[] = {
        {MACHINE_OTHER,                 MACHINE_OTHER,    1},
        {MACHINE_DEEP,                  MACHINE_DEEP,     1},
        {MACHINE_RESERVED,              MACHINE_RESERVED, 0},
        {MACHINE_PF,                    MACHINE_PF,       0},
        {(bdf_t){.bus = 2, .devfn = 5}, MACHINE_OTHER,    1}, /* VFs go with their PFs */
        {(bdf_t){.bus = 1, .devfn = 5}, MACHINE_DEEP,     1}
    };

    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned long before[2] = {machine_unit[0]->commands, machine_unit[1]->commands};

        assert_int_equal(iommu_attach(domain, rows[i].bdf, rows[i].pf), STATUS_OK);
        assert_int_equal(iommu_detach(rows[i].bdf), STATUS_OK);
        assert_true(machine_unit[rows[i].unit]->commands > before[rows[i].unit]);
        assert_int_equal(machine_unit[!rows[i].unit]->commands, before[!rows[i].unit]);
    }

    machine_build(SIM_VTD, 0);
    sim_acpi.dmar.drhds[0].include_all = false;
    start();
    domain = machine_domain(1);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("0000:01:00.1 cannot be assigned: firmware's DMAR table names"));
}

/* Segments have root tables of their own. */
static void test_segments(void **state)
{
    sim_acpi.dmar.drhds[1].segment = 5;
    sim_acpi.dmar.drhds[1].include_all = true;
    start();
    assert_int_not_equal(machine_unit[0]->root, machine_unit[1]->root);
    struct iommu_domain *domain = machine_domain(3);
    bdf_t far = {.segment = 5, .bus = 1, .devfn = 1};
    uint64_t base;

    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    assert_int_equal(iommu_attach(domain, far, far), STATUS_OK);
    machine_blocked(MACHINE_VF(0), 0, false);
    assert_true(sim_dma(machine_unit[1], 0x101, 0, false, &base));
    assert_false(sim_dma(machine_unit[1], 0x101, 0x1000, false, &base));
    assert_int_equal(iommu_poll_faults(), 2);
    assert_false(sim_edge[0].owned);
    assert_true(sim_edge[1].owned && sim_edge[1].bdf.segment == 5);

    machine_build(SIM_VTD, 0);
    start();
    assert_int_equal(machine_unit[0]->root, machine_unit[1]->root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_not_coherent, set_up),
        cmocka_unit_test_setup(test_coherent, set_up),
        cmocka_unit_test_setup(test_one_not_coherent, set_up),
        cmocka_unit_test_setup(test_caching_mode, set_up),
        cmocka_unit_test_setup(test_write_buffer, set_up),
        cmocka_unit_test_setup(test_widths, set_up),
        cmocka_unit_test_setup(test_small_pages_only, set_up),
        cmocka_unit_test_setup(test_few_domain_ids, set_up),
        cmocka_unit_test_setup(test_too_old, set_up),
        cmocka_unit_test_setup(test_plain_interrupts, set_up),
        cmocka_unit_test_setup(test_without_extended_mode, set_up),
        cmocka_unit_test_setup(test_after_firmware, set_up),
        cmocka_unit_test_setup(test_commands_time_out, set_up),
        cmocka_unit_test_setup(test_queue_refuses, set_up),
        cmocka_unit_test_setup(test_fault_reasons, set_up),
        cmocka_unit_test_setup(test_scopes, set_up),
        cmocka_unit_test_setup(test_segments, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
