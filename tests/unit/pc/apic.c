/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O APIC, message bus and local APICs together, through the machine's public functions. */
#include "tests/unit/pc/fake_edge.h"
#include "tests/unit/pc/unit.h"

#define VCPUS   4U
#define SOURCE  FAKE_SOURCE
#define LEVEL   0x8000U
#define LOGICAL 0x0800U
#define MASKED  0x10000U

static struct pc machine;

static void lapic_put(unsigned vcpu, uint32_t offset, uint32_t value)
{
    assert_true(pc_mmio_write(&machine, vcpu, gpa(LAPIC_BASE + offset), 4, value, 0));
}

static uint32_t lapic_get(unsigned vcpu, uint32_t offset)
{
    uint64_t value;

    assert_true(pc_mmio_read(&machine, vcpu, gpa(LAPIC_BASE + offset), 4, 0, &value));
    return (uint32_t)value;
}

static void ioapic_put(uint32_t reg, uint32_t value)
{
    (void)pc_mmio_write(&machine, 0, gpa(IOAPIC_BASE), 4, reg, 0);
    (void)pc_mmio_write(&machine, 0, gpa(IOAPIC_BASE + 0x10), 4, value, 0);
}

static uint32_t ioapic_get(uint32_t reg)
{
    uint64_t value;

    (void)pc_mmio_write(&machine, 0, gpa(IOAPIC_BASE), 4, reg, 0);
    (void)pc_mmio_read(&machine, 0, gpa(IOAPIC_BASE + 0x10), 4, 0, &value);
    return (uint32_t)value;
}

static void route(unsigned pin, uint32_t low, uint32_t destination)
{
    ioapic_put(0x11 + 2 * pin, destination << 24);
    ioapic_put(0x10 + 2 * pin, low);
}

static int setup(void **state)
{
    struct pc_config config = fake_edge_config(VCPUS);

    fake_edge_clear();
    assert_int_equal(pc_init(&machine, &config), STATUS_OK);
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        lapic_put(vcpu, LAPIC_SVR, 0x1ff);
        lapic_put(vcpu, LAPIC_LDR, 1U << (24 + vcpu));
    }
    fake_edge_clear();
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(fake_edge.locked, 0);
    assert_int_equal(fake_edge.bad_locking, 0);
    return 0;
}

static void test_registers(void **state)
{
    uint64_t value;

    assert_int_equal(ioapic_get(1), 0x00170020);
    ioapic_put(0, 0xffffffff);
    assert_int_equal(ioapic_get(0), 0x0f000000);
    assert_int_equal(ioapic_get(0x10), MASKED);
    route(5, 0xffffffff, 0xff);
    assert_int_equal(ioapic_get(0x10 + 10), 0x1afff); /* no delivery status, no remote IRR */
    assert_int_equal(ioapic_get(0x11 + 10), 0xff000000);
    assert_int_equal(ioapic_get(0x40), 0);
    assert_int_equal(ioapic_get(0x0f), 0);
    ioapic_put(0x40, 0x12345678);
    assert_true(pc_mmio_read(&machine, 0, gpa(IOAPIC_BASE), 4, 0, &value));
    assert_int_equal(value, 0x40);
}

static void test_edge(void **state)
{
    route(7, 0x51, 2);
    fake_edge_set_irq(&machine, SOURCE, 7, true);
    assert_int_equal(fake_edge.kicks[2], 1);
    assert_int_equal(pc_interrupt_take(&machine, 2), 0x51);
    lapic_put(2, LAPIC_EOI, 0);
    assert_int_equal(pc_interrupt_take(&machine, 2), -1);
    fake_edge_set_irq(&machine, SOURCE, 7, false);
    route(7, 0x51 | MASKED, 2);
    fake_edge_set_irq(&machine, SOURCE, 7, true);
    route(7, 0x51, 2); /* an edge on a masked pin is lost */
    assert_false(pc_interrupt_pending(&machine, 2));
}

/* A vector that there is not: an error, of whose interrupt a CPU that sleeps has to hear. */
static void test_bad_vector(void **state)
{
    lapic_put(2, LAPIC_LVT + 0x50, 0xfe);
    fake_edge.kicks[2] = 0;
    assert_false(pc_msi(&machine, 0xfee02000, 0x400f));
    assert_true(pc_interrupt_pending(&machine, 2));
    assert_int_equal(fake_edge.kicks[2], 1);
    assert_int_equal(pc_interrupt_take(&machine, 2), 0xfe);
}

