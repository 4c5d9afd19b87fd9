/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMM's virtual address space; docs/memory-layout.md draws it. */
#ifndef PORTOLAN_VMM_HOST_ADDRESS_SPACE_H
#define PORTOLAN_VMM_HOST_ADDRESS_SPACE_H

#include "boot/handoff.h"

/* Frames that the VMM owns, at DIRECT_BASE + their physical address; nothing else is mapped here.
 */
#define DIRECT_BASE 0xffff800000000000ULL
#define DIRECT_SIZE (1ULL << 46) /* frames from 64 TiB on are not used */

/* Windows of map_physical(). */
#define WINDOW_BASE 0xffffc00000000000ULL
#define WINDOW_SIZE (1ULL << 39)

/*
 * Stacks: CPU n has STACK_SLOTS slots from STACK_BASE + n * STACK_SLOTS * STACK_STRIDE on. A slot
 * is a stretch that is never mapped, the guard, and above it the stack itself.
 */
#define STACK_BASE   0xffffe00000000000ULL
#define STACK_STRIDE 0x8000ULL
#define STACK_SIZE   0x4000ULL

enum stack_slot { STACK_MAIN, STACK_DOUBLE_FAULT, STACK_NMI, STACK_MACHINE_CHECK, STACK_SLOTS };

/* The core's image. */
#define CORE_BASE HANDOFF_CORE_VA

#define CPUS_MAX 256U

#endif
