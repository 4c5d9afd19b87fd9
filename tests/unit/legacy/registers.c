/* SPDX-License-Identifier: BSD-2-Clause */
/* BAR 0: which accesses of a guest become which accesses to the VF, over both transports. */
#include "tests/unit/legacy/guest.h"

#include "vmm/host/guest_ram.h"

#define CONFIG_INTX (IO(0) + LEGACY_HEADER_INTX)
#define CONFIG_MSIX (IO(0) + LEGACY_HEADER_MSIX)

static int setup(void **state)
{
    guest_start(2, 1);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    return 0;
}

static void registers_keep_their_widths(void **state)
{
    assert_int_equal(in(IO(0) + LEGACY_HOST_FEATURES, 4), 0x70000a5f); /* without bit 31 */
    out(IO(0) + LEGACY_GUEST_FEATURES, 4, 0xf0000a41);
    assert_int_equal(fake.vf[0].guest_features, 0x70000a41);
    assert_int_equal(in(IO(0) + LEGACY_GUEST_FEATURES, 4), 0x70000a41);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 5);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 0);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 1);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SELECT, 2), 1);
    out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x12345);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_PFN, 4), 0x12345);
    assert_int_equal(fake.vf[0].queue[1].pfn, 0x12345);
    out(IO(0) + LEGACY_STATUS, 1, 3);
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), 3);
}

/* So no VF has to offer them that is to take its place. */
static void features_that_are_not_offered_are_not_kept(void **state)
{
    out(IO(0) + LEGACY_GUEST_FEATURES, 4, 0xffffffff);
    assert_int_equal(guest_function[0].state.features, 0x70000a5f);
    assert_int_equal(fake.vf[0].guest_features, 0x70000a5f);
}

/* A ring has to lie in RAM, all of it: its queue stays without, or keeps the one that it has. */
static void a_ring_outside_ram_is_none(void **state)
{
    static const struct ram ram;
    /* Of 256 entries: 4 KiB of descriptors, the available ring, and behind it the used one. */
    const uint32_t last = FAKE_RAM / 4096 - 3;
    uint64_t before = guest_function[0].counters.ignored;

    guest_function[0].setup.ram = &ram;
    for (unsigned queue = 0; queue < 2; queue++) {
        uint32_t had = queue == 0 ? 0 : last;

        guest_queue(0, queue, had);
        for (uint32_t pfn = last + 1; pfn != 0; pfn = pfn == UINT32_MAX ? 0
                                                      : pfn < 0x1000    ? pfn * 2
                                                                        : UINT32_MAX) {
            guest_queue(0, queue, pfn);
            assert_int_equal(fake.vf[0].queue[queue].pfn, had);
            assert_int_equal(guest_function[0].state.queue[queue].pfn, had);
        }
    }
    assert_true(guest_function[0].counters.ignored > before);
}

/* Every offset of the header, by every width: what starts at a register is that register. */
static void the_start_decides(void **state)
{
    static const uint32_t whole[0x14] = {
        [0x00] = 0x70000a5f, [0x08] = 0x77, [0x0c] = 256, [0x0e] = 1, [0x12] = 7,
    };
    static const uint32_t starts = 1U << 0x00 | 1U << 0x04 | 1U << 0x08 | 1U << 0x0c | 1U << 0x0e |
                                   1U << 0x10 | 1U << 0x12 | 1U << 0x13;

    guest_queue(0, 1, 0x77);
    out(IO(0) + LEGACY_STATUS, 1, 7);
    for (unsigned offset = 0; offset < 0x14; offset++) {
        for (unsigned width = 1; width <= 4; width *= 2) {
            uint32_t mask = width == 4 ? 0xffffffff : (1U << 8 * width) - 1;
            uint32_t expected = (starts >> offset & 1U) != 0 ? whole[offset] : 0xffffffff;

            assert_int_equal(in(IO(0) + offset, width), expected & mask);
        }
    }
}

static void wide_reads_leave_the_isr_alone(void **state)
{
    config_out(0, 4, 2, 7);
    guest_queue(0, 0, 1);
    fake_complete(&guest_function[0], 0);
    (void)in(IO(0) + LEGACY_QUEUE_NOTIFY, 4); /* covers 10h to 13h */
    (void)in(IO(0) + LEGACY_STATUS, 2);
    (void)in(IO(0) + 0x11, 4);
    assert_true(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 4), 1);
    assert_false(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 0);
}

