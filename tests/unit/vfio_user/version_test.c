/* SPDX-License-Identifier: BSD-2-Clause */
/* Framing and VERSION: messages cut anywhere, wrong ones, JSON of all kinds. */
#include "tests/unit/vfio_user/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DATA 8192U

/* As QEMU 10.1 says it; what it receives may be no longer than this. */
static const char of_qemu[] =
    "{\"capabilities\":{\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456},"
    "\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"pgsizes\":4096,\"max_dma_maps\":65535}}";

static int version(uint16_t major, uint16_t minor, const char *json, uint32_t length)
{
    uint8_t bytes[9000];

    bytes_put(bytes, 2, major);
    bytes_put(bytes + 2, 2, minor);
    if (length != 0) {
        memcpy(bytes + 4, json, length);
    }
    return fake_command(COMMAND_VERSION, bytes, 4 + length, NULL, 0);
}

static const char *said(void)
{
    return (const char *)fake.reply + 4;
}

static void says_what_it_can(void **state)
{
    fake_start(VFIO_USER_AUTO, VFIO_USER_DATA_MAX);
    assert_int_equal(version(0, 0, of_qemu, sizeof(of_qemu)), 0);
    assert_true(fake.reply_size <= 4 + sizeof(of_qemu));
    assert_int_equal(fake.reply[fake.reply_size - 1], '\0');
    assert_int_equal(bytes_get32(fake.reply), 0);
    assert_string_equal(
        said(), "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
                "\"max_dma_maps\":65535,\"pgsizes\":4096,\"migration\":{\"pgsize\":4096}}}");
    assert_int_equal(fake.device.server.form, VFIO_USER_TODAY);
    assert_int_equal(fake.device.server.client_handles, 16);
    assert_int_equal(fake.device.server.client_data, VFIO_USER_DATA_MAX);
    /* It is said once. */
    assert_int_equal(version(0, 0, of_qemu, sizeof(of_qemu)), 22);
    fake_stop();
}

static void tells_only_what_was_asked(void **state)
{
    static const char json[] = "{\"capabilities\":{\"write_multiple\":true}}";
    static const char no[] = "{\"capabilities\":{\"write_multiple\":false}}";
    static const char twin[] = "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}";

    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(0, 7, json, sizeof(json)), 0);
    assert_int_equal(bytes_get(fake.reply + 2, 2), 2); /* not more than it knows */
    assert_non_null(strstr(said(), "\"write_multiple\":true"));
    assert_null(strstr(said(), "migration"));
    assert_int_equal(fake.device.server.client_handles, 1);
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(0, 0, no, sizeof(no)), 0);
    assert_null(strstr(said(), "write_multiple"));
    fake_stop();
    /* There is one socket. */
    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(0, 0, twin, sizeof(twin)), 0);
    assert_null(strstr(said(), "twin"));
    fake_stop();
    /* Without a word. */
    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(0, 0, NULL, 0), 0);
    assert_int_equal(fake.device.server.client_data, DATA);
    fake_stop();
}

static void chooses_the_form(void **state)
{
    static const struct {
        enum vfio_user_form wanted, form;
        uint16_t minor;
        const char *json;
    } cases[] = {
        {VFIO_USER_AUTO,  VFIO_USER_TODAY, 0, "{\"capabilities\":{\"max_fds\":3}}"      },
        {VFIO_USER_AUTO,  VFIO_USER_TODAY, 1, "{\"capabilities\":{\"max_msg_fds\":3}}"  },
        {VFIO_USER_AUTO,  VFIO_USER_2021,  1, "{\"capabilities\":{\"max_fds\":3}}"      },
        {VFIO_USER_AUTO,  VFIO_USER_2021,  1, "{\"capabilities\":{\"max_msg_size\":96}}"},
        {VFIO_USER_AUTO,  VFIO_USER_TODAY, 1, "{\"max_msg_size\":96}"                   },
        {VFIO_USER_TODAY, VFIO_USER_TODAY, 1, "{\"capabilities\":{\"max_fds\":3}}"      },
        {VFIO_USER_2021,  VFIO_USER_2021,  0, "{}"                                      },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_start(cases[i].wanted, DATA);
        assert_int_equal(
            version(0, cases[i].minor, cases[i].json, (uint32_t)strlen(cases[i].json) + 1), 0);
        assert_int_equal(fake.device.server.form, cases[i].form);
        assert_true((strstr(said(), "max_msg_size") != NULL) == (cases[i].form == VFIO_USER_2021));
        fake_stop();
    }
    /* Its table puts the text two bytes later. */
    static const char later[] = "\0\0{\"capabilities\":{\"max_fds\":3,\"max_msg_size\":96}}";

    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(0, 1, later, sizeof(later)), 0);
    assert_int_equal(fake.device.server.client_handles, 3);
    assert_int_equal(fake.device.server.client_data, 64);
    fake_stop();
}

