/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine is saved and built anew. That a guest cannot tell is shown by tests/fuzz/pc/twins.c,
 * which runs here with fixed seeds; and what a stream may not say.
 */
#include "tests/unit/pc/unit.h"

#include "tests/unit/pc/fake_edge.h"
#include "vmm/pc/clock.h"
#include "vmm/state/state.h"

#include <string.h>

#define SEEDS     400U
#define INPUT_MAX 1500U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pc machine;
static uint8_t stream[16384];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Small bytes are more likely: they are what chooses the devices that matter. */
static void no_guest_can_tell(void **state)
{
    (void)state;
    static uint8_t input[INPUT_MAX];

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15ULL;
        size_t size = 0;

        for (unsigned i = 0; i < 16; i++) {
            size = next_random(&random) % INPUT_MAX + 1;
        }
        for (size_t i = 0; i < size; i++) {
            uint64_t r = next_random(&random);

            input[i] = (uint8_t)((r & 0x300U) == 0 ? r & 15U : r);
        }
        (void)LLVMFuzzerTestOneInput(input, size);
    }
}

static void power_on(unsigned vcpus)
{
    struct pc_config config = fake_edge_config(vcpus);

    fake_edge_clear();
    assert_int_equal(pc_init(&machine, &config), STATUS_OK);
}

static size_t save(void)
{
    struct state_writer w;

    state_writer_init(&w, stream, sizeof(stream));
    state_put_all(&w, pc_sections, pc_section_count, machine.config.vcpu_count, &machine);
    assert_false(state_overflowed(&w));
    return w.used;
}

static void load(size_t size)
{
    struct state_reader r;

    state_reader_init(&r, stream, size);
    assert_int_equal(
        state_get_all(&r, pc_sections, pc_section_count, machine.config.vcpu_count, &machine),
        STATUS_OK);
    assert_int_equal(state_end(&r), STATUS_OK);
    pc_derive(&machine);
}

/* What is in the machine now cannot be loaded, and the message says WHERE. */
static void refuses(const char *where)
{
    struct state_reader r;
    size_t size = save();

    state_reader_init(&r, stream, size);
    assert_int_equal(
        state_get_all(&r, pc_sections, pc_section_count, machine.config.vcpu_count, &machine),
        STATUS_INVALID);
    if (strstr(r.problem, where) == NULL) {
        fail_msg("\"%s\" does not name \"%s\"", r.problem, where);
    }
    power_on(2);
}

static void impossible_state_is_refused(void **state)
{
    (void)state;
    power_on(2);
    machine.board.now = CLOCK_LAST + 1;
    refuses("section board, instance 0, field now: element 0");
    machine.pic.chip[1].highest = 8;
    refuses("section pic, instance 1, field highest");
    machine.pic.chip[0].vector_base = 0x31;
    refuses("section pic, instance 0: its fields contradict");
    machine.pit.state.channel[2].count = 0;
    refuses("section pit");
    machine.pit.state.channel[1].count = 0x10001;
    refuses("field channel.count: element 1");
    machine.ioapic.state.entry[3] = IOAPIC_ENTRY_REMOTE_IRR; /* an edge waits for no EOI */
    refuses("section ioapic");
    machine.rtc.state.base_ns = (int64_t)machine.rtc.state.last + 1;
    refuses("section rtc");
    machine.pm.state.control = 0x2000;
    refuses("section acpi_pm");
    machine.uart.count = UART_FIFO_SIZE + 1;
    refuses("section uart");
    machine.kbc.state.first = I8042_QUEUE;
    refuses("section i8042");
    machine.pci.config[PCI_HOST_BRIDGE][2] ^= 1; /* the device ID */
    refuses("section pci_host");
    machine.lapic[1].state.count_start = machine.lapic[1].state.last_now + 1;
    refuses("section lapic, instance 1");
    machine.lapic[0].state.irr[0] = 0x8000; /* vector 15 */
    refuses("section lapic, instance 0");
    machine.lapic[0].state.lvt[LAPIC_LVT_ERROR] = 0x400;
    refuses("section lapic, instance 0");
    load(save());
}

