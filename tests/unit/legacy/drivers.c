/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What real legacy drivers do, each quirk as its driver does it: what was found in the sources of
 * Linux 2.6, SeaBIOS, iPXE, EDK2, FreeBSD 9 and the Windows drivers. Over both transports.
 */
#include "tests/unit/legacy/guest.h"

#include <string.h>

#define VF          fake.vf[0]
#define F           (&guest_function[0])
#define CONFIG_INTX (IO(0) + LEGACY_HEADER_INTX)
#define CONFIG_MSIX (IO(0) + LEGACY_HEADER_MSIX)

#define ACK       1U
#define DRIVER    2U
#define DRIVER_OK 4U

static int setup_net(void **state)
{
    guest_start(1, 1);
    return 0;
}

static int setup_block(void **state)
{
    guest_start(2, 1);
    return 0;
}

static int setup_balloon(void **state)
{
    guest_start(5, 1);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    assert_false(F->state.lost);
    return 0;
}

static void status(uint32_t value)
{
    out(IO(0) + LEGACY_STATUS, 1, value);
}

/* ---- All: OUT is complete when it returns ---- */

/* vp_reset() of Linux 2.6 writes 0 and frees the rings at once. */
static void reset_is_over_when_out_returns(void **state)
{
    guest_queue(0, 0, 0x10);
    status(ACK | DRIVER | DRIVER_OK);
    VF.slow_reset = 20;
    status(0);
    assert_int_equal(VF.status, 0);
    assert_false(VF.queue[0].works);
    assert_int_equal(VF.reset_reads, 0);
}

/* del_vq(): PFN 0, then free. Rings are gone when OUT returns; other queues go on. */
static void ring_is_gone_when_out_returns(void **state)
{
    guest_queue(0, 0, 0x10);
    guest_queue(0, 1, 0x20);
    status(ACK | DRIVER | DRIVER_OK);
    guest_queue(0, 0, 0);
    assert_false(VF.queue[0].works);
    fake_complete(F, 1);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* QEMU's device resets as a whole then: its vectors are gone and must come again. */
static void ring_zero_may_reset_the_device(void **state)
{
    VF.pfn_zero_resets = true;
    guest_queue(0, 0, 0x10);
    guest_queue(0, 1, 0x20);
    status(ACK | DRIVER | DRIVER_OK);
    guest_queue(0, 0, 0);
    assert_int_equal(VF.config_vector, 0);
    guest_queue(0, 1, 0x20);
    assert_int_equal(VF.queue[1].vector, 1);
    fake_config_change(F);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), LEGACY_ISR_CONFIG);
}

/* ---- Linux 2.6 ---- */

/* One vector for configuration and one per queue; each is read back; PFN before the vector. */
static void linux_26_msix(void **state)
{
    config_out(0, 0x42, 2, 0); /* pci_msi_off() */
    status(0);
    status(ACK);
    status(ACK | DRIVER);
    guest_msix(0, MSIX_ON | MSIX_MASK);
    for (unsigned entry = 0; entry < 3; entry++) {
        guest_msix_entry(0, entry, (uint8_t)(0x30 + entry));
    }
    guest_msix(0, MSIX_ON);
    out(IO(0) + LEGACY_CONFIG_VECTOR, 2, 0);
    assert_int_equal(in(IO(0) + LEGACY_CONFIG_VECTOR, 2), 0);
    for (unsigned queue = 0; queue < 2; queue++) {
        out(IO(0) + LEGACY_QUEUE_SELECT, 2, queue);
        assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
        assert_int_equal(in(IO(0) + LEGACY_QUEUE_PFN, 4), 0);
        out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x100 + queue);
        out(IO(0) + LEGACY_QUEUE_VECTOR, 2, queue + 1);
        assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), queue + 1);
    }
    status(ACK | DRIVER | DRIVER_OK);
    fake_complete(F, 0);
    fake_complete(F, 1);
    fake_config_change(F);
    assert_int_equal(fake.messages, 3);
}