static void odd_writes_do_what_their_start_says(void **state)
{
    out(IO(0) + LEGACY_QUEUE_SELECT, 1, 2);
    assert_int_equal(fake.vf[0].select, 2);
    out(IO(0) + LEGACY_QUEUE_SELECT, 4, 0x00050001); /* does not notify queue 5 */
    assert_int_equal(fake.vf[0].select, 1);
    assert_int_equal(fake.vf[0].doorbell, 0);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 1, 4);
    assert_int_equal(fake.vf[0].doorbell, 4);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 4, 0xffff0003);
    assert_int_equal(fake.vf[0].doorbell, 3);
    out(IO(0) + LEGACY_STATUS, 4, 0xffffff01);
    assert_int_equal(fake.vf[0].status, 1);
    fake_forget(0);
    out(IO(0) + LEGACY_QUEUE_NOTIFY + 1, 2, 9);
    out(IO(0) + LEGACY_HOST_FEATURES, 4, 9);
    out(IO(0) + LEGACY_QUEUE_SIZE, 2, 9);
    out(IO(0) + LEGACY_ISR, 1, 9);
    out(IO(0) + 1, 1, 9);
    assert_int_equal(fake.vf[0].accesses, 0);
}

/* The VF gets no bits that do not exist, and nothing that only looks like a reset. */
static void unknown_status_bits_are_left_out(void **state)
{
    out(IO(0) + LEGACY_STATUS, 1, 0x33);
    assert_int_equal(fake.vf[0].status, 3);
    guest_queue(0, 0, 1);
    out(IO(0) + LEGACY_STATUS, 1, 0x30);
    assert_int_equal(fake.vf[0].status, 3);
    assert_int_equal(fake.vf[0].queue[0].pfn, 1);
}

static void the_notify_path_is_one_store(void **state)
{
    assert_true(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 0x1234));
    assert_int_equal(fake.vf[0].doorbell, 0x1234);
    assert_int_equal(fake.vf[0].accesses, 0);
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY + 1, 1));
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_SELECT, 1));
    assert_false(legacy_notify(&guest, IO(0) + 0x30, 1));
    assert_false(legacy_notify(&guest, 0x10, 1));
}

static void without_a_doorbell_the_register_does(void **state)
{
    fake_clear(2);
    fake.vf[0].no_doorbell = true;
    legacy_init(&guest, "test");
    struct legacy_setup given = fake_setup(0, guest_transport);

    assert_int_equal(legacy_add(&guest, &guest_function[0], &given), STATUS_OK);
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 2));
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 2);
    assert_int_equal(fake.vf[0].doorbell, 2);
    assert_int_equal(fake_writes(0, LEGACY_QUEUE_NOTIFY, 2), 1);
}

static void queues_beyond_all_bounds_look_absent(void **state)
{
    guest_queue(0, 1, 0x10);
    fake_forget(0);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, LEGACY_QUEUES_MAX);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 0);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_PFN, 4), 0);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SELECT, 2), LEGACY_QUEUES_MAX);
    out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x99);
    assert_int_equal(fake.vf[0].accesses, 0);
    assert_int_equal(fake.vf[0].queue[1].pfn, 0x10);
    guest_msix(0, MSIX_ON);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 1);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
}

static void a_ring_for_an_absent_queue_goes_nowhere(void **state)
{
    fake_forget(0);
    guest_queue(0, 5, 0x10);
    assert_int_equal(fake_writes(0, LEGACY_QUEUE_PFN, 0x10), 0);
    assert_false(guest_function[0].state.lost);
}

static void configuration_moves_with_the_guests_msix(void **state)
{
    uint32_t first = in(CONFIG_INTX, 4);

    assert_int_equal(first, 0x261f1811);
    guest_msix(0, MSIX_ON);
    assert_int_equal(in(CONFIG_MSIX, 4), first);
    assert_int_equal(in(IO(0) + LEGACY_CONFIG_VECTOR, 2), 0xffff);
    guest_msix(0, MSIX_ON | MSIX_MASK);
    assert_int_equal(in(CONFIG_MSIX, 4), first);
    guest_msix(0, 0);
    assert_int_equal(in(CONFIG_INTX, 4), first);
}

static uint8_t config_byte(unsigned offset)
{
    return offset < fake.vf[0].config_size ? fake.vf[0].config[offset] : 0xff;
}

