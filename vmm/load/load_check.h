/* SPDX-License-Identifier: BSD-2-Clause */
/* What every plan must fulfil, whoever made it and of whatever. */
#ifndef PORTOLAN_VMM_LOAD_LOAD_CHECK_H
#define PORTOLAN_VMM_LOAD_LOAD_CHECK_H

#include "vmm/load/load.h"

/*
 * The pieces of PLAN lie in the RAM of INPUT (checked before), come from the files of INPUT or from
 * plan->low, and overlap nowhere; the first instruction, the GDT and the page tables are in bytes
 * that are copied. A plan that fails is the VMM's own fault and is logged as such.
 *   STATUS_RANGE     outside of RAM, of a file or of the copied bytes
 *   STATUS_CONFLICT  two pieces overlap
 */
enum status load_plan_check(const struct load_input *input, const struct load_plan *plan);

#endif
