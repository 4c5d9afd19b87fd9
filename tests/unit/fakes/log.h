/* SPDX-License-Identifier: BSD-2-Clause */
/* The log on the host: kept in memory, so that a test can look at what was said. */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_LOG_H
#define PORTOLAN_TESTS_UNIT_FAKES_LOG_H

#include <stdbool.h>
#include <stdint.h>

void fake_log_clear(void);
bool fake_log_contains(const char *text);
const char *fake_log_text(void);
unsigned fake_log_lines(void);
extern uint64_t fake_log_now_ns; /* log_time_ns() */

/* May a line pass that is said for whom this CPU acts? NULL: always. Those that are said always are
 * not asked for. */
extern bool (*fake_log_passes)(void);

#endif
