/* SPDX-License-Identifier: BSD-2-Clause */
/* portolan-vfiod: a legacy virtio function for one client of vfio-user. docs/vfio-user.md */
#include "tools/vfiod/backing.h"
#include "tools/vfiod/vfiod.h"
#include "vmm/base/format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct connection connection = {.listener = -1, .client = -1};
struct vfio_user_device vfio_user;
volatile sig_atomic_t vfiod_stopping;

static int stop_event = -1; /* ends a poll when a signal has come just before it */
static uint8_t input[VFIO_USER_DATA_MAX + VFIO_USER_ENVELOPE];
static uint8_t output[VFIO_USER_DATA_MAX + VFIO_USER_ENVELOPE];
static uint8_t stage[VFIO_USER_DATA_MAX];

#define QUEUE (2 * sizeof(output))

void vfiod_say(const char *text, ...)
{
    char line[1024];
    va_list args;

    va_start(args, text);
    (void)format_args(line, sizeof(line), text, args);
    va_end(args);
    (void)fprintf(stderr, "portolan-vfiod: %s\n", line);
}

static void on_stop(int number)
{
    const uint64_t one = 1;
    int error = errno;

    (void)number;
    vfiod_stopping = 1;
    (void)!write(stop_event, &one, sizeof(one));
    errno = error;
}

/* Signals that end the process, without SA_RESTART: nothing that waits goes on waiting. */
static bool catch_signals(void)
{
    const struct sigaction stop = {.sa_handler = on_stop};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return stop_event >= 0 && sigaction(SIGTERM, &stop, NULL) == 0 &&
           sigaction(SIGINT, &stop, NULL) == 0 && sigaction(SIGPIPE, &ignore, NULL) == 0 &&
           backing_init();
}

static int print_capabilities(void)
{
    static const struct vfio_user_function all = {.migrates = true, .logs = true};
    const struct vfio_user_setup setup = {.function = &all, .data = VFIO_USER_DATA_MAX};
    char today[512], in_2021[512];

    (void)vfio_user_capabilities(&setup, UINT32_MAX, today, sizeof(today));
    (void)vfio_user_2021_capabilities(&setup, UINT32_MAX, in_2021, sizeof(in_2021));
    (void)printf("{\"type\":\"vfio-user\",\"functions\":[\"simulated\",\"vf\"],"
                 "\"protocols\":{\"today\":%s,\"2021\":%s}}\n",
                 today, in_2021);
    return EXIT_SUCCESS;
}

/* The client's handle for INTA, signalled: it is unmasked. */
static void look_at_unmask(const struct pollfd *fd)
{
    uint64_t count;

    if (fd->revents == 0 || fd->fd != vfio_user.intx.unmask) {
        return;
    }
    if (read(fd->fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        vfio_user_unmask_intx(&vfio_user);
    } else if (errno != EAGAIN && errno != EINTR) {
        (void)close(fd->fd); /* it is no eventfd */
        vfio_user.intx.unmask = NO_HANDLE;
    }
}

/* Once around. False: it was the last time. */
static bool turn(void)
{
    struct pollfd fd[VDEV_FDS_MAX + 4];
    unsigned count = 0, base, own;
    int timeout = -1;

    fd[count++] = (struct pollfd){.fd = stop_event, .events = POLLIN};
    fd[count++] = (struct pollfd){.fd = vfio_user.intx.unmask, .events = POLLIN};
    own = connection_poll_fds(&connection, fd + count);
    base = count + own;
    count = base + vdev_poll_fds(fd + base, VDEV_FDS_MAX, &timeout);
    if (poll(fd, count, timeout) < 0) {
        if (errno != EINTR) {
            vfiod_say("poll: %s", strerror(errno));
            return false;
        }
        for (unsigned i = 0; i < count; i++) {
            fd[i].revents = 0;
        }
    }
    if (vfiod_stopping) {
        return false;
    }
    look_at_unmask(&fd[1]);
    vdev_poll(fd + base, count - base);
    return connection_poll(&connection, fd + 2, own);
}

int main(int argc, char **argv)
{
    struct options options;
    int code = EXIT_FAILURE;

    if (!options_read(argc, argv, &options, &code)) {
        return code;
    }
    if (options.print_capabilities) {
        return print_capabilities();
    }
    if (!catch_signals()) {
        vfiod_say("signals: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    if (!vdev_open(options.function, options.vf)) {
        return EXIT_FAILURE;
    }
    const struct vfio_user_setup setup = {
        .function = vdev_describe(), .data = VFIO_USER_DATA_MAX, .input = input, .output = output};

    capabilities_init();
    connection.server = &vfio_user.server;
    if (vfio_user_device_init(&vfio_user, &setup, options.form, stage) != STATUS_OK) {
        vfiod_say("the function is too large for the protocol");
    } else if (connection_open(&connection, &options, QUEUE) && sandbox_enter(options.sandbox)) {
        code = EXIT_SUCCESS;
        while (turn()) {
        }
    }
    connection_close(&connection);
    vdev_close();
    return code;
}
