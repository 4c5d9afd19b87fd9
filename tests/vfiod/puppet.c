/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function for the tests of portolan-vfiod, which does what a client tells it by its BAR 1, 4
 * KiB:
 *
 *   0..1023   memory: what was written there is read
 *   1024      u32 command, then at 1032 three u64: see 'enum order'. The write of the command
 * carries it out; reading there gives 1 if it worked
 *
 * BAR 0 has 64 bytes of ports that count their writes, BAR 2 can be mapped in part. Its state is
 * the 1024 bytes of memory.
 */
#define _GNU_SOURCE /* memfd_create() */
#include "tools/vfiod/device.h"
#include "tools/vfiod/memory.h"

#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY    1024U
#define COMMAND   1024U
#define ARGUMENTS 1032U
#define BAR1      4096U
#define QUEUES    20U /* more than a message has handles */
#define VECTORS   40U
#define MAPPABLE  16384U

#define UNREACHABLE 0xfee00000U

enum order {
    ORDER_COPY = 1,   /* from, to, length: from client memory to client memory */
    ORDER_INTX = 2,   /* level */
    ORDER_VECTOR = 3, /* which, how many times more than once */
    ORDER_FAIL = 4,   /* a status for the next access of BAR 0 */
    ORDER_RUN = 5,    /* address, length, write: how much can be had goes to memory 0..7 */
};

enum { STOP = 0, RUNNING = 1, SAVING = 2, RESUMING = 4, BROKEN = 6 };

static struct vfio_user_function description;
static struct vfio_user_notify notify[QUEUES];
static uint8_t memory[BAR1], ports[64], config[256], saved[MEMORY];
static uint32_t state = RUNNING, read_at, loaded, kicks;
static bool worked, wanted[VECTORS];
static enum status fails;

