/* SPDX-License-Identifier: BSD-2-Clause */
/* What is AMD-Vi's own: aliases, system messages, kinds of unit, the event log. */
#include "drivers/pci/caps.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/iommu/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RW       (IOMMU_READ | IOMMU_WRITE)
#define ALIASED  ((bdf_t){.devfn = 0x90})
#define ALIAS_ID 0x91
#define IOAPIC   0xa2

static int set_up(void **state)
{
    machine_build(SIM_AMDVI, 0);
    return 0;
}

static void start(void)
{
    assert_int_equal(machine_start(), STATUS_OK);
}

/* Word INDEX of requester ID's entry, as it stands in memory. */
static uint64_t device_word(const struct sim_unit *unit, uint16_t id, unsigned index)
{
    return sim_load(unit, (unit->registers[0] & ~0xfffULL) + id * 32UL + 8UL * index);
}

static void test_registers(void **state)
{
    struct sim_unit *unit = machine_unit[0];

    unit->control = 0x100d; /* firmware's, on */
    unit->registers[4] = 0x1234001;
    unit->registers[5] = 0x2345000;
    start();
    /* Ids up to 4ffh: ten pages of 128 entries. */
    assert_int_equal(unit->registers[0] & 0x1ff, 9);
    assert_int_equal(unit->registers[4], 0); /* exclusion range */
    assert_int_equal(unit->registers[5], 0);
    assert_int_equal(unit->registers[1] >> 56, 8);
    assert_int_equal(unit->registers[2] >> 56, 8);
    /* On, events, commands, coherent, 1 s, 128-bit entries, x2APIC; and what the IVHD wants. */
    assert_int_equal(unit->control, 1ULL << 50 | 1U << 17 | 1U << 12 | 1U << 10 | 4U << 5 |
                                        1U << 2 | 1U << 1 | 1U);
    assert_int_equal(machine_unit[1]->control, unit->control & ~2ULL);
    assert_int_equal(machine_unit[1]->registers[0], unit->registers[0]); /* one segment */
    machine_blocked((bdf_t){.bus = 6}, 0x1000, true);
    assert_int_equal(iommu_poll_faults(), 1);
    assert_string_equal(sim_edge[0].reason, "its device table entry is missing or invalid");
}

static void test_alias(void **state)
{
    struct iommu_message message;
    uint32_t irq, apic_id;
    uint8_t vector;
    uint64_t base;

    start();
    struct iommu_domain *domain = machine_domain(8);
    bdf_t target = {.devfn = ALIAS_ID}, bridge = {.devfn = 0xf0};

    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    assert_int_equal(iommu_attach(domain, target, target), STATUS_UNSUPPORTED);
    assert_int_equal(iommu_attach(domain, bridge, bridge), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("0000:00:1e.0 cannot be assigned: other devices send requests"));
    machine_blocked(ALIASED, 0, false);
    machine_blocked(target, 0, false);
    assert_int_equal(iommu_attach(domain, ALIASED, ALIASED), STATUS_OK);
    machine_reaches(ALIASED, 0x10, 0x1010);
    machine_reaches(target, 0x10, 0x1010);
    assert_int_equal(iommu_irq_allocate(ALIASED, 9, 0x41, &irq, &message), STATUS_OK);
    for (uint16_t id = 0x90; id <= ALIAS_ID; id++) {
        assert_true(
            sim_message(machine_unit[0], id, message.address, message.data, &apic_id, &vector));
        assert_int_equal(apic_id, 9);
    }

    /* Faults under the alias are the device's. */
    (void)iommu_poll_faults();
    sim_edge_count = 0;
    assert_false(sim_dma(machine_unit[0], ALIAS_ID, 0x5000, true, &base));
    assert_int_equal(iommu_poll_faults(), 1);
    assert_true(bdf_equal(sim_edge[0].bdf, ALIASED) && sim_edge[0].owned);
    assert_int_equal(sim_edge[0].owner, 8);

    assert_int_equal(iommu_irq_free(irq), STATUS_OK);
    for (uint16_t id = 0x90; id <= ALIAS_ID; id++) {
        assert_false(
            sim_message(machine_unit[0], id, message.address, message.data, &apic_id, &vector));
    }
    assert_int_equal(iommu_detach(ALIASED), STATUS_OK);
    machine_blocked(ALIASED, 0, false);
    machine_blocked(target, 0, false);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

/* 91h is another's alias, and has one itself. */
static void test_alias_chain(void **state)
{
    bdf_t middle = {.devfn = ALIAS_ID};

    sim_acpi.ivrs.devices[4] = (struct acpi_ivhd_device){
        .first = ALIAS_ID, .last = ALIAS_ID, .alias = 0x92, .has_alias = true};
    start();
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, middle, middle), STATUS_UNSUPPORTED);
}

