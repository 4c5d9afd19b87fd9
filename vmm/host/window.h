/* SPDX-License-Identifier: BSD-2-Clause */
/* How map_physical() is set up. */
#ifndef PORTOLAN_VMM_HOST_WINDOW_H
#define PORTOLAN_VMM_HOST_WINDOW_H

/* Physical addresses have BITS bits (CPUID 80000008h EAX[7:0]). Boot CPU, before the first window.
 */
void window_set_physical_bits(unsigned bits);

#endif
