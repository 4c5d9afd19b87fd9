/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limit of all that is logged of one guest's doing: a burst, then a line a minute. So a guest
 * can neither wipe the log's ring (a burst is an eighth of it at most, of lines of 100 bytes a
 * twentieth, and the rest would take it hours) nor hold the serial line. What a service VM orders
 * for a VM has some times that, apart from it (vmm/vm/vm.h, orders_log). What is left out is
 * counted, and said before the next line.
 *
 * Whatever log_write() is asked for on a CPU that acts for a guest (struct cpu, guest_log) goes
 * through that guest's limit too, so no line needs to be remembered here. guest_log() is for lines
 * that name the VM, and for those that other CPUs write about it.
 */
#ifndef PORTOLAN_VMM_BASE_GUEST_LOG_H
#define PORTOLAN_VMM_BASE_GUEST_LOG_H

#include "vmm/base/log.h"

#include <stdbool.h>
#include <stdint.h>

#define GUEST_LOG_BURST   32U
#define GUEST_LOG_EACH_NS 60000000000ULL /* for one more */

/* But for 'vm' and 'times' all zero: nothing was logged yet. All that changes is atomic. */
struct guest_log {
    const char *vm;      /* its name, which must stay */
    uint32_t times;      /* this many times the burst, and as often one more; 0 is once */
    uint64_t full_at_ns; /* when the whole burst will be there again */
    uint64_t dropped;    /* lines left out since the last one that passed */
    uint64_t lines;      /* that there were, with those left out */
    uint64_t left_out;
};

/*
 * May there be a line at NOW_NS (of log_time_ns())? If so *DROPPED is how many were left out since
 * the last one that passed. Counts. Any CPU, under any lock: it takes none.
 */
bool guest_log_pass(struct guest_log *log, uint64_t now_ns, uint64_t *dropped);

/* Log a line that begins with the VM's name, unless there were too many. Any CPU, under any lock
 * that log_write() may be called under. */
void guest_log(struct guest_log *log, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same without the name; for log_write(). */
void guest_log_plain(struct guest_log *log, enum log_level level, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/* The whole burst again: the operator has started the VM anew. */
void guest_log_refill(struct guest_log *log);

#endif
