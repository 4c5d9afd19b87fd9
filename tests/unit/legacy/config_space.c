/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space: identity, writable bits, BARs, decode, capability list. */
#include "tests/unit/legacy/guest.h"

#define COMMAND 0x04
#define BAR0    0x10
#define BAR1    0x14

static int setup(void **state)
{
    guest_start(1, 2);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    return 0;
}

static void looks_like_a_legacy_device(void **state)
{
    assert_int_equal(config_in(0, 0x00, 4), 0x10001af4);
    assert_int_equal(config_in(0, 0x08, 4), 0x02000000); /* network, revision 0 */
    assert_int_equal(config_in(0, 0x0e, 1), 0);
    assert_int_equal(config_in(0, 0x2c, 4), 0x00011af4);
    assert_int_equal(config_in(0, 0x30, 4), 0); /* no ROM */
    assert_int_equal(config_in(0, 0x3c, 2), 0x010b);
    assert_int_equal(config_in(0, COMMAND, 4), 0x00100003);
    for (unsigned bar = 2; bar < 6; bar++) {
        assert_int_equal(config_in(0, BAR0 + 4 * bar, 4), 0);
    }
}

static void each_type_has_its_ids(void **state)
{
    static const struct {
        uint16_t type;
        uint16_t device;
        uint16_t pci_class;
        uint32_t io_size;
    } types[] = {
        {1, 0x1000, 0x0200, 64 },
        {2, 0x1001, 0x0100, 128},
        {3, 0x1003, 0x0780, 64 },
        {4, 0x1005, 0x00ff, 32 },
        {5, 0x1002, 0x00ff, 64 },
        {8, 0x1004, 0x0100, 64 },
        {9, 0x1009, 0x0002, 64 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        guest_start(types[i].type, 1);
        assert_int_equal(config_in(0, 0x00, 4), types[i].device << 16 | 0x1af4U);
        assert_int_equal(config_in(0, 0x0a, 2), types[i].pci_class);
        assert_int_equal(config_in(0, 0x2e, 2), types[i].type);
        config_out(0, BAR0, 4, 0xffffffff);
        assert_int_equal(config_in(0, BAR0, 4), ~(types[i].io_size - 1) | 1U);
    }
}

static void other_slots_are_empty(void **state)
{
    assert_int_equal(config_in(2, 0x00, 4), 0xffffffff);
    assert_int_equal(legacy_config_read(&guest, 2 << 3 | 1, 0, 2), 0xffff);
    config_out(2, COMMAND, 2, 7);
}

static void the_only_capability_is_msix(void **state)
{
    assert_int_equal(config_in(0, 0x34, 1), 0x40);
    assert_int_equal(config_in(0, 0x40, 4), (FAKE_ENTRIES - 1) << 16 | 0x0011);
    assert_int_equal(config_in(0, 0x44, 4), 1);     /* table: BAR 1 */
    assert_int_equal(config_in(0, 0x48, 4), 0x801); /* PBA */
}

static void only_writable_bits_change(void **state)
{
    uint32_t before[64];

    for (unsigned i = 0; i < 64; i++) {
        before[i] = config_in(1, 4 * i, 4);
    }
    for (unsigned i = 0; i < 64; i++) {
        config_out(1, 4 * i, 4, 0xffffffff);
        config_out(1, 4 * i, 4, before[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(config_in(1, 4 * i, 4), before[i]);
    }
    config_out(1, COMMAND, 4, 0xffffffff);
    assert_int_equal(config_in(1, COMMAND, 4), 0x00100507);
    config_out(1, 0x42, 2, 0xffff);
    assert_int_equal(config_in(1, 0x42, 2), 0xc000 | (FAKE_ENTRIES - 1));
    config_out(1, 0x0c, 4, 0xffffffff);
    assert_int_equal(config_in(1, 0x0c, 4), 0xffff);
    config_out(1, 0x3c, 4, 0xffffff05);
    assert_int_equal(config_in(1, 0x3c, 4), 0x0105);
}

static void bars_size_by_bytes_too(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        config_out(0, BAR0 + i, 1, 0xff);
        config_out(0, BAR1 + i, 1, 0xff);
    }
    assert_int_equal(config_in(0, BAR0, 4), 0xffffffc1);
    assert_int_equal(config_in(0, BAR1, 4), 0xfffff000);
}

static bool answers(unsigned port)
{
    uint32_t value;

    return legacy_port_read(&guest, (uint16_t)port, 1, &value);
}

static bool answers_memory(uint32_t address)
{
    uint64_t value;

    return legacy_mmio_read(&guest, gpa(address), 4, &value);
}

static void io_bar_moves(void **state)
{
    assert_true(answers(IO(0)) && answers(IO(0) + 63));
    assert_false(answers(IO(0) - 1) || answers(IO(0) + 64));
    config_out(0, BAR0, 4, 0x1240);
    assert_false(answers(IO(0)));
    assert_true(answers(0x1240) && answers(0x127f));
    assert_false(answers(0x123f) || answers(0x1280));
    out(0x1240 + LEGACY_QUEUE_NOTIFY, 2, 3);
    assert_int_equal(fake.vf[0].doorbell, 3);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 4);
    assert_int_equal(fake.vf[0].doorbell, 3);
}

static void io_bar_beyond_the_ports_is_nowhere(void **state)
{
    config_out(0, BAR0, 4, 0x0001c000); /* not at C000h either */
    assert_false(answers(0xc000));
    config_out(0, BAR0, 4, 0xffc0);
    assert_true(answers(0xffff));
    config_out(0, BAR0, 4, 0);
    assert_false(answers(0) || answers(0x10));
    assert_false(legacy_notify(&guest, 0x10, 1));
}

static void command_switches_decoding(void **state)
{
    config_out(0, COMMAND, 2, 2);
    assert_false(answers(IO(0)));
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 1));
    assert_true(answers_memory(MMIO(0)));
    config_out(0, COMMAND, 2, 1);
    assert_true(answers(IO(0)));
    assert_false(answers_memory(MMIO(0)));
    config_out(0, COMMAND, 2, 0);
    assert_true(answers(IO(1)) && answers_memory(MMIO(1)));
}

