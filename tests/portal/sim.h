/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * portal-sim: the portal of the VMM, as it is, over VMs that are simulated: RAM, a "guest" that
 * writes to it, a stream, records of VFs, and faults that a test orders. docs/portal.md has what
 * the portal does; README.md here what can be ordered.
 */
#ifndef PORTOLAN_TESTS_PORTAL_SIM_H
#define PORTOLAN_TESTS_PORTAL_SIM_H

#include "vmm/portal/portal_edge.h"

#include <poll.h>
#include <pthread.h>

#define NAME_MAX_SIM 16U
#define VFS_MAX      16U
#define STREAM_MAX   (4U << 20)

/* What of the VM's move is so, beside running or not. */
enum move { MOVE_IDLE, MOVE_STOPPED, MOVE_HANDED_OVER, MOVE_INCOMING, MOVE_READY };

/* What a test ordered of an order: how long it takes, and how often it fails from now on. */
struct ordered {
    unsigned delay_ms;
    enum status fails;
    unsigned times;
};

/* In the place of vmm/vm's. */
struct vm {
    /* Options. */
    char name[NAME_MAX_SIM];
    char disk[128]; /* a file that only one VM may hold: who runs */
    char cpu[16];   /* of its text */
    uint64_t memory;
    unsigned cpus, vfs, rate; /* pages that its guest writes in a second */
    unsigned stream;          /* bytes */
    bool incoming_allowed, migrates, service, blind;

    uint64_t at; /* in the file of RAM */
    uint8_t *ram;
    uint64_t *marks;

    pthread_t guest;
    pthread_mutex_t lock; /* what follows, RAM and marks, while the guest may write */
    bool on, running, tracked;
    bool paused; /* by the operator: it stays so wherever it goes */
    enum move move;
    uint64_t ticks, random;
    int disk_fd;
    uint32_t resets, powerdowns;

    /* The order under way. */
    bool busy;
    enum vm_move_order order;
    uint32_t vf;
    uint64_t due; /* ms */
    enum status result;
    struct ordered ordered[VM_MOVE_ORDERS];
    struct ordered await; /* PORTAL_AWAIT */
    struct ordered confirm;
    bool ends_session; /* when it is handed over */

    uint8_t *data; /* STREAM_MAX bytes: its own stream, */
    uint32_t size;
    uint8_t *record; /* and a VF's */
    uint32_t record_size;
    uint32_t record_vf; /* PORTAL_WHOLE: nobody's */
    uint32_t loaded;    /* VFs */
};

struct sim {
    struct vm vm[PORTAL_VMS_MAX];
    unsigned vms;
    int ram; /* memfd: all VMs' */
    int rings;
    const char *socket, *control;
    struct portal_function function;
    struct portal *portal;
    bool held, quits;
};

extern struct sim sim;

/* False: said why. */
bool sim_options(int argc, char **argv);

/* ---- machine.c ---- */

bool machine_create(struct vm *vm);
enum status machine_start(struct vm *vm);
void machine_stop(struct vm *vm);
void machine_pause(struct vm *vm, bool pause); /* the operator's */
void machine_hold(struct vm *vm, bool hold);   /* a move's; it goes on if it is not paused */
const char *machine_state(const struct vm *vm);
uint64_t machine_sum(const struct vm *vm);

/* ---- order.c ---- */

uint64_t now_ms(void);

/* Milliseconds until the next order ends; -1: none is under way. */
int order_wait(void);
extern const char *const order_names[VM_MOVE_ORDERS];

/* ---- stream.c ---- */

/* The stream of VM, which is stopped, and the record of its VF; and back. */
void stream_save(struct vm *vm);
enum status stream_load(struct vm *vm);
void record_save(struct vm *vm, uint32_t vf);
enum status record_load(struct vm *vm, uint32_t vf);

/* ---- socket.c ---- */

bool socket_open(void);
int socket_fds(struct pollfd *fd);
void socket_poll(const struct pollfd *fd, int count);
void socket_show(uint32_t offset, uint32_t bytes, uint64_t ram, bool writable);
void socket_hide(uint32_t offset, uint32_t bytes);
void socket_interrupt(void);

/* ---- control.c: a line of a test, and the answer ---- */

void control_line(char *line, char *answer, size_t size);

#endif
