/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page tables, walked by software: no paging, 2-level with PSE, PAE, 4 and 5
 * levels.
 *
 * Intel SDM volume 3, chapter 4; AMD APM volume 2, chapter 5. Protection keys and shadow stacks are
 * not looked at: CPUID policy must not show them to a guest.
 */
#ifndef PORTOLAN_VMM_EMULATE_WALK_H
#define PORTOLAN_VMM_EMULATE_WALK_H

#include "vmm/emulate/emulate_cpu.h"

/* Bits of a page fault's error code (SDM 3 4.7). The ones in WALK_ACCESS also name an access. */
#define WALK_PRESENT  0x01U
#define WALK_WRITE    0x02U
#define WALK_USER     0x04U
#define WALK_RESERVED 0x08U
#define WALK_EXECUTE  0x10U
#define WALK_ACCESS   (WALK_WRITE | WALK_USER | WALK_EXECUTE)

enum walk_result {
    WALK_OK,
    WALK_FAULT,   /* #PF with *error */
    WALK_AGAIN,   /* a table changed under the walk: let the guest do the instruction again */
    WALK_NO_TABLE /* a table does not lie in RAM */
};

/*
 * Translate the linear ADDRESS (canonical; 32 bits outside of long mode) for ACCESS, a combination
 * of WALK_ACCESS bits in which WALK_USER means CPL 3. Sets accessed and dirty bits as the CPU does,
 * but only once the whole access is known to be allowed. *PHYSICAL is valid for WALK_OK, *ERROR for
 * WALK_FAULT. The vCPU's own CPU; no lock.
 */
enum walk_result walk_translate(const struct emulate_cpu *cpu, gva_t address, unsigned access,
                                gpa_t *physical, uint32_t *error);

#endif
