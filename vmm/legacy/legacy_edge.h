/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vmm/legacy asks of the hardware and of the VM it belongs to. The VM layer implements
 * these functions; host tests link a simulated VF.
 *
 * Nothing here calls back into vmm/legacy. "Registers lock" and "interrupt lock" are those of
 * struct legacy_function; a comment says which one is held. A VF that does not answer must not hang
 * the caller: reads give all ones, commands return TIMEOUT.
 */
#ifndef PORTOLAN_VMM_LEGACY_LEGACY_EDGE_H
#define PORTOLAN_VMM_LEGACY_LEGACY_EDGE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

struct legacy_function;
struct legacy_set;

/*
 * FUNCTION's device, or another CPU that waits for it, has taken PASSED_US so far: this CPU's own
 * work goes on. False: that was long, and the VM is about to stop; so nobody waits any more. The
 * registers locks of its VM may be held, and no others: the CPU's work tries these at most.
 */
bool legacy_edge_wait(struct legacy_function *function, uint64_t passed_us);

/* ---- Registers of the VF; the registers lock is held ---- */

/* One access of WIDTH 1, 2 or 4, aligned to it, within the legacy block of the VF. */
uint32_t legacy_edge_mmr_read(struct legacy_function *function, uint32_t offset, unsigned width);
void legacy_edge_mmr_write(struct legacy_function *function, uint32_t offset, unsigned width,
                           uint32_t value);

/*
 * A command of the PF's administration queue for this VF (group SR-IOV, its member id), waited for.
 * DATA and RESULT are the command-specific parts. A register's value is whole or
 * the command has failed; a shorter list of doorbells is filled up with zeroes. TIMEOUT: not
 * answered in its time, the tries after EAGAIN included, or before legacy_edge_wait() was false;
 * NOT_FOUND: the PF says that the VF is gone; any other failure: the device refused it and nothing
 * changed.
 */
enum status legacy_edge_admin(struct legacy_function *function, uint16_t opcode, const void *data,
                              size_t size, void *result, size_t result_size);

/*
 * Where two bytes at OFFSET of BAR (0..5) of the VF, or with OWNER of its PF, are mapped, uncached.
 * NULL: not within the BAR. Also called at creation.
 */
volatile uint16_t *legacy_edge_doorbell(struct legacy_function *function, bool owner, unsigned bar,
                                        uint64_t offset);

/* ---- The VF as a PCI function; the registers lock is held ---- */

/*
 * Reset COUNT functions of one VM, all at the same time, and wait until they answer again (PCIe
 * 6.6.2): STATUS[i] says how it went with FUNCTION[i], and if OK its Bus Master and MSI-X Enable
 * are 0. One that was reset and has not had MSI-X switched on since is as good as reset. The
 * registers lock of each is held.
 */
void legacy_edge_flr(struct legacy_function *const *function, unsigned count, enum status *status);

void legacy_edge_bus_master(struct legacy_function *function, bool on);

/* Set MSI-X Enable in the VF's own capability; the function mask is clear, every entry masked. */
enum status legacy_edge_msix_enable(struct legacy_function *function);

/*
 * Give entry ENTRY of the VF's MSI-X table a vector of the VMM, whose handler calls
 * legacy_interrupt(), and unmask it. NO_MEMORY: no vector is left.
 */
enum status legacy_edge_vector_open(struct legacy_function *function, unsigned entry);

/* Mask the entry and free its vector; its handler does not run any more afterwards. */
void legacy_edge_vector_close(struct legacy_function *function, unsigned entry);

/* ---- Interrupts; the interrupt lock is held, and interrupts are off ---- */

/* Set the mask bit of an open entry of the VF's table. */
void legacy_edge_vector_mask(struct legacy_function *function, unsigned entry, bool masked);

/* Deliver a message to the guest: pc_msi(). False: nobody accepts it. */
bool legacy_edge_msi(struct legacy_function *function, uint64_t address, uint32_t data);

/* Drive the function's INTA: pc_set_intx(). */
void legacy_edge_intx(struct legacy_function *function, bool level);

/* ---- The virtual PC ---- */

/* Does a device of the platform answer to any byte of this access: ports_claim(). Any context. */
bool legacy_edge_port_claimed(struct legacy_set *set, uint16_t port, unsigned width);

#endif
