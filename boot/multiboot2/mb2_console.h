/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where lines of the loader's log go: COM1, if there is a UART. The core shows the copy on the
 * screen; when it is not to start, the loader does.
 */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_MB2_CONSOLE_H
#define PORTOLAN_BOOT_MULTIBOOT2_MB2_CONSOLE_H

#include "boot/handoff.h"

/* Look for the UART. What is logged before is in the copy only. */
void console_init(void);

/* Wait until all is on the line. */
void console_flush(void);

/* Show the copy on the screen, if there is one that can be used. */
void console_show(const struct handoff_framebuffer *framebuffer);

#endif