/* Every offset and width, all types, with and without MSI-X: the bytes that are there, else FFh. */
static void configuration_reads_as_bytes(void **state)
{
    static const uint16_t types[] = {1, 2, 3, 4, 5, 8, 9};

    for (size_t i = 0; i < 2 * ARRAY_SIZE(types); i++) {
        guest_start(types[i / 2], 1);
        guest_msix(0, i % 2 == 0 ? 0 : MSIX_ON);
        unsigned base = i % 2 == 0 ? CONFIG_INTX : CONFIG_MSIX;
        unsigned size = guest_function[0].io_size;

        for (unsigned offset = 0; base + offset < IO(0) + size; offset++) {
            for (unsigned width = 1; width <= 4; width *= 2) {
                uint32_t expected = 0;

                for (unsigned byte = 0; byte < width; byte++) {
                    expected |= (uint32_t)config_byte(offset + byte) << 8 * byte;
                }
                assert_int_equal(in(base + offset, width), expected);
            }
        }
        guest_check();
    }
}

/* The same for writes; what is read-only the device knows itself. */
static void configuration_writes_as_bytes(void **state)
{
    static const uint16_t types[] = {1, 2, 3, 4, 5, 8};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        guest_start(types[i], 1);
        uint8_t expected[256] = {0};

        for (unsigned offset = 0; offset < fake.vf[0].config_size; offset++) {
            expected[offset] = fake.vf[0].config[offset];
        }
        for (unsigned offset = 0; offset < fake.vf[0].config_size; offset++) {
            for (unsigned width = 1; width <= 4; width *= 2) {
                uint32_t value = 0x9e3779b1U * (offset * 8 + width);

                out(CONFIG_INTX + offset, width, value);
                for (unsigned byte = 0; byte < width; byte++) {
                    expected[offset + byte] = (uint8_t)(value >> 8 * byte);
                }
                assert_memory_equal(fake.vf[0].config, expected, fake.vf[0].config_size);
            }
        }
        guest_check();
    }
}

static void eight_bytes_are_two_reads(void **state)
{
    fake_forget(0);
    (void)in(CONFIG_INTX, 4);
    (void)in(CONFIG_INTX + 4, 4);
    for (unsigned i = 0; i < fake.vf[0].accesses; i++) {
        assert_int_equal(fake.vf[0].log[i].width, 4);
    }
    assert_int_equal(fake.vf[0].accesses, 2);
}

/* "Done when it returns": after each write the VF has been read. */
static void writes_are_complete(void **state)
{
    static const struct {
        uint8_t offset;
        uint8_t width;
        uint32_t value;
    } writes[] = {
        {LEGACY_GUEST_FEATURES, 4, 1},
        {LEGACY_QUEUE_SELECT,   2, 0},
        {LEGACY_QUEUE_PFN,      4, 5},
        {LEGACY_QUEUE_PFN,      4, 0},
        {LEGACY_STATUS,         1, 3},
        {LEGACY_STATUS,         1, 0},
        {LEGACY_HEADER_INTX,    4, 0},
    };

    for (size_t i = 0; guest_transport == LEGACY_TRANSPORT_MMR && i < ARRAY_SIZE(writes); i++) {
        fake_forget(0);
        out(IO(0) + writes[i].offset, writes[i].width, writes[i].value);
        const struct fake_access *last = &fake.vf[0].log[fake.vf[0].accesses - 1];

        assert_true(fake.vf[0].accesses >= 2);
        assert_false(last->write);
    }
}

static void a_short_block_is_not_left(void **state)
{
    fake_clear(2);
    fake.vf[0].config_size = 32; /* an older device, without what came later */
    legacy_init(&guest, "test");
    struct legacy_setup given = fake_setup(0, LEGACY_TRANSPORT_MMR);

    assert_int_equal(legacy_add(&guest, &guest_function[0], &given), STATUS_OK);
    assert_int_equal(in(CONFIG_INTX + 28, 4), 0xeae3dcd5 & 0xffffffff);
    assert_int_equal(in(CONFIG_INTX + 32, 1), 0xff);
    assert_int_equal(in(CONFIG_INTX + 30, 4), 0xffffeae3);
}

/* Which accesses need no waiting: registers in memory, but for a reset, and for what needs a
 * vector, while nobody has the lock. */
