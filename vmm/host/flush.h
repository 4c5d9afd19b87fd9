/* SPDX-License-Identifier: BSD-2-Clause */
/* TLB flushes, apart from the other instructions because host tests fake them. */
#ifndef PORTOLAN_VMM_HOST_FLUSH_H
#define PORTOLAN_VMM_HOST_FLUSH_H

#include <stdint.h>

/* Forget this CPU's translation of the page that holds VA. */
void flush_local_page(uint64_t va);

#endif
