/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/machine/efi/hooks.h"

#include "boot/efi/efi_console.h"

static EFI_EXIT_BOOT_SERVICES exit_original;
static uint32_t stale_calls;

static EFI_STATUS EFIAPI exit_stale(EFI_HANDLE image, UINTN key)
{
    if (stale_calls > 0) {
        stale_calls--;
        return EFI_INVALID_PARAMETER;
    }
    return exit_original(image, key);
}

EFI_STATUS hooks_stale_map(const char *signature, uint32_t number)
{
    exit_original = efi_boot->ExitBootServices;
    stale_calls = number;
    efi_boot->ExitBootServices = exit_stale;
    log_info("mangle: the memory map changes %u times", number);
    return EFI_SUCCESS;
}
