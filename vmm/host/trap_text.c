/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions in words: pure, so that it is tested on the host. */
#include "vmm/host/trap.h"

#include "vmm/base/format.h"
#include "vmm/base/types.h"
#include "vmm/base/x86.h"
#include "vmm/host/address_space.h"

#define ERROR_PRESENT  (1U << 0)
#define ERROR_WRITE    (1U << 1)
#define ERROR_RESERVED (1U << 3)
#define ERROR_FETCH    (1U << 4)

static const char *const names[VECTOR_EXCEPTIONS] = {
    [0] = "divide error",
    [1] = "debug",
    [2] = "NMI",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range",
    [6] = "invalid opcode",
    [7] = "device not available",
    [8] = "double fault",
    [10] = "invalid TSS",
    [11] = "segment not present",
    [12] = "stack fault",
    [13] = "general protection",
    [14] = "page fault",
    [16] = "x87 error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD error",
    [21] = "control protection",
    [29] = "VMM communication",
    [30] = "security",
};

static const char *const stack_names[STACK_SLOTS] = {"main", "double fault", "NMI",
                                                     "machine check"};

const char *trap_name(uint64_t vector)
{
    return vector < VECTOR_EXCEPTIONS && names[vector] ? names[vector] : "unexpected interrupt";
}

/* The region of vmm/host/address_space.h that ADDRESS is in. */
static void explain_place(uint64_t address, char *buffer, size_t size)
{
    const uint64_t per_cpu = STACK_SLOTS * STACK_STRIDE;

    if (address < PAGE_SIZE) {
        format(buffer, size, "a NULL pointer's page");
    } else if (address >= STACK_BASE && address - STACK_BASE < CPUS_MAX * per_cpu) {
        uint64_t offset = address - STACK_BASE;

        format(buffer, size, "%s of CPU %lu's %s stack%s",
               offset % STACK_STRIDE < STACK_STRIDE - STACK_SIZE ? "the guard" : "a page",
               offset / per_cpu, stack_names[offset % per_cpu / STACK_STRIDE],
               offset % STACK_STRIDE < STACK_STRIDE - STACK_SIZE ? ": stack overflow" : "");
    } else if (address >= CORE_BASE) {
        format(buffer, size, "the VMM's image");
    } else if (address >= WINDOW_BASE && address - WINDOW_BASE < WINDOW_SIZE) {
        format(buffer, size, "the windows of map_physical()");
    } else if (address >= DIRECT_BASE && address - DIRECT_BASE < DIRECT_SIZE) {
        format(buffer, size, "the direct view: a frame that the VMM does not own");
    } else {
        format(buffer, size, "an address that the VMM does not use");
    }
}

void trap_explain_page_fault(uint64_t address, uint64_t error, char *buffer, size_t size)
{
    char place[80];

    explain_place(address, place, sizeof(place));
    format(buffer, size, "%s 0x%lx: %s; it lies in %s",
           error & ERROR_FETCH   ? "execution at"
           : error & ERROR_WRITE ? "write to"
                                 : "read of",
           address,
           error & ERROR_RESERVED  ? "a reserved bit is set in the page tables"
           : error & ERROR_PRESENT ? "the page's rights forbid it"
                                   : "nothing is mapped there",
           place);
}
