/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/symbols.h"

#include "vmm/host/address_space.h"

#include <stddef.h>

/* Weak: the first pass of the link has no table yet. */
extern const struct symbol symbol_table[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));
extern const char core_text_end[];

const struct symbol *symbol_search(const struct symbol *table, uint32_t count, uint32_t end,
                                   uint32_t address)
{
    uint32_t low = 0, high = count;

    if (address >= end) {
        return NULL;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (table[middle].address > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low ? &table[low - 1] : NULL;
}

const char *symbol_find(uint64_t address, uint64_t *offset)
{
    if (address < CORE_BASE || !&symbol_count) {
        return NULL;
    }
    const struct symbol *symbol =
        symbol_search(symbol_table, symbol_count, (uint32_t)((uint64_t)core_text_end - CORE_BASE),
                      (uint32_t)(address - CORE_BASE));

    if (!symbol) {
        return NULL;
    }
    *offset = address - CORE_BASE - symbol->address;
    return &symbol_names[symbol->name];
}
