/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile client of the function that portolan-vfiod serves: it writes what the input says into
 * its rings and buffers, into registers, in any order, moves the device from state to state and
 * loads states of its own. Its memory may be such that only messages reach it, which it answers, or
 * not, or with errors. The function must come to an end each time, stay in the client's memory,
 * and write only where it may.
 */
#define _GNU_SOURCE
#include "tests/unit/vfiod/client.h"

#include "vmm/migrate/device_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISK    65536U
#define OPS     200U
#define WINDOW  0x30000U /* where rings, and what they name, are */
#define STATE   (1U << 17)
#define PATTERN 0xa5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;
static int disk = -1, other = -1;
static uint8_t state[STATE];

static uint64_t next(unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && left > 0; i++, left--) {
        value |= (uint64_t)*input++ << 8 * i;
    }
    return value;
}

/* An address: in the window, near an edge of memory, or anything. */
static uint64_t address(void)
{
    uint64_t kind = next(1);

    switch (kind % 4) {
    case 0:
        return CLIENT_LOW - kind / 4;
    case 1:
        return CLIENT_HIGH + CLIENT_HIGH_SIZE / 2 - kind / 4;
    case 2:
        return next(8);
    default:
        return 0x10000 + next(3) % (WINDOW - 16);
    }
}

static void open_function(unsigned choice)
{
    static const char *const abi[] = {"2021", "1.4"}, *const transport[] = {"mmr", "admin"};
    char options[128];
    int pair[2];

    if ((choice & 1) != 0) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) {
            abort();
        }
        other = pair[0];
        (void)snprintf(options, sizeof(options), "net,fd=%d,abi=%s,transport=%s", pair[1],
                       abi[choice >> 1 & 1], transport[choice >> 2 & 1]);
    } else {
        (void)snprintf(options, sizeof(options), "block,file=/proc/self/fd/%d,abi=%s,transport=%s",
                       disk, abi[choice >> 1 & 1], transport[choice >> 2 & 1]);
    }
    if (!vdev_open(options, false)) {
        abort();
    }
    client.far = (choice & 16) != 0;
    client.patience = 200;
    client_enable((choice & 8) != 0);
    client_drive((choice & 8) != 0, UINT32_MAX, (choice & 1) + 1);
}

static void write_descriptor(void)
{
    unsigned queue = next(1) % CLIENT_QUEUES;
    struct client_desc desc = {.at = address()};

    desc.length = (uint32_t)next(2) << (next(1) % 17);
    desc.flags = (uint16_t)next(1);
    desc.next = (uint16_t)next(1);
    if (client.queue[queue].at != 0) {
        client_set_desc(queue, (unsigned)next(1) % CLIENT_SIZE, desc);
    }
}

static void access_register(bool write)
{
    static const uint8_t region[] = {VFIO_USER_BAR0, VFIO_USER_BAR0, VFIO_USER_BAR0 + 1,
                                     VFIO_USER_CONFIG};
    uint32_t which = region[next(1) % 4];
    uint64_t size = vdev_describe()->region[which].size, offset = next(2) % size;
    uint64_t bytes = next(8);
    uint32_t count = 1 + (uint32_t)next(1) % 8;

    if (count > size - offset) {
        count = (uint32_t)(size - offset);
    }
    if (write) {
        (void)vdev_write(which, offset, (const uint8_t *)&bytes, count);
    } else {
        (void)vdev_read(which, offset, (uint8_t *)&bytes, count);
    }
}

/* What is saved, with some bytes changed, or what the input says. */
static void move(void)
{
    uint32_t size = 0, piece;

    (void)vdev_set_state((uint32_t)next(1) % DEVICE_STATES);
    for (; vdev_pending() > 0 && size < STATE; size += piece) {
        piece = STATE - size;
        if (vdev_save(state + size, &piece) != STATUS_OK) {
            break;
        }
    }
    for (unsigned changes = (unsigned)next(1) % 4; changes > 0 && size > 0; changes--) {
        state[next(2) % size] = (uint8_t)next(1);
    }
    if (size == 0) {
        size = (uint32_t)next(1);
        for (uint32_t i = 0; i < size; i++) {
            state[i] = (uint8_t)next(1);
        }
    }
    (void)vdev_set_state((uint32_t)next(1) % DEVICE_STATES);
    (void)vdev_load(state, size);
    (void)vdev_set_state((uint32_t)next(1) % DEVICE_STATES);
}

static void send_frame(void)
{
    uint8_t frame[300];
    size_t size = next(1);

    for (size_t i = 0; i < size; i++) {
        frame[i] = (uint8_t)next(1);
    }
    if (other >= 0 && send(other, frame, size, MSG_NOSIGNAL) >= 0) {
        (void)!recv(other, frame, sizeof(frame), 0);
    }
}

static void step(void)
{
    unsigned op = (unsigned)next(1);
    uint64_t value;

    switch (op % 13) {
    case 0:
        value = next(8);
        memcpy(client_memory(0x10000 + next(3) % (WINDOW - 16)), &value, 8);
        break;
    case 1:
    case 2:
        write_descriptor();
        break;
    case 3:
    case 4:
        if (client.queue[op / 12 % CLIENT_QUEUES].at != 0) {
            client_offer(op / 12 % CLIENT_QUEUES, (uint16_t)next(2));
        }
        break;
    case 5:
        access_register(true);
        break;
    case 6:
        access_register(false);
        break;
    case 7:
        move();
        break;
    case 8:
        send_frame();
        break;
    case 9:
        vdev_vector_wanted((uint32_t)next(1), (op / 12 & 1) != 0);
        break;
    case 10:
        if (op / 12 % 8 == 0) {
            (void)vdev_reset();
            client_enable((op & 1) != 0);
            client_drive((op & 1) != 0, (uint32_t)next(4), 2);
        }
        break;
    case 11:
        client.silent = (op & 0x20) != 0;
        client.refuses = (op & 0x40) != 0;
        client.far = (op & 0x80) == 0 ? client.far : !client.far; /* the map is another now */
        break;
    default:
        client_notify(op / 12 % CLIENT_QUEUES);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *fixed;

    if (disk < 0) {
        disk = memfd_create("disk", 0);
        if (disk < 0 || ftruncate(disk, DISK) != 0) {
            abort();
        }
    }
    input = data;
    left = size;
    client_start();
    memset(client_memory(CLIENT_HIGH), PATTERN, CLIENT_HIGH_SIZE);
    open_function((unsigned)next(1));
    for (unsigned i = 0; i < OPS && left > 0; i++) {
        step();
    }
    client_turn();
    vdev_close();
    fixed = client_memory(CLIENT_HIGH + CLIENT_HIGH_SIZE / 2);
    for (unsigned i = 0; i < CLIENT_HIGH_SIZE / 2; i++) {
        if (fixed[i] != PATTERN) {
            abort(); /* it was not to be written */
        }
    }
    if (other >= 0) {
        close(other);
        other = -1;
    }
    client_end();
    return 0;
}
