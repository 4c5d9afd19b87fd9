/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices: a VM and its VFs, as source and as target, and what becomes of them when all ends. */
#include "tests/unit/portal/fake_service.h"

#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define EIO     5
#define E2BIG   7
#define EBUSY   16
#define EINVAL  22
#define ENOTSUP 95
#define ENOENT  2

static int setup(void **state)
{
    fake_start();
    service_start();
    return 0;
}

static int read_region(unsigned channel, uint32_t region, uint64_t offset, uint32_t count)
{
    uint8_t payload[16];

    bytes_put(payload, 8, offset);
    bytes_put(payload + 8, 4, region);
    bytes_put(payload + 12, 4, count);
    return service_command(channel, 9, payload, sizeof(payload));
}

static int write_byte(unsigned channel, uint64_t offset, uint8_t byte)
{
    uint8_t payload[17] = {0};

    bytes_put(payload, 8, offset);
    payload[12] = 1;
    payload[16] = byte;
    return service_command(channel, 10, payload, sizeof(payload));
}

static int track(unsigned channel, uint64_t at, uint64_t size)
{
    uint8_t payload[8 + 16 + 16] = {0};

    bytes_put(payload, 4, sizeof(payload));
    bytes_put(payload + 4, 4, 0x20006);
    bytes_put(payload + 8, 8, 4096);
    bytes_put(payload + 16, 4, size != 0);
    bytes_put(payload + 24, 8, at);
    bytes_put(payload + 32, 8, size);
    return service_command(channel, 16, payload, size != 0 ? 40 : 24);
}

static int untrack(unsigned channel)
{
    static const uint8_t payload[8] = {8, 0, 0, 0, 7, 0, 2, 0};

    return service_command(channel, 16, payload, sizeof(payload));
}

static int report(unsigned channel, uint64_t at, uint64_t size, uint64_t page)
{
    uint8_t payload[32] = {0};

    bytes_put(payload, 4, 32 + PORTAL_DATA);
    bytes_put(payload + 4, 4, 0x10008);
    bytes_put(payload + 8, 8, at);
    bytes_put(payload + 16, 8, size);
    bytes_put(payload + 24, 8, page);
    return service_command(channel, 16, payload, sizeof(payload));
}

static int read_data(unsigned channel, uint32_t size)
{
    uint8_t payload[8];

    bytes_put(payload, 4, size + 8);
    bytes_put(payload + 4, 4, size);
    return service_command(channel, 17, payload, sizeof(payload));
}

static int write_data(unsigned channel, uint32_t size)
{
    static uint8_t payload[8 + FAKE_STREAM + 1];

    bytes_put(payload, 4, size + 8);
    bytes_put(payload + 4, 4, size);
    return service_command(channel, 18, payload, size + 8);
}

static void open_source(void)
{
    assert_int_equal(service_open(1, "vm a"), 0);
    assert_int_equal(service_open(2, "vf a 0"), 0);
    assert_int_equal(service_open(3, "vf a 1"), 0);
}

static void open_target(void)
{
    assert_string_equal(service_ask("incoming b"), "ok");
    assert_int_equal(service_open(1, "vm b"), 0);
    assert_int_equal(service_open(2, "vf b 0 30000e54"), 0);
    assert_int_equal(service_open(3, "vf b 1"), 0);
}

static void read_all_data(void)
{
    assert_int_equal(read_data(1, PORTAL_DATA), 0);
    assert_int_equal(bytes_get(service_payload + 4, 4), FAKE_STREAM);
    for (unsigned vf = 2; vf <= 3; vf++) {
        assert_int_equal(service_set_state(vf, S_STOP_COPY), 0);
        assert_int_equal(read_data(vf, FAKE_RECORD), 0); /* exactly to the end */
        assert_int_equal(bytes_get(service_payload + 4, 4), FAKE_RECORD);
        assert_int_equal(service_set_state(vf, S_STOP), 0);
    }
}

static void load_all_data(void)
{
    assert_int_equal(service_set_state(1, S_RESUMING), 0);
    for (unsigned vf = 2; vf <= 3; vf++) {
        assert_int_equal(service_set_state(vf, S_RESUMING), 0);
        assert_int_equal(write_data(vf, FAKE_RECORD), 0);
        assert_int_equal(service_set_state(vf, S_STOP), 0);
    }
    assert_int_equal(write_data(1, 1), 0);
    assert_int_equal(write_data(1, FAKE_STREAM - 1), 0);
}