/* Three tries: a vector per queue, two vectors, INTx. */
static void linux_26_falls_back_to_intx(void **state)
{
    VF.vector_limit = 1;
    guest_msix(0, MSIX_ON);
    out(IO(0) + LEGACY_CONFIG_VECTOR, 2, 0);
    assert_int_equal(in(IO(0) + LEGACY_CONFIG_VECTOR, 2), 0);
    guest_queue(0, 0, 0x10);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 1);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 0xffff);
    (void)in(IO(0) + LEGACY_ISR, 1); /* "flush" */
    out(IO(0) + LEGACY_QUEUE_PFN, 4, 0);
    out(IO(0) + LEGACY_CONFIG_VECTOR, 2, 0xffff);
    assert_int_equal(in(IO(0) + LEGACY_CONFIG_VECTOR, 2), 0xffff);
    guest_msix(0, 0);
    guest_queue(0, 0, 0x10);
    status(ACK | DRIVER | DRIVER_OK);
    fake_complete(F, 0);
    assert_true(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1) & LEGACY_ISR_QUEUE, 1);
}

/* A queue is there if its size is not 0 and its PFN is: also after the machine was reset. */
static void linux_26_finds_queues_after_a_reset(void **state)
{
    guest_queue(0, 0, 0x10);
    legacy_reset(&guest);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 0);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_PFN, 4), 0);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 5);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 0);
}

static void linux_26_reads_configuration_by_bytes(void **state)
{
    uint64_t capacity = 0;

    for (unsigned i = 0; i < 8; i++) {
        capacity |= (uint64_t)in(CONFIG_INTX + i, 1) << 8 * i;
    }
    assert_memory_equal(&capacity, VF.config, 8);
}

/* The balloon writes how much it has, a byte at a time; the device sees whole numbers. */
static void linux_26_writes_configuration_by_bytes(void **state)
{
    memset(VF.config, 0, 8);
    for (unsigned i = 0; i < 4; i++) {
        out(CONFIG_INTX + 4 + i, 1, 0x04030201U >> 8 * i);
    }
    assert_int_equal(VF.config[4], 1);
    assert_int_equal(VF.config[7], 4);
    assert_int_equal(VF.config[0], 0);
}

/* The whole probe runs, buffers and kicks included, before the features are written. */
static void early_linux_26_writes_features_last(void **state)
{
    status(ACK);
    status(ACK | DRIVER);
    guest_queue(0, 0, 0x10);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 0);
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
    status(ACK | DRIVER | DRIVER_OK);
    out(IO(0) + LEGACY_GUEST_FEATURES, 4, 0x201);
    assert_int_equal(VF.guest_features, 0x201);
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* Up to 2.6.33 nobody sets Bus Master. */
static void linux_26_forgets_bus_master(void **state)
{
    assert_false(VF.bus_master);
    status(ACK);
    assert_false(VF.bus_master);
    status(ACK | DRIVER);
    assert_true(VF.bus_master);
    assert_int_equal(config_in(0, 4, 2), 3); /* not shown to the guest */
}

static void bus_master_follows_the_command_register(void **state)
{
    config_out(0, 4, 2, 7);
    assert_true(VF.bus_master);
    config_out(0, 4, 2, 3); /* on the way down, before a kexec */
    assert_false(VF.bus_master);
    status(ACK | DRIVER); /* the next kernel, an old one */
    assert_true(VF.bus_master);
    config_out(0, 4, 2, 3 | 0x100); /* nothing new about Bus Master */
    assert_true(VF.bus_master);
}

/* ---- SeaBIOS ---- */

/* Polls, with one ISR read for each request; no features; the port is BAR 0 without its low bits.
 */
static void seabios_boots(void **state)
{
    unsigned port = config_in(0, 0x10, 4) & ~3U;

    out(port + LEGACY_STATUS, 1, 0);
    (void)in(port + LEGACY_ISR, 1);
    out(port + LEGACY_STATUS, 1, ACK | DRIVER);
    assert_int_equal(in(port + LEGACY_HEADER_INTX, 4), 0x261f1811);
    out(port + LEGACY_QUEUE_SELECT, 2, 0);
    assert_int_equal(in(port + LEGACY_QUEUE_SIZE, 2), 256);
    assert_int_equal(in(port + LEGACY_QUEUE_PFN, 4), 0);
    out(port + LEGACY_QUEUE_PFN, 4, 0x1234);
    out(port + LEGACY_STATUS, 1, ACK | DRIVER | DRIVER_OK);
    assert_int_equal(VF.guest_features, 0);
    assert_true(VF.bus_master);
    for (unsigned request = 0; request < 3; request++) {
        out(port + LEGACY_QUEUE_NOTIFY, 2, 0);
        fake_forget(0);
        (void)in(port + LEGACY_ISR, 1);
        assert_int_equal(VF.accesses, 0); /* and it does not cost an access to the device */
    }
    assert_false(fake.line[0]);
}

