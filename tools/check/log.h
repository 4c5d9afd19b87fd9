/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PORTOLAN_TOOLS_CHECK_LOG_H
#define PORTOLAN_TOOLS_CHECK_LOG_H

/* The first warning or error since check_log_clear(); "": there was none. */
const char *check_log_first(void);
void check_log_clear(void);

#endif
