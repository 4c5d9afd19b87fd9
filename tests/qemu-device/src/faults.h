/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of administration commands.
 */
#ifndef PORTOLAN_FAULTS_H
#define PORTOLAN_FAULTS_H

#include "admin.h"

typedef enum Fault {
    FAULT_NONE,
    FAULT_STATUS,       /* fails, without an effect */
    FAULT_HANG,         /* is never answered, and has no effect */
} Fault;

/* Which fault hits this command?  It counts down. */
Fault fault_of_command(Faults *f, const Command *c);

#endif
