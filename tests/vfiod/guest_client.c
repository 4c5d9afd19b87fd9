/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* memfd_create() */
#include "guest_client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096U

enum { VERSION = 1, MAP, UNMAP, IO_FDS = 6, SET_IRQS = 8, REGION_READ, REGION_WRITE, RESET = 13 };
enum { INTX, MSIX = 2 };
enum { ANSWER = 1, ERROR = 32 }; /* flags of messages */
enum { NEXT = 1, WRITE = 2 };    /* and of descriptors */

struct header {
    uint16_t id, command;
    uint32_t size, flags, error;
};

struct access {
    uint64_t offset;
    uint32_t region, count;
    uint8_t data[4];
};

struct descriptor {
    uint64_t at;
    uint32_t size;
    uint16_t flags, next;
};

uint8_t *memory;
bool client_msix;
static int server = -1, interrupt = -1, doorbell = -1, memory_file = -1;

noreturn void fail(const char *text, ...)
{
    va_list arguments;

    va_start(arguments, text);
    (void)printf("client: FAILED: ");
    (void)vprintf(text, arguments);
    (void)printf("\n");
    va_end(arguments);
    exit(1);
}

/* ---- Messages ---- */

static void receive(void *to, size_t size, int *handle)
{
    for (size_t done = 0; done < size;) {
        struct iovec part = {(uint8_t *)to + done, size - done};
        union {
            struct cmsghdr header;
            uint8_t bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        ssize_t got = recvmsg(server, &message, 0);

        if (got <= 0) {
            fail("the server has closed the connection");
        }
        if (handle != NULL && message.msg_controllen >= CMSG_LEN(sizeof(int))) {
            memcpy(handle, CMSG_DATA(&control.header), sizeof(int));
        }
        done += (size_t)got;
    }
}

/* Send COMMAND with PAYLOAD, and HANDLE if it is one; its answer, of ROOM bytes, goes to ANSWER.
 * The error number, if it is refused. */
static uint32_t try_ask(uint16_t command, const void *payload, uint32_t size, int handle,
                        void *answer, uint32_t room, int *got)
{
    static uint16_t id;
    struct header header = {.id = ++id, .command = command, .size = sizeof(header) + size};
    struct iovec parts[] = {
        {&header,                    sizeof(header)},
        {(void *)(uintptr_t)payload, size          }
    };
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (handle >= 0) {
        memcpy(CMSG_DATA(&control.header), &handle, sizeof(handle));
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    if (sendmsg(server, &message, 0) != (ssize_t)header.size) {
        fail("command %u cannot be sent: %s", command, strerror(errno));
    }
    receive(&header, sizeof(header), got);
    if (header.command != command || header.id != id || header.size < sizeof(header) ||
        header.size - sizeof(header) > room) {
        fail("command %u: an answer to %u of %u bytes", command, header.command, header.size);
    }
    receive(answer, header.size - sizeof(header), got);
    if (header.flags != ANSWER && (header.flags != (ANSWER | ERROR) || header.error == 0)) {
        fail("command %u: flags %#x", command, header.flags);
    }
    return header.flags == ANSWER ? 0 : header.error;
}

static void ask_with(uint16_t command, const void *payload, uint32_t size, int handle, void *answer,
                     uint32_t room, int *got)
{
    uint32_t error = try_ask(command, payload, size, handle, answer, room, got);

    if (error != 0) {
        fail("command %u: error %u", command, error);
    }
}

static void ask(uint16_t command, const void *payload, uint32_t size, int handle)
{
    uint8_t answer[1024];

    ask_with(command, payload, size, handle, answer, sizeof(answer), NULL);
}

uint32_t client_get(uint32_t region, uint64_t offset, uint32_t width)
{
    struct access request = {offset, region, width, {0}}, answer = {0};
    uint32_t value = 0;

    ask_with(REGION_READ, &request, 16, -1, &answer, 16 + width, NULL);
    memcpy(&value, answer.data, width);
    return value;
}

void client_put(uint32_t region, uint64_t offset, uint32_t width, uint32_t value)
{
    struct access request = {offset, region, width, {0}};

    memcpy(request.data, &value, width);
    ask(REGION_WRITE, &request, 16 + width, -1);
}

/* ---- The connection ---- */

static void connect_to(const char *path)
{
    static const char version[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":8}}";
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fail("%s: %s", path, strerror(errno));
    }
    ask(VERSION, version, sizeof(version), -1);
}

uint32_t client_map(uint64_t iova, uint64_t at, uint64_t size, uint32_t rights, bool shared)
{
    const struct {
        uint32_t size, flags;
        uint64_t offset, address, length;
    } map = {sizeof(map), rights, at, iova, size};

    return try_ask(MAP, &map, sizeof(map), shared ? memory_file : -1, NULL, 0, NULL);
}

void client_map_all(void)
{
    if (client_map(IOVA, 0, MEMORY_SIZE, READABLE | WRITABLE, true) != 0) {
        fail("the memory cannot be mapped");
    }
}

void client_unmap(uint64_t iova, uint64_t size)
{
    const struct {
        uint32_t size, flags;
        uint64_t address, length;
    } unmap = {sizeof(unmap), 0, iova, size};

    ask(UNMAP, &unmap, sizeof(unmap), -1);
}

void client_reset(void)
{
    ask(RESET, NULL, 0, -1);
}

/* One eventfd is for all of them. */
static void listen_to(uint32_t index, uint32_t vector)
{
    const uint32_t request[] = {20, 4 | 32, index, vector, 1};

    ask(SET_IRQS, request, sizeof(request), interrupt);
}

/* The server's eventfd for queue 0. */
static void get_doorbell(void)
{
    const uint32_t request[] = {1024, 0, 0, 0};
    uint8_t answer[1024];

    ask_with(IO_FDS, request, sizeof(request), -1, answer, sizeof(answer), &doorbell);
    if (doorbell < 0) {
        fail("there is no eventfd for the notify port");
    }
}

void client_connect(const char *path)
{
    memory_file = memfd_create("memory", 0);
    interrupt = eventfd(0, 0);
    if (memory_file < 0 || ftruncate(memory_file, MEMORY_SIZE) != 0 || interrupt < 0) {
        fail("no memory: %s", strerror(errno));
    }
    memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file, 0);
    connect_to(path);
}

void client_open(const char *path, bool msix, uint32_t vectors)
{
    client_connect(path);
    client_map_all();
    client_msix = msix;
    if (!msix) {
        listen_to(INTX, 0);
        return;
    }
    for (uint32_t vector = 1; vector <= vectors; vector++) {
        listen_to(MSIX, vector);
    }
    get_doorbell();
}

/* ---- The driver ---- */

static uint32_t find_msix(void)
{
    uint32_t at = client_get(CLIENT_CONFIG, 0x34, 1);

    while (at != 0 && client_get(CLIENT_CONFIG, at, 1) != 0x11) {
        at = client_get(CLIENT_CONFIG, at + 1, 1);
    }
    return at;
}

uint32_t client_config(uint32_t offset, uint32_t width)
{
    return client_get(0, (client_msix ? CONFIG_MSIX : CONFIG_INTX) + offset, width);
}

void client_start(uint32_t features)
{
    client_put(CLIENT_CONFIG, 4, 2, 7);
    if (client_msix) {
        client_put(CLIENT_CONFIG, find_msix() + 2, 2, 0x8000);
    }
    client_put(0, STATUS, 1, 0);
    client_put(0, STATUS, 1, 3);
    if ((client_get(0, FEATURES, 4) & features) != features) {
        fail("features %#x", client_get(0, FEATURES, 4));
    }
    client_put(0, GUEST_FEATURES, 4, features);
}

void client_go(void)
{
    client_put(0, STATUS, 1, 7);
    if (client_get(0, STATUS, 1) != 7) {
        fail("status %#x", client_get(0, STATUS, 1));
    }
}

void ring_open(struct ring *ring, uint16_t index)
{
    uint32_t place = RINGS + index * RING_SIZE;

    client_put(0, SELECT, 2, index);
    *ring = (struct ring){
        .index = index, .size = (uint16_t)client_get(0, SIZE, 2), .at = memory + place};
    if (ring->size < PIECES_MAX || ring->size > 1024 || client_get(0, PFN, 4) != 0) {
        fail("queue %u has %u entries, or is in use", index, ring->size);
    }
    memset(ring->at, 0, RING_SIZE);
    if (client_msix) {
        client_put(0, QUEUE_VECTOR, 2, 1U + index);
        if (client_get(0, QUEUE_VECTOR, 2) != 1U + index) {
            fail("queue %u has vector %u", index, client_get(0, QUEUE_VECTOR, 2));
        }
    }
    client_put(0, PFN, 4, (IOVA + place) / PAGE);
}

void ring_offer(struct ring *ring, const struct piece *piece, unsigned count)
{
    struct descriptor *table = (struct descriptor *)(void *)ring->at;
    uint16_t *available = (uint16_t *)(void *)(ring->at + sizeof(*table) * ring->size);
    uint16_t head = (uint16_t)(ring->offered % (ring->size / PIECES_MAX) * PIECES_MAX);

    for (unsigned i = 0; i < count; i++) {
        table[head + i] = (struct descriptor){
            .at = IOVA + piece[i].at,
            .size = piece[i].size,
            .flags = (uint16_t)((piece[i].written ? WRITE : 0) | (i + 1 < count ? NEXT : 0)),
            .next = (uint16_t)(head + i + 1)};
    }
    available[2 + ring->offered % ring->size] = head;
    __atomic_store_n(&available[1], ++ring->offered, __ATOMIC_RELEASE);
    if (doorbell >= 0 && ring->index == 0) {
        (void)!write(doorbell, &(uint64_t){1}, 8);
    } else {
        client_put(0, NOTIFY, 2, ring->index);
    }
}

static uint8_t *used_ring(const struct ring *ring)
{
    size_t before = sizeof(struct descriptor) * ring->size + 6 + 2UL * ring->size;

    return ring->at + (before + PAGE - 1) / PAGE * PAGE;
}

/* With INTA the reason is in the ISR, and the line is unmasked. */
static void wait_for_interrupt(void)
{
    const uint32_t unmask[] = {20, 1 | 16, INTX, 0, 1};
    struct pollfd ready = {.fd = interrupt, .events = POLLIN};
    uint64_t count;

    if (poll(&ready, 1, -1) != 1 || read(interrupt, &count, 8) != 8) {
        fail("no interrupt");
    }
    if (!client_msix) {
        (void)client_get(0, ISR, 1);
        ask(SET_IRQS, unmask, sizeof(unmask), -1);
    }
}

uint32_t ring_finish(struct ring *ring)
{
    uint16_t *used = (uint16_t *)(void *)used_ring(ring);
    const uint32_t *element = (const uint32_t *)(void *)(used + 2);

    while (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == ring->seen) {
        wait_for_interrupt();
    }
    return element[ring->seen++ % ring->size * 2U + 1];
}