/* What firmware wants let through stays for devices that nobody has, and for them alone. */
static void test_system_messages(void **state)
{
    start();
    assert_int_equal(device_word(machine_unit[0], IOAPIC, 0), 3);
    assert_int_equal(device_word(machine_unit[0], IOAPIC, 1), 1ULL << 40);
    assert_int_equal(device_word(machine_unit[0], IOAPIC, 2), 0xc7ULL << 56 | 1);
    assert_int_equal(device_word(machine_unit[0], 0x98, 1), 3ULL << 40);
    struct iommu_domain *domain = machine_domain(1);
    bdf_t device = {.devfn = 0x98};

    assert_int_equal(iommu_attach(domain, device, device), STATUS_OK);
    assert_int_equal(device_word(machine_unit[0], 0x98, 1), 1); /* the domain */
    assert_int_equal(device_word(machine_unit[0], 0x98, 2), 1); /* and none of the NMIs */
    assert_int_equal(iommu_detach(device), STATUS_OK);
    assert_int_equal(device_word(machine_unit[0], 0x98, 0), 3);
    assert_int_equal(device_word(machine_unit[0], 0x98, 1), 3ULL << 40);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

static void test_old_units(void **state)
{
    struct iommu_message message;
    uint32_t irqs[3], apic_id;
    uint8_t vector;

    machine_unit[0]->features = machine_unit[1]->features = 0;
    machine_unit[1]->device_count = 1; /* left by firmware: must go without INVALIDATE_ALL, too */
    machine_unit[1]->devices[0] = (struct sim_device){.source = 0x4ff, .present = true};
    machine_unit[1]->page_count = 1;
    machine_unit[1]->pages[0] = (struct sim_page){.domain = 3, .size = 0x1000, .present = true};
    start();
    assert_int_equal(machine_unit[1]->device_count, 0);
    assert_int_equal(machine_unit[1]->page_count, 0);
    assert_false(iommu_facts()->x2apic);
    assert_true(fake_log_contains("only CPUs with APIC ids up to 254"));
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 255, 0x41, &irqs[0], &message),
                     STATUS_RANGE);
    for (unsigned i = 0; i < 3; i++) { /* two share a word */
        assert_int_equal(
            iommu_irq_allocate(MACHINE_VF(0), 100 + i, (uint8_t)(0x41 + i), &irqs[i], &message),
            STATUS_OK);
        assert_int_equal(message.address, 0xfee00000);
        assert_int_equal(message.data, i);
    }
    assert_int_equal(iommu_irq_free(irqs[1]), STATUS_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sim_message(machine_unit[0], 0x101, 0xfee00000, i, &apic_id, &vector),
                         i != 1);
        assert_true(i == 1 || (apic_id == 100 + i && vector == 0x41 + i));
    }
    assert_int_equal(iommu_irq_free(irqs[0]), STATUS_OK);
    assert_int_equal(iommu_irq_free(irqs[2]), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

/* Where nothing is cached that is not present, mapping costs no command. */
static void test_np_cache(void **state)
{
    uint8_t *config = fake_pci_add(fake_bdf(0, 0, 2), 0x1022, 0x1419);

    assert_int_equal(fake_pci_cap(config, PCI_CAP_IOMMU, 0x18), 0x40);
    fake_put32(config, 0x40, 0x0b00000f);
    machine_unit[0]->np_cache = false;
    start();
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_blocked(MACHINE_VF(0), 0, false);
    unsigned long before = machine_unit[0]->commands;

    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x1000), 0x1000, RW), STATUS_OK);
    assert_int_equal(machine_unit[0]->commands, before);
    machine_reaches(MACHINE_VF(0), 0, 0x1000);
    assert_int_equal(iommu_attach(domain, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    before = machine_unit[1]->commands;
    assert_int_equal(iommu_map(domain, gpa(0x1000), hpa(0x5000), 0x1000, RW), STATUS_OK);
    assert_int_equal(machine_unit[1]->commands, before + 2); /* this one does, and the wait */
}

static void test_dead_registers(void **state)
{
    machine_unit[1]->forgets_writes = true;
    assert_int_equal(machine_start(), STATUS_DEVICE);
    assert_true(fake_log_contains("AMD-Vi at 0xfed94000 did not start"));
    machine_blocked(MACHINE_PF, 0, false); /* the other one is on */

    machine_build(SIM_AMDVI, 0);
    machine_unit[0]->queue_hangs = true;
    assert_int_equal(machine_start(), STATUS_TIMEOUT);
    assert_true(fake_log_contains("AMD-Vi at 0xfed90000 did not carry out a command"));
    assert_int_equal(iommu_facts()->unit_count, 1);
}

static void test_narrow_addresses(void **state)
{
    sim_acpi.ivrs.virtual_width = 40;
    start();
    assert_int_equal(iommu_facts()->iova_bits, 40);
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_map(domain, gpa(1ULL << 40), hpa(0), 0x1000, RW), STATUS_RANGE);
    assert_int_equal(iommu_map(domain, gpa((1ULL << 40) - 0x1000), hpa(0), 0x1000, RW), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

static void put_event(struct sim_unit *unit, uint64_t low, uint64_t high)
{
    uint64_t at = (unit->registers[2] & 0x000ffffffffff000ULL) + unit->event_tail;

    sim_store(at, low);
    sim_store(at + 8, high);
    unit->event_tail = (unit->event_tail + 16) % 4096;
}

static void test_events(void **state)
{
    static const struct {
        uint64_t low;
        const char *reason;
    } rows[] = {
        {0x1000000000000101, "its device table entry is missing or invalid"        },
        {0x2000000000000101, "nothing is mapped there for it"                      },
        {0x3000000000000101, "the device table could not be read"                  },
        {0x4000000000000101, "a page table could not be read"                      },
        {0x7000000000000101, "the device did not answer an invalidation of its TLB"},
        {0x8000000000000101, "the device sent a request that it must not send"     },
        {0x9000000000000101, "unknown event"                                       },
        {0x0000000000000101, "unknown event"                                       }, /* never came */
    };

    start();
    for (unsigned round = 0; round < 40; round++) { /* around the ring, too */
        sim_edge_count = 0;
        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
            put_event(machine_unit[0], rows[i].low, 0x1000 * i);
        }
        assert_int_equal(iommu_poll_faults(), ARRAY_SIZE(rows));
        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
            assert_string_equal(sim_edge[i].reason, rows[i].reason);
            assert_int_equal(sim_edge[i].address, 0x1000 * i);
            assert_true(bdf_equal(sim_edge[i].bdf, MACHINE_VF(0)));
        }
    }
    assert_int_equal(machine_unit[0]->event_head, machine_unit[0]->event_tail);

    /* What stood there in an earlier round is not taken for an event that has not arrived. */
    machine_unit[0]->event_tail = (machine_unit[0]->event_tail + 16) % 4096;
    sim_edge_count = 0;
    assert_int_equal(iommu_poll_faults(), 1);
    assert_string_equal(sim_edge[0].reason, "unknown event");

    /* Of the unit itself, not of a device. */
    put_event(machine_unit[0], 0x5000000000000000, 0x123450);
    assert_int_equal(iommu_poll_faults(), 0);
    assert_true(fake_log_contains("AMD-Vi at 0xfed90000: the unit refused a command, at 0x123450"));
}

