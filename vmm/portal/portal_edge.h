/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the portal asks of the function in the service VM, and of the VMs. All ranges have been
 * checked against what portal_edge_vm() says. VM and VF are indexes that exist.
 *
 * Called on the CPU that serves the portal, no lock held.
 */
#ifndef PORTOLAN_VMM_PORTAL_PORTAL_EDGE_H
#define PORTOLAN_VMM_PORTAL_PORTAL_EDGE_H

#include "vmm/portal/portal.h"
#include "vmm/vm/vm_move.h"

/* ---- The function: vmm/pc/portal_function.h ---- */

void portal_edge_look(struct portal_look *look);
void portal_edge_tell(uint32_t session, uint32_t taken, uint32_t come, bool ended);

/* Is this turn's time used up? */
bool portal_edge_must_pause(void);

/*
 * BYTES of VM's memory at ADDRESS, multiples of a page, show at OFFSET of the window, in the place
 * of what did. NO_MEMORY: nothing shows there; STATE: it is not exposed.
 */
enum status portal_edge_show(unsigned vm, uint64_t address, uint64_t bytes, uint64_t offset,
                             bool writable);

/* Nothing shows there any more, and nobody can reach it on return. */
void portal_edge_hide(uint64_t offset, uint64_t bytes);

/* ---- VMs ---- */

struct portal_vm {
    struct vm *vm; /* for vmm/vm/vm_move.h */
    const char *name;
    const char *state; /* a word: vm_move_state_name() */
    unsigned cpus, vfs;
    uint64_t memory; /* bytes of RAM */
    bool service, migrates, incoming;
    uint32_t resets, powerdowns; /* how often, since the boot */
};

struct portal_vf {
    uint16_t pf; /* its BDF, and which of that PF's VFs it is */
    uint16_t number;
    uint8_t devfn; /* in the VM */
    uint16_t type; /* of virtio */
};

/* False: there is no such VM. */
bool portal_edge_vm(unsigned vm, struct portal_vm *info);
void portal_edge_vf(unsigned vm, unsigned vf, struct portal_vf *info);

enum portal_command {
    PORTAL_PAUSE,
    PORTAL_RESUME,
    PORTAL_RESET,
    PORTAL_POWERDOWN,
    PORTAL_START,
    PORTAL_STOP,
    PORTAL_AWAIT /* `incoming` */
};

/* Begin it, as the console does; START and AWAIT of a VM that is off: soon. */
enum status portal_edge_command(unsigned vm, enum portal_command command);

/* TEXT was said of VM's move. */
void portal_edge_progress(unsigned vm, const char *text);

/* ---- A VM's memory: its RAM, and its screen's ---- */

/*
 * VM's memory may be reached from here on by portal_edge_show() and portal_edge_ram(), or no
 * longer. When VM stops it may not, and nothing of it shows any more, before it can be started
 * again.
 */
void portal_edge_expose(unsigned vm, bool exposed);

/* Run I of it, in the order of addresses. False: there are no more. */
bool portal_edge_run(unsigned vm, unsigned i, struct vfio_user_area *run);

/* SIZE bytes, all memory; NULL: they are not, or it is not exposed. */
uint8_t *portal_edge_ram(unsigned vm, uint64_t address, uint32_t size);

/* Take the bits of COUNT words of 64 pages from page FIRST on, a multiple of 64, and clear them;
 * what is no memory is 0. */
void portal_edge_collect(unsigned vm, uint64_t first, uint32_t count, uint64_t *bitmap);

/* ---- Its move: vmm/vm/vm_move.h, and this ---- */

/* The text of compatibility, of the VM for PORTAL_WHOLE, into TEXT of PORTAL_TEXT_MAX bytes,
 * NUL-terminated. DRIVER: the features that the guest's driver took of a VF that waits. */
enum status portal_edge_text(unsigned vm, uint32_t vf, uint32_t driver, char *text);

#endif