static void refuses_wrong_versions(void **state)
{
    static const char unended[] = {'{', '}'};
    int handle;

    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(1, 0, of_qemu, sizeof(of_qemu)), 95);
    assert_true(fake.device.server.failed);
    assert_int_equal(version(0, 0, of_qemu, sizeof(of_qemu)), -1); /* nobody listens */
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(version(0, 0, unended, sizeof(unended)), 22);
    assert_true(fake.device.server.failed);
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(fake_command(COMMAND_GET_INFO, of_qemu, 16, NULL, 0), 22);
    assert_true(fake.device.server.failed);
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    handle = fake_handle();
    assert_int_equal(fake_command(COMMAND_VERSION, "\0\0\0\0", 4, &handle, 1), 22);
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    assert_int_equal(fake_command(COMMAND_VERSION, "\0\0", 2, NULL, 0), 22);
    fake_stop();
}

static void knows_json(void **state)
{
    static const struct {
        const char *text;
        enum status status;
        uint32_t named;
        uint64_t fds, data;
    } cases[] = {
        {"{}",                                                                 STATUS_OK,      0,  1,  2},
        {"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":4096}}", STATUS_OK,      3,  8,
         4096                                                                                           },
        {"{\"x\":[1,{\"max_msg_fds\":9}],\"max_msg_fds\":9,\"capabilities\":{\"max_msg_fds\":7,"
         "\"migration\":{\"pgsize\":65536,\"max_msg_fds\":3}}}",      STATUS_OK,      9,  7,  2},
        {"{\"capabilities\":{\"max_msg_fds\":\"8\"}}",                         STATUS_OK,      0,  1,  2},
        {"{\"capabilities\":{\"max_msg_fds\":-8}}",                            STATUS_OK,      0,  1,  2},
        {"{\"capabilities\":{\"max_msg_fds\":8.0}}",                           STATUS_OK,      0,  1,  2},
        {"{\"capabilities\":{\"migration\":true,\"write_multiple\":1}}",       STATUS_OK,      0,  1,  2},
        {"{\"capabilities\":{\"write_multiple\":true}}",                       STATUS_OK,      4,  1,  2},
        {"{\"capabilities\":[\"max_msg_fds\",8]}",                             STATUS_OK,      0,  1,  2},
        {"{\"capabilities\":{\"max_fds\":99,\"max_msg_size\":0}}",             STATUS_OK,      19, 99, 0},
        {"{\"capabilities\":{\"max_fds\":99999999999999999999}}",              STATUS_INVALID, 0,  1,  2},
        {"",                                                                   STATUS_INVALID, 0,  1,  2},
        {"[]",                                                                 STATUS_INVALID, 0,  1,  2},
        {"null",                                                               STATUS_INVALID, 0,  1,  2},
        {"{",                                                                  STATUS_INVALID, 0,  1,  2},
        {"{} {}",                                                              STATUS_INVALID, 0,  1,  2},
        {"{\"a\":1,}",                                                         STATUS_INVALID, 0,  1,  2},
        {"{\"\xff\":1}",                                                       STATUS_INVALID, 0,  1,  2},
    };
    static const char nul[] = "{}\0{}";
    struct vfio_user_capabilities found;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        /* In memory that ends where the text does. */
        uint32_t length = (uint32_t)strlen(cases[i].text);
        char *text = test_malloc(length + 1);

        memcpy(text + 1, cases[i].text, length);
        found = (struct vfio_user_capabilities){.fds = 1, .data = 2};
        if (vfio_user_edge_parse(NULL, text + 1, length, &found) != cases[i].status) {
            fail_msg("'%s'", cases[i].text);
        }
        assert_int_equal(found.named, cases[i].named);
        assert_int_equal(found.fds, cases[i].fds);
        assert_int_equal(found.data, cases[i].data);
        test_free(text);
    }
    assert_int_equal(vfio_user_edge_parse(NULL, nul, sizeof(nul) - 1, &found), STATUS_INVALID);
}

/* As long as it may be, and longer. */
static void limits_the_text(void **state)
{
    static char text[4098];

    for (uint32_t length = 4096; length <= 4097; length++) {
        memset(text, ' ', sizeof(text));
        memcpy(text, "{}", 2);
        text[length] = '\0';
        fake_start(VFIO_USER_AUTO, DATA);
        assert_int_equal(version(0, 0, text, length + 1), length == 4096 ? 0 : 22);
        fake_stop();
    }
}

/* ---- Framing ---- */

static void put_message(uint8_t *at, uint16_t id, uint16_t command, uint32_t size, uint32_t flags)
{
    memset(at, 0, HEADER);
    bytes_put(at, 2, id);
    bytes_put(at + 2, 2, command);
    bytes_put32(at + 4, size);
    bytes_put32(at + 8, flags);
}