static void memory_bar_moves(void **state)
{
    config_out(0, BAR1, 4, 0xfebf0000);
    assert_false(answers_memory(MMIO(0)));
    assert_true(answers_memory(0xfebf0000) && answers_memory(0xfebf0ffc));
    assert_false(answers_memory(0xfebf1000) || answers_memory(0xfebefffc));
    assert_false(legacy_mmio_write(&guest, gpa(0x1febf0000), 4, 0));
}

static void the_first_of_two_at_a_port_wins(void **state)
{
    config_out(1, BAR0, 4, IO(0));
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 1);
    assert_int_equal(fake.vf[0].doorbell, 1);
    assert_int_equal(fake.vf[1].doorbell, 0);
    config_out(0, COMMAND, 2, 0);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 2);
    assert_int_equal(fake.vf[1].doorbell, 2);
    config_out(0, COMMAND, 2, 3);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 3);
    assert_int_equal(fake.vf[0].doorbell, 3);
    assert_int_equal(fake.vf[1].doorbell, 2);
}

static void the_platform_wins_over_a_bar(void **state)
{
    fake.claimed_first = 0x600;
    fake.claimed_last = 0x607;
    config_out(0, BAR0, 4, 0x600);
    assert_false(answers(0x600) || answers(0x607));
    assert_true(answers(0x608));
    out(0x600 + LEGACY_QUEUE_NOTIFY, 2, 7);
    assert_int_equal(fake.vf[0].doorbell, 7);
    fake.claimed_last = 0x611; /* the power management block moves over the notify register */
    config_out(1, 0x3c, 1, 0);
    out(0x600 + LEGACY_QUEUE_NOTIFY, 2, 8);
    assert_int_equal(fake.vf[0].doorbell, 7);
    assert_false(answers(0x60f) || answers(0x611));
}

static void a_move_does_not_disturb_the_neighbour(void **state)
{
    config_out(1, BAR0, 4, IO(0) + 64);
    config_out(0, BAR0, 4, 0x2000);
    assert_true(answers(IO(0) + 64) && answers(IO(0) + 127));
    config_out(0, BAR0, 4, IO(0) + 64);
    config_out(0, BAR0, 4, 0x3000);
    out(IO(0) + 64 + LEGACY_QUEUE_NOTIFY, 2, 9);
    assert_int_equal(fake.vf[1].doorbell, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(looks_like_a_legacy_device, setup, teardown),
        cmocka_unit_test_setup_teardown(each_type_has_its_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(other_slots_are_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(the_only_capability_is_msix, setup, teardown),
        cmocka_unit_test_setup_teardown(only_writable_bits_change, setup, teardown),
        cmocka_unit_test_setup_teardown(bars_size_by_bytes_too, setup, teardown),
        cmocka_unit_test_setup_teardown(io_bar_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(io_bar_beyond_the_ports_is_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(command_switches_decoding, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_bar_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_of_two_at_a_port_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(the_platform_wins_over_a_bar, setup, teardown),
        cmocka_unit_test_setup_teardown(a_move_does_not_disturb_the_neighbour, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
