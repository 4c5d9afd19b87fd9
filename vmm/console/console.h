/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operator's console: the serial line, shared by the VMM's prompt, its log and the first UARTs
 * of all VMs. docs/console.md is its manual.
 *
 * One of them is in the foreground: it gets the keys, and a VM's bytes go to the line as they are.
 * The others' lines appear whole, with "[NAME] " before them and harmless for the terminal.
 *
 * The console has no lock of its own: what both sides use is under the line's, or atomic; the rest
 * belongs to the CPU that polls.
 */
#ifndef PORTOLAN_VMM_CONSOLE_CONSOLE_H
#define PORTOLAN_VMM_CONSOLE_CONSOLE_H

#include "vmm/base/types.h"

#define CONSOLE_VMS_MAX  16U
#define CONSOLE_NAME_MAX 15U
#define CONSOLE_VMM      0xffffffffU /* in place of a VM's index: the VMM's prompt */

/*
 * Begin, with the prompt in the foreground. Boot CPU, once, when the VMs are known and log and
 * serial line have been set up. From here on console_poll() must be called regularly.
 */
void console_init(void);

/* Bring VM (or CONSOLE_VMM) to the foreground; others are ignored. Only the CPU that polls. */
void console_select(unsigned vm);

/*
 * Take typed characters, act on them, offer VMs what was typed for them, send. NOW_NS is
 * time_now_ns(). Always on the same CPU, no lock held, interrupts on or off, at least every 10 ms:
 * a received character is lost when more than a FIFO of them (16, 1.4 ms at 115200 baud when they
 * come without a gap) waits. True: there is more to send, so call it again within a millisecond.
 */
bool console_poll(uint64_t now_ns);

/*
 * Print a line for the operator, as commands do; it is not logged. No newline in FMT; cut at 320
 * characters. Any CPU, no lock held. Waits for room on the line.
 */
void console_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
