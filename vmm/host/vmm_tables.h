/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMM's first own page tables: its image by section, and the direct view of its pool. */
#ifndef PORTOLAN_VMM_HOST_VMM_TABLES_H
#define PORTOLAN_VMM_HOST_VMM_TABLES_H

#include "boot/handoff.h"
#include "vmm/base/status.h"

#include <stdint.h>

/* Build them on the loader's; after pool_init(). */
enum status vmm_tables_build(const struct handoff *handoff);

/* Switch to them; from here on nothing is mapped one to one. */
void vmm_tables_load(void);

/* Bytes of the image in memory, and of all page tables. */
uint64_t vmm_image_size(void);
uint64_t vmm_tables_size(void);

#endif
