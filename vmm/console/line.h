/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line's one owner: the log, the VMM's prompt and the VMs' consoles write through it.
 *
 * What is written goes into a ring of 16 KiB and from there to the UART, a FIFO at a time, whenever
 * somebody holds the line, so nobody waits for single characters. Before line_set_buffered() the
 * ring is emptied by each writer: there is nobody else to do it. A writer who finds the ring full
 * waits for room with the lock open between attempts; when the UART takes nothing any more, what
 * does not fit is dropped and counted, and no one waits until it takes characters again.
 *
 * Two kinds of text. A whole line never shares its line with anything: if the cursor stands in a
 * line, a new one is begun first; the prompt is taken away and comes back with the next
 * line_prompt(). Raw text goes where the cursor stands.
 *
 * The line's lock is the last of all: with it held, call nothing but line_*() with the remark "lock
 * held"; no log_*(), no STATUS_NOTE(). Who holds another lock must not wait for room: line_enter(0)
 * and line_has_room() are for them.
 */
#ifndef PORTOLAN_VMM_CONSOLE_LINE_H
#define PORTOLAN_VMM_CONSOLE_LINE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/spinlock.h"

#define LINE_RING      16384U
#define LINE_WHOLE_MAX 320U /* bytes of one whole line, with its prefix */

/* What line_enter() must be asked for: a whole line of that many bytes, and what is put around it.
 */
#define LINE_WHOLE_NEED(length) ((length) + 8U)

/* NOT_FOUND, RANGE as ns16550_init(). What the ring holds is sent before. No lock held. */
enum status line_start(uint16_t port, uint32_t baud);

/* Send what the ring holds, then nothing more. No lock held. */
void line_stop(void);

/* Is the line the UART at PORT? Any CPU. */
bool line_is(uint16_t port);

/* From here on line_poll() is called regularly, and writers need not wait. Boot CPU. */
void line_set_buffered(void);

/*
 * From here on nobody takes a lock of the console: the CPU that holds it may be stopped. What is
 * written is sent at once. For panic().
 */
void line_set_emergency(void);
bool line_in_emergency(void);

/*
 * Take LOCK, one of the console's, with interrupts off; in an emergency only these go. Returns what
 * line_unlock() wants.
 */
uint64_t line_lock(struct spinlock *lock);
void line_unlock(struct spinlock *lock, uint64_t flags);

/*
 * Take the line, with interrupts off, when there is room for NEED bytes (at most LINE_RING / 2), or
 * when waiting is of no use. Returns what line_leave() wants. Any CPU, no lock held but those above
 * it in the order. Time: as long as the UART takes for NEED bytes and those of the others who wait,
 * once per stall at most the time after which a UART counts as stalled (under a second from 300
 * baud up).
 */
uint64_t line_enter(size_t need);
void line_leave(uint64_t flags);

/* Lock held. Is there room for NEED bytes, or no sense in waiting for it? */
bool line_has_room(size_t need);

/* Lock held. LENGTH bytes will never get to the line. */
void line_lose(uint64_t length);

/* Lock held. A whole line: PREFIX and TEXT, together at most LINE_WHOLE_MAX bytes, no newline. All
 * or nothing. */
void line_whole(const char *prefix, const char *text, size_t length);

/* Lock held. How many whole lines there have been. */
uint64_t line_wholes(void);

/* Lock held. Raw text; in_sequence: its last byte is in the middle of an escape sequence. */
void line_raw(const char *text, size_t length, bool in_sequence);

/* Lock held. Plain colours again, and an end to an unfinished escape sequence; the cursor stays. */
void line_reset_attributes(void);

/* Lock held. Show the prompt with TEXT behind it, or show it anew. */
void line_prompt(const char *text, size_t length);

/* Lock held. Raw text behind the prompt; does nothing while the prompt is away. */
void line_echo(const char *text, size_t length);

/* Lock held. Is the prompt away, or not yet there? */
bool line_prompt_is_away(void);

/* Lock held. The cursor left the prompt's line, the next prompt stands on a new one. */
void line_end_prompt(void);

/* Text as it is, '\n' as CR LF, in pieces that other text may stand between. No lock held. */
void line_text(const char *text, size_t length);

/* Send what the UART has room for; true: there is more. No lock held. */
bool line_poll(void);

/* Take up to SIZE received characters. One CPU. No lock held. */
size_t line_read(char *buffer, size_t size);

/* Bytes that were dropped since the last call, 0 while the line is stalled; and how often received
 * characters were lost. No lock held. */
uint64_t line_take_lost(void);
uint32_t line_overruns(void);

/* Bytes that fit into the ring now; all of it where there is no line. */
size_t line_room(void);

/* Wait until everything is sent; bounded. No lock held. */
void line_flush(void);

#endif