/* The log begins anew after an overflow: nothing that stood in it before is seen again. */
static void test_late_event(void **state)
{
    struct sim_unit *unit = NULL;

    start();
    unit = machine_unit[0];
    for (unsigned i = 0; i < 3; i++) {
        put_event(unit, 0, 0); /* given up */
    }
    assert_int_equal(iommu_poll_faults(), 3);
    unit->event_tail = 0;
    put_event(unit, 0x1000000000000101, 0x1000); /* they come after all */
    put_event(unit, 0x1000000000000101, 0x2000);
    unit->event_tail = unit->event_head;
    unit->status |= 1; /* overflow */
    assert_int_equal(iommu_poll_faults(), 0);
    assert_int_equal(iommu_counters().faults_lost, 1);
    assert_int_equal(unit->event_head, 0);
    sim_edge_count = 0;
    unit->event_tail = 32; /* two new ones, of which nothing has arrived */
    assert_int_equal(iommu_poll_faults(), 2);
    assert_string_equal(sim_edge[0].reason, "unknown event");
    assert_string_equal(sim_edge[1].reason, "unknown event");
}

/* ---- Which pages devices write ---- */

#define MARKS     (1ULL << 49 | 1ULL << 52)
#define RAM_AT    0x100000000ULL /* in the machine's memory */
#define RAM_PAGES 1024U

