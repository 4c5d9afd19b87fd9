/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vfiod/client.h"

#include "tools/vfiod/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client client;
static uint8_t *low, *high;
static uint8_t message[CLIENT_MESSAGE]; /* of asked_write */
static char disk[] = "/tmp/portolan-vfiod-XXXXXX";

void client_start(void)
{
    client = (struct client){0};
    low = calloc(1, CLIENT_LOW);
    high = calloc(1, CLIENT_HIGH_SIZE);
}

void client_end(void)
{
    free(low);
    free(high);
    low = high = NULL;
    if (strchr(disk, 'X') == NULL) {
        unlink(disk);
    }
}

void *client_memory(uint64_t at)
{
    return at < CLIENT_LOW ? low + at : high + (at - CLIENT_HIGH);
}

const char *client_disk(uint64_t size)
{
    strcpy(disk, "/tmp/portolan-vfiod-XXXXXX");
    int fd = mkstemp(disk);

    for (uint64_t at = 0; at < size; at += 512) {
        uint64_t sector[64] = {at / 512};

        if (write(fd, sector, sizeof(sector)) != (ssize_t)sizeof(sector)) {
            abort();
        }
    }
    close(fd);
    return disk;
}

/* ---- tools/vfiod/memory.h ---- */

static uint64_t run(uint64_t iova, uint64_t length, bool write)
{
    uint64_t end =
        iova < CLIENT_LOW ? CLIENT_LOW : CLIENT_HIGH + CLIENT_HIGH_SIZE / (write ? 2 : 1);
    uint64_t begin = iova < CLIENT_LOW ? 0 : CLIENT_HIGH;

    if (client.away) {
        return 0;
    }
    if (iova < begin || iova >= end) {
        return 0;
    }
    return length < end - iova ? length : end - iova;
}

uint64_t memory_run(uint64_t iova, uint64_t length, bool write)
{
    return client.far ? 0 : run(iova, length, write);
}

uint64_t memory_far_run(uint64_t iova, uint64_t length, bool write)
{
    return client.far ? run(iova, length, write) : 0;
}

void *memory_at(uint64_t iova, uint64_t length, bool write)
{
    if (length == 0 || memory_run(iova, length, write) != length) {
        return NULL;
    }
    client.marks += write;
    return client_memory(iova);
}

/* ---- What the function tells ---- */

uint32_t vfiod_dma(uint64_t address, uint32_t count, const uint8_t *from)
{
    count = count < CLIENT_MESSAGE ? count : CLIENT_MESSAGE;
    if (client.asked) {
        abort(); /* one at a time */
    }
    client.asked = true;
    client.asked_at = address;
    client.asked_count = count;
    client.asked_write = from != NULL;
    if (from != NULL) {
        memcpy(message, from, count);
    } else if (client.early && run(address, count, false) == count) {
        memcpy(message, client_memory(address), count);
    }
    client.messages++;
    return count;
}

/* The guest's memory as it is when the answer is given. */
void client_step(void)
{
    bool ok = !client.refuses &&
              run(client.asked_at, client.asked_count, client.asked_write) == client.asked_count;
    uint8_t *here = ok ? client_memory(client.asked_at) : NULL;

    client.asked = false;
    if (ok && client.asked_write) {
        memcpy(here, message, client.asked_count);
    }
    if (ok && client.early) {
        here = message;
    }
    vdev_dma_done(ok, ok && !client.asked_write ? here : NULL);
}

void vfiod_intx(bool level)
{
    client.rises += level && !client.line;
    client.line = level;
}

void vfiod_vector(uint32_t vector)
{
    if (vector >= 8) {
        abort();
    }
    client.vector[vector]++;
}

void vfiod_say(const char *text, ...)
{
    va_list args;

    client.said++;
    va_start(args, text);
    (void)vsnprintf(client.words, sizeof(client.words), text, args);
    va_end(args);
}

