/* SPDX-License-Identifier: BSD-2-Clause */
/* What cmocka wants to see before its own header. */
#ifndef PORTOLAN_TESTS_UNIT_PC_UNIT_H
#define PORTOLAN_TESTS_UNIT_PC_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

#endif