static uint64_t ram_marks[RAM_PAGES / 64];
static struct ram vm_ram = {.below_4g = RAM_PAGES * PAGE_SIZE, .marks = ram_marks, .run_count = 2};

/* A VM's RAM of two runs, in large pages, and its VF 0. */
static struct iommu_domain *start_vm(void)
{
    struct iommu_domain *domain = machine_domain(3);
    const uint64_t half = RAM_PAGES / 2 * PAGE_SIZE;

    for (unsigned i = 0; i < 2; i++) {
        vm_ram.run[i] =
            (struct ram_run){.at = {i * half}, .frames = {RAM_AT + 2 * i * half}, .size = half};
        assert_int_equal(iommu_map(domain, vm_ram.run[i].at, vm_ram.run[i].frames, half, RW),
                         STATUS_OK);
    }
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    memset(ram_marks, 0, sizeof(ram_marks));
    return domain;
}

static void dma(uint64_t page, bool write)
{
    uint64_t base, half = RAM_PAGES / 2, wanted = page + (page >= half ? half : 0);

    assert_true(machine_dma(MACHINE_VF(0), page * PAGE_SIZE, write, &base));
    assert_int_equal(base, RAM_AT + wanted * PAGE_SIZE);
}

/* The next report has just COUNT PAGEs. */
static void check_written(struct iommu_domain *domain, const uint64_t *page, unsigned count)
{
    uint64_t pages, found = 0;

    memset(ram_marks, 0, sizeof(ram_marks));
    assert_int_equal(iommu_take_written(domain, &vm_ram, &pages), STATUS_OK);
    assert_int_equal(pages, count);
    for (unsigned i = 0; i < count; i++) {
        found += ram_marks[page[i] / 64] >> page[i] % 64 & 1;
    }
    assert_int_equal(found, count);
    for (unsigned i = 0; i < RAM_PAGES / 64; i++) {
        found -= (uint64_t)__builtin_popcountll(ram_marks[i]);
    }
    assert_int_equal(found, 0);
}