/* ---- The driver ---- */

static uint32_t read_register(uint32_t region, unsigned offset, unsigned width)
{
    uint32_t value = 0;

    if (vdev_read(region, offset, (uint8_t *)&value, width) != STATUS_OK) {
        abort();
    }
    return value;
}

uint32_t client_config_read(unsigned offset, unsigned width)
{
    return read_register(VFIO_USER_CONFIG, offset, width);
}

uint32_t client_in(unsigned offset, unsigned width)
{
    return read_register(VFIO_USER_BAR0, offset, width);
}

void client_config_write(unsigned offset, unsigned width, uint32_t value)
{
    (void)vdev_write(VFIO_USER_CONFIG, offset, (const uint8_t *)&value, width);
}

void client_out(unsigned offset, unsigned width, uint32_t value)
{
    (void)vdev_write(VFIO_USER_BAR0, offset, (const uint8_t *)&value, width);
}

void client_enable(bool msix)
{
    client_config_write(0x04, 2, 0x0007);
    for (unsigned i = 0; i < vdev_describe()->vectors && msix; i++) {
        vdev_vector_wanted(i, true);
    }
    client_config_write(0x42, 2, msix ? 0x8000 : 0);
}

void client_drive(bool msix, uint32_t features, unsigned queues)
{
    client_out(0x12, 1, 0);
    client_out(0x12, 1, 3);
    client_out(0x04, 4, features & client_in(0x00, 4));
    if (msix) {
        client_out(0x14, 2, 0);
    }
    for (unsigned i = 0; i < queues; i++) {
        client.queue[i] = (struct client_queue){.at = 0x10000 + 0x10000 * (uint64_t)i};
        memset(client_memory(client.queue[i].at), 0, 0x8000);
        client_out(0x0e, 2, i);
        if (msix) {
            client_out(0x16, 2, i + 1);
        }
        client_out(0x08, 4, (uint32_t)(client.queue[i].at >> 12));
    }
    client_out(0x12, 1, 7);
}

uint64_t client_avail_at(unsigned queue)
{
    return client.queue[queue].at + 16 * CLIENT_SIZE;
}

uint64_t client_used_at(unsigned queue)
{
    return client.queue[queue].at + 0x2000;
}

void client_set_desc(unsigned queue, unsigned index, struct client_desc desc)
{
    memcpy(client_memory(client.queue[queue].at + 16UL * index), &desc, sizeof(desc));
}

void client_offer(unsigned queue, uint16_t head)
{
    uint16_t *avail = client_memory(client_avail_at(queue));

    avail[2 + client.queue[queue].avail % CLIENT_SIZE] = head;
    avail[1] = ++client.queue[queue].avail;
}

void client_turn(void)
{
    struct pollfd fd[VDEV_FDS_MAX];
    int timeout = 0;

    for (unsigned i = 0; i < (client.far ? 100000 : 1000); i++) {
        unsigned count = vdev_poll_fds(fd, VDEV_FDS_MAX, &timeout);

        if (client.far && client.patience != 0 && i == client.patience) {
            return;
        }
        if (client.asked && !client.silent) {
            client_step();
            continue;
        }
        if (poll(fd, count, 0) == 0 && timeout != 0) {
            return;
        }
        vdev_poll(fd, count);
    }
    abort(); /* it is never done */
}

void client_notify(unsigned queue)
{
    client_out(0x10, 2, queue);
    client_turn();
}

bool client_used(unsigned queue, uint32_t *head, uint32_t *length)
{
    const uint16_t *used = client_memory(client_used_at(queue));
    const uint32_t *entry =
        client_memory(client_used_at(queue) + 4 + 8UL * (client.queue[queue].used % CLIENT_SIZE));

    if (used[1] == client.queue[queue].used) {
        return false;
    }
    *head = entry[0];
    *length = entry[1];
    client.queue[queue].used++;
    return true;
}
