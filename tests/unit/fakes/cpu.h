/* SPDX-License-Identifier: BSD-2-Clause */
/* The area of the CPU that the test runs on: there is none until it acts for a guest. */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_CPU_H
#define PORTOLAN_TESTS_UNIT_FAKES_CPU_H

struct guest_log;

/* What this thread does is the doing of GUEST from here on; NULL: nobody's. */
void fake_cpu_acts_for(struct guest_log *guest);

#endif
