/* SPDX-License-Identifier: BSD-2-Clause */
/* The EFI application: every step from the firmware's start of the image to the core, in order. */
#include "boot/boot_cpu.h"
#include "boot/core_elf.h"
#include "boot/efi/efi_console.h"
#include "boot/efi/efi_modules.h"
#include "boot/efi/efi_pci.h"
#include "boot/efi/firmware.h"
#include "boot/efi/leave.h"
#include "boot/handoff.h"
#include "boot/loader_log.h"
#include "vmm/base/types.h"

#define STACK_SIZE  (32UL << 10)
#define KEY_SECONDS 30U

/* core_file.S */
extern const uint8_t core_file[];
extern const uint8_t core_file_end[];

static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

/* What the steps hand on to each other. */
struct loader {
    EFI_HANDLE image_handle;
    struct modules modules;
    struct core_image core;
    uint8_t *core_memory;
    uint8_t *stack;
    struct handoff *handoff;
    struct pci_handles pci;
    struct leave leave;
};

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_STATUS load_files(struct loader *loader)
{
    EFI_LOADED_IMAGE *image;

    EFI_STATUS status =
        efi_boot->HandleProtocol(loader->image_handle, &loaded_image_guid, (void **)&image);
    if (EFI_ERROR(status)) {
        return console_fail(status, "the firmware does not say where this image came from");
    }
    return modules_load(image, &loader->modules);
}

static EFI_STATUS load_core(struct loader *loader)
{
    size_t size = (size_t)(core_file_end - core_file);

    if (cpu_uses_five_levels()) {
        return console_fail(EFI_UNSUPPORTED, "the firmware runs with 5-level paging; "
                                             "turn it off in the firmware set-up");
    }
    enum status status = core_elf_check(core_file, size, &loader->core);
    if (status != STATUS_OK) {
        return console_fail(EFI_LOAD_ERROR,
                            "the VMM core in this image is damaged (%s); "
                            "copy portolan.efi again",
                            status_name(status));
    }
    loader->core_memory = services_allocate_pages(loader->core.size);
    loader->stack = services_allocate_pages(STACK_SIZE);
    loader->handoff = services_allocate_pages(sizeof(*loader->handoff));
    if (loader->core_memory == NULL || loader->stack == NULL || loader->handoff == NULL) {
        return console_fail(EFI_OUT_OF_RESOURCES,
                            "no memory for the VMM core, %lu KiB in one piece",
                            loader->core.size >> 10);
    }
    core_elf_load(core_file, &loader->core, loader->core_memory);
    log_info("  VMM core: %lu KiB at 0x%lx", loader->core.size >> 10,
             (uintptr_t)loader->core_memory);
    return EFI_SUCCESS;
}

/* All of the hand-off but the memory map and the log, which still change. */
static void handoff_fill(struct loader *loader, uint64_t tsc_entry)
{
    *loader->handoff = (struct handoff){
        .magic = HANDOFF_MAGIC,
        .version = HANDOFF_VERSION,
        .size = sizeof(struct handoff),
        .source = HANDOFF_SOURCE_EFI,
        .regions = (uintptr_t)loader->leave.regions,
        .modules = (uintptr_t)loader->modules.modules,
        .module_count = loader->modules.count,
        .core_base = (uintptr_t)loader->core_memory,
        .core_size = loader->core.size,
        .rsdp = firmware_find_rsdp(),
        .framebuffer = firmware_find_framebuffer(),
        .entropy = firmware_get_entropy(),
        .tsc_entry = tsc_entry,
    };
}

/* Leave the firmware; returns only if that fails. */
static EFI_STATUS enter_core(struct loader *loader)
{
    struct handoff *handoff = loader->handoff;
    bool called_exit;

    log_info("  leaving the firmware");
    handoff->log = (uintptr_t)loader_log(&handoff->log_size);
    pci_quiesce(&loader->pci);
    EFI_STATUS status = leave_firmware(&loader->leave, loader->image_handle, &called_exit);
    if (!EFI_ERROR(status)) {
        handoff->region_count = (uint32_t)loader->leave.region_count;
        cpu_enter_core(loader->leave.tables.base.raw, (uintptr_t)loader->stack + STACK_SIZE,
                       loader->core.entry, (uintptr_t)handoff);
    }
    /* After a call of ExitBootServices() only memory services are sure to work (UEFI 2.10, 7.4.6);
     * the consoles' drivers are called all the same, as the message is the last thing to lose. */
    if (!called_exit) {
        pci_reconnect(&loader->pci);
    }
    console_fail(status, "the firmware does not let go of the machine (%s)",
                 called_exit ? "ExitBootServices" : "GetMemoryMap");
    return status;
}

static EFI_STATUS boot(struct loader *loader, uint64_t tsc_entry)
{
    EFI_STATUS status = load_files(loader);

    if (!EFI_ERROR(status)) {
        status = load_core(loader);
    }
    if (!EFI_ERROR(status)) {
        pci_list(&loader->pci);
        status =
            leave_prepare(&loader->leave, hpa((uintptr_t)loader->core_memory), loader->core.size);
    }
    if (!EFI_ERROR(status)) {
        handoff_fill(loader, tsc_entry);
        status = enter_core(loader);
    }
    return status;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    static struct loader loader;
    uint64_t tsc_entry = cpu_read_tsc();

    services_init(system);
    loader.image_handle = image;
    log_info("Portolan " PORTOLAN_VERSION ", EFI loader");
    EFI_STATUS status = boot(&loader, tsc_entry);
    log_info("portolan: not started; back to the firmware at the press of a key, or in %u s",
             KEY_SECONDS);
    console_wait_for_key(KEY_SECONDS);
    /* By Exit() and not by a return: GNU-EFI's start code does not keep all of the registers
     * that the firmware's calling convention wants kept. */
    efi_boot->Exit(image, status, 0, NULL);
    return status;
}
