/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the server's own: memory of the client that only messages reach. */
#include "tests/unit/vfio_user/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DATA  4096U
#define PLACE 16U
#define AT    0x123456789000ULL

static void start(enum vfio_user_form form)
{
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(form);
    fake.sent_size = 0;
}

/* An answer to the last command that was sent. */
static void answer(uint16_t id, uint16_t command, uint32_t flags, uint64_t address, uint64_t count,
                   uint32_t size)
{
    uint8_t bytes[HEADER + PLACE + 2 * DATA] = {0};

    bytes_put(bytes, 2, id);
    bytes_put(bytes + 2, 2, command);
    bytes_put32(bytes + 4, HEADER + size);
    bytes_put32(bytes + 8, flags);
    bytes_put64(bytes + HEADER, address);
    bytes_put64(bytes + HEADER + 8, count);
    memset(bytes + HEADER + PLACE, 0x77, 2 * DATA);
    (void)fake_feed(bytes, HEADER + size, NULL, 0, UINT32_MAX);
}

static uint16_t sent_id(void)
{
    return (uint16_t)bytes_get(fake.sent, 2);
}

static void reads(void **state)
{
    for (enum vfio_user_form form = VFIO_USER_TODAY; form <= VFIO_USER_2021; form++) {
        start(form);
        assert_int_equal(vfio_user_dma(&fake.device, AT, 100, NULL), 100);
        assert_int_equal(fake.sent_size, HEADER + PLACE);
        assert_int_equal(bytes_get(fake.sent + 2, 2), 11);
        assert_int_equal(bytes_get32(fake.sent + 4), HEADER + PLACE);
        assert_int_equal(bytes_get32(fake.sent + 8), 0);
        assert_int_equal(bytes_get64(fake.sent + 16), AT);
        assert_int_equal(bytes_get64(fake.sent + 24), 100);
        answer(sent_id(), 11, FLAG_ANSWER, AT, 100, PLACE + 100);
        assert_int_equal(fake.dma_done, 1);
        assert_true(fake.dma_ok);
        assert_int_equal(fake.dma_sum, 100 * 0x77);
        fake_stop();
    }
}

static void writes(void **state)
{
    uint8_t data[DATA];

    start(VFIO_USER_TODAY);
    memset(data, 0x33, sizeof(data));
    assert_int_equal(vfio_user_dma(&fake.device, AT, 100, data), 100);
    assert_int_equal(fake.sent_size, HEADER + PLACE + 100);
    assert_int_equal(bytes_get(fake.sent + 2, 2), 12);
    assert_int_equal(bytes_get64(fake.sent + 24), 100);
    assert_memory_equal(fake.sent + HEADER + PLACE, data, 100);
    answer(sent_id(), 12, FLAG_ANSWER, AT, 100, PLACE);
    assert_int_equal(fake.dma_done, 1);
    /* An answer with nothing in it says so, too; an error does not. */
    fake.sent_size = 0;
    assert_int_equal(vfio_user_dma(&fake.device, AT, 1, data), 1);
    answer(sent_id(), 12, FLAG_ANSWER, 0, 0, 0);
    assert_int_equal(fake.dma_done, 2);
    assert_true(fake.dma_ok);
    fake.sent_size = 0;
    assert_int_equal(vfio_user_dma(&fake.device, AT, 1, data), 1);
    answer(sent_id(), 12, FLAG_ANSWER | FLAG_ERROR, 0, 0, 0);
    assert_int_equal(fake.dma_done, 3);
    assert_false(fake.dma_ok);
    fake_stop();
}

static void asks_for_what_a_message_may_have(void **state)
{
    uint8_t limit[] = "\0\0\0\0{\"capabilities\":{\"max_data_xfer_size\":64}}";

    fake_start(VFIO_USER_TODAY, DATA);
    assert_int_equal(vfio_user_dma(&fake.device, AT, 1, NULL), 0); /* to nobody */
    assert_int_equal(fake_command(COMMAND_VERSION, limit, sizeof(limit), NULL, 0), 0);
    assert_int_equal(vfio_user_dma(&fake.device, AT, 65, NULL), 64);
    fake_stop();
    fake_start(VFIO_USER_TODAY, DATA);
    assert_int_equal(fake_command(COMMAND_VERSION, "\0\0\0", 4, NULL, 0), 0);
    assert_int_equal(vfio_user_dma(&fake.device, AT, UINT32_MAX, NULL), DATA);
    fake_stop();
}

static void answers_may_be_anything(void **state)
{
    static const struct {
        int id; /* that it should not be, by so much */
        uint32_t command, flags;
        uint64_t address, count;
        uint32_t size;
        bool ends; /* it is one */
    } wrong[] = {
        {1, 11, FLAG_ANSWER,              AT,     100, PLACE + 100,      false},
        {0, 12, FLAG_ANSWER,              AT,     100, PLACE + 100,      false},
        {0, 1,  FLAG_ANSWER,              AT,     100, PLACE + 100,      false},
        {0, 11, FLAG_ANSWER | FLAG_ERROR, AT,     100, PLACE + 100,      true },
        {0, 11, FLAG_ANSWER,              AT,     100, PLACE + 99,       true },
        {0, 11, FLAG_ANSWER,              AT,     100, PLACE + 101,      true },
        {0, 11, FLAG_ANSWER,              AT,     100, 0,                true },
        {0, 11, FLAG_ANSWER,              AT + 1, 100, PLACE + 100,      true },
        {0, 11, FLAG_ANSWER,              AT,     99,  PLACE + 100,      true },
        {0, 11, FLAG_ANSWER,              AT,     100, PLACE + 2 * DATA, true },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        start(VFIO_USER_TODAY);
        (void)vfio_user_dma(&fake.device, AT, 100, NULL);
        answer((uint16_t)(sent_id() + wrong[i].id), (uint16_t)wrong[i].command, wrong[i].flags,
               wrong[i].address, wrong[i].count, wrong[i].size);
        assert_int_equal(fake.dma_done, wrong[i].ends ? 1 : 0);
        assert_false(fake.dma_ok);
        /* Each has one answer. */
        answer(sent_id(), 11, FLAG_ANSWER, AT, 100, PLACE + 100);
        answer(sent_id(), 11, FLAG_ANSWER, AT, 100, PLACE + 100);
        assert_int_equal(fake.dma_done, 1);
        assert_int_equal(fake.dma_ok, !wrong[i].ends);
        assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, NULL, 0), 0);
        fake_stop();
    }
}

static void answers_of_a_client_that_went(void **state)
{
    start(VFIO_USER_TODAY);
    (void)vfio_user_dma(&fake.device, AT, 100, NULL);
    vfio_user_disconnected(&fake.device.server);
    fake_version(VFIO_USER_TODAY);
    answer(sent_id(), 11, FLAG_ANSWER, AT, 100, PLACE + 100);
    assert_int_equal(fake.dma_done, 0);
    fake_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(writes),
        cmocka_unit_test(asks_for_what_a_message_may_have),
        cmocka_unit_test(answers_may_be_anything),
        cmocka_unit_test(answers_of_a_client_that_went),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
