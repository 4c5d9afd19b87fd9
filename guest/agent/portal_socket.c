/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A portal that a program simulates: registers by packets over a socket, rings and the VMs' RAM by
 * descriptors. The program says what the window shows, and this maps it.
 */
#define _GNU_SOURCE /* memfd_create() */
#include "guest/agent/agent.h"
#include "guest/agent/portal_bus.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKET      24U /* op u32, offset, value, bytes; ram u64 */
#define DESCRIPTORS 2U

#define ONES_SIZE 0x200000U /* all ones */

enum op { HELLO, READ, WRITE, INTERRUPT, SHOW, HIDE };

union control {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
};

static uint32_t get32(const uint8_t *packet, unsigned index)
{
    return (uint32_t)bytes_get(packet + (size_t)4 * index, 4);
}

/* Where the window shows nothing reads are all ones, as on PCI, and writes are lost. */
static bool map_nothing(struct portal_bus *bus, uint64_t offset, uint64_t bytes)
{
    while (bytes > 0) {
        uint64_t step = bytes < ONES_SIZE ? bytes : ONES_SIZE;

        if (mmap(bus->window + offset, step, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE,
                 bus->ones, 0) == MAP_FAILED) {
            return false;
        }
        offset += step;
        bytes -= step;
    }
    return true;
}

static bool make_ones(struct portal_bus *bus)
{
    bus->ones = memfd_create("ones", MFD_CLOEXEC);
    if (bus->ones < 0 || ftruncate(bus->ones, ONES_SIZE) != 0) {
        return false;
    }
    void *ones = mmap(NULL, ONES_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bus->ones, 0);

    return ones != MAP_FAILED && munmap(memset(ones, UINT8_MAX, ONES_SIZE), ONES_SIZE) == 0;
}

static bool make_window(struct portal_bus *bus)
{
    bus->window =
        mmap(NULL, bus->window_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return bus->window != MAP_FAILED && make_ones(bus) && map_nothing(bus, 0, bus->window_size);
}

/* The first packet: two descriptors, and the size of the window. */
static bool take_hello(struct portal_bus *bus)
{
    uint8_t packet[PACKET];
    struct iovec part = {packet, sizeof(packet)};
    union control control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int fd[DESCRIPTORS];

    if (recvmsg(bus->fd, &message, MSG_CMSG_CLOEXEC) != (ssize_t)PACKET || get32(packet, 0) != 0) {
        return false;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    if (header == NULL || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(fd))) {
        return false;
    }
    memcpy(fd, CMSG_DATA(header), sizeof(fd));
    bus->window_size = get32(packet, 2);
    bus->ring = mmap(NULL, 2UL * PORTAL_RING, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
    bus->memory = fd[1];
    (void)close(fd[0]);
    return bus->ring != MAP_FAILED && make_window(bus);
}

bool portal_socket_open(struct portal_bus *bus, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    bus->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bus->fd < 0 ||
        (size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
            sizeof(address.sun_path) ||
        connect(bus->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        agent_say("%s: %s", path, strerror(errno));
        return false;
    }
    if (!take_hello(bus)) {
        agent_say("%s: it does not answer as a portal", path);
        return false;
    }
    return true;
}

void portal_socket_close(struct portal_bus *bus)
{
    if (bus->memory >= 0) {
        (void)close(bus->memory);
    }
    if (bus->ones >= 0) {
        (void)close(bus->ones);
    }
}

/* What the window shows changes. */
static void map(struct portal_bus *bus, const uint8_t *packet, bool show)
{
    uint32_t offset = get32(packet, 1), bytes = get32(packet, 3);
    int access = PROT_READ | ((get32(packet, 2) & 1) != 0 ? PROT_WRITE : 0);
    off_t ram = (off_t)bytes_get(packet + 16, 8);
    bool done = offset <= bus->window_size && bytes <= bus->window_size - offset;

    if (done && show) {
        done = mmap(bus->window + offset, bytes, access, MAP_FIXED | MAP_SHARED, bus->memory,
                    ram) != MAP_FAILED;
    } else if (done) {
        done = map_nothing(bus, offset, bytes);
    }
    bus->gone |= !done;
}

/* One packet of the program's. False: there is none now. */
static bool receive(struct portal_bus *bus, bool wait, uint8_t *packet)
{
    ssize_t size;

    do {
        size = recv(bus->fd, packet, PACKET, wait ? 0 : MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN) {
        return false;
    }
    if (size != (ssize_t)PACKET) {
        bus->gone = true;
        return false;
    }
    switch (get32(packet, 0)) {
    case INTERRUPT:
        bus->interrupted = true;
        return true;
    case SHOW:
    case HIDE:
        map(bus, packet, get32(packet, 0) == SHOW);
        return true;
    default:
        return true;
    }
}

static bool send_packet(struct portal_bus *bus, enum op op, uint32_t reg, uint32_t value)
{
    uint8_t packet[PACKET] = {0};

    bytes_put(packet, 4, op);
    bytes_put(packet + 4, 4, reg);
    bytes_put(packet + 8, 4, value);
    if (!bus->gone && send(bus->fd, packet, sizeof(packet), MSG_NOSIGNAL) != (ssize_t)PACKET) {
        bus->gone = true;
    }
    return !bus->gone;
}

uint32_t portal_socket_read(struct portal_bus *bus, enum portal_register reg)
{
    uint8_t packet[PACKET];

    if (!send_packet(bus, READ, reg, 0)) {
        return UINT32_MAX;
    }
    while (receive(bus, true, packet)) {
        if (get32(packet, 0) == READ && get32(packet, 1) == (uint32_t)reg) {
            return get32(packet, 2);
        }
    }
    return UINT32_MAX;
}

void portal_socket_write(struct portal_bus *bus, enum portal_register reg, uint32_t value)
{
    (void)send_packet(bus, WRITE, reg, value);
}

void portal_socket_take(struct portal_bus *bus)
{
    uint8_t packet[PACKET];

    while (receive(bus, false, packet)) {
    }
    bus->interrupted = false;
}
