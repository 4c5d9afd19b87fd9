/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing a PF up and down, with a device that behaves and one that does not. */
#include "drivers/virtio/pf.h"

#include "drivers/pci/pci_config.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"
#include "tests/unit/virtio/simulated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DRIVEN (SIM_FEATURES & ~0xffffffffULL)

static struct virtio_pf pf;

static int set_up(void **state)
{
    sim_reset();
    return 0;
}

static uint32_t command_register(void)
{
    return pci_config_read(fake_bdf(0, 2, 0), PCI_COMMAND, 2);
}

static enum status start(void)
{
    struct virtio_dma memory = sim_memory();

    return virtio_pf_start(&pf, sim_function(), sim_bars(), &memory);
}

/* A start that fails leaves nothing behind. */
static void start_fails(enum status wanted)
{
    assert_int_equal(start(), wanted);
    assert_int_equal(fake_physical_windows(), 0);
    assert_int_equal(command_register() & PCI_COMMAND_BUS_MASTER, 0);
    assert_int_equal(sim.commands, 0);
}

static void test_up_and_down(void **state)
{
    assert_int_equal(start(), STATUS_OK);
    assert_int_equal(sim.status, 0x0f);
    assert_int_equal(sim.accepted, DRIVEN | SIM_ADMIN); /* nothing of the net device's own */
    assert_true(pf.has_admin);
    assert_int_equal(pf.admin.queue.index, 4);
    assert_int_equal(sim.queue_size, VIRTQUEUE_SIZE_MAX);
    assert_int_equal(command_register(),
                     PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER | PCI_COMMAND_INTX_OFF);
    assert_true(fake_log_contains("virtio 0000:00:02.0: net PF 52:54:00:12:34:56 is up, features "
                                  "0x22300000000, admin queue 4 with 64 entries"));
    assert_int_equal(fake_physical_windows(), 3); /* common, device, doorbell */
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    assert_int_equal(sim.status, 0);
    assert_int_equal(fake_physical_windows(), 0);
    assert_int_equal(command_register() & PCI_COMMAND_BUS_MASTER, 0);
    assert_int_equal(start(), STATUS_OK);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

/* Somebody may have the lock, or wait for it, at a restart: its tickets go on, all else is new. */
static void test_restart(void **state)
{
    assert_int_equal(start(), STATUS_OK);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    pf.admin.counters.sent = 7;
    pf.admin.timeout_ms = 1;

    uint32_t tickets = pf.admin.lock.next;

    assert_int_equal(start(), STATUS_OK);
    assert_true(pf.admin.lock.next > tickets);
    assert_int_equal(pf.admin.lock.serving, pf.admin.lock.next);
    assert_int_equal(virtio_admin_count(&pf.admin).sent, 0);
    assert_int_equal(pf.admin.timeout_ms, 0);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

static void test_memory(void **state)
{
    struct virtio_dma memory;

    assert_int_equal(virtio_pf_allocate(&memory), STATUS_OK);
    assert_int_equal(memory.iova, 0x1000000);
    assert_int_equal(memory.size, VIRTIO_ADMIN_MEMORY);
    memory.size--;
    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_INVALID);
    assert_int_equal(sim.status, 0);
}

/* Firmware or a system before us left it running. */
static void test_was_running(void **state)
{
    sim.status = 0x0f;
    sim.reset_reads = 100;
    pci_config_write(fake_bdf(0, 2, 0), PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
    assert_int_equal(start(), STATUS_OK);
    assert_true(sim.microseconds >= 100);
    assert_false(sim.reset_mastering); /* what it was told to write before goes nowhere */
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

static void test_features(void **state)
{
    sim.offered |= VIRTIO_F_ORDER_PLATFORM | 1ULL << 34 | 1ULL << 40 | 1ULL << 43;
    assert_int_equal(start(), STATUS_OK);
    assert_int_equal(sim.accepted, DRIVEN | SIM_ADMIN | VIRTIO_F_ORDER_PLATFORM);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    sim.offered = VIRTIO_F_VERSION_1; /* all that is needed */
    assert_int_equal(start(), STATUS_OK);
    assert_int_equal(sim.accepted, VIRTIO_F_VERSION_1);
    assert_false(pf.has_admin);
    assert_true(fake_log_contains("net PF is up, features 0x100000000, no admin queue"));
    assert_int_equal(virtio_admin_execute(&pf.admin, &(struct virtio_admin_command){0}),
                     STATUS_STATE);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    sim.offered = SIM_FEATURES & ~VIRTIO_F_VERSION_1;
    start_fails(STATUS_UNSUPPORTED);
    assert_int_equal(sim.status, 0);
    assert_true(fake_log_contains("it is too old for the VMM"));
}

/* SR_IOV only where there is the capability (virtio 1.3, chapter 6). */
static void test_no_sriov(void **state)
{
    struct virtio_function function = *sim_function();
    struct virtio_dma memory = sim_memory();

    function.has_sriov = false;
    function.type = VIRTIO_TYPE_BLOCK;
    sim.offered |= SIM_FEATURES;
    memset(sim.device, 0, sizeof(sim.device));
    sim.device[5] = 1; /* 2^40 sectors */
    assert_int_equal(virtio_pf_start(&pf, &function, sim_bars(), &memory), STATUS_OK);
    assert_int_equal(sim.accepted & VIRTIO_F_SR_IOV, 0);
    assert_true(fake_log_contains("block PF of 536870912 MiB is up"));
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

static void test_reset_never_ends(void **state)
{
    sim.status = 0x0f;
    sim.reset_reads = SIM_FOR_EVER;
    start_fails(STATUS_TIMEOUT);
    assert_in_range(sim.microseconds, 5000000, 5100000);
    assert_true(fake_log_contains("no end of the reset in 5000 ms (status 0xf)"));
}

static void test_stop_never_ends(void **state)
{
    assert_int_equal(start(), STATUS_OK);
    sim.reset_reads = SIM_FOR_EVER;
    assert_int_equal(virtio_pf_stop(&pf), STATUS_TIMEOUT);
    assert_int_equal(fake_physical_windows(), 0);
    assert_int_equal(command_register() & PCI_COMMAND_BUS_MASTER, 0);
}

static void test_gone(void **state)
{
    sim.all_ones = true;
    start_fails(STATUS_DEVICE);
    assert_int_equal(sim.microseconds, 0);
    assert_true(fake_log_contains("the device is gone"));
    sim.all_ones = false;
    assert_int_equal(start(), STATUS_OK);
    sim.all_ones = true;
    assert_int_equal(virtio_pf_stop(&pf), STATUS_DEVICE);
}

static void test_refusals(void **state)
{
    sim.refuse_features = true;
    start_fails(STATUS_DEVICE);
    assert_true(fake_log_contains("refuses the features 0x22300000000 of 0x22300000020"));
    sim.refuse_features = false;
    sim.refuse_start = true;
    start_fails(STATUS_DEVICE);
    assert_true(fake_log_contains("does not start (status 0xb)"));
    sim.refuse_start = false;
    sim.refuse_size = true;
    start_fails(STATUS_DEVICE);
    sim.refuse_size = false;
    sim.refuse_enable = true;
    start_fails(STATUS_DEVICE);
    assert_true(fake_log_contains("queue 4 cannot be switched on"));
    sim.refuse_enable = false;
    assert_int_equal(start(), STATUS_OK);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

/* What a device may say of its queues, and what not. */
static void test_queues(void **state)
{
    static const struct {
        uint16_t queues, index, num, max, notify_off;
        enum status wanted;
        uint16_t size;
    } cases[] = {
        {3,      4,      1,      64,     4,      STATUS_OK,     64},
        {0,      0,      1,      64,     0,      STATUS_OK,     64},
        {3,      3,      0xfffd, 0x8000, 63,     STATUS_OK,     64},
        {3,      3,      0xfffe, 64,     4,      STATUS_DEVICE, 0 }, /* indices above ffffh */
        {3,      2,      1,      64,     4,      STATUS_DEVICE, 0 }, /* among the others */
        {3,      4,      0,      64,     4,      STATUS_DEVICE, 0 },
        {0xffff, 0xffff, 1,      64,     4,      STATUS_OK,     64},
        {0xffff, 0xffff, 0xffff, 0xffff, 0xffff, STATUS_DEVICE, 0 }, /* all ones */
        {3,      4,      1,      0,      4,      STATUS_DEVICE, 0 }, /* no such queue */
        {3,      4,      1,      1,      4,      STATUS_DEVICE, 0 }, /* a buffer has two parts */
        {3,      4,      1,      2,      4,      STATUS_OK,     2 },
        {3,      4,      1,      7,      4,      STATUS_OK,     4 },
        {3,      4,      1,      64,     64,     STATUS_DEVICE, 0 }, /* beyond the doorbells */
        {3,      4,      1,      64,     0xffff, STATUS_DEVICE, 0 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        sim_reset();
        sim.num_queues = cases[i].queues;
        sim.admin_index = cases[i].index;
        sim.admin_num = cases[i].num;
        sim.queue_max = cases[i].max;
        sim.notify_off = cases[i].notify_off;
        if (cases[i].wanted != STATUS_OK) {
            start_fails(cases[i].wanted);
            assert_int_equal(sim.status, 0);
            continue;
        }
        assert_int_equal(start(), STATUS_OK);
        assert_int_equal(sim.queue_size, cases[i].size);
        assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    }
}

static void check_regions(struct virtio_regions regions, enum status wanted)
{
    struct virtio_function function = *sim_function();
    struct virtio_dma memory = sim_memory();

    function.regions = regions;
    assert_int_equal(virtio_pf_start(&pf, &function, sim_bars(), &memory), wanted);
    if (wanted == STATUS_OK) {
        assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    }
    assert_int_equal(fake_physical_windows(), 0);
    assert_int_equal(command_register() & PCI_COMMAND_BUS_MASTER, 0);
}

/* Structures that are not where they can be. */
static void test_regions(void **state)
{
    const struct virtio_regions good = sim_function()->regions;
    struct virtio_regions bad;

    check_regions(good, STATUS_OK);
    bad = good;
    bad.common.length = 55;
    check_regions(bad, STATUS_DEVICE);
    bad.common.length = 56; /* no room for the admin queue's registers */
    check_regions(bad, STATUS_DEVICE);
    assert_true(fake_log_contains("ADMIN_VQ, but a common structure of only 56 bytes"));
    bad = good;
    bad.notify.length = 1;
    check_regions(bad, STATUS_DEVICE);
    bad.notify.length = 18; /* just the doorbell at 16 */
    check_regions(bad, STATUS_OK);
    bad.notify.length = 17;
    check_regions(bad, STATUS_DEVICE);
    bad = good;
    bad.notify_multiplier = 0xffffffff;
    check_regions(bad, STATUS_DEVICE);
    bad.notify_multiplier = 1;
    sim.notify_off = 3;
    check_regions(bad, STATUS_DEVICE); /* misaligned */
    sim.notify_off = 4;
    bad = good;
    bad.common.offset = 2;
    check_regions(bad, STATUS_DEVICE);
    bad.common.offset = SIM_BAR_SIZE - 60;
    check_regions(bad, STATUS_DEVICE);
    bad.common.offset = 0xfffffffc;
    check_regions(bad, STATUS_DEVICE);
    bad = good;
    bad.common.bar = 5; /* none */
    check_regions(bad, STATUS_DEVICE);
    bad.common.bar = 200;
    check_regions(bad, STATUS_DEVICE);
    bad = good;
    bad.notify.bar = 6;
    check_regions(bad, STATUS_DEVICE);
    bad = good;
    bad.device.length = SIM_BAR_SIZE;
    check_regions(bad, STATUS_DEVICE);
    bad.device.length = 0; /* allowed: then the log has no MAC */
    check_regions(bad, STATUS_OK);
}

static void test_no_windows(void **state)
{
    for (int maps = 0; maps < 3; maps++) {
        sim_reset();
        fake_physical_limit(maps);
        start_fails(STATUS_NO_MEMORY);
    }
}

static void test_config_changes(void **state)
{
    uint32_t fields[2];

    assert_int_equal(start(), STATUS_OK);
    memset(sim.device, 7, sizeof(sim.device));
    sim.config_changes = 5; /* each read finds another state, until the sixth */
    assert_int_equal(virtio_transport_config(&pf.transport, 0, 4, 2, fields), STATUS_OK);
    assert_int_equal(fields[0], 0x0707070c);
    assert_int_equal(fields[1], 0x0707070c);
    assert_int_equal(sim.config_changes, 0);
    sim.config_changes = SIM_FOR_EVER;
    assert_int_equal(virtio_transport_config(&pf.transport, 0, 4, 2, fields), STATUS_DEVICE);
    assert_true(fake_log_contains("the device configuration changes all the time"));
    sim.config_changes = 0;
    assert_int_equal(virtio_transport_config(&pf.transport, 60, 4, 1, fields), STATUS_OK);
    assert_int_equal(virtio_transport_config(&pf.transport, 64, 1, 1, fields), STATUS_RANGE);
    assert_int_equal(virtio_transport_config(&pf.transport, 60, 4, 2, fields), STATUS_RANGE);
    assert_int_equal(virtio_transport_config(&pf.transport, 2, 4, 1, fields), STATUS_RANGE);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_up_and_down, set_up),
        cmocka_unit_test_setup(test_restart, set_up),
        cmocka_unit_test_setup(test_memory, set_up),
        cmocka_unit_test_setup(test_was_running, set_up),
        cmocka_unit_test_setup(test_features, set_up),
        cmocka_unit_test_setup(test_no_sriov, set_up),
        cmocka_unit_test_setup(test_reset_never_ends, set_up),
        cmocka_unit_test_setup(test_stop_never_ends, set_up),
        cmocka_unit_test_setup(test_gone, set_up),
        cmocka_unit_test_setup(test_refusals, set_up),
        cmocka_unit_test_setup(test_queues, set_up),
        cmocka_unit_test_setup(test_regions, set_up),
        cmocka_unit_test_setup(test_no_windows, set_up),
        cmocka_unit_test_setup(test_config_changes, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
