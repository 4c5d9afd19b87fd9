/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the virtual PC asks of the VM it belongs to. vmm/vm implements these functions; the host
 * tests link a recorder instead. A VM finds itself from the struct platform that it embeds.
 *
 * Unless a comment says otherwise they are called with the platform lock held and on whatever CPU
 * made the access, so they only note the request and kick: they never call a platform_ function.
 */
#ifndef PORTOLAN_VMM_PLATFORM_VM_EDGE_H
#define PORTOLAN_VMM_PLATFORM_VM_EDGE_H

#include "vmm/types.h"

struct platform;

/* The platform lock of the VM: not recursive, held for microseconds. */
void vm_edge_lock(struct platform *platform);
void vm_edge_unlock(struct platform *platform);

/*
 * An interrupt may have become deliverable to the vCPU: make it look
 * (platform_interrupt_pending()), waking it from HLT and making it leave the guest if it runs. Also
 * called without the lock, and also for the vCPU that is making the access.
 */
void vm_edge_vcpu_kick(struct platform *platform, unsigned vcpu);

/* Raise an NMI in the vCPU (edge; one pending beyond the one in service, as on hardware). No lock.
 */
void vm_edge_vcpu_nmi(struct platform *platform, unsigned vcpu);

/*
 * INIT to the vCPU: on its own CPU it must call platform_vcpu_init(), take the architectural INIT
 * state, and wait for a SIPI unless it is the boot vCPU. No lock.
 */
void vm_edge_vcpu_init(struct platform *platform, unsigned vcpu);

/* SIPI: a vCPU that waits for one starts at VECTOR << 12; any other ignores it. No lock. */
void vm_edge_vcpu_sipi(struct platform *platform, unsigned vcpu, uint8_t vector);

/* The guest asked for a hardware reset of its machine; the VM answers with platform_reset(). */
void vm_edge_reset(struct platform *platform);

/* The guest switched its machine off (ACPI S5). */
void vm_edge_power_off(struct platform *platform);

/* The guest wrote VALUE to the configured debug exit port. */
void vm_edge_debug_exit(struct platform *platform, uint32_t value);

/* The first UART sent a byte. */
void vm_edge_console_write(struct platform *platform, uint8_t byte);

/* platform_next_event() became earlier: the CPU that drives the VM's clock must set its timer anew.
 */
void vm_edge_deadline_changed(struct platform *platform, uint64_t deadline_ns);

/*
 * Configuration space of the functions in slots 2..31 of bus 0 (passed-through devices). WIDTH is
 * 1, 2 or 4 and OFFSET a multiple of it. A function that does not exist reads as all ones.
 */
uint32_t vm_edge_pci_read(struct platform *platform, uint8_t devfn, uint8_t offset, unsigned width);
void vm_edge_pci_write(struct platform *platform, uint8_t devfn, uint8_t offset, unsigned width,
                       uint32_t value);

#endif
