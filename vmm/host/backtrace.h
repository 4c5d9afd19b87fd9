/* SPDX-License-Identifier: BSD-2-Clause */
/* Who called whom, by the chain of frame pointers; never reads outside the VMM's stacks. */
#ifndef PORTOLAN_VMM_HOST_BACKTRACE_H
#define PORTOLAN_VMM_HOST_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

#define BACKTRACE_DEPTH_MAX 24U

/* Log RIP and the return addresses from frame pointer RBP on, each with its function; CALLED: RIP
 * is a return address itself. Any state. */
void backtrace_print(uint64_t rip, bool called, uint64_t rbp);

/* May a frame pointer have this value: aligned, and two words above it in the mapped part of a
 * stack? Pure. */
bool backtrace_frame_ok(uint64_t rbp);

/* The core's own table of functions. tools/symbols.sh makes it when the core is linked. */
struct symbol {
    uint32_t address; /* from CORE_BASE */
    uint16_t name;    /* index of its name in the names */
} __attribute__((packed));

#define SYMBOL_NAME_MAX 64U /* with the NUL; longer names are cut */

/*
 * The name at WORD: three characters in each, as digits to the base 40, the first the highest; 0 is
 * no character, and ends it. NAME has room for SYMBOL_NAME_MAX. Pure.
 */
void symbol_name(const uint16_t *word, char *name);

/* The entry that holds ADDRESS in a table of COUNT, ascending by address, that covers [0, END).
 * Pure. */
const struct symbol *symbol_search(const struct symbol *table, uint32_t count, uint32_t end,
                                   uint32_t address);

#endif
