/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/cpu.h"

#include "vmm/host/percpu.h"

#include <asm/prctl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct cpu cpu = {.self = &cpu};
static bool has_area;

bool cpu_has_area(void)
{
    return has_area;
}

void fake_cpu_acts_for(struct guest_log *guest)
{
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu) != 0) {
        abort();
    }
    cpu.guest_log = guest;
    has_area = guest != NULL;
}
