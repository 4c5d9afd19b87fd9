/* SPDX-License-Identifier: BSD-2-Clause */
/* What VMs ask of the layers above them: the console, and who keeps the boot's files. */
#ifndef PORTOLAN_VMM_VM_VM_EDGE_H
#define PORTOLAN_VMM_VM_VM_EDGE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/load/load.h"

/*
 * VM's UART sent BYTE, and vm_edge_has_room() was true before; one CPU at a time, with the VM's
 * pc lock held. Takes no lock and does not wait: the byte goes into the VM's buffer. False:
 * there is no room for another FIFO of bytes; the UART is to say that it is not empty, until
 * pc_console_ready(). Others than existing VMs are ignored.
 */
bool vm_edge_output(unsigned vm, uint8_t byte);

/* May VM's UART take a write of up to four bytes? If not, the guest is to try it again: so it goes
 * at the line's speed and nothing is lost, also if it does not look at its UART. Any CPU. */
bool vm_edge_has_room(unsigned vm);

/*
 * Bring what VM's UART sent to the line if that is in no haste; else the console does it, for
 * all VMs in turn. Any CPU, no lock held. Does not wait.
 */
void vm_edge_bring(unsigned vm);

/* Bring all of it to the line, and end an unfinished line; waits for the line. VM's UART sends no
 * more. Any CPU, no lock held. */
void vm_edge_flush(unsigned vm);

/*
 * VM's portal is to be seen to: its guest rang, or VCPU_REQUEST_PORTAL was set. For VMs without one
 * nothing. The CPU of its vCPU 0, between two exits, no lock held; does not wait for other VMs.
 */
void vm_edge_portal(unsigned vm);

/* VM has stopped, and its RAM is not exposed any more: on return nothing of it shows in a window,
 * and the portal looks at nothing that vm_is_up() allowed it. Waits for the service VM's CPUs, and
 * for the turn that the portal is at, while this CPU's own work goes on. The last of its CPUs. */
void vm_edge_hide(unsigned vm);

/* The service VM has stopped: what it has open ends, and on return nobody looks at it any more.
 * Waits for the VMs that it was moving. The last of its CPUs. */
void vm_edge_portal_ended(unsigned vm);

/*
 * VM has carried out an order of a move, or has stopped with one: vm_move_done() tells how it
 * ended. Any CPU, no lock held. Does not wait.
 */
void vm_edge_move_ended(unsigned vm);

/*
 * *FILE (overwritten) is the one that the configuration calls NAME, whose data stay mapped.
 * NOT_FOUND: the boot loader has not brought it; NO_MEMORY: no room to map it. Any CPU.
 */
enum status vm_edge_find_file(const char *name, struct load_file *file);

#endif
