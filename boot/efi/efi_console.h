/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader says on the firmware's console, besides its log (boot/loader_log.h). */
#ifndef PORTOLAN_BOOT_EFI_EFI_CONSOLE_H
#define PORTOLAN_BOOT_EFI_EFI_CONSOLE_H

#include "boot/efi/services.h"
#include "vmm/base/log.h"

/* Log what stops the boot: "WHAT: STATUS (0xCODE)"; returns STATUS. */
EFI_STATUS console_fail(EFI_STATUS status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Print over the last line printed so; not kept. The next line of the log goes over it, too. */
void console_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Wait until a key is pressed, SECONDS at most. */
void console_wait_for_key(unsigned seconds);

#endif
