/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of administration commands.
 */
#ifndef PORTOLAN_FAULTS_H
#define PORTOLAN_FAULTS_H

#include "admin.h"

typedef enum Fault {
    FAULT_NONE,         /* carried out, maybe answered wrongly */
    FAULT_STATUS,       /* fails, without an effect */
    FAULT_HANG,         /* is never answered, and has no effect */
    FAULT_BREAK,        /* nor is any other until the PF is reset */
} Fault;

/*
 * What happens to C, which counts down if it is hit.  What is to happen when
 * it is answered is noted in it.
 */
Fault fault_of_command(Command *c);

/* C has been carried out: true if its answer has to wait, and is sent later. */
bool fault_delays(Command *c);

/* Changes the answer of C, LEN bytes; how many of them are sent. */
size_t fault_of_answer(const Command *c, uint8_t *answer, size_t result_at,
                       size_t len);

/* C has been answered. */
void fault_after(const Command *c);

#endif
