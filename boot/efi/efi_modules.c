/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/efi_modules.h"

#include "boot/config_print.h"
#include "boot/efi/efi_console.h"
#include "boot/efi/efi_files.h"
#include "boot/efi/text.h"
#include "vmm/base/types.h"
#include "vmm/config/config.h"

#include <string.h>

#define CONFIG_NAME     "portolan.cfg"
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
        log_info("portolan: the load options are not the name of a configuration (%s); "
                 "using " CONFIG_NAME,
                 status_name(status));
    }
    memcpy(name, CONFIG_NAME, sizeof(CONFIG_NAME));
}

/* Read NAME from FOLDER into *FILE, as the module after those in MODULES. The name must outlive the
 * loader. */
static EFI_STATUS module_add(struct modules *modules, const struct folder *folder, const char *name,
                             size_t limit, struct file *file)
{
    EFI_STATUS status = files_read(folder, name, limit, file);
    if (EFI_ERROR(status)) {
        return status;
    }
    log_info("  %s%s: %lu bytes", folder->path, name, file->size);
    modules->modules[modules->count++] =
        (struct handoff_module){(uintptr_t)file->data, file->size, (uintptr_t)name};
    return EFI_SUCCESS;
}

/* Read the files that CONFIG names. The names stay where they are, in *CONFIG. */
static EFI_STATUS files_load(const struct config *config, const struct folder *folder,
                             struct config_report *report, struct modules *modules)
{
    for (uint32_t i = 0; i < config_file_count(config); i++) {
        struct file file;
        EFI_STATUS status =
            module_add(modules, folder, config_file_name(config, i), MODULE_SIZE_MAX, &file);
        bool empty = !EFI_ERROR(status) && file.size == 0;
        if (EFI_ERROR(status) || empty) {
            config_print_file(config, i, empty ? "is empty" : "cannot be read", report);
            return empty ? EFI_LOAD_ERROR : status;
        }
    }
    return EFI_SUCCESS;
}

/* Parse FILE, called NAME, print what is wrong with it, and read the files that it names. */
static EFI_STATUS config_follow(const struct folder *folder, const char *name,
                                const struct file *file, struct modules *modules)
{
    struct config *config = services_allocate_pages(sizeof(*config));
    struct config_report *report = services_allocate_pages(sizeof(*report));

    if (config == NULL || report == NULL) {
        return console_fail(EFI_OUT_OF_RESOURCES, "no memory for the configuration");
    }
    const char *text = file->data != NULL ? file->data : "";
    enum status status = config_parse(config, name, text, file->size, report);
    config_report_log(report, LOG_INFO, "portolan");
    if (status != STATUS_OK) {
        return console_fail(EFI_LOAD_ERROR, "%s%s is not a good configuration (%u errors)",
                            folder->path, name, report->errors);
    }
    return files_load(config, folder, report, modules);
}

EFI_STATUS modules_load(EFI_LOADED_IMAGE *image, struct modules *modules)
{
    static char own_name[FILES_PATH_MAX];
    static char config_name[FILES_PATH_MAX];
    static struct folder own_folder;
    static struct folder config_folder;
    struct file file;
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
    modules->modules = services_allocate_pages((1 + CONFIG_FILES_MAX) * sizeof(*modules->modules));
    if (modules->modules == NULL) {
        return console_fail(EFI_OUT_OF_RESOURCES, "no memory for the list of files");
    }
    status = module_add(modules, &config_folder, base, CONFIG_SIZE_MAX, &file);
    return EFI_ERROR(status) ? status : config_follow(&config_folder, base, &file, modules);
}
