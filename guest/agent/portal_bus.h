/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The portal's PCI function as memory: docs/portal.md has its registers. By sysfs and the
 * interrupts of uio_pci_generic in the service VM; or, in tests, by a socket to a program that
 * simulates it.
 */
#ifndef PORTOLAN_GUEST_AGENT_PORTAL_BUS_H
#define PORTOLAN_GUEST_AGENT_PORTAL_BUS_H

#include "vmm/base/types.h"

#define PORTAL_MAGIC   0x54524f50U
#define PORTAL_VERSION 1U
#define PORTAL_RING    (64U << 10) /* bytes of each ring */

enum portal_register {
    PORTAL_REG_MAGIC = 0x00,
    PORTAL_REG_VERSION = 0x04,
    PORTAL_REG_RING = 0x08,
    PORTAL_REG_WINDOW = 0x0c,
    PORTAL_REG_SENT = 0x10,
    PORTAL_REG_TAKEN = 0x14,
    PORTAL_REG_COME = 0x18,
    PORTAL_REG_READ = 0x1c,
    PORTAL_REG_STATUS = 0x20,
    PORTAL_REG_ENABLE = 0x24,
    PORTAL_REG_SESSION = 0x28
};

#define PORTAL_STATUS_NEWS  1U
#define PORTAL_STATUS_ENDED 2U

struct portal_bus {
    int fd;        /* readable: an interrupt has come */
    uint8_t *ring; /* the VM's, then the VMM's */
    uint8_t *window;
    uint64_t window_size;
    bool gone; /* the function does not answer any more */

    /* By PCI. */
    volatile uint32_t *registers;
    int config;

    /* By a socket. */
    bool simulated;
    int memory; /* of the VMs, what SHOW refers to */
    int ones;   /* where it shows nothing */
    bool interrupted;
};

/* Open WHERE: unix:PATH, or domain:bus:device.function. False: said why. */
bool portal_bus_open(struct portal_bus *bus, const char *where);
void portal_bus_close(struct portal_bus *bus);

/* All ones, and 'gone', if nobody answers. */
uint32_t portal_bus_read(struct portal_bus *bus, enum portal_register reg);
void portal_bus_write(struct portal_bus *bus, enum portal_register reg, uint32_t value);

/* A page of the window into PAGE: the window is mapped for combined writes, from which plain reads
 * are slow. */
void portal_bus_load_page(uint8_t *page, const uint8_t *window);

/* After FD was readable: take the interrupt. */
void portal_bus_take_interrupt(struct portal_bus *bus);

/* After STATUS was cleared and looked at: let the next one come. */
void portal_bus_enable_interrupt(struct portal_bus *bus);

/* ---- The simulated one ---- */

bool portal_socket_open(struct portal_bus *bus, const char *path);
void portal_socket_close(struct portal_bus *bus);
uint32_t portal_socket_read(struct portal_bus *bus, enum portal_register reg);
void portal_socket_write(struct portal_bus *bus, enum portal_register reg, uint32_t value);
void portal_socket_take(struct portal_bus *bus);

#endif