static void test_level(void **state)
{
    route(17, 0x61 | LEVEL, 1);
    fake_edge_set_irq(&machine, SOURCE, 17, true);
    assert_true((ioapic_get(0x10 + 34) & 0x4000) != 0);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x61);
    assert_false(pc_interrupt_pending(&machine, 1));
    lapic_put(1, LAPIC_EOI, 0); /* still asserted: again */
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x61);
    fake_edge_set_irq(&machine, SOURCE, 17, false);
    lapic_put(1, LAPIC_EOI, 0);
    assert_false(pc_interrupt_pending(&machine, 1));
    assert_int_equal(ioapic_get(0x10 + 34) & 0x4000, 0);
}

static void test_level_waits_for_unmask_and_enable(void **state)
{
    route(17, 0x61 | LEVEL | MASKED, 1);
    fake_edge_set_irq(&machine, SOURCE, 17, true);
    route(17, 0x61 | LEVEL, 1);
    assert_true(pc_interrupt_pending(&machine, 1));

    lapic_put(3, LAPIC_SVR, 0xff);
    route(18, 0x62 | LEVEL, 3);
    fake_edge_set_irq(&machine, SOURCE, 18, true);
    assert_int_equal(ioapic_get(0x10 + 36) & 0x4000, 0); /* nobody accepted it */
    lapic_put(3, LAPIC_SVR, 0x1ff);
    assert_int_equal(pc_interrupt_take(&machine, 3), 0x62);
}

static void test_shared_line(void **state)
{
    route(17, 0x61 | LEVEL, 1);
    fake_edge_set_irq(&machine, SOURCE, 17, true);
    fake_edge_set_irq(&machine, SOURCE + 1, 17, true);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x61);
    fake_edge_set_irq(&machine, SOURCE, 17, false);
    lapic_put(1, LAPIC_EOI, 0);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x61);
    fake_edge_set_irq(&machine, SOURCE + 1, 17, false);
    lapic_put(1, LAPIC_EOI, 0);
    assert_false(pc_interrupt_pending(&machine, 1));
}

static void test_directed_eoi(void **state)
{
    lapic_put(1, LAPIC_SVR, 0x11ff);
    route(17, 0x61 | LEVEL, 1);
    fake_edge_set_irq(&machine, SOURCE, 17, true);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x61);
    lapic_put(1, LAPIC_EOI, 0);
    assert_false(pc_interrupt_pending(&machine, 1));
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE + 0x40), 4, 0x61, 0);
    assert_true(pc_interrupt_pending(&machine, 1));
}

static void test_edge_trigger_frees_remote_irr(void **state)
{
    route(17, 0x61 | LEVEL, 1);
    fake_edge_set_irq(&machine, SOURCE, 17, true);
    pc_vcpu_init(&machine, 1); /* loses what was in its APIC */
    assert_true((ioapic_get(0x10 + 34) & 0x4000) != 0);
    route(17, 0x61 | MASKED, 1);
    assert_int_equal(ioapic_get(0x10 + 34) & 0x4000, 0);
}

static void test_delivery_modes(void **state)
{
    route(6, 0x0400, 0xff); /* NMI to all */
    fake_edge_set_irq(&machine, SOURCE, 6, true);
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        assert_int_equal(fake_edge.nmis[vcpu], 1);
    }
    route(7, 0x0500, 3); /* INIT */
    fake_edge_set_irq(&machine, SOURCE, 7, true);
    assert_int_equal(fake_edge.inits[3], 1);
    route(16, 0x0200, 3); /* SMI: nothing happens */
    fake_edge_set_irq(&machine, SOURCE, 16, true);
}

static void test_lowest_priority_takes_turns(void **state)
{
    unsigned taken[VCPUS] = {0};

    route(7, 0x71 | 0x100 | LOGICAL, 0x0d); /* vCPUs 0, 2 and 3 */
    for (unsigned i = 0; i < 9; i++) {
        fake_edge_set_irq(&machine, SOURCE, 7, true);
        fake_edge_set_irq(&machine, SOURCE, 7, false);
        for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
            if (pc_interrupt_take(&machine, vcpu) == 0x71) {
                taken[vcpu]++;
                lapic_put(vcpu, LAPIC_EOI, 0);
            }
        }
    }
    assert_int_equal(taken[0], 3);
    assert_int_equal(taken[1], 0);
    assert_int_equal(taken[2], 3);
    assert_int_equal(taken[3], 3);
    lapic_put(2, LAPIC_SVR, 0xff);
    lapic_put(3, LAPIC_SVR, 0xff);
    fake_edge_set_irq(&machine, SOURCE, 7, true);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x71);
}

