/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few bytes of a BIOS that a PC always has: what a jump to its reset vector, F000:FFF0, finds.
 * Kernels go there as a last resort (Linux: reboot=b); the boot CPU does after an INIT, at
 * FFFFFFF0h, where the same memory appears again (map_ram()). It asks for a reset by port CF9h, and
 * if nothing comes of it by the keyboard controller.
 */
#ifndef PORTOLAN_VMM_PC_ROM_H
#define PORTOLAN_VMM_PC_ROM_H

#include "vmm/base/types.h"

#define ROM_BASE 0xf0000U    /* in RAM, beside the firmware tables */
#define ROM_HIGH 0xffff0000U /* and again, read-only */
#define ROM_SIZE 0x10000U

struct rom_piece {
    gpa_t at;
    uint32_t size;
    const uint8_t *bytes;
};

#define ROM_PIECES 2U

extern const struct rom_piece rom_pieces[ROM_PIECES];

#endif
