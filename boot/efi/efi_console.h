/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader says, on the firmware's console and into a copy for the core's log. */
#ifndef PORTOLAN_BOOT_EFI_EFI_CONSOLE_H
#define PORTOLAN_BOOT_EFI_EFI_CONSOLE_H

#include "boot/efi/services.h"

#include <stddef.h>
#include <stdint.h>

/* Allocate the copy. Without memory for it what is printed is not kept. */
void console_init(void);

/* Print one line and keep it; no newline at the end of FMT. */
void console_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for what stops the boot: "WHAT: STATUS (0xCODE)"; returns STATUS. */
EFI_STATUS console_fail(EFI_STATUS status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Print over the last line printed so; not kept. The next console_print() goes over it, too. */
void console_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Wait until a key is pressed, SECONDS at most. */
void console_wait_for_key(unsigned seconds);

/* The copy: its physical address and its length in bytes. */
uint64_t console_log(uint64_t *size);

#endif
