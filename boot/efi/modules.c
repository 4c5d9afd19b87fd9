/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/modules.h"

#include "boot/efi/console.h"
#include "boot/efi/files.h"
#include "boot/efi/text.h"
#include "vmm/types.h"

#include <string.h>

#define CONFIG_NAME     "portolan.cfg"
#define CONFIG_SIZE_MAX (1UL << 20)
#define MODULE_SIZE_MAX (64UL << 30)

/* Put the configuration's name in NAME, from the load options or the usual one. */
static void config_name_find(const EFI_LOADED_IMAGE *image, const char *own_name, char *name,
                             size_t size)
{
    enum status status = STATUS_NOT_FOUND;

    if (image->LoadOptions != NULL) {
        status =
            text_options_name(image->LoadOptions, image->LoadOptionsSize, own_name, name, size);
    }
    if (status == STATUS_OK) {
        return;
    }
    if (status != STATUS_NOT_FOUND) {
        console_print("portolan: the load options are not the name of a configuration (%s); "
                      "using " CONFIG_NAME,
                      status_name(status));
    }
    memcpy(name, CONFIG_NAME, sizeof(CONFIG_NAME));
}

/* Read NAME from FOLDER as the module after those in MODULES. The name must outlive the loader. */
static EFI_STATUS module_add(struct modules *modules, const struct folder *folder, const char *name,
                             size_t limit)
{
    struct file file;

    EFI_STATUS status = files_read(folder, name, limit, &file);
    if (EFI_ERROR(status)) {
        return status;
    }
    console_print("  %s%s: %lu bytes", folder->path, name, file.size);
    modules->modules[modules->count++] =
        (struct handoff_module){(uintptr_t)file.data, file.size, (uintptr_t)name};
    return EFI_SUCCESS;
}

EFI_STATUS modules_load(EFI_LOADED_IMAGE *image, struct modules *modules)
{
    static char own_name[FILES_PATH_MAX];
    static char config_name[FILES_PATH_MAX];
    static struct folder own_folder;
    static struct folder config_folder;
    const char *base;

    EFI_STATUS status = files_open_own_folder(image, &own_folder, own_name, sizeof(own_name));
    if (EFI_ERROR(status)) {
        return status;
    }
    config_name_find(image, own_name, config_name, sizeof(config_name));
    status = files_open_folder_of(&own_folder, config_name, &config_folder, &base);
    if (EFI_ERROR(status)) {
        return status;
    }
    modules->modules = services_allocate_pages(PAGE_SIZE);
    return module_add(modules, &config_folder, base, CONFIG_SIZE_MAX);
}
