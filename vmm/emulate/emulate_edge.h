/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulation touches outside of itself. The VM layer implements these functions; host tests
 * link a fake. All are called on the CPU that runs the vCPU, with no lock held by the emulator.
 *
 * No access crosses a page; sizes are 1..8 bytes. Guest-physical addresses are whatever the guest's
 * page tables say and may be any number. An aligned access to RAM of 1, 2, 4 or 8 bytes is a single
 * load or store: other vCPUs change page tables and lock words meanwhile.
 */
#ifndef PORTOLAN_VMM_EMULATE_EMULATE_EDGE_H
#define PORTOLAN_VMM_EMULATE_EMULATE_EDGE_H

#include "vmm/base/types.h"

struct vcpu;

/* Copy from guest RAM or ROM. False, and nothing copied, if it is not all there. */
bool emulate_ram_read(struct vcpu *vcpu, gpa_t from, void *to, unsigned size);

/*
 * Copy to guest RAM, also for the log of dirty pages. False, and nothing copied, if it is not all
 * RAM, or ROM: the write then goes to emulate_device_write(), which ignores it for a ROM.
 */
bool emulate_ram_write(struct vcpu *vcpu, gpa_t to, const void *from, unsigned size);

/*
 * Guest RAM at AT as memory to read, of SIZE bytes in one page, for as long as the vCPU exists;
 * NULL if there is none, or if what is at AT may become something else without that the vCPU sees
 * it.
 */
const void *emulate_ram_lasting(const struct vcpu *vcpu, gpa_t at, unsigned size);

enum emulate_swap { EMULATE_SWAPPED, EMULATE_SWAP_CHANGED, EMULATE_SWAP_NOT_RAM };

/*
 * Compare and exchange SIZE (1, 2, 4 or 8) bytes of guest RAM atomically with regard to every other
 * CPU and device; AT has any alignment. CHANGED: it did not hold EXPECTED and was left alone.
 */
enum emulate_swap emulate_ram_swap(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t expected,
                                   uint64_t wanted);

/*
 * Access a device register, or nothing at all (reads give all ones, writes are dropped): SIZE is 1,
 * 2, 4 or 8, AT has any alignment. An access that completes cannot be taken back: what it does to
 * the vCPU (a reset, a stop) is noted by the device and seen to after emulation.
 */
uint64_t emulate_device_read(struct vcpu *vcpu, gpa_t at, unsigned size);
void emulate_device_write(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t value);

/*
 * As above for an I/O port; SIZE is 1, 2 or 4. A write gives false when the port cannot take it
 * now: nothing has happened, and the guest is to execute the instruction again.
 */
uint32_t emulate_port_read(struct vcpu *vcpu, uint16_t port, unsigned size);
bool emulate_port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value);

/*
 * Between two elements of a REP: is there something that the vCPU or its CPU must see to outside of
 * emulation, or has this exit taken long enough? What one element takes is up to the device.
 */
bool emulate_must_pause(const struct vcpu *vcpu);

#endif
