/* SPDX-License-Identifier: BSD-2-Clause */
/* What is kept of a guest's doing, by which kind, how much of it, and in which order. */
#include "vmm/vm/trace.h"

#include "tests/unit/vm/fake_vm.h"
#include "vmm/emulate/emulate_edge.h"
#include "vmm/vm/interrupts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    fake_vm_reset();
    spinlock_init(&fake_vm.trace.lock, LOCK_TRACE);
    return 0;
}

static void expect(uint64_t back, uint32_t kind, uint64_t at, uint64_t value, uint32_t repeats)
{
    struct trace_entry entry;

    assert_true(trace_get(&fake_vm, back, &entry));
    assert_int_equal(entry.kind, kind);
    assert_int_equal(entry.at, at);
    assert_int_equal(entry.value, value);
    assert_int_equal(entry.repeats, repeats);
    assert_int_equal(entry.rip, vcpu->rip);
}

static void expect_count(uint64_t count)
{
    struct trace_entry entry;

    assert_int_equal(fake_vm.trace.count, count);
    assert_false(trace_get(&fake_vm, count, &entry));
}

/* One of each kind. */
static void act(void)
{
    fake_platform.port_value = 0x12;
    (void)emulate_port_read(vcpu, 0x71, 1);
    (void)emulate_port_write(vcpu, 0x80, 2, 0x34);
    fake_vm.pc.pci.address = 0x8001f844;
    (void)emulate_port_write(vcpu, 0xcfe, 2, 0x56);
    fake_platform.mmio_value = 0x78;
    (void)emulate_device_read(vcpu, gpa(0xfec00010), 4);
    emulate_device_write(vcpu, gpa(0xfee000b0), 4, 0);
    fake_platform.vector = 0x41;
    vcpu->event.kind = VCPU_EVENT_NONE;
    vcpu->rflags |= RFLAGS_IF;
    interrupts_prepare(vcpu);
}

static void test_off(void **state)
{
    act();
    expect_count(0);
}

static void test_kinds(void **state)
{
    trace_set(&fake_vm, TRACE_ALL);
    act();
    expect_count(7);
    expect(6, TRACE_PORTS, 0x71, 0x12, 0);
    expect(5, TRACE_PORTS, 0x80, 0x34, 0);
    expect(4, TRACE_PORTS, 0xcfe, 0x56, 0);
    expect(3, TRACE_PCI, 0x1f846, 0x56, 0);
    expect(2, TRACE_MMIO, 0xfec00010, 0x78, 0);
    expect(1, TRACE_MMIO, 0xfee000b0, 0, 0);
    expect(0, TRACE_INT, 0x41, 0, 0);
    static const struct {
        uint32_t kind;
        unsigned count;
    } kinds[] = {
        {TRACE_PORTS,            3},
        {TRACE_PCI,              1},
        {TRACE_MMIO,             2},
        {TRACE_INT,              1},
        {TRACE_MMIO | TRACE_INT, 3},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        trace_set(&fake_vm, kinds[i].kind); /* what was kept is forgotten */
        expect_count(0);
        act();
        expect_count(kinds[i].count);
    }
    trace_set(&fake_vm, 0); /* what was kept can still be seen */
    act();
    expect_count(3);
}

static void test_repeats(void **state)
{
    trace_set(&fake_vm, TRACE_PORTS);
    fake_platform.port_value = 1;
    for (unsigned i = 0; i < 1000; i++) {
        (void)emulate_port_read(vcpu, 0x64, 1);
    }
    expect_count(1);
    expect(0, TRACE_PORTS, 0x64, 1, 999);
    fake_platform.port_value = 0;
    (void)emulate_port_read(vcpu, 0x64, 1);
    (void)emulate_port_write(vcpu, 0x64, 1, 0); /* the same but for its direction */
    expect_count(3);
    fake_vm.trace.entry[2].repeats = UINT32_MAX;
    (void)emulate_port_write(vcpu, 0x64, 1, 0);
    expect(0, TRACE_PORTS, 0x64, 0, UINT32_MAX);
}

static void test_bounds(void **state)
{
    struct trace_entry entry;

    trace_set(&fake_vm, TRACE_PORTS);
    for (unsigned i = 0; i < TRACE_ENTRIES + 10; i++) {
        (void)emulate_port_write(vcpu, (uint16_t)(0x1000 + i), 1, i);
    }
    expect(0, TRACE_PORTS, 0x1000 + TRACE_ENTRIES + 9, TRACE_ENTRIES + 9, 0);
    expect(TRACE_ENTRIES - 1, TRACE_PORTS, 0x100a, 10, 0);
    assert_false(trace_get(&fake_vm, TRACE_ENTRIES, &entry));
    assert_int_equal(fake_vm.trace.count, TRACE_ENTRIES + 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_off, setup),
        cmocka_unit_test_setup(test_kinds, setup),
        cmocka_unit_test_setup(test_repeats, setup),
        cmocka_unit_test_setup(test_bounds, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