static void test_marks(void **state)
{
    static const uint64_t pages[] = {0, 63, 64, 511, 512, 1023};
    unsigned long commands;

    machine_unit[0]->features |= MARKS;
    machine_unit[1]->features |= MARKS;
    start();
    assert_true(iommu_facts()->marks);
    struct iommu_domain *domain = start_vm();

    dma(7, true); /* before anybody asks */
    assert_int_equal(iommu_watch(domain, &vm_ram), STATUS_OK);
    check_written(domain, NULL, 0);
    for (unsigned turn = 0; turn < 3; turn++) { /* also what is cached from the turn before */
        for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
            dma(pages[i], false);
            dma(pages[i] ^ 2, false); /* reading is not writing */
            dma(pages[i], true);
            dma(pages[i], true);
        }
        commands = machine_unit[0]->commands;
        check_written(domain, pages, ARRAY_SIZE(pages));
        assert_true(machine_unit[0]->commands > commands);
        check_written(domain, NULL, 0);
    }
    assert_int_equal(iommu_watch(domain, &vm_ram), STATUS_OK); /* for another VF of the VM */
    dma(9, true);
    check_written(domain, (const uint64_t[]){9}, 1);
}

/* Its device writes all the time, between any two steps of ours: each report has that page. */
static void test_no_mark_is_lost(void **state)
{
    machine_unit[0]->features |= MARKS;
    machine_unit[1]->features |= MARKS;
    start();
    struct iommu_domain *domain = start_vm();

    machine_unit[0]->busy_source = machine_id(MACHINE_VF(0));
    machine_unit[0]->busy_iova = 100 * PAGE_SIZE;
    machine_unit[0]->busy = true;
    assert_int_equal(iommu_watch(domain, &vm_ram), STATUS_OK);
    for (unsigned i = 0; i < 4; i++) {
        check_written(domain, (const uint64_t[]){100}, 1);
        dma(101, true);
        check_written(domain, (const uint64_t[]){100, 101}, 2);
    }
    machine_unit[0]->busy = false;
}

/* One unit that does not mark pages, or only what was accessed, and nobody counts on it. */
static void test_no_marks(void **state)
{
    static const uint64_t features[][2] = {
        {0,          0         },
        {MARKS,      0         },
        {0,          MARKS     },
        {1ULL << 52, MARKS     },
        {1ULL << 49, 1ULL << 49}
    };

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        machine_build(SIM_AMDVI, 0);
        machine_unit[0]->features |= features[i][0];
        machine_unit[1]->features |= features[i][1];
        start();
        assert_false(iommu_facts()->marks);
        struct iommu_domain *domain = start_vm();

        assert_int_equal(iommu_watch(domain, &vm_ram), STATUS_UNSUPPORTED);
        dma(3, true);
        assert_int_equal(device_word(machine_unit[0], machine_id(MACHINE_VF(0)), 0) >> 7 & 3, 0);
    }
}

/* Not enough memory for small pages: what was mapped is. A unit that does not answer: an error. */
static void test_marks_fail(void **state)
{
    uint64_t pages;

    machine_unit[0]->features |= MARKS;
    machine_unit[1]->features |= MARKS;
    start();
    struct iommu_domain *domain = start_vm();

    for (int limit = 0; limit < 2; limit++) {
        sim_pool_limit(limit);
        assert_int_equal(iommu_watch(domain, &vm_ram), STATUS_NO_MEMORY);
        dma(5, true);
        dma(1000, true);
    }
    sim_pool_limit(-1);
    assert_int_equal(iommu_watch(domain, &vm_ram), STATUS_OK);
    machine_unit[0]->queue_hangs = true;
    assert_int_equal(iommu_take_written(domain, &vm_ram, &pages), STATUS_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_registers, set_up),
        cmocka_unit_test_setup(test_alias, set_up),
        cmocka_unit_test_setup(test_alias_chain, set_up),
        cmocka_unit_test_setup(test_system_messages, set_up),
        cmocka_unit_test_setup(test_old_units, set_up),
        cmocka_unit_test_setup(test_np_cache, set_up),
        cmocka_unit_test_setup(test_dead_registers, set_up),
        cmocka_unit_test_setup(test_narrow_addresses, set_up),
        cmocka_unit_test_setup(test_events, set_up),
        cmocka_unit_test_setup(test_late_event, set_up),
        cmocka_unit_test_setup(test_marks, set_up),
        cmocka_unit_test_setup(test_no_mark_is_lost, set_up),
        cmocka_unit_test_setup(test_no_marks, set_up),
        cmocka_unit_test_setup(test_marks_fail, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
