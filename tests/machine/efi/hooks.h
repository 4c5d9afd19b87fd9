/* SPDX-License-Identifier: BSD-2-Clause */
/* Firmware services that fail. */
#ifndef PORTOLAN_TESTS_MACHINE_EFI_HOOKS_H
#define PORTOLAN_TESTS_MACHINE_EFI_HOOKS_H

#include "boot/efi/services.h"

#include <stdint.h>

/* Let the next NUMBER calls of ExitBootServices() find that the memory map has changed. */
EFI_STATUS hooks_stale_map(const char *signature, uint32_t number);

#endif