/* ---- What it is ---- */

static void test_info(void **state)
{
    uint8_t info[32] = {0, 1};

    open_source();
    assert_int_equal(service_command(1, 4, info, 16), 0);
    assert_int_equal(bytes_get(service_payload + 4, 4), 2);  /* PCI, no reset */
    assert_int_equal(bytes_get(service_payload + 12, 4), 0); /* no interrupts */
    assert_int_equal(service_command(1, 13, NULL, 0), ENOTSUP);
    for (uint16_t command = 2; command <= 15; command++) {
        if (command != 4 && command != 5 && command != 9 && command != 10) {
            assert_int_equal(service_command(1, command, info, sizeof(info)), ENOTSUP);
        }
    }
    assert_int_equal(service_command(1, 5, info, 32), 0);
    assert_int_equal(bytes_get(service_payload + 4, 4), 11); /* read, write, capabilities */
    assert_int_equal(bytes_get(service_payload + 16, 8), FAKE_RAM + FAKE_RAM / 2);
    assert_int_equal(bytes_get(service_payload + 40, 4), 2);
    assert_int_equal(bytes_get(service_payload + 48 + 16, 8), FAKE_RAM);
    assert_int_equal(read_region(1, 1, 0, 22), 0);
    assert_memory_equal(service_payload + 16, "text of a 4294967295 0", 22);
    assert_int_equal(read_region(1, 1, 0, 23), EINVAL);
    assert_int_equal(read_region(2, 0, 0, 1), EINVAL);
    assert_string_equal(service_ask("open 2 vf a 1"), "error conflict conflict");
    assert_string_equal(service_ask("open 4 vf a 1"), "error conflict conflict");
    assert_string_equal(service_ask("open 4 vf a 2"), "error not-found not found");
    assert_string_equal(service_ask("open 4 vf a 0 x"), "error invalid a number is wanted");
    assert_string_equal(service_ask("open 4 vf a 0 100000000"), "error invalid a number is wanted");
    assert_string_equal(service_ask("open 4 vf a"), "error invalid which one?");
    assert_string_equal(service_ask("open 4 vm a"), "error wrong-state a VM is open already");
    assert_string_equal(service_ask("open 4 vf b 0"),
                        "error wrong-state its VM is to be opened first");
}

static void test_driver(void **state)
{
    open_target();
    assert_int_equal(read_region(2, 1, 0, 20), 0);
    assert_memory_equal(service_payload + 16, "text of b 0 30000e54", 20);
}

static void test_ram(void **state)
{
    open_source();
    fake.vm[VM_A].ram[5] = 7;
    fake.vm[VM_A].ram[FAKE_RAM / 2] = 8;
    assert_int_equal(read_region(1, 0, 5, 1), 0);
    assert_int_equal(service_payload[16], 7);
    assert_int_equal(read_region(1, 0, FAKE_RAM, 1), 0);
    assert_int_equal(service_payload[16], 8);
    assert_int_equal(read_region(1, 0, FAKE_RAM / 2 - 1, 2), EINVAL);
    assert_int_equal(read_region(1, 0, 0, PORTAL_DATA + 1), EINVAL);
    assert_int_equal(write_byte(1, 5, 9), EBUSY);
    assert_int_equal(fake.vm[VM_A].ram[5], 7);
    assert_string_equal(service_ask("close 1"), "ok");
    open_target();
    assert_int_equal(write_byte(1, 5, 9), EBUSY);
    assert_int_equal(service_set_state(1, S_RESUMING), 0);
    assert_int_equal(write_byte(1, 5, 9), 0);
    assert_int_equal(fake.vm[VM_B].ram[5], 9);
    assert_int_equal(write_byte(1, FAKE_RAM / 2, 9), EINVAL);
}

