/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM with RAM, a ROM and real nested tables, in which pages that are written can be noted. */
#ifndef PORTOLAN_TESTS_UNIT_VM_TRACKED_VM_H
#define PORTOLAN_TESTS_UNIT_VM_TRACKED_VM_H

#include "vmm/vm/vm.h"

#define TRACKED_LOW_SIZE (4 * PAGE_SIZE_2M) /* of RAM at 0 */
#define TRACKED_HIGH     (1ULL << 32)       /* where 2 MiB more of it are */
#define TRACKED_RAM_SIZE (TRACKED_LOW_SIZE + PAGE_SIZE_2M)
#define TRACKED_ROM_SIZE 0x40000U
#define TRACKED_RWX      (RADIX_READ | RADIX_WRITE | RADIX_EXECUTE)
#define TRACKED_VCPUS    2U

extern struct vm tracked_vm;
extern struct vcpu tracked_vcpus[TRACKED_VCPUS];
extern uint8_t tracked_ram[TRACKED_RAM_SIZE];      /* the low part first */
extern uint8_t tracked_rom[TRACKED_ROM_SIZE];      /* the firmware that the VM has */
extern uint8_t tracked_rom_file[TRACKED_ROM_SIZE]; /* and the one that it is copied from */

/* How often the VM was stopped, its nested TLBs flushed, and one vCPU's. */
extern unsigned tracked_stops, tracked_flushes, tracked_forgets;

extern bool tracked_gate_shut; /* its A20 gate */

/* CPUs that log what their guests write set this bit in the entries that they come by. */
#define TRACKED_LOGGED (1ULL << 9)

/* Called before a flush of the VM takes effect, as long as it is not NULL. */
extern void (*tracked_before_flush)(void);

extern uint64_t tracked_tick_ns; /* so much later it is each time that somebody looks */

/* The nested tables' last entry for AT, which is mapped. */
uint64_t *tracked_entry(uint64_t at);

/* Setup and teardown of a test. */
int tracked_set_up(void **state);
int tracked_tear_down(void **state);

/* The nested tables map AT by a page of SIZE, with all rights, or with all but that to write. */
void tracked_expect_page(uint64_t at, uint64_t size, bool writable);

/* The pages that are dirty now are those COUNT, in ascending order. */
void tracked_expect_dirty(const uint64_t *at, unsigned count);

#endif
