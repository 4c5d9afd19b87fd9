/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMM's first own page tables: its image by section, and the direct view of its pool. */
#ifndef PORTOLAN_VMM_MEM_OWN_H
#define PORTOLAN_VMM_MEM_OWN_H

#include "boot/handoff.h"
#include "vmm/status.h"

#include <stdint.h>

/* Build them on the loader's; after pool_init(). */
enum status own_tables_build(const struct handoff *handoff);

/* Switch to them; from here on nothing is mapped one to one. */
void own_tables_load(void);

/* Bytes of the image in memory, and of all page tables. */
uint64_t own_image_size(void);
uint64_t own_tables_size(void);

#endif