static void test_window(void **state)
{
    open_source();
    assert_string_equal(service_ask("show 1 0 8192 4096"), "ok");
    assert_int_equal(fake.window[0] | fake.window[3], 0);
    assert_int_equal(fake.window[1] & fake.window[2], 1);
    assert_string_equal(service_ask("show 1 0x80000 4096 0"), "error out-of-range out of range");
    assert_string_equal(service_ask("show 1 0 8192 67104768"), "error out-of-range out of range");
    assert_string_equal(service_ask("show 1 1 4096 0"), "error invalid invalid");
    assert_string_equal(service_ask("show 1 0 0 0"), "error invalid invalid");
    assert_string_equal(service_ask("show 2 0 4096 0"), "error invalid invalid");
    assert_string_equal(service_ask("close 1"), "ok");
    assert_int_equal(fake.window[1], 0);
    open_target();
    assert_string_equal(service_ask("show 1 0 4096 0"), "ok");
    assert_int_equal(fake.window[0], 2);
    load_all_data();
    assert_int_equal(service_set_state(1, S_STOP), 0);
    assert_int_equal(fake.window[0], 0);
    assert_string_equal(service_ask("show 1 0 4096 0"), "error wrong-state wrong state");
}

static void test_log(void **state)
{
    open_source();
    assert_int_equal(report(1, 0, FAKE_RAM / 2, 4096), EBUSY);
    assert_int_equal(untrack(1), EBUSY);
    assert_int_equal(track(1, 4096, 2 * FAKE_RAM), EINVAL);
    assert_int_equal(track(1, 0, FAKE_RAM), EINVAL);
    assert_int_equal(track(1, 0, 2 * FAKE_RAM), 0);
    assert_int_equal(track(1, 0, 0), EBUSY);
    assert_int_equal(report(1, 4096, FAKE_RAM / 2, 4096), EINVAL);
    assert_int_equal(report(1, 0, FAKE_RAM / 2 + 4096, 4096), EINVAL);
    assert_int_equal(report(1, 0, FAKE_RAM / 2, 8192), EINVAL);
    assert_int_equal(report(1, 0, (PORTAL_DATA + 8) * 8UL * 4096, 4096), E2BIG);
    assert_int_equal(report(1, FAKE_RAM / 2, 2 * FAKE_RAM, 4096), 0);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(bytes_get(service_payload + 32 + 8UL * i, 8), 2 + i);
    }
    assert_int_equal(untrack(1), 0);
    assert_int_equal(track(2, 0, 0), EINVAL);
    assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
    assert_string_equal(service_ask("close 1"), "ok");
    open_target();
    assert_int_equal(track(1, 0, 0), EBUSY);
}

