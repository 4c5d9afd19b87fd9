/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/backtrace.h"

#include "vmm/base/log.h"
#include "vmm/host/address_space.h"
#include "vmm/host/symbols.h"

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
    const char *name = symbol_find(code, &offset);

    if (name) {
        log_error("  #%u %016lx %s+0x%lx", depth, address, name, offset + (address - code));
    } else {
        log_error("  #%u %016lx (not the VMM's code)", depth, address);
    }
}

void backtrace_print(uint64_t rip, uint64_t rbp)
{
    log_error("backtrace:");
    backtrace_line(0, rip, rip);
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
