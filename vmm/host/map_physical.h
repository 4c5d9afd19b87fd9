/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMM's windows on physical memory and device registers.
 *
 * The VMM has no general map of physical memory. What it needs to touch beyond its own frames
 * (firmware tables, device registers, loaded files) it maps here, with the narrowest rights.
 */
#ifndef PORTOLAN_VMM_HOST_MAP_PHYSICAL_H
#define PORTOLAN_VMM_HOST_MAP_PHYSICAL_H

#include "vmm/base/types.h"

enum map_kind {
    MAP_READ_ONLY,  /* ordinary memory, write-back, read only */
    MAP_READ_WRITE, /* ordinary memory, write-back */
    MAP_DEVICE,     /* device registers: strong uncached, read/write */
    MAP_FRAMEBUFFER /* write-combining, write mostly */
};

/*
 * Map SIZE > 0 bytes from BASE, both of any alignment; the address returned keeps BASE's offset in
 * its page. Never executable. NULL when BASE + SIZE wraps or exceeds the CPU's physical address
 * width, or when the window space or page-table frames are used up (the log says which).
 * Any CPU; takes the map lock.
 */
void *map_physical(hpa_t base, uint64_t size, enum map_kind kind);

/*
 * Undo map_physical(); VA and SIZE as there. The caller guarantees that no CPU uses the window any
 * more; the translation is flushed on all CPUs before the space is used again.
 */
void map_release(void *va, uint64_t size);

/* Physical addresses have BITS bits (CPUID 80000008h EAX[7:0]). Boot CPU, before the first window.
 */
void window_set_physical_bits(unsigned bits);

#endif