/* VFs that stand still are asked once, however many ranges there are; those that run each time. */
static void test_log_of_vfs_that_stand_still(void **state)
{
    open_source();
    assert_int_equal(track(1, 0, 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        fake.vm[VM_A].reports = 0;
        assert_int_equal(report(1, 0, 0x40000, 4096), 0);
        assert_int_equal(report(1, 0, 0x40000, 4096), 0);
        assert_int_equal(fake.vm[VM_A].reports, 2);
        assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
        fake.fails = STATUS_DEVICE;
        assert_int_equal(report(1, 0, 0x40000, 4096), EIO);
        assert_int_equal(report(1, 0, 0x40000, 4096), 0);
        assert_int_equal(report(1, 3 * 0x40000, 0x40000, 4096), 0);
        assert_int_equal(bytes_get(service_payload + 32, 8), 3);
        assert_int_equal(fake.vm[VM_A].reports, 3);
        assert_int_equal(service_set_state(1, S_RUNNING), 0);
    }
}

/* ---- States ---- */

static void test_source(void **state)
{
    open_source();
    assert_int_equal(track(1, 0, 0), 0);
    assert_int_equal(service_set_state(1, S_PRE_COPY), 0);
    assert_int_equal(read_data(1, 100), 0);
    assert_int_equal(service_payload_size, 8); /* nothing yet */
    assert_int_equal(service_set_state(2, S_STOP_COPY), EBUSY);
    assert_int_equal(service_set_state(1, S_RESUMING), EBUSY);
    assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
    assert_string_equal(fake.vm[VM_A].state, "moving");
    assert_string_equal(service_ask("handover a"), "error wrong-state wrong state");
    assert_int_equal(service_set_state(2, S_STOP_COPY), 0);
    assert_int_equal(service_set_state(3, S_STOP_COPY), EBUSY); /* one record at a time */
    assert_int_equal(service_set_state(2, S_STOP), 0);
    read_all_data();
    assert_int_equal(service_set_state(1, S_STOP), 0);
    assert_string_equal(service_ask("handover a"), "ok");
    assert_int_equal(service_set_state(1, S_RUNNING), EBUSY);
    assert_int_equal(service_set_state(2, S_STOP_COPY), EBUSY);
    assert_string_equal(service_ask("close 1"), "ok");
    assert_string_equal(fake.vm[VM_A].state, "handed-over");
    assert_string_equal(service_ask("open 1 vm a"), "error wrong-state wrong state");
    assert_string_equal(service_ask("confirm a"), "ok");
    assert_string_equal(fake.vm[VM_A].state, "off");
    assert_string_equal(service_event(), "event state vm=a state=moving");
}

static void test_source_goes_on(void **state)
{
    open_source();
    assert_int_equal(track(1, 0, 0), 0);
    assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
    read_all_data();
    assert_int_equal(service_set_state(2, S_STOP_COPY), 0);
    assert_int_equal(service_set_state(1, S_RUNNING), 0);
    assert_string_equal(fake.vm[VM_A].state, "running");
    assert_int_equal(fake.vm[VM_A].record, PORTAL_WHOLE);
    assert_int_equal(service_set_state(2, S_RUNNING), 0);
    assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
    assert_string_equal(service_ask("handover a"), "error wrong-state wrong state");
    fake_settle();
    service_start();
    fake_settle();
    assert_string_equal(fake.vm[VM_A].state, "running");
    assert_false(fake.vm[VM_A].tracked);
}

static void test_target(void **state)
{
    open_target();
    assert_int_equal(service_set_state(1, S_RUNNING), EBUSY);
    assert_int_equal(service_set_state(1, S_STOP_COPY), EBUSY);
    assert_int_equal(write_data(1, 1), EBUSY);
    load_all_data();
    assert_int_equal(write_data(1, 1), E2BIG);
    assert_int_equal(service_set_state(1, S_STOP), 0);
    assert_string_equal(fake.vm[VM_B].state, "ready");
    assert_int_equal(service_set_state(1, S_RESUMING), EBUSY);
    assert_int_equal(service_set_state(2, S_RESUMING), EBUSY);
    assert_int_equal(service_set_state(1, S_RUNNING), 0);
    assert_int_equal(read_region(1, 0, 0, 1), EBUSY);
    assert_int_equal(service_set_state(1, S_STOP), EBUSY);
    assert_string_equal(service_ask("close 1"), "ok");
    assert_string_equal(fake.vm[VM_B].state, "running");
}

static void test_target_is_refused(void **state)
{
    open_target();
    assert_int_equal(service_set_state(1, S_RESUMING), 0);
    assert_int_equal(service_set_state(2, S_RESUMING), 0);
    assert_int_equal(write_data(2, 5), 0);
    assert_int_equal(service_set_state(2, S_STOP), EINVAL);
    assert_int_equal(service_set_state(1, S_STOP), EINVAL);
    assert_int_equal(service_set_state(1, S_RESUMING), EBUSY); /* it is in ERROR */
    assert_string_equal(service_ask("close 1"), "ok");
    assert_string_equal(fake.vm[VM_B].state, "incoming");
    assert_int_equal(fake.vm[VM_B].added, 0);
    assert_int_equal(service_open(1, "vm b"), 0);
    assert_int_equal(service_open(2, "vf b 0"), 0);
    assert_int_equal(service_open(3, "vf b 1"), 0);
    load_all_data();
    assert_int_equal(service_set_state(1, S_STOP), 0);
    service_start();
    fake_settle();
    assert_string_equal(fake.vm[VM_B].state, "ready"); /* the operator decides */
}

/* ---- What takes time, and what fails ---- */

static void test_waits(void **state)
{
    open_source();
    fake.ends_at_once = false;
    assert_int_equal(service_set_state(1, S_STOP_COPY), -1);
    assert_int_equal(track(1, 0, 0), -1); /* behind it on the same channel: it is not looked at */
    assert_true(fake_orders_end());
    (void)portal_run(&fake_portal);
    assert_int_equal(service_answer(1), 0);
    (void)portal_run(&fake_portal);
    assert_int_equal(service_answer(1), -1);
    assert_true(fake_orders_end());
    (void)portal_run(&fake_portal);
    assert_int_equal(service_answer(1), 0);
    assert_int_equal(service_set_state(2, S_STOP_COPY), -1);
    assert_string_equal(service_ask("vm 3"), "ok vm=p state=running cpus=1 memory=1048576 vfs=0 "
                                             "migrate=no incoming=no service=no");
    assert_string_equal(service_ask("close 2"), "");
    assert_true(fake_orders_end());
    (void)portal_run(&fake_portal);
    assert_string_equal(service_line(), "ok");
    assert_int_equal(fake.vm[VM_A].record, PORTAL_WHOLE);
    assert_string_equal(service_ask("close 1"), ""); /* GO_ON, */
    assert_true(fake_orders_end());
    (void)portal_run(&fake_portal);
    assert_null(service_line()); /* UNTRACK */
    assert_true(fake_orders_end());
    (void)portal_run(&fake_portal);
    assert_string_equal(service_line(), "ok");
    assert_false(fake.vm[VM_A].tracked);
}

/* The session ends while an order is under way; the next waits until all is undone. */
static void test_ends_meanwhile(void **state)
{
    open_source();
    fake.ends_at_once = false;
    assert_int_equal(service_set_state(1, S_STOP_COPY), -1);
    service_start();
    assert_null(service_line());
    for (unsigned i = 0; i < 2; i++) { /* STOP, GO_ON */
        assert_true(fake_orders_end());
        (void)portal_run(&fake_portal);
    }
    assert_string_equal(fake.vm[VM_A].state, "running");
    assert_non_null(service_line());
    assert_int_equal(service_open(1, "vm a"), 0);
    assert_int_equal(service_set_state(1, S_STOP_COPY), -1);
    assert_false(portal_end(&fake_portal));
    assert_true(fake_orders_end());
    assert_false(portal_end(&fake_portal));
    assert_true(fake_orders_end());
    assert_true(portal_end(&fake_portal));
    assert_string_equal(fake.vm[VM_A].state, "running");
}

static void test_failures(void **state)
{
    open_source();
    fake.fails = STATUS_DEVICE;
    assert_int_equal(track(1, 0, 0), EIO);
    assert_int_equal(track(1, 0, 0), 0);
    fake.fails = STATUS_DEVICE;
    assert_int_equal(report(1, 0, 0x40000, 4096), EIO);
    fake.fails = STATUS_DEVICE;
    assert_int_equal(service_set_state(1, S_STOP_COPY), EIO);
    assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
    fake.fails = STATUS_NOT_FOUND;
    assert_int_equal(service_set_state(2, S_STOP_COPY), ENOENT);
    assert_int_equal(read_data(2, 100), EBUSY);
    /* A VM that cannot go on was stopped: the close does not wait for it for ever. */
    fake.fails = STATUS_STATE;
    assert_string_equal(service_ask("close 1"), "ok");
    assert_false(fake_portal.move.open);
}

/* The operator stops the source while its data are read: nothing behind them is. */
static void test_data_go(void **state)
{
    open_source();
    assert_int_equal(service_set_state(1, S_STOP_COPY), 0);
    assert_int_equal(read_data(1, 100), 0);
    fake.data_gone = FAKE_STREAM - 50;
    assert_int_equal(read_data(1, 100), 0);
    assert_int_equal(service_payload_size, 8);
    fake.data_gone = 0;
    fake.data_lasts = 1;
    assert_int_equal(read_data(1, PORTAL_DATA), 0);
    assert_int_equal(bytes_get(service_payload + 4, 4), FAKE_STREAM - 100);
    assert_int_equal(read_data(1, 100), 0);
    assert_int_equal(service_payload_size, 8);
    assert_string_equal(service_ask("close 1"), "ok");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_info),     TEST(test_driver),
        TEST(test_ram),      TEST(test_window),
        TEST(test_log),      TEST(test_log_of_vfs_that_stand_still),
        TEST(test_source),   TEST(test_source_goes_on),
        TEST(test_target),   TEST(test_target_is_refused),
        TEST(test_waits),    TEST(test_ends_meanwhile),
        TEST(test_failures), TEST(test_data_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
