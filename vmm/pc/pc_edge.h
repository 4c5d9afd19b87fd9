/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the virtual PC asks of the VM it belongs to. vmm/vm implements these functions; the host
 * tests link a recorder instead. A VM finds itself from the struct pc that it embeds.
 *
 * Unless a comment says otherwise they are called with the pc lock held and on whatever CPU
 * made the access, so they only note the request and kick: they never call a platform_ function.
 */
#ifndef PORTOLAN_VMM_PC_PC_EDGE_H
#define PORTOLAN_VMM_PC_PC_EDGE_H

#include "vmm/pc/apic_bus.h"

struct pc;

/* The pc lock of the VM: not recursive. Interrupts are off while it is held, so nothing may
 * be waited for under it. */
void pc_edge_lock(struct pc *pc);
void pc_edge_unlock(struct pc *pc);

/*
 * An interrupt may have become deliverable to the vCPU: make it look
 * (pc_interrupt_pending()), waking it from HLT and making it leave the guest if it runs. Also
 * called without the lock, and also for the vCPU that is making the access.
 */
void pc_edge_vcpu_kick(struct pc *pc, unsigned vcpu);

/*
 * A message of SIGNAL reached the vCPU; VECTOR is that of a SIPI. No lock.
 *   NMI: raise one (edge; one pending beyond the one in service, as on hardware).
 *   INIT: on its own CPU it must call pc_vcpu_init(), take the architectural INIT state, and wait
 *   for a SIPI unless it is the boot vCPU.
 *   STARTUP: one that waits for it starts at VECTOR << 12; any other ignores it.
 */
void pc_edge_vcpu_signal(struct pc *pc, unsigned vcpu, enum apic_delivery signal, uint8_t vector);

/* The guest asked for a hardware reset of its machine; the VM answers with pc_reset(). */
void pc_edge_reset(struct pc *pc);

/* Will the VM stop, whatever its guest does? Any context. */
bool pc_edge_is_stopping(struct pc *pc);

/* Its flash is read as memory from now on, or not any more. Without the lock. */
void pc_edge_flash_changed(struct pc *pc);

/* The guest rang at its portal, or began a new session: somebody is to look, pc_portal_look(). */
void pc_edge_portal_rang(struct pc *pc);

/* The guest switched its machine off (ACPI S5). */
void pc_edge_power_off(struct pc *pc);

/* The guest wrote VALUE to the configured debug exit port. */
void pc_edge_debug_exit(struct pc *pc, uint32_t value);

/* The first UART sent a byte. False: it is to look busy until pc_console_ready(). */
bool pc_edge_console_write(struct pc *pc, uint8_t byte);

/* pc_next_event() became earlier: the CPU that drives the VM's clock must set its timer anew.
 */
void pc_edge_deadline_changed(struct pc *pc, uint64_t deadline_ns);

/* Copy SIZE bytes from and to the guest's RAM. False: it is none, or not all. Reads may end at a
 * 2 MiB page's end. */
bool pc_edge_ram_read(struct pc *pc, gpa_t from, void *to, uint32_t size);
bool pc_edge_ram_write(struct pc *pc, gpa_t to, const void *from, uint32_t size);

/*
 * Configuration space of the functions in slots 2..31 of bus 0 (passed-through devices). WIDTH is
 * 1, 2 or 4 and OFFSET a multiple of it. A function that does not exist reads as all ones.
 */
uint32_t pc_edge_pci_read(struct pc *pc, uint8_t devfn, uint8_t offset, unsigned width);
void pc_edge_pci_write(struct pc *pc, uint8_t devfn, uint8_t offset, unsigned width,
                       uint32_t value);

#endif
