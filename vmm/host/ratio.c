/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/ratio.h"

uint64_t ratio_find(uint64_t of, uint64_t to, unsigned fraction, unsigned whole)
{
    uint64_t ratio = of / to, rest = of % to;

    if (ratio >> whole) {
        return 0;
    }
    for (unsigned i = 0; i < fraction; i++) {
        rest *= 2;
        ratio = ratio * 2 + (rest >= to);
        rest -= rest >= to ? to : 0;
    }
    ratio += rest * 2 >= to;
    return whole + fraction < 64 && ratio >> (whole + fraction) ? 0 : ratio;
}
