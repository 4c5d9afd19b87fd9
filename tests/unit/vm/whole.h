/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of vcpu_save() and vcpu_load() with each backend share: states made up from the
 * rows of cpu_section, garbage in everything that is not the backend's, and a fake FPU, whose
 * registers are not a test's to fill.
 */
#ifndef PORTOLAN_TESTS_UNIT_VM_WHOLE_H
#define PORTOLAN_TESTS_UNIT_VM_WHOLE_H

#include "vmm/vm/backend.h"

#define GARBAGE      0xa5
#define GARBAGE_WORD 0xa5a5a5a5a5a5a5a5ULL

/* A fresh fake vCPU of BACKEND, which is there; its VM's root is at 777000h, its base TSC 12345. */
void whole_setup(const struct backend *chosen);

/*
 * ROUNDS times: what was saved, and loaded into a vCPU that holds garbage, is saved again as the
 * same bytes. The test's own part:
 */
void whole_check_rounds(unsigned rounds);
void own_settle(struct cpu_state *state); /* let STATE be one that the backend can hold */
void own_fill_with_garbage(void);         /* the backend's part of the vCPU */
void own_check_loaded(const struct cpu_state *state); /* after it was loaded */

/* Each model register that a guest has for itself goes in and out by the backend alone. */
void whole_test_passed(void **state);

/* What other CPUs ask for while a vCPU is saved or loaded is still to be seen to. */
void whole_test_requests(void **state);

#endif