static void send(unsigned vcpu, uint32_t low, uint32_t destination)
{
    lapic_put(vcpu, LAPIC_ICR_HIGH, destination << 24);
    lapic_put(vcpu, LAPIC_ICR, low);
}

/* Which vCPUs got VECTOR, as a set; it is taken from them. */
static unsigned receivers(int vector)
{
    unsigned set = 0;

    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        if (pc_interrupt_take(&machine, vcpu) == vector) {
            set |= 1U << vcpu;
            lapic_put(vcpu, LAPIC_EOI, 0);
        }
    }
    return set;
}

static void test_ipi_destinations(void **state)
{
    send(1, 0x44, 2);
    assert_int_equal(receivers(0x44), 0x4);
    send(1, 0x44 | 1U << 18, 0);
    assert_int_equal(receivers(0x44), 0x2);
    send(1, 0x44 | 2U << 18, 0);
    assert_int_equal(receivers(0x44), 0xf);
    send(1, 0x44 | 3U << 18, 0);
    assert_int_equal(receivers(0x44), 0xd);
    send(1, 0x44, 0xff);
    assert_int_equal(receivers(0x44), 0xf);
    send(1, 0x44 | LOGICAL, 0x06);
    assert_int_equal(receivers(0x44), 0x6);
    send(1, 0x44, 9);
    assert_int_equal(receivers(0x44), 0);
}

static void test_cluster_model(void **state)
{
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        lapic_put(vcpu, LAPIC_DFR, 0);
        lapic_put(vcpu, LAPIC_LDR, (vcpu / 2 << 4 | 1U << vcpu % 2) << 24);
    }
    send(0, 0x44 | LOGICAL, 0x13);
    assert_int_equal(receivers(0x44), 0xc);
    send(0, 0x44 | LOGICAL, 0x01);
    assert_int_equal(receivers(0x44), 0x1);
    send(0, 0x44 | LOGICAL, 0xf2);
    assert_int_equal(receivers(0x44), 0xa);
    send(0, 0x44 | LOGICAL, 0xff);
    assert_int_equal(receivers(0x44), 0xf);
}

static void test_x2apic_destinations(void **state)
{
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        uint64_t base = LAPIC_BASE | 0xc00 | (vcpu == 0 ? 0x100 : 0);

        assert_int_equal(pc_msr_write(&machine, vcpu, LAPIC_MSR_BASE, base, 0), STATUS_OK);
    }
    (void)pc_msr_write(&machine, 0, 0x830, 3ULL << 32 | 0x44, 0);
    assert_int_equal(fake_edge.kicks[3] > 0, 1);
    assert_int_equal(pc_interrupt_take(&machine, 3), 0x44);
    (void)pc_msr_write(&machine, 3, 0x80b, 0, 0);
    (void)pc_msr_write(&machine, 0, 0x830, 6ULL << 32 | LOGICAL | 0x44, 0);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x44);
    assert_int_equal(pc_interrupt_take(&machine, 2), 0x44);
    assert_int_equal(pc_interrupt_take(&machine, 3), -1);
    (void)pc_msr_write(&machine, 0, 0x830, 0x10006ULL << 32 | LOGICAL | 0x45, 0);
    (void)pc_msr_write(&machine, 0, 0x830, 0xffULL << 32 | 0x45, 0); /* no broadcast here */
    assert_int_equal(pc_interrupt_take(&machine, 1), -1);
    (void)pc_msr_write(&machine, 0, 0x83f, 0x46, 0);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x46);
    route(17, 0x61, 3); /* a narrow destination still reaches it */
    fake_edge_set_irq(&machine, SOURCE, 17, true);
    assert_int_equal(pc_interrupt_take(&machine, 3), 0x61);
    uint64_t value;
    assert_false(pc_mmio_read(&machine, 0, gpa(LAPIC_BASE + 0x20), 4, 0, &value));
    assert_int_equal(value, 0xffffffff);
}

static void test_start_of_other_cpus(void **state)
{
    lapic_put(1, LAPIC_SVR, 0xff); /* also when it is switched off by software */
    send(0, 0x4500, 1);
    assert_int_equal(fake_edge.inits[1], 1);
    send(0, 0x8500, 1);
    assert_int_equal(fake_edge.inits[1], 1);
    send(0, 0x4600 | 0x9a, 1);
    assert_int_equal(fake_edge.sipis[1], 1);
    assert_int_equal(fake_edge.sipi_vector, 0x9a);
    send(0, 0xc4500, 0); /* all but itself */
    assert_int_equal(fake_edge.inits[0], 0);
    assert_int_equal(fake_edge.inits[3], 1);
    send(2, 0x400, 3);
    assert_int_equal(fake_edge.nmis[3], 1);
}