/* No structures of virtio 1.x that newer ones would use instead. */
static void seabios_finds_no_modern_device(void **state)
{
    for (unsigned cap = config_in(0, 0x34, 1); cap != 0; cap = config_in(0, cap + 1, 1)) {
        assert_int_not_equal(config_in(0, cap, 1), 0x09);
    }
}

/* ---- iPXE ---- */

/* Buffers and kicks before features and status; no ACKNOWLEDGE; an ISR read in every poll. */
static void ipxe_goes_its_own_way(void **state)
{
    config_out(0, 4, 2, 7);
    status(0);
    (void)in(IO(0) + LEGACY_ISR, 1);
    for (unsigned queue = 0; queue < 2; queue++) {
        out(IO(0) + LEGACY_QUEUE_SELECT, 2, queue);
        assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
        out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x10 + queue);
    }
    VF.doorbell = 0xffff;
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 0);
    assert_int_equal(VF.doorbell, 0);
    out(IO(0) + LEGACY_GUEST_FEATURES, 4, in(IO(0) + LEGACY_HOST_FEATURES, 4) & 0x28);
    status(DRIVER | DRIVER_OK);
    assert_int_equal(VF.status, DRIVER | DRIVER_OK);
    assert_int_equal(in(CONFIG_INTX + 10, 2), VF.config[10] | VF.config[11] << 8);
    fake_forget(0);
    for (unsigned poll = 0; poll < 10; poll++) {
        (void)in(IO(0) + LEGACY_ISR, 1);
    }
    assert_int_equal(VF.accesses, 0);
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* ---- EDK2 ---- */

/* Fields by their widths, 8 bytes as two halves; configuration always at 14h; I/O decoding only. */
static void edk2_polls(void **state)
{
    config_out(0, 4, 2, 1);
    status(0);
    status(ACK);
    status(ACK | DRIVER);
    assert_true(VF.bus_master);
    assert_int_equal(in(CONFIG_INTX, 4), 0x261f1811);
    assert_int_equal(in(CONFIG_INTX + 4, 4), 0x423b342d);
    assert_int_equal(in(CONFIG_INTX + 32, 1), VF.config[32]);
    assert_int_equal(in(CONFIG_INTX + 26, 2), VF.config[26] | VF.config[27] << 8);
}

/* ---- FreeBSD ---- */

/* Reads the MAC address as 4 and 2 bytes. */
static void freebsd_reads_across_fields(void **state)
{
    assert_int_equal(in(CONFIG_INTX, 4), 0x261f1811);
    assert_int_equal(in(CONFIG_INTX + 4, 2), 0x342d);
    assert_int_equal(in(CONFIG_INTX + 6, 4), 0x5049423b); /* two fields in one */
    for (unsigned i = 0; i < VF.accesses; i++) {
        assert_true(VF.log[i].offset != 0x18 || VF.log[i].width == 1);
    }
}

/* The MSI-X table must be in BAR 1; unused queues get FFFFh, which must read back. */
static void freebsd_needs_bar_1_and_no_vector(void **state)
{
    assert_int_equal(config_in(0, 0x44, 4) & 7, 1);
    assert_int_equal(config_in(0, 0x48, 4) & 7, 1);
    assert_int_equal(config_in(0, 0x14, 4) & 0xf, 0);
    guest_msix(0, MSIX_ON);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 1);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 0xffff);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 0); /* shared with the configuration's */
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0);
}

/* The status is read, changed and written; a reset in between is followed by the same rings. */
static void freebsd_starts_again(void **state)
{
    status(in(IO(0) + LEGACY_STATUS, 1) | ACK);
    status(in(IO(0) + LEGACY_STATUS, 1) | DRIVER);
    assert_int_equal(VF.status, ACK | DRIVER);
    guest_queue(0, 0, 0x10);
    status(in(IO(0) + LEGACY_STATUS, 1) | DRIVER_OK);
    status(0);
    status(ACK);
    status(ACK | DRIVER);
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 0);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
    out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x10);
    assert_true(VF.queue[0].works);
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* ---- Windows ---- */

