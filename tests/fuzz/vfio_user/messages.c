/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile client of vfio-user. The input is a script: form, data size, then messages. Each begins
 * with a byte that says how it is sent (whole sizes mended or not, handles, pieces), then a length
 * and so many bytes. The fakes end the program when a handle is used or closed twice, or the edge
 * is asked for what it must not be.
 */
#include "tests/unit/vfio_user/fake_client.h"

#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MESSAGE 700U /* bytes in the input, at most; some are made longer */
#define MENDED  0x80U
#define VERSION 0x40U
#define PIECES  0x20U
#define ACTS    0x10U

static uint8_t message[VFIO_USER_DATA_MIN * 3];

/* What the function does meanwhile. */
static void act(uint8_t what)
{
    switch (what % 6) {
    case 0:
        vfio_user_set_intx(&fake.device, (what & 8) != 0);
        break;
    case 1:
        vfio_user_send_vector(&fake.device, what);
        break;
    case 2:
        vfio_user_unmask_intx(&fake.device);
        break;
    case 4:
        if (!fake.device.dma.waits) {
            (void)vfio_user_dma(&fake.device, what, what * 40U + 1,
                                (what & 8) != 0 ? message : NULL);
        }
        break;
    case 3:
        fake.fails = (enum status)(what / 5 % STATUS_AGAIN);
        fake.again = what / 50;
        break;
    default:
        for (uint32_t i = 0; i < fake.maps; i++) {
            fake.map[i].written = true;
        }
        break;
    }
}

static void send_message(uint8_t how, const uint8_t *bytes, uint32_t length)
{
    int handle[24]; /* more than there may be */
    uint32_t count = how & 0xf, whole;

    count = count == 15 ? 20 : count;
    memset(message, 0, HEADER);
    memcpy(message, bytes, length);
    whole = length < HEADER ? HEADER : length;
    if ((how & MENDED) != 0) {
        bytes_put32(message + 4, whole);
        bytes_put32(message + 8, bytes_get32(message + 8) & FLAG_NO_REPLY);
        bytes_put(message + 2, 2, message[2] % (COMMANDS + 1));
        if (fake.device.dma.waits && (message[0] & 1) != 0) { /* it has the answer */
            bytes_put(message, 2, fake.device.dma.id);
            bytes_put(message + 2, 2, fake.device.dma.command);
            bytes_put32(message + 8, FLAG_ANSWER | (message[12] & 1 ? FLAG_ERROR : 0));
        }
    } else if (bytes_get32(message + 4) > whole && bytes_get32(message + 4) <= sizeof(message)) {
        whole = bytes_get32(message + 4); /* with what the last ones left there */
    }
    for (uint32_t i = 0; i < count; i++) {
        handle[i] = fake_handle();
    }
    /* What a transport takes at once is bounded. */
    if (count > VFIO_USER_HANDLES_MAX) {
        (void)fake_feed(message, 1, handle, VFIO_USER_HANDLES_MAX, 1);
        (void)fake_feed(message + 1, whole - 1, handle + VFIO_USER_HANDLES_MAX,
                        count - VFIO_USER_HANDLES_MAX, 1000);
        return;
    }
    (void)fake_feed(message, whole, handle, count, (how & PIECES) != 0 ? 7 : UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    size_t at = 2;

    if (size < 2) {
        return 0;
    }
    memset(message, 0, sizeof(message));
    fake_start((enum vfio_user_form)(input[0] % 3), VFIO_USER_DATA_MIN);
    fake.function.migrates = (input[1] & 1) == 0;
    fake.function.logs = (input[1] & 2) == 0;
    if ((input[1] & 8) != 0) { /* as the portal has it */
        fake.device.server.setup.more = NULL;
    }
    if ((input[1] & VERSION) == 0) { /* most of what is interesting comes after it */
        enum vfio_user_form form = (enum vfio_user_form)(input[0] % 3);

        if (form == VFIO_USER_AUTO && (input[1] & 4) != 0) {
            form = VFIO_USER_2021;
        }
        fake_version(form == VFIO_USER_AUTO || (input[1] & 8) != 0 ? VFIO_USER_TODAY : form);
    }
    while (at + 3 <= size && !fake.device.server.failed) {
        uint8_t how = input[at];
        uint32_t length = (input[at + 1] | (uint32_t)input[at + 2] << 8) % MESSAGE;

        at += 3;
        length = size - at < length ? (uint32_t)(size - at) : length;
        if ((how & ACTS) != 0 && length != 0) {
            act(input[at]);
        }
        send_message(how, input + at, length);
        at += length;
    }
    fake_stop();
    return 0;
}
