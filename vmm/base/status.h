/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The closed set of outcomes that functions of the VMM return.
 *
 * A status says what kind of thing went wrong; the log says which thing. Note a failure where it
 * is born with STATUS_NOTE(), so that the debug log shows the file and line of its origin.
 */
#ifndef PORTOLAN_VMM_BASE_STATUS_H
#define PORTOLAN_VMM_BASE_STATUS_H

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,     /* input breaks the rules of its format or of the caller's contract */
    STATUS_RANGE,       /* a number, offset or address lies outside what is allowed */
    STATUS_CONFLICT,    /* two things claim the same place, id or time */
    STATUS_NOT_FOUND,   /* the named thing does not exist */
    STATUS_NO_MEMORY,   /* frames, slots or table entries are used up */
    STATUS_NO_ROOM,     /* no addresses are free where a device could have them */
    STATUS_UNSUPPORTED, /* valid, but this machine or this build cannot do it */
    STATUS_STATE,       /* valid, but not in the present state */
    STATUS_TIMEOUT,     /* the hardware did not answer within its time */
    STATUS_DEVICE,      /* the hardware answered with an error or with nonsense */
    STATUS_AGAIN,       /* not done yet: nothing has failed, ask again */
    STATUS_COUNT
};

/* A short lower-case name, for messages; never NULL, also for values out of range. */
const char *status_name(enum status status);

/* Log (debug level) that STATUS was born at FILE:LINE, and return it. Any CPU. */
enum status status_note(enum status status, const char *file, int line);

#define STATUS_NOTE(status) status_note((status), __FILE__, __LINE__)

#endif