static void test_msi(void **state)
{
    assert_true(pc_msi(&machine, 0xfee02000, 0x4071));
    assert_int_equal(pc_interrupt_take(&machine, 2), 0x71);
    assert_true(pc_msi(&machine, 0xfee0300c, 0x0172)); /* logical, lowest */
    assert_int_not_equal(receivers(0x72), 0);
    assert_false(pc_msi(&machine, 0xfed02000, 0x4071));
    assert_false(pc_msi(&machine, 0xfee09000, 0x4071));
    assert_false(pc_msi(&machine, 0xfee02000, 0x4003));
}

static void test_lint1_and_nmi_mask(void **state)
{
    lapic_put(1, LAPIC_LVT + 0x40, 0x400);
    lapic_put(2, LAPIC_LVT + 0x40, 0x55);
    pc_nmi(&machine);
    assert_int_equal(fake_edge.nmis[0], 1); /* as firmware leaves it */
    assert_int_equal(fake_edge.nmis[1], 1);
    assert_int_equal(pc_interrupt_take(&machine, 2), 0x55);
    assert_int_equal(fake_edge.nmis[3], 0);
    pc_port_write(&machine, 0x70, 1, 0x80, 0);
    pc_nmi(&machine);
    assert_int_equal(fake_edge.nmis[0], 1);
}

static void test_cr8(void **state)
{
    send(0, 0x44 | 1U << 18, 0);
    pc_cr8_write(&machine, 0, 4);
    assert_int_equal(lapic_get(0, LAPIC_TPR), 0x40);
    assert_int_equal(pc_cr8_read(&machine, 0), 4);
    assert_false(pc_interrupt_pending(&machine, 0));
    assert_true(pc_interrupt_blocked_by_cr8(&machine, 0));
    pc_cr8_write(&machine, 0, 3);
    assert_true(pc_interrupt_pending(&machine, 0));
}

static void test_odd_accesses(void **state)
{
    uint64_t value;

    assert_true(pc_mmio_read(&machine, 1, gpa(LAPIC_BASE + 0x23), 1, 0, &value));
    assert_int_equal(value, 1);
    assert_true(pc_mmio_read(&machine, 1, gpa(LAPIC_BASE + 0x24), 4, 0, &value));
    assert_int_equal(value, 0);
    assert_true(pc_mmio_read(&machine, 1, gpa(LAPIC_BASE + 0x20), 8, 0, &value));
    assert_int_equal(value, 0x01000000);
    assert_true(pc_mmio_write(&machine, 1, gpa(LAPIC_BASE + 0x80), 1, 0x50, 0));
    assert_int_equal(lapic_get(1, LAPIC_TPR), 0);
    assert_false(pc_mmio_read(&machine, 1, gpa(0xfed00000), 8, 0, &value));
    assert_int_equal(value, UINT64_MAX);
    assert_false(pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE - 1), 1, 0, 0));
    assert_int_equal(machine.unclaimed.mmio, 3);
}

static void test_lapic_timer_through_the_machine(void **state)
{
    lapic_put(2, LAPIC_DIVIDE, 0xb);
    lapic_put(2, LAPIC_LVT, 0x30);
    lapic_put(2, LAPIC_INITIAL, 5000);
    assert_int_equal(pc_vcpu_next_event(&machine, 2), 5000);
    pc_vcpu_run(&machine, 2, 4999);
    assert_false(pc_interrupt_pending(&machine, 2));
    pc_vcpu_run(&machine, 2, 5000);
    assert_int_equal(pc_interrupt_take(&machine, 2), 0x30);
    pc_vcpu_run(&machine, 2, 10); /* time does not go back */
    assert_int_equal(machine.lapic[2].state.last_now, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registers),
        TEST(test_edge),
        TEST(test_bad_vector),
        TEST(test_level),
        TEST(test_level_waits_for_unmask_and_enable),
        TEST(test_shared_line),
        TEST(test_directed_eoi),
        TEST(test_edge_trigger_frees_remote_irr),
        TEST(test_delivery_modes),
        TEST(test_lowest_priority_takes_turns),
        TEST(test_ipi_destinations),
        TEST(test_cluster_model),
        TEST(test_x2apic_destinations),
        TEST(test_start_of_other_cpus),
        TEST(test_msi),
        TEST(test_lint1_and_nmi_mask),
        TEST(test_cr8),
        TEST(test_odd_accesses),
        TEST(test_lapic_timer_through_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