static void another_number_of_vcpus_is_refused(void **state)
{
    (void)state;
    struct state_reader r;

    power_on(3);
    size_t size = save();
    power_on(2);
    state_reader_init(&r, stream, size);
    assert_int_equal(state_get_all(&r, pc_sections, pc_section_count, 2, &machine), STATUS_OK);
    assert_int_equal(state_end(&r), STATUS_INVALID);
    power_on(4);
    state_reader_init(&r, stream, size);
    assert_int_equal(state_get_all(&r, pc_sections, pc_section_count, 4, &machine), STATUS_INVALID);
}

/* An interrupt that waited when the machine was saved is told to its vCPU, and is there once. */
static void a_waiting_interrupt_is_taken_after_a_load(void **state)
{
    (void)state;
    power_on(2);
    (void)pc_mmio_write(&machine, 1, gpa(LAPIC_BASE + LAPIC_SVR), 4, 0x1ff, 0);
    assert_true(pc_msi(&machine, 0xfee01000, 0x55));
    size_t size = save();
    power_on(2);
    fake_edge_clear();
    load(size);
    assert_int_equal(fake_edge.kicks[0], 0);
    assert_int_equal(fake_edge.kicks[1], 1);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x55);
    assert_int_equal(pc_interrupt_take(&machine, 1), -1);
}

/* Timers go on from where they were, and the VM hears when the first is due. */
static void time_goes_on(void **state)
{
    (void)state;
    power_on(1);
    pc_port_write(&machine, 0x43, 1, 0x34, NS_PER_S);
    pc_port_write(&machine, 0x40, 1, 0xa9, NS_PER_S);
    pc_port_write(&machine, 0x40, 1, 0x04, NS_PER_S);
    pc_port_write(&machine, 0x21, 1, 0xfe, NS_PER_S);
    if (pc_interrupt_take(&machine, 0) >= 0) { /* OUT rose with the mode */
        pc_port_write(&machine, 0x20, 1, 0x20, NS_PER_S);
    }
    uint64_t due = pc_next_event(&machine);
    assert_in_range(due, NS_PER_S + 1, NS_PER_S + NS_PER_MS + 5000);
    size_t size = save();
    power_on(1);
    fake_edge_clear();
    load(size);
    assert_int_equal(machine.board.now, NS_PER_S);
    assert_int_equal(pc_next_event(&machine), due);
    assert_int_equal(fake_edge.deadline_changes, 1);
    pc_run(&machine, due - 1);
    assert_false(pc_interrupt_pending(&machine, 0));
    pc_run(&machine, due);
    assert_true(pc_interrupt_pending(&machine, 0));
}

/* INTR was up already: LINT0, programmed as an NMI, sees no edge in a load. */
static void a_load_makes_no_edges(void **state)
{
    (void)state;
    power_on(1);
    (void)pc_mmio_write(&machine, 0, gpa(LAPIC_BASE + LAPIC_SVR), 4, 0x1ff, 0);
    (void)pc_mmio_write(&machine, 0, gpa(LAPIC_BASE + LAPIC_LVT + 0x30), 4, 0x400, 0);
    pc_port_write(&machine, 0x21, 1, 0, 0);
    fake_edge_set_irq(&machine, FAKE_SOURCE, 5, true);
    assert_int_equal(fake_edge.nmis[0], 1);
    size_t size = save();
    power_on(1);
    fake_edge_clear();
    load(size);
    assert_int_equal(fake_edge.nmis[0], 0);
    fake_edge_set_irq(&machine, FAKE_SOURCE, 5, true);
    assert_int_equal(fake_edge.nmis[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_state_is_refused),
        cmocka_unit_test(another_number_of_vcpus_is_refused),
        cmocka_unit_test(a_waiting_interrupt_is_taken_after_a_load),
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(a_load_makes_no_edges),
        cmocka_unit_test(no_guest_can_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