/* DumpRegisters(): 32 bits from each register, aligned or not. Nothing may happen by it. */
static void windows_dumps_registers(void **state)
{
    static const uint8_t dumped[] = {0x00, 0x04, 0x08, 0x0c, 0x0e, 0x10, 0x12};

    config_out(0, 4, 2, 7);
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    VF.doorbell = 0xabc;
    for (size_t i = 0; i < ARRAY_SIZE(dumped); i++) {
        (void)in(IO(0) + dumped[i], 4);
    }
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 4), 256);
    assert_int_equal(VF.doorbell, 0xabc);
    assert_true(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 4), 1); /* asked for by name */
    assert_false(fake.line[0]);
}

/* A queue is asked for its PFN first, and is taken for broken if it is not 0. */
static void windows_asks_the_pfn_first(void **state)
{
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 1);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_PFN, 4), 0);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
}

/* The MAC address goes into configuration byte by byte, in order. */
static void windows_writes_the_mac(void **state)
{
    fake_forget(0);
    for (unsigned i = 0; i < 6; i++) {
        out(CONFIG_INTX + i, 1, 0x52 + i);
    }
    unsigned next = 0;

    for (unsigned i = 0; i < VF.accesses; i++) {
        const struct fake_access *access = &VF.log[i];

        if (access->write) {
            assert_int_equal(access->offset, LEGACY_HEADER_MSIX + next);
            assert_int_equal(access->value, 0x52 + next);
            next++;
        }
    }
    assert_int_equal(next, 6);
}

/* Takes DRIVER_OK back, deletes the queues, and after a resume gives them rings without asking. */
static void windows_renews_queues(void **state)
{
    status(ACK | DRIVER);
    guest_queue(0, 0, 0x10);
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 0);
    status(ACK | DRIVER | DRIVER_OK);
    status(in(IO(0) + LEGACY_STATUS, 1) & ~DRIVER_OK);
    guest_queue(0, 0, 0);
    status(0);
    status(ACK);
    status(ACK | DRIVER);
    guest_queue(0, 0, 0x10);
    status(ACK | DRIVER | DRIVER_OK);
    fake_complete(F, 0);
    assert_true(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* With message interrupts configuration is at 18h. */
static void windows_uses_msix(void **state)
{
    guest_msix(0, MSIX_ON);
    assert_int_equal(in(CONFIG_MSIX, 1), VF.config[0]);
    for (unsigned i = 0; i < 6; i++) {
        out(CONFIG_MSIX + i, 1, i);
    }
    assert_int_equal(VF.config[5], 5);
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

#define TEST(name, kind) cmocka_unit_test_setup_teardown(name, setup_##kind, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reset_is_over_when_out_returns, net),
        TEST(ring_is_gone_when_out_returns, net),
        TEST(ring_zero_may_reset_the_device, net),
        TEST(linux_26_msix, net),
        TEST(linux_26_falls_back_to_intx, net),
        TEST(linux_26_finds_queues_after_a_reset, net),
        TEST(linux_26_reads_configuration_by_bytes, block),
        TEST(linux_26_writes_configuration_by_bytes, balloon),
        TEST(early_linux_26_writes_features_last, net),
        TEST(linux_26_forgets_bus_master, net),
        TEST(bus_master_follows_the_command_register, net),
        TEST(seabios_boots, block),
        TEST(seabios_finds_no_modern_device, block),
        TEST(ipxe_goes_its_own_way, net),
        TEST(edk2_polls, block),
        TEST(freebsd_reads_across_fields, net),
        TEST(freebsd_needs_bar_1_and_no_vector, net),
        TEST(freebsd_starts_again, net),
        TEST(windows_dumps_registers, net),
        TEST(windows_asks_the_pfn_first, net),
        TEST(windows_writes_the_mac, net),
        TEST(windows_renews_queues, net),
        TEST(windows_uses_msix, net),
    };

    return cmocka_run_group_tests_name("MMR", tests, use_mmr, NULL) +
           cmocka_run_group_tests_name("administration queue", tests, use_admin, NULL);
}