static void what_waits_is_not_done_at_once(void **state)
{
    static const struct {
        uint8_t offset, width;
        uint32_t value;
        bool now;
    } writes[] = {
        {LEGACY_QUEUE_SELECT,   2, 1,     true },
        {LEGACY_GUEST_FEATURES, 4, 0x41,  true },
        {LEGACY_STATUS,         1, 7,     true },
        {LEGACY_STATUS,         1, 0,     false},
        {LEGACY_STATUS,         2, 0x100, false},
        {LEGACY_QUEUE_PFN,      4, 5,     false},
        {LEGACY_QUEUE_NOTIFY,   4, 0,     false},
    };
    bool memory = guest_transport == LEGACY_TRANSPORT_MMR;
    uint16_t features = (uint16_t)IO(0) + LEGACY_HOST_FEATURES, isr = (uint16_t)IO(0) + LEGACY_ISR;
    uint16_t status = (uint16_t)IO(0) + LEGACY_STATUS;
    uint32_t value;

    assert_false(legacy_port_write_now(&guest, status, 1, 3)); /* it becomes master */
    out(IO(0) + LEGACY_STATUS, 1, 3);
    for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        uint16_t port = (uint16_t)(IO(0) + writes[i].offset);

        assert_int_equal(legacy_port_write_now(&guest, port, writes[i].width, writes[i].value),
                         memory && writes[i].now);
    }
    assert_int_equal(fake.vf[0].guest_features, memory ? 0x41 : 0);
    assert_int_equal(in(status, 1), memory ? 7 : 3);
    assert_int_equal(legacy_port_read_now(&guest, features, 4, &value), memory);
    assert_true(legacy_port_read_now(&guest, isr, 1, &value)); /* the VMM's own */
    assert_false(legacy_port_read_now(&guest, 0x8000, 1, &value));
    spinlock_acquire(&guest_function[0].lock);
    assert_false(legacy_port_read_now(&guest, features, 4, &value));
    assert_false(legacy_port_write_now(&guest, status, 1, 7));
    assert_true(legacy_port_read_now(&guest, isr, 1, &value));
    spinlock_release(&guest_function[0].lock);
}

/* The access that finds that a VF is gone is asked for once more, and then answered for it. */
static void a_lost_vf_is_not_read_at_once(void **state)
{
    uint32_t value = 0;

    out(IO(0) + LEGACY_STATUS, 1, 3);
    fake.vf[0].dead = true;
    assert_false(legacy_port_read_now(&guest, (uint16_t)IO(0) + LEGACY_STATUS, 1, &value));
    assert_true(legacy_port_read(&guest, (uint16_t)IO(0) + LEGACY_STATUS, 1, &value));
    assert_int_equal(value, 0xff);
    assert_true(legacy_is_lost(&guest_function[0]));
    assert_false(legacy_port_write_now(&guest, (uint16_t)IO(0) + LEGACY_QUEUE_SELECT, 2, 1));
    assert_false(legacy_port_read_now(&guest, (uint16_t)IO(0) + LEGACY_ISR, 1, &value));
}

static int use_mmr(void **state)
{
    guest_transport = LEGACY_TRANSPORT_MMR;
    return 0;
}

static int use_admin(void **state)
{
    guest_transport = LEGACY_TRANSPORT_ADMIN;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registers_keep_their_widths, setup, teardown),
        cmocka_unit_test_setup_teardown(features_that_are_not_offered_are_not_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_ring_outside_ram_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(the_start_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(wide_reads_leave_the_isr_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_writes_do_what_their_start_says, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_status_bits_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(the_notify_path_is_one_store, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_doorbell_the_register_does, setup, teardown),
        cmocka_unit_test_setup_teardown(queues_beyond_all_bounds_look_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ring_for_an_absent_queue_goes_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(configuration_moves_with_the_guests_msix, setup, teardown),
        cmocka_unit_test_setup_teardown(configuration_reads_as_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(configuration_writes_as_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(eight_bytes_are_two_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_are_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(a_short_block_is_not_left, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_is_not_done_at_once, setup, teardown),
        cmocka_unit_test_setup(a_lost_vf_is_not_read_at_once, setup),
    };

    return cmocka_run_group_tests_name("MMR", tests, use_mmr, NULL) +
           cmocka_run_group_tests_name("administration queue", tests, use_admin, NULL);
}
