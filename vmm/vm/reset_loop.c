/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/reset_loop.h"

bool reset_loop_goes_on(struct reset_loop *loop, bool died, uint64_t interrupts, uint64_t now_ns)
{
    bool lives =
        !died || interrupts != loop->interrupts || now_ns - loop->last_ns >= RESET_LOOP_LIFE_NS;

    loop->deaths = lives ? 0 : loop->deaths + 1;
    loop->interrupts = interrupts;
    loop->last_ns = now_ns;
    return loop->deaths < RESET_LOOP_DEATHS_MAX;
}
