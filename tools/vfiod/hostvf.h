/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VF of this machine, as vmm/legacy asks for it (legacy_edge.h): where its legacy registers are,
 * interrupts, DMA, reset. There is one in a process.
 *
 * The registers are a block in its memory (docs/mmr-device.md), or an I/O BAR 0: that is what
 * Linux's virtio-vfio-pci makes of the administration commands of a net VF's PF. To processes
 * Linux has no other way to these, nor to those of migration.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_HOSTVF_H
#define PORTOLAN_TOOLS_VFIOD_HOSTVF_H

#include "vmm/legacy/legacy.h"

#include <poll.h>

/* Open the VF called NAME, and fill in what legacy_add() needs to know of it. False: a message says
 * why. */
bool hostvf_open(const char *name, struct legacy_setup *setup);
void hostvf_close(void);

/* How many queues the device has, at most MOST. It forgets which was selected. */
uint32_t hostvf_queues(uint32_t most);

/* ---- vmm/legacy/legacy_edge.h ---- */

uint32_t hostvf_read(uint32_t offset, unsigned width);
void hostvf_write(uint32_t offset, unsigned width, uint32_t value);
enum status hostvf_flr(void);
void hostvf_bus_master(bool on);
enum status hostvf_msix(bool on);
enum status hostvf_vector_open(unsigned entry);
void hostvf_vector_close(unsigned entry);
void hostvf_vector_mask(unsigned entry, bool masked);

/* ---- tools/vfiod/device.h ---- */

/* HERE of memory.h is what its DMA to IOVA reaches. */
enum status hostvf_map(uint64_t iova, uint64_t size, void *here, bool readable, bool writable);
void hostvf_unmap(uint64_t iova, uint64_t size);

/* Messages that are not masked: what to poll for them, and which entry of the MSI-X table the Ith
 * of these was for; -1: there was none. */
unsigned hostvf_poll_fds(struct pollfd *fd, unsigned room);
int hostvf_take_message(const struct pollfd *fd, unsigned i);

#endif
