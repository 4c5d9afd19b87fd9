/* SPDX-License-Identifier: BSD-2-Clause */
/* The core's own table of functions, for backtraces. tools/symbols.sh makes it when the core is
 * linked. */
#ifndef PORTOLAN_VMM_HOST_SYMBOLS_H
#define PORTOLAN_VMM_HOST_SYMBOLS_H

#include <stdint.h>

struct symbol {
    uint32_t address; /* from CORE_BASE */
    uint32_t name;    /* offset of its name in the names */
};

/* The function that holds ADDRESS and how far into it ADDRESS is; NULL outside the core's code. */
const char *symbol_find(uint64_t address, uint64_t *offset);

/* The same in a table of COUNT entries, ascending by address, that covers [0, END). Pure. */
const struct symbol *symbol_search(const struct symbol *table, uint32_t count, uint32_t end,
                                   uint32_t address);

#endif
