/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/backtrace.h"

#include "vmm/base/log.h"
#include "vmm/host/address_space.h"

#include <stddef.h>

/* Weak: the first pass of the link has no table yet. */
extern const struct symbol symbol_table[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const uint16_t symbol_names[] __attribute__((weak));
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

void symbol_name(const uint16_t *word, char *name)
{
    static const char digits[40] = "\0abcdefghijklmnopqrstuvwxyz0123456789_.?";
    char last = '?';

    for (unsigned length = 0; last != '\0'; word++) {
        unsigned value = *word;

        for (unsigned divisor = 1600; divisor != 0 && last != '\0'; divisor /= 40) {
            last = digits[value / divisor % 40];
            if (length == SYMBOL_NAME_MAX - 1) {
                last = '\0';
            }
            name[length++] = last;
        }
    }
}

/* The NAME of the function that holds ADDRESS, and how far into it that is; false outside of the
 * core's code. */
static bool symbol_find(uint64_t address, char *name, uint64_t *offset)
{
    if (address < CORE_BASE || !&symbol_count) {
        return false;
    }
    const struct symbol *symbol =
        symbol_search(symbol_table, symbol_count, (uint32_t)((uint64_t)core_text_end - CORE_BASE),
                      (uint32_t)(address - CORE_BASE));

    if (symbol) {
        *offset = address - CORE_BASE - symbol->address;
        symbol_name(&symbol_names[symbol->name], name);
    }
    return symbol != NULL;
}

bool backtrace_frame_ok(uint64_t rbp)
{
    if (rbp % 8 || rbp < STACK_BASE ||
        rbp - STACK_BASE >= (uint64_t)CPUS_MAX * STACK_SLOTS * STACK_STRIDE) {
        return false;
    }
    uint64_t offset = (rbp - STACK_BASE) % STACK_STRIDE;

    return offset >= STACK_STRIDE - STACK_SIZE && offset <= STACK_STRIDE - 16;
}

/*
 * A return address lies behind its call, and if that call never returns, in the next function
 * already: so CODE is what is looked up.
 */
static void backtrace_line(unsigned depth, uint64_t address, uint64_t code)
{
    uint64_t offset;
    char name[SYMBOL_NAME_MAX];

    if (symbol_find(code, name, &offset)) {
        log_error("  #%u %016lx %s+0x%lx", depth, address, name, offset + (address - code));
    } else {
        log_error("  #%u %016lx (not the VMM's code)", depth, address);
    }
}

void backtrace_print(uint64_t rip, bool called, uint64_t rbp)
{
    log_error("backtrace:");
    backtrace_line(0, rip, called ? rip - 1 : rip);
    for (unsigned depth = 1; depth < BACKTRACE_DEPTH_MAX && backtrace_frame_ok(rbp); depth++) {
        const uint64_t *frame = (const uint64_t *)rbp;

        if (frame[1] == 0) {
            return; /* the outermost function has no caller */
        }
        backtrace_line(depth, frame[1], frame[1] - 1);
        if (frame[0] <= rbp) {
            return; /* callers lie above; anything else is a broken chain */
        }
        rbp = frame[0];
    }
}
