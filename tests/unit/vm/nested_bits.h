/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PORTOLAN_TESTS_UNIT_VM_NESTED_BITS_H
#define PORTOLAN_TESTS_UNIT_VM_NESTED_BITS_H

#include "vmm/host/radix.h"

/* What entries of nested tables are, where no CPU looks at them: as AMD's (APM 2, 15.25.5). */
static const struct radix_format nested_bits = {.present = 1,
                                                .table = 0x27,
                                                .leaf = 0x05,
                                                .write = 2,
                                                .no_execute = 1ULL << 63,
                                                .large = 0x80,
                                                .accessed = 0x20,
                                                .dirty = 0x40};

#endif