bool vdev_open(const char *options, bool vf)
{
    struct vfio_user_function *d = &description;
    int file = memfd_create("bar2", MFD_CLOEXEC);

    if (vf || strcmp(options, "puppet") != 0 || file < 0 || ftruncate(file, MAPPABLE) != 0) {
        vfiod_say("this is the tests' function: --simulated puppet");
        return false;
    }
    for (unsigned i = 0; i < VFIO_USER_PCI_REGIONS; i++) {
        d->region[i].handle = NO_HANDLE;
    }
    d->region[0].size = sizeof(ports);
    d->region[1].size = BAR1;
    d->region[2] = (struct vfio_user_region){
        .size = MAPPABLE, .handle = file, .areas = 2, .area = {{0, 4096}, {8192, 8192}}
    };
    d->region[VFIO_USER_CONFIG].size = sizeof(config);
    d->intx = 1;
    d->vectors = VECTORS;
    d->migrates = d->logs = d->split = true;
    d->notifies = QUEUES;
    d->notify = notify;
    for (unsigned i = 0; i < QUEUES; i++) {
        notify[i] = (struct vfio_user_notify){.size = 2, .offset = 16, .match = i, .io = true};
        notify[i].handle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    memcpy(config, "\xf4\x1a\x01\x10", 4);
    return true;
}

void vdev_close(void)
{
    vfiod_say("closed");
}

const int *vdev_syscalls(unsigned *count)
{
    *count = 0;
    return NULL;
}

const unsigned long *vdev_requests(unsigned *count)
{
    *count = 0;
    return NULL;
}

const struct vfio_user_function *vdev_describe(void)
{
    return &description;
}

/* ---- Orders ---- */

static bool copy(uint64_t from, uint64_t to, uint64_t length)
{
    const void *source = memory_at(from, length, false);
    void *target = memory_at(to, length, true);

    if (source == NULL || target == NULL) {
        return false;
    }
    memmove(target, source, length);
    return true;
}

static bool obey(uint32_t order, const uint64_t *argument)
{
    uint64_t run;

    switch (order) {
    case ORDER_COPY:
        return copy(argument[0], argument[1], argument[2]);
    case ORDER_INTX:
        vfiod_intx(argument[0] != 0);
        return true;
    case ORDER_VECTOR:
        for (uint64_t i = 0; i <= argument[1]; i++) {
            vfiod_vector((uint32_t)argument[0]);
        }
        return argument[0] < VECTORS && wanted[argument[0]];
    case ORDER_FAIL:
        fails = (enum status)argument[0];
        return argument[0] < STATUS_COUNT;
    case ORDER_RUN:
        run = memory_run(argument[0], argument[1], argument[2] != 0);
        memcpy(memory, &run, sizeof(run));
        return run != 0;
    default:
        return false;
    }
}

static uint8_t *region(uint32_t index)
{
    return index == 0 ? ports : index == 1 ? memory : index == VFIO_USER_CONFIG ? config : NULL;
}

enum status vdev_read(uint32_t index, uint64_t offset, uint8_t *data, uint32_t count)
{
    uint32_t flag = worked ? 1 : 0;

    if (region(index) == NULL) {
        memset(data, 0xff, count);
        return STATUS_OK;
    }
    memcpy(memory + COMMAND, &flag, sizeof(flag));
    memcpy(memory + ARGUMENTS + 24, &kicks, sizeof(kicks));
    memcpy(data, region(index) + offset, count);
    return index == 0 ? fails : STATUS_OK;
}

enum status vdev_write(uint32_t index, uint64_t offset, const uint8_t *data, uint32_t count)
{
    uint64_t argument[3];
    uint32_t order;

    if (region(index) == NULL) {
        return STATUS_OK;
    }
    if (index == 0) {
        for (uint32_t i = 0; i < count; i++) {
            ports[offset + i]++;
        }
        return fails;
    }
    memcpy(region(index) + offset, data, count);
    if (index == 1 && offset == COMMAND && count == sizeof(order)) {
        memcpy(&order, data, sizeof(order));
        memcpy(argument, memory + ARGUMENTS, sizeof(argument));
        worked = obey(order, argument);
    }
    return STATUS_OK;
}

void vdev_vector_wanted(uint32_t vector, bool want)
{
    wanted[vector] = want;
}

enum status vdev_reset(void)
{
    memset(memory, 0, sizeof(memory));
    memset(ports, 0, sizeof(ports));
    state = RUNNING;
    kicks = 0;
    fails = STATUS_OK;
    vfiod_intx(false);
    return STATUS_OK;
}

void vdev_client_left(void) {}

void vdev_dma_done(bool ok, const uint8_t *data) {}

/* This address is none that it can reach. */
enum status vdev_memory_comes(const struct vfio_user_map *map, void *here)
{
    (void)here;
    return map->address == UNREACHABLE ? STATUS_INVALID : STATUS_OK;
}

void vdev_memory_leaves(uint64_t iova, uint64_t size)
{
    (void)iova;
    (void)size;
}

/* ---- Migration ---- */

enum status vdev_set_state(uint32_t next)
{
    if (state == RESUMING && next != RESUMING) {
        if (loaded != MEMORY || saved[MEMORY - 1] == 0xee) { /* a state that it does not like */
            state = saved[0] == 0xee ? BROKEN : RESUMING;
            return STATUS_INVALID;
        }
        memcpy(memory, saved, MEMORY);
    }
    if ((next & SAVING) != 0 && (next & RUNNING) == 0) {
        memcpy(saved, memory, MEMORY);
        read_at = 0;
    }
    loaded = next == RESUMING ? 0 : loaded;
    state = next;
    return STATUS_OK;
}

uint32_t vdev_state(void)
{
    return state;
}

uint64_t vdev_pending(void)
{
    return state == SAVING ? MEMORY - read_at : 0;
}

/* In pieces that are no round numbers. */
enum status vdev_save(uint8_t *data, uint32_t *size)
{
    uint32_t most = (uint32_t)vdev_pending();

    most = most > 300 ? 300 : most;
    *size = *size < most ? *size : most;
    memcpy(data, saved + read_at, *size);
    read_at += *size;
    return STATUS_OK;
}

enum status vdev_load(const uint8_t *data, uint32_t size)
{
    if (size > MEMORY - loaded) {
        return STATUS_RANGE;
    }
    memcpy(saved + loaded, data, size);
    loaded += size;
    return STATUS_OK;
}

/* ---- The loop ---- */

unsigned vdev_poll_fds(struct pollfd *fd, unsigned room, int *timeout_ms)
{
    (void)room;
    *timeout_ms = -1;
    for (unsigned i = 0; i < QUEUES; i++) {
        fd[i] = (struct pollfd){.fd = description.notify[i].handle, .events = POLLIN};
    }
    return QUEUES;
}

void vdev_poll(const struct pollfd *fd, unsigned count)
{
    uint64_t value;

    for (unsigned i = 0; i < count; i++) {
        if (fd[i].revents != 0 && read(fd[i].fd, &value, sizeof(value)) == sizeof(value)) {
            kicks += (uint32_t)value << (i == QUEUES - 1 ? 16 : 0);
        }
    }
}
