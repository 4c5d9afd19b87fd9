/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's portal: that of the service VM, if there is one. */
#ifndef PORTOLAN_VMM_PORTAL_PORTAL_VM_H
#define PORTOLAN_VMM_PORTAL_PORTAL_VM_H

#include "vmm/portal/portal.h"

/* After all VMs were made. Boot CPU. */
void portal_create(void);

/* Start VMs that the service VM wants started, and see that it is told of what other VMs do, which
 * do not know of it. CPU 0, from time to time. */
void portal_poll(void);

/*
 * portal_post() to the service VM's program. NOT_FOUND: there is no service VM, or it does not run.
 * CPU 0; no waiting.
 */
enum status portal_wish(enum portal_wish wish, unsigned vm, const char *to);

#endif