static void may_be_cut_anywhere(void **state)
{
    uint8_t bytes[3 * (HEADER + 16)];

    for (uint32_t piece = 1; piece <= sizeof(bytes); piece++) {
        fake_start(VFIO_USER_AUTO, DATA);
        fake_version(VFIO_USER_TODAY);
        for (uint16_t i = 0; i < 3; i++) {
            uint8_t *at = bytes + (size_t)i * (HEADER + 16);

            put_message(at, i, COMMAND_GET_INFO, HEADER + 16, i == 1 ? FLAG_NO_REPLY : 0);
            fake_put32(at + HEADER, 4, 16, 0, 0, 0);
        }
        fake.sent_size = 0;
        assert_int_equal(fake_feed(bytes, sizeof(bytes), NULL, 0, piece), sizeof(bytes));
        /* Two answers: the second wanted none. */
        assert_int_equal(fake.sent_size, 2 * (HEADER + 16));
        assert_int_equal(bytes_get(fake.sent, 2), 0);
        assert_int_equal(bytes_get(fake.sent + HEADER + 16, 2), 2);
        fake_stop();
    }
}

static void ends_with_what_is_no_message(void **state)
{
    uint8_t bytes[HEADER];

    for (uint32_t size = 0; size < HEADER; size++) {
        fake_start(VFIO_USER_TODAY, DATA);
        fake_version(VFIO_USER_TODAY);
        put_message(bytes, 1, COMMAND_RESET, size, 0);
        (void)fake_feed(bytes, sizeof(bytes), NULL, 0, 100);
        assert_true(fake.device.server.failed);
        assert_int_equal(fake.resets, 0);
        fake_stop();
    }
}

static void passes_over_what_is_too_long(void **state)
{
    static uint8_t bytes[3 * DATA];
    int handle;

    fake_start(VFIO_USER_TODAY, DATA);
    fake_version(VFIO_USER_TODAY);
    handle = fake_handle();
    put_message(bytes, 9, COMMAND_REGION_WRITE, sizeof(bytes), 0);
    fake.sent_size = 0;
    assert_int_equal(fake_feed(bytes, sizeof(bytes), &handle, 1, 999), sizeof(bytes));
    assert_int_equal(fake.sent_size, HEADER);
    assert_int_equal(bytes_get32(fake.sent + 8), FLAG_ANSWER | FLAG_ERROR);
    assert_int_equal(bytes_get32(fake.sent + 12), 7);
    /* One that is as long as there is room is read. */
    assert_int_equal(
        fake_command(COMMAND_RESET, bytes, DATA + VFIO_USER_ENVELOPE - HEADER, NULL, 0), 0);
    assert_int_equal(fake.resets, 1);
    fake_stop();
}

static void answers_errors_with_a_header(void **state)
{
    static const uint16_t unknown[] = {0, 11, 12, 14, 20, 255, 65535};
    uint8_t bytes[HEADER];
    int handle;

    fake_start(VFIO_USER_TODAY, DATA);
    fake_version(VFIO_USER_TODAY);
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        assert_int_equal(fake_command(unknown[i], NULL, 0, NULL, 0), 95);
    }
    /* Too short, each. */
    for (uint16_t command = COMMAND_DMA_MAP; command <= COMMAND_PRECOPY_INFO; command++) {
        if (command != COMMAND_RESET && command != 11 && command != 12 && command != 14) {
            assert_int_equal(fake_command(command, "\0\0\0\0\0\0", 7, NULL, 0), 22);
        }
    }
    /* Handles where none belong. */
    handle = fake_handle();
    assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, &handle, 1), 22);
    /* Flags that a command does not have; answers are no commands. */
    fake.sent_size = 0;
    put_message(bytes, 1, COMMAND_RESET, HEADER, 2);
    (void)fake_feed(bytes, HEADER, NULL, 0, HEADER);
    put_message(bytes, 1, COMMAND_RESET, HEADER, 0x100);
    (void)fake_feed(bytes, HEADER, NULL, 0, HEADER);
    assert_int_equal(fake.sent_size, 2 * HEADER);
    put_message(bytes, 1, COMMAND_RESET, HEADER, FLAG_ANSWER);
    (void)fake_feed(bytes, HEADER, NULL, 0, HEADER);
    assert_int_equal(fake.sent_size, 2 * HEADER);
    assert_int_equal(fake.resets, 0);
    /* What the function says becomes an error number. */
    fake.fails = STATUS_DEVICE;
    assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, NULL, 0), 5);
    fake.fails = STATUS_TIMEOUT;
    assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, NULL, 0), 110);
    fake_stop();
}

