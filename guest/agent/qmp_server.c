/* SPDX-License-Identifier: BSD-2-Clause */
/* QMP's sockets: who listens, who is connected, what goes in and out. */
#define _GNU_SOURCE /* accept4() */
#include "guest/agent/qmp.h"

#include "guest/agent/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    int listener[QMP_LISTENERS];
    unsigned listeners;
    const char *path;
    uint32_t serial;
    bool begun;
    struct qmp_client client[QMP_CLIENTS];
} qmp;

/* ---- Open and close ---- */

static void begin(void)
{
    if (!qmp.begun) {
        json_object_seed(0);
        for (unsigned i = 0; i < QMP_CLIENTS; i++) {
            qmp.client[i].fd = -1;
        }
        qmp.begun = true;
    }
}

bool qmp_listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat stat;
    mode_t mask;
    int fd;

    begin();
    if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
        sizeof(address.sun_path)) {
        agent_say("%s: a socket's path is too long", path);
        return false;
    }
    /* What an agent that was killed left there is replaced. */
    if (lstat(path, &stat) == 0 && S_ISSOCK(stat.st_mode)) {
        (void)unlink(path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mask = umask(0077); /* who may connect may stop VMs */
    bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                 listen(fd, (int)QMP_CLIENTS) == 0;

    (void)umask(mask);
    if (!bound) {
        agent_say("%s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    qmp.path = path;
    qmp.listener[qmp.listeners++] = fd;
    return true;
}

bool qmp_listen_tcp(const char *where)
{
    int fd;

    begin();
    fd = wire_listen(where);
    if (fd >= 0) {
        qmp.listener[qmp.listeners++] = fd;
    }
    return fd >= 0;
}

static void drop(struct qmp_client *c)
{
    (void)close(c->fd);
    json_decref(c->id);
    free(c->output);
    memset(c, 0, sizeof(*c));
    c->fd = -1;
}

void qmp_close(void)
{
    for (unsigned i = 0; qmp.begun && i < QMP_CLIENTS; i++) {
        if (qmp.client[i].fd >= 0) {
            drop(&qmp.client[i]);
        }
    }
    for (unsigned i = 0; i < qmp.listeners; i++) {
        (void)close(qmp.listener[i]);
    }
    if (qmp.path != NULL) {
        (void)unlink(qmp.path);
    }
}

/* ---- Out ---- */

static void flush(struct qmp_client *c)
{
    while (c->out_sent < c->out_have) {
        ssize_t now = send(c->fd, c->output + c->out_sent, c->out_have - c->out_sent,
                           MSG_NOSIGNAL | MSG_DONTWAIT);

        if (now < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                drop(c);
            }
            return;
        }
        c->out_sent += (uint32_t)now;
    }
    c->out_have = c->out_sent = 0;
}

/* A line for the client. One that does not read is dropped: nobody waits for it. */
static void put(struct qmp_client *c, const json_t *value)
{
    if (c->fd < 0) { /* an event that its command made could not be told either */
        return;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
    size_t size = text == NULL ? 0 : strlen(text);

    memmove(c->output, c->output + c->out_sent, c->out_have - c->out_sent);
    c->out_have -= c->out_sent;
    c->out_sent = 0;
    if (text == NULL || size + 2 > QMP_OUTPUT_MAX - c->out_have) {
        agent_say("a QMP client was dropped: it does not read what it is sent");
        free(text);
        drop(c);
        return;
    }
    memcpy(c->output + c->out_have, text, size);
    memcpy(c->output + c->out_have + size, "\r\n", 2);
    c->out_have += (uint32_t)size + 2;
    free(text);
    flush(c);
}

static void put_and_free(struct qmp_client *c, json_t *value)
{
    put(c, value);
    json_decref(value);
}

static void put_answer(struct qmp_client *c, const struct qmp_answer *answer, json_t *id)
{
    json_t *all = json_object();

    if (answer->error != NULL) {
        (void)json_object_set_new(
            all, "error", json_pack("{ss,ss}", "class", answer->error, "desc", answer->text));
    } else {
        (void)json_object_set_new(all, "return",
                                  answer->value != NULL ? answer->value : json_object());
    }
    if (id != NULL) {
        (void)json_object_set(all, "id", id);
    }
    put_and_free(c, all);
}

static void broadcast(json_t *event)
{
    for (unsigned i = 0; qmp.begun && i < QMP_CLIENTS; i++) {
        if (qmp.client[i].fd >= 0 && qmp.client[i].greeted) {
            put(&qmp.client[i], event);
        }
    }
    json_decref(event);
}

void qmp_event_vm(const char *event, const struct vm_entry *vm, json_t *data)
{
    json_t *all = qmp_make_event(event);

    data = data != NULL ? data : json_object();
    (void)json_object_set_new(data, "vm", json_string(vm->name));
    (void)json_object_set_new(all, "data", data);
    broadcast(all);
}

void qmp_event_migration(const char *vm, const char *status)
{
    json_t *all = qmp_make_event("MIGRATION");

    (void)json_object_set_new(all, "data", json_pack("{ss,ss}", "status", status, "vm", vm));
    broadcast(all);
}

/* ---- In ---- */

static void greet(struct qmp_client *c)
{
    put_and_free(c, json_pack("{s{so,s[]}}", "QMP", "version", qmp_version(), "capabilities"));
}

static void execute(struct qmp_client *c, const json_t *input)
{
    struct qmp_answer answer = {.value = NULL};
    json_t *id = json_incref(json_object_get(input, "id"));

    qmp_execute(input, c->greeted, c->serial * QMP_CLIENTS + (uint32_t)(c - qmp.client),
                &c->greeted, &answer);
    if (answer.waits) {
        c->waits = true;
        c->id = id;
        return;
    }
    put_answer(c, &answer, id);
    json_decref(id);
}

void qmp_answered(uint32_t tag, const char *text)
{
    struct qmp_client *c = &qmp.client[tag % QMP_CLIENTS];
    struct qmp_answer answer = {.value = NULL};
    json_t *id = c->id;

    if (c->fd < 0 || !c->waits || c->serial != tag / QMP_CLIENTS) {
        return;
    }
    if (strncmp(text, "ok", 2) != 0) {
        qmp_fail(&answer, "GenericError", "the VMM: %s", text);
    }
    c->waits = false;
    c->id = NULL;
    put_answer(c, &answer, id);
    json_decref(id);
}

static void put_broken(struct qmp_client *c, const char *text)
{
    struct qmp_answer answer = {.value = NULL};

    qmp_fail(&answer, "GenericError", "JSON parse error, %.200s", text);
    put_answer(c, &answer, NULL);
}

/* The first SIZE bytes of the input are done with. */
static void consume(struct qmp_client *c, uint32_t size)
{
    c->have -= size;
    memmove(c->input, c->input + size, c->have);
    c->scan = (struct qmp_scan){0};
}

static void run_one(struct qmp_client *c, uint32_t size)
{
    json_error_t error;
    json_t *input = json_loadb(c->input, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    consume(c, size);
    if (input == NULL) {
        put_broken(c, error.text);
        return;
    }
    execute(c, input);
    json_decref(input);
}

static void skip_space(struct qmp_client *c)
{
    uint32_t count = 0;

    while (c->scan.next == 0 && count < c->have && strchr(" \t\r\n", c->input[count]) != NULL &&
           c->input[count] != '\0') {
        count++;
    }
    if (count != 0) {
        consume(c, count);
    }
}

/* No command is begun before it is known which VMs there are: it might be for the only one of two.
 */
static bool must_wait(const struct qmp_client *c)
{
    return c->waits || !vm_table.known;
}

/* All commands that are there, until one has to wait. */
static void run_input(struct qmp_client *c)
{
    while (c->fd >= 0 && !must_wait(c)) {
        bool broken = false;

        skip_space(c);
        uint32_t size = qmp_scan(&c->scan, c->input, c->have, &broken);

        if (broken) { /* as the specification has it: a client can begin anew that way */
            consume(c, size);
            put_broken(c, "invalid byte");
        } else if (size != 0) {
            run_one(c, size);
        } else if (c->have == QMP_INPUT_MAX) {
            c->skips = true;
            consume(c, c->have);
            put_broken(c, "the command is too long");
        } else {
            return;
        }
    }
}

static void receive(struct qmp_client *c)
{
    ssize_t size = recv(c->fd, c->input + c->have, QMP_INPUT_MAX - c->have, MSG_DONTWAIT);

    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(c);
        return;
    }
    if (size < 0) {
        return;
    }
    if (c->skips) {
        const char *from = c->input + c->have;
        const char *line = memchr(from, '\n', (size_t)size);

        if (line == NULL) {
            return;
        }
        c->skips = false;
        size -= line - from;
        memmove(c->input + c->have, line, (size_t)size);
    }
    c->have += (uint32_t)size;
    run_input(c);
}

static void accept_client(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct qmp_client *c = qmp.client;

    if (fd < 0) {
        return;
    }
    while (c < qmp.client + QMP_CLIENTS && c->fd >= 0) {
        c++;
    }
    if (c == qmp.client + QMP_CLIENTS) {
        agent_say("a QMP client was sent away: there are %u", QMP_CLIENTS);
        (void)close(fd);
        return;
    }
    c->output = malloc(QMP_OUTPUT_MAX);
    if (c->output == NULL) {
        (void)close(fd);
        return;
    }
    c->fd = fd;
    c->serial = ++qmp.serial % (UINT32_MAX / QMP_CLIENTS);
    greet(c);
}

/* ---- The loop's ---- */

unsigned qmp_poll_fds(struct pollfd *fd)
{
    unsigned count = 0;

    for (unsigned i = 0; i < qmp.listeners; i++) {
        fd[count++] = (struct pollfd){.fd = qmp.listener[i], .events = POLLIN};
    }
    for (unsigned i = 0; qmp.begun && i < QMP_CLIENTS; i++) {
        const struct qmp_client *c = &qmp.client[i];

        if (c->fd >= 0) {
            fd[count++] = (struct pollfd){
                .fd = c->fd,
                .events = (short)((must_wait(c) || c->have == QMP_INPUT_MAX ? 0 : POLLIN) |
                                  (c->out_have != 0 ? POLLOUT : 0))};
        }
    }
    return count;
}

static void poll_client(struct qmp_client *c, short events)
{
    if ((events & POLLOUT) != 0) {
        flush(c);
    }
    if (c->fd >= 0 && !must_wait(c) && c->have != 0) {
        run_input(c);
    }
    if (c->fd >= 0 && !must_wait(c) && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(c);
    } else if (c->fd >= 0 && (events & (POLLHUP | POLLERR)) != 0) {
        drop(c); /* it has gone while it was waited for */
    }
}

void qmp_poll(const struct pollfd *fd, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < QMP_CLIENTS && i >= qmp.listeners; k++) {
            if (qmp.client[k].fd == fd[i].fd) {
                poll_client(&qmp.client[k], fd[i].revents);
                break;
            }
        }
    }
    for (unsigned i = 0; i < count && i < qmp.listeners; i++) {
        if (fd[i].revents != 0) {
            accept_client(fd[i].fd);
        }
    }
}
