/* SPDX-License-Identifier: BSD-2-Clause */
/* The service VM's side of the function, as packets: README.md has them. And the operator's lines.
 */
#define _GNU_SOURCE
#include "tests/portal/sim.h"
#include "vmm/base/little_endian.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKET 24U

enum operation { OP_HELLO, OP_READ, OP_WRITE, OP_INTERRUPT, OP_SHOW, OP_HIDE };

struct packet {
    uint32_t op, offset, value, bytes;
    uint64_t ram;
};

static int listener = -1, client = -1, control = -1, operator_fd = -1;
static bool asserted; /* the client knows that INTA is */

static int listen_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void)unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 4) != 0) {
        perror(path);
        return -1;
    }
    return fd;
}

bool socket_open(void)
{
    control = sim.control == NULL ? -1 : listen_at(sim.control, SOCK_STREAM);
    listener = listen_at(sim.socket, SOCK_SEQPACKET);
    return listener >= 0 && (sim.control == NULL || control >= 0);
}

/* ---- To the client ---- */

static void send_packet(const struct packet *packet, const int *fds, unsigned count)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(2 * sizeof(int))];
    } ancillary = {0};
    uint8_t bytes[PACKET];
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    bytes_put(bytes, 4, packet->op);
    bytes_put(bytes + 4, 4, packet->offset);
    bytes_put(bytes + 8, 4, packet->value);
    bytes_put(bytes + 12, 4, packet->bytes);
    bytes_put(bytes + 16, 8, packet->ram);
    if (count != 0) {
        message.msg_control = &ancillary;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&ancillary.header), fds, count * sizeof(int));
    }
    if (client >= 0) {
        (void)!sendmsg(client, &message, MSG_NOSIGNAL);
    }
}

void socket_show(uint32_t offset, uint32_t bytes, uint64_t ram, bool writable)
{
    send_packet(&(struct packet){OP_SHOW, offset, writable, bytes, ram}, NULL, 0);
}

void socket_hide(uint32_t offset, uint32_t bytes)
{
    send_packet(&(struct packet){.op = OP_HIDE, .offset = offset, .bytes = bytes}, NULL, 0);
}

void socket_interrupt(void)
{
    if (!asserted) {
        asserted = true;
        send_packet(&(struct packet){.op = OP_INTERRUPT}, NULL, 0);
    }
}

/* ---- From the client ---- */

static void accept_client(void)
{
    const int fds[2] = {sim.rings, sim.ram};
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (client >= 0) {
        (void)close(fd);
        return;
    }
    client = fd;
    asserted = false;
    send_packet(&(struct packet){.op = OP_HELLO, .value = PORTAL_WINDOW}, fds, 2);
}

static void drop_client(void)
{
    (void)close(client);
    client = -1;
    portal_function_reset(&sim.function);
}

static void access_register(const struct packet *packet)
{
    struct packet answer = *packet;

    if (packet->op == OP_READ) {
        answer.value = portal_function_read(&sim.function, packet->offset, 4);
        send_packet(&answer, NULL, 0);
        return;
    }
    (void)portal_function_write(&sim.function, packet->offset, 4, packet->value);
    asserted &= packet->offset != PORTAL_STATUS && packet->offset != PORTAL_ENABLE;
    if (portal_function_settle(&sim.function)) {
        socket_interrupt();
    }
}

static void read_client(void)
{
    uint8_t bytes[PACKET];

    for (;;) {
        ssize_t size = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (size < 0) {
            return;
        }
        if (size != (ssize_t)sizeof(bytes)) {
            drop_client();
            return;
        }
        access_register(&(struct packet){.op = (uint32_t)bytes_get(bytes, 4),
                                         .offset = (uint32_t)bytes_get(bytes + 4, 4),
                                         .value = (uint32_t)bytes_get(bytes + 8, 4)});
    }
}

/* ---- The operator ---- */

static void read_operator(void)
{
    static char line[512], answer[512];
    static size_t used;
    ssize_t size = read(operator_fd, line + used, sizeof(line) - used - 1);
    char *end;

    if (size <= 0) {
        (void)close(operator_fd);
        operator_fd = -1;
        used = 0;
        return;
    }
    used += (size_t)size;
    line[used] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        control_line(line, answer, sizeof(answer));
        (void)!send(operator_fd, answer, strlen(answer), MSG_NOSIGNAL);
        used -= (size_t)(end + 1 - line);
        memmove(line, end + 1, used + 1);
    }
}

int socket_fds(struct pollfd *fd)
{
    const int all[] = {listener, client, control, operator_fd};

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        fd[i] = (struct pollfd){.fd = all[i], .events = POLLIN};
    }
    return ARRAY_SIZE(all);
}

void socket_poll(const struct pollfd *fd, int count)
{
    for (int i = 0; i < count; i++) {
        if (fd[i].fd < 0 || fd[i].revents == 0) {
            continue;
        }
        if (fd[i].fd == listener) {
            accept_client();
        } else if (fd[i].fd == client) {
            read_client();
        } else if (fd[i].fd == operator_fd) {
            read_operator();
        } else if (operator_fd < 0) { /* one at a time */
            operator_fd = accept4(control, NULL, NULL, SOCK_CLOEXEC);
        }
    }
}
