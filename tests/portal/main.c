/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/portal/sim.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct sim sim;

static bool create(void)
{
    uint64_t size = 0;

    for (unsigned i = 0; i < sim.vms; i++) {
        sim.vm[i].at = size;
        size += sim.vm[i].memory;
    }
    sim.ram = memfd_create("ram", MFD_CLOEXEC);
    sim.rings = memfd_create("rings", MFD_CLOEXEC);
    sim.portal = calloc(1, sizeof(*sim.portal));
    if (sim.portal == NULL || ftruncate(sim.ram, (off_t)size) != 0 ||
        ftruncate(sim.rings, 2 * PORTAL_RING) != 0) {
        return false;
    }
    uint8_t *ring = mmap(NULL, 2 * PORTAL_RING, PROT_READ | PROT_WRITE, MAP_SHARED, sim.rings, 0);

    if (ring == MAP_FAILED) {
        return false;
    }
    for (unsigned i = 0; i < sim.vms; i++) {
        if (!machine_create(&sim.vm[i]) ||
            (!sim.vm[i].incoming_allowed && machine_start(&sim.vm[i]) != STATUS_OK)) {
            return false;
        }
    }
    portal_function_reset(&sim.function);
    portal_init(sim.portal, ring);
    return true;
}

int main(int argc, char **argv)
{
    if (!sim_options(argc, argv)) {
        return 2;
    }
    if (!create() || !socket_open()) {
        perror("portal-sim");
        return 1;
    }
    (void)printf("portal-sim: ready\n");
    (void)fflush(stdout);
    while (!sim.quits) {
        struct pollfd fd[8];
        bool more = !sim.held && portal_run(sim.portal);
        int count = socket_fds(fd);

        if (poll(fd, (nfds_t)count, more ? 0 : sim.held ? -1 : order_wait()) < 0) {
            break;
        }
        socket_poll(fd, count);
    }
    return 0;
}
