/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler calls when a function's canary (entry.S) was overwritten. */
#include "vmm/host/panic.h"

#include "boot/handoff.h"

#include <stddef.h>

_Static_assert(offsetof(struct handoff, entropy) == 96, "entry.S reads it");

void __stack_chk_fail(void) __attribute__((noreturn));

void __stack_chk_fail(void)
{
    panic("a function has written beyond its stack frame");
}
