/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs for the portal's tests: 'a' runs and may be moved, 'b' is off and may come, 's' is the
 * service VM, 'p' is nobody's business. They end the program if the portal asks what it must not.
 * An order ends when fake_orders_end() says so.
 */
#ifndef PORTOLAN_TESTS_UNIT_PORTAL_FAKE_MACHINE_H
#define PORTOLAN_TESTS_UNIT_PORTAL_FAKE_MACHINE_H

#include "vmm/portal/portal_edge.h"

#define FAKE_VMS    4U
#define FAKE_RAM    (1U << 20) /* bytes, of each; a hole of as many behind the first half */
#define FAKE_VFS    2U         /* of a and b */
#define FAKE_STREAM 5000U
#define FAKE_RECORD 300U

enum { VM_A, VM_B, VM_S, VM_P };

/* In the place of vmm/vm's. */
struct vm {
    const char *state; /* the words of vm_move_state_name() */
    uint32_t resets, powerdowns;
    bool tracked, exposed;
    bool busy; /* an order is under way */
    enum vm_move_order order;
    uint32_t vf;
    enum status result; /* of the last */
    uint32_t record;    /* whose record there is, or PORTAL_WHOLE */
    uint32_t loaded;    /* bits: VFs */
    uint32_t added;     /* bytes of stream */
    uint32_t record_added;
    unsigned commands;
    unsigned reports;
    uint8_t ram[FAKE_RAM];
};

struct fake_machine {
    struct vm vm[FAKE_VMS];
    struct portal_function function;
    uint8_t ring[2 * PORTAL_RING];
    uint8_t window[PORTAL_WINDOW / PAGE_SIZE]; /* 1: shown, 2: writable */
    bool ends_at_once;                         /* orders do */
    enum status fails;                         /* what the next order that ends gives, then OK */
    unsigned pause_after;                      /* steps; 0: never */
    unsigned progress;
    unsigned data_lasts; /* looks at saved data, then the VM is stopped; 0: it is not */
    uint32_t data_gone;  /* bytes that there are less of it */
};

extern struct fake_machine fake;
extern struct portal fake_portal;

/* Anew. */
void fake_start(void);

/* All orders that are under way end. True: there was one. */
bool fake_orders_end(void);

/* A portal that is left alone for long enough is done: who must run runs. */
void fake_settle(void);

#endif
