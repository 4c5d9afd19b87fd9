/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/firmware.h"

#include "boot/boot_cpu.h"
#include "boot/efi/efi_console.h"
#include "vmm/base/types.h"

#include <string.h>

static EFI_GUID acpi_1_guid = ACPI_TABLE_GUID;
static EFI_GUID acpi_2_guid = ACPI_20_TABLE_GUID;
static EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
static EFI_GUID random_guid = EFI_RNG_PROTOCOL_GUID;

/* The address that the configuration table of GUID has; 0: there is no such table. */
static uint64_t table_find(const EFI_GUID *guid)
{
    for (UINTN i = 0; i < efi_system->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *table = &efi_system->ConfigurationTable[i];
        if (memcmp(&table->VendorGuid, guid, sizeof(*guid)) == 0) {
            return (uintptr_t)table->VendorTable;
        }
    }
    return 0;
}

uint64_t firmware_find_rsdp(void)
{
    uint64_t rsdp = table_find(&acpi_2_guid);

    if (rsdp == 0) {
        rsdp = table_find(&acpi_1_guid);
    }
    if (rsdp == 0) {
        log_info("portolan: the firmware names no ACPI tables (RSDP); "
                 "turn ACPI on in the firmware set-up");
    }
    return rsdp;
}

/* The order of the colours, of 32-bit pixels only. */
static uint32_t pixel_get(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode)
{
    switch ((unsigned)mode->PixelFormat) {
    case PixelBlueGreenRedReserved8BitPerColor:
        return HANDOFF_PIXEL_BGRX;
    case PixelRedGreenBlueReserved8BitPerColor:
        return HANDOFF_PIXEL_RGBX;
    default:
        return HANDOFF_PIXEL_NONE;
    }
}

/* Do the firmware's numbers describe lines that lie in the frame buffer it names? */
static bool framebuffer_is_sound(const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *mode)
{
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info = mode->Info;

    return mode->FrameBufferBase != 0 && info->HorizontalResolution != 0 &&
           info->VerticalResolution != 0 && info->HorizontalResolution <= info->PixelsPerScanLine &&
           info->PixelsPerScanLine <= UINT32_MAX / sizeof(uint32_t) &&
           range_fits(mode->FrameBufferBase, mode->FrameBufferSize, UINT64_MAX) &&
           info->VerticalResolution <=
               mode->FrameBufferSize / (info->PixelsPerScanLine * sizeof(uint32_t));
}

struct handoff_framebuffer firmware_find_framebuffer(void)
{
    struct handoff_framebuffer none = {0};
    EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics = NULL;

    /* The console's own screen, or if the console is many devices or none, the first screen. */
    EFI_STATUS status =
        efi_boot->HandleProtocol(efi_system->ConsoleOutHandle, &graphics_guid, (void **)&graphics);
    if (EFI_ERROR(status) || graphics->Mode == NULL || graphics->Mode->FrameBufferBase == 0) {
        status = efi_boot->LocateProtocol(&graphics_guid, NULL, (void **)&graphics);
    }
    if (EFI_ERROR(status) || graphics->Mode == NULL || graphics->Mode->Info == NULL) {
        return none;
    }
    const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *mode = graphics->Mode;
    uint32_t pixel = pixel_get(mode->Info);
    if (pixel == HANDOFF_PIXEL_NONE || !framebuffer_is_sound(mode)) {
        log_info("portolan: the screen's frame buffer cannot be used (pixel format %u, "
                 "%u x %u); the log goes to the serial line only",
                 (unsigned)mode->Info->PixelFormat, mode->Info->HorizontalResolution,
                 mode->Info->VerticalResolution);
        return none;
    }
    return (struct handoff_framebuffer){
        .base = mode->FrameBufferBase,
        .width = mode->Info->HorizontalResolution,
        .height = mode->Info->VerticalResolution,
        .pitch = mode->Info->PixelsPerScanLine * (uint32_t)sizeof(uint32_t),
        .pixel = pixel,
    };
}

uint64_t firmware_get_entropy(void)
{
    EFI_RNG_PROTOCOL *generator;
    uint64_t random = 0;

    EFI_STATUS status = efi_boot->LocateProtocol(&random_guid, NULL, (void **)&generator);
    if (!EFI_ERROR(status)) {
        generator->GetRNG(generator, NULL, sizeof(random), (UINT8 *)&random);
    }
    return cpu_mix_bits(random ^ cpu_mix_bits(cpu_read_tsc()));
}