static void refuses_too_many_handles(void **state)
{
    uint8_t bytes[HEADER + 20];
    int handle[VFIO_USER_HANDLES_MAX + 1];

    fake_start(VFIO_USER_TODAY, DATA);
    fake_version(VFIO_USER_TODAY);
    for (unsigned i = 0; i < ARRAY_SIZE(handle); i++) {
        handle[i] = fake_handle();
    }
    put_message(bytes, 1, COMMAND_SET_IRQS, sizeof(bytes), 0);
    fake_put32(bytes + HEADER, 5, 20, 36, 2, 0, 17);
    (void)fake_feed(bytes, 4, handle, VFIO_USER_HANDLES_MAX, 4);
    (void)fake_feed(bytes + 4, sizeof(bytes) - 4, handle + VFIO_USER_HANDLES_MAX, 1, 100);
    assert_true(fake.device.server.failed);
    fake_stop();
}

static enum status init(const struct vfio_user_setup *setup)
{
    return vfio_user_device_init(&fake.device, setup, VFIO_USER_TODAY, NULL);
}

static void checks_its_setup(void **state)
{
    struct vfio_user_setup setup;

    fake_start(VFIO_USER_TODAY, DATA);
    setup = fake.device.server.setup;
    fake_stop();
    setup.data = VFIO_USER_DATA_MIN - 1;
    assert_int_equal(init(&setup), STATUS_RANGE);
    setup.data = VFIO_USER_DATA_MAX + 1;
    assert_int_equal(init(&setup), STATUS_RANGE);
    setup.data = DATA;
    fake.function.vectors = VFIO_USER_VECTORS_MAX + 1;
    assert_int_equal(init(&setup), STATUS_RANGE);
    fake.function.vectors = 1;
    fake.function.region[3].areas = VFIO_USER_AREAS_MAX + 1;
    assert_int_equal(init(&setup), STATUS_RANGE);
}

/* Without struct vfio_user_more: no interrupts, no DMA, no reset, and the form of today only. */
static void serves_less_alone(void **state)
{
    static const char json[] = "{\"capabilities\":{\"max_fds\":3}}";
    static const uint16_t others[] = {
        COMMAND_DMA_MAP,      COMMAND_DMA_UNMAP, COMMAND_GET_REGION_IO_FDS,
        COMMAND_GET_IRQ_INFO, COMMAND_SET_IRQS,  COMMAND_DMA_READ,
        COMMAND_DMA_WRITE,    COMMAND_RESET,     14,
        COMMAND_WRITE_MULTI,  COMMANDS};
    static const uint8_t payload[32] = {32};
    uint8_t bytes[HEADER];
    int handle;

    fake_start(VFIO_USER_2021, DATA);
    fake.device.server.setup.more = NULL;
    assert_int_equal(version(0, 1, json, sizeof(json)), 0);
    assert_int_equal(fake.device.server.form, VFIO_USER_TODAY);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        assert_int_equal(fake_command(others[i], payload, sizeof(payload), NULL, 0), 95);
        assert_int_equal(fake_command(others[i], NULL, 0, NULL, 0), 95);
    }
    handle = fake_handle();
    assert_int_equal(fake_command(COMMAND_SET_IRQS, payload, sizeof(payload), &handle, 1), 95);
    assert_int_equal(fake.handle[handle], HANDLE_CLOSED);
    assert_int_equal(fake_command(COMMAND_GET_INFO, payload, 16, NULL, 0), 0);
    assert_int_equal(bytes_get32(fake.reply + 4), 2); /* PCI, no reset */
    assert_int_equal(bytes_get32(fake.reply + 8), 9);
    assert_int_equal(bytes_get32(fake.reply + 12), 0); /* no kind of interrupts */
    /* Nobody has asked for an answer. */
    fake.sent_size = 0;
    put_message(bytes, 1, COMMAND_DMA_READ, HEADER, FLAG_ANSWER);
    (void)fake_feed(bytes, HEADER, NULL, 0, HEADER);
    assert_int_equal(fake.sent_size, 0);
    assert_false(fake.device.server.failed);
    assert_int_equal(fake_command(COMMAND_GET_REGION_INFO, payload, 32, NULL, 0), 0);
    fake_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_can),
        cmocka_unit_test(tells_only_what_was_asked),
        cmocka_unit_test(chooses_the_form),
        cmocka_unit_test(refuses_wrong_versions),
        cmocka_unit_test(knows_json),
        cmocka_unit_test(limits_the_text),
        cmocka_unit_test(may_be_cut_anywhere),
        cmocka_unit_test(ends_with_what_is_no_message),
        cmocka_unit_test(passes_over_what_is_too_long),
        cmocka_unit_test(answers_errors_with_a_header),
        cmocka_unit_test(refuses_too_many_handles),
        cmocka_unit_test(checks_its_setup),
        cmocka_unit_test(serves_less_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
