/* SPDX-License-Identifier: BSD-2-Clause */
/* The marks of RAM that ends below 4 GiB, and need not end with a whole word of them. */
#include "vmm/host/guest_ram.h"

uint64_t ram_end(const struct ram *ram)
{
    return ram->below_4g;
}

unsigned ram_mark_word(const struct ram *ram, uint64_t first, uint64_t bits)
{
    ram->marks[first / RAM_MARKS_WORD] |= bits;
    return (unsigned)__builtin_popcountll(bits);
}
