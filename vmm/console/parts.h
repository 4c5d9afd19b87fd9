/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the console share. All on the CPU that polls, with no lock held, unless said.
 */
#ifndef PORTOLAN_VMM_CONSOLE_PARTS_H
#define PORTOLAN_VMM_CONSOLE_PARTS_H

#include "vmm/console/console.h"

/* ---- terminal.c: what VMs say ---- */

void terminal_init(unsigned vm_count);
unsigned terminal_count(void);
unsigned terminal_foreground(void);
void terminal_select(unsigned vm);

/* Does the terminal show the screen of the VM in the foreground? Or its serial port: the other one
 * of the two from here on. */
bool terminal_views(void);
void terminal_switch(void);

/* Bring to the line what VMs have sent, as far as it has room, each in its turn. */
void terminal_poll(void);

/* Print the unfinished lines of background VMs that have been quiet for a while. */
void terminal_flush_quiet(uint64_t now_ns);

/* As ring_read(), of the last 4 KiB that VM said, made harmless, '\n' at line ends; and the
 * position behind the last of them. */
size_t terminal_read(unsigned vm, uint64_t *from, char *buffer, size_t size);
uint64_t terminal_written(unsigned vm);

/* ---- console_keys.c: what the operator types ---- */

void keys_init(void);

/* Take what was received, a FIFO or two of it. */
void keys_poll(uint64_t now_ns);

/* Strike COUNT keys of VM's, one after the other, each in its time. False: it does not run, or so
 * many have no room now; nothing was done. */
bool keys_strike(unsigned vm, const uint16_t *strokes, unsigned count);

/*
 * Move VM's mouse by DELTA (right, up, wheel), BUTTONS held: now, or when its time goes on, as
 * behind a checkpoint. STATE: it does not run, or a move before waits still. NOT_FOUND: it has no
 * mouse.
 */
enum status keys_move(unsigned vm, const int16_t delta[3], uint8_t buttons);

/* Show the prompt, if it belongs on the line and is not there. */
void keys_show_prompt(void);

/* Bytes typed for VM that were dropped so far. */
uint64_t keys_lost(unsigned vm);

/* ---- command.c ---- */

/* Do the command in TEXT, NUL-terminated; an empty one is nothing. */
void command_run(const char *text);

/* ---- dump.c: long output, in pieces as the line takes it ---- */

/* Begin to print the last LINES of the log (CONSOLE_VMM) or of what VM said. */
void dump_start(unsigned vm, unsigned lines);
void dump_stop(void);
bool dump_running(void);
void dump_poll(void);

#endif
