/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/mb2_modules.h"

#include "boot/config_print.h"
#include "vmm/base/log.h"
#include "vmm/base/types.h"
#include "vmm/config/config.h"

#include <string.h>

#define CONFIG_NAME "portolan.cfg"

static struct config config;
static struct config_report report;
static char config_name[CONFIG_PATH_MAX];

/* The first module whose string names NAME; NULL: there is none. */
static const struct information_module *module_find(const struct information *information,
                                                    const char *name)
{
    char candidate[CONFIG_PATH_MAX];

    for (uint32_t i = 0; i < information->module_count; i++) {
        const struct information_module *module = &information->modules[i];
        if (information_read_name(module->string, candidate, sizeof(candidate)) == STATUS_OK &&
            strcmp(candidate, name) == 0) {
            return module;
        }
    }
    return NULL;
}

/* The module that holds the configuration, its name in config_name; NULL, with a message: none. */
static const struct information_module *config_find(const struct information *information)
{
    const struct information_module *module;

    if (information->module_count == 0) {
        log_info("portolan: the boot loader gave no modules; the configuration has to be the first "
                 "one: module2 --nounzip /" CONFIG_NAME " " CONFIG_NAME);
        return NULL;
    }
    if (information_read_name(information->command_line, config_name, sizeof(config_name)) !=
        STATUS_OK) {
        log_info("portolan: the first word of the command line is too long for the name of a "
                 "configuration; it is passed over");
    }
    if (config_name[0] != '\0') {
        module = module_find(information, config_name);
        if (module == NULL) {
            log_info("portolan: the command line names the configuration '%s', but no module has "
                     "that name: module2 --nounzip /FILE %s",
                     config_name, config_name);
        }
        return module;
    }
    module = &information->modules[0];
    if (information_read_name(module->string, config_name, sizeof(config_name)) != STATUS_OK ||
        config_name[0] == '\0') {
        memcpy(config_name, CONFIG_NAME, sizeof(CONFIG_NAME));
    }
    return module;
}

/* Claim MODULE, called NAME, as the next one in MODULES. NAME must outlive the loader. */
static enum status module_add(struct modules *modules, struct memory *memory,
                              const struct information_module *module, const char *name)
{
    uint64_t size = module->end - module->start;

    if (module->start % PAGE_SIZE != 0) {
        log_info("portolan: module '%s' does not begin on a page boundary, though the image's "
                 "header asks for it: use another boot loader, such as GRUB 2",
                 name);
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    if (memory_claim(memory, module->start, size) != STATUS_OK) {
        log_info("portolan: module '%s' (0x%x, %lu bytes) does not lie in free memory alone", name,
                 module->start, size);
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    log_info("  %s: %lu bytes", name, size);
    modules->modules[modules->count++] =
        (struct handoff_module){size != 0 ? module->start : 0, size, (uintptr_t)name};
    return STATUS_OK;
}

/* The pages of a module are all claimed, and nothing else is in them. */
static void module_clear_tail(const struct handoff_module *module)
{
    uint64_t end = module->base + module->size;

    if (module->size % PAGE_SIZE != 0) {
        memset((void *)end, 0, align_up(end, PAGE_SIZE) - end);
    }
}

/* Find the files that the configuration names. */
static enum status files_match(const struct information *information, struct memory *memory,
                               struct modules *modules)
{
    for (uint32_t i = 0; i < config_file_count(&config); i++) {
        const char *name = config_file_name(&config, i);
        const struct information_module *module = module_find(information, name);
        if (module == NULL) {
            config_print_file(&config, i, "is not among the boot loader's modules", &report);
            log_info("portolan: in grub.cfg, add: module2 --nounzip /%s %s", name, name);
            return STATUS_NOTE(STATUS_NOT_FOUND);
        }
        if (module->end == module->start) {
            config_print_file(&config, i, "is empty", &report);
            return STATUS_NOTE(STATUS_INVALID);
        }
        enum status status = module_add(modules, memory, module, name);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status modules_match(const struct information *information, struct memory *memory,
                          struct modules *modules)
{
    const struct information_module *module = config_find(information);

    modules->count = 0;
    if (module == NULL) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    enum status status = module_add(modules, memory, module, config_name);
    if (status != STATUS_OK) {
        return status;
    }
    const char *text = (const char *)modules->modules[0].base;
    if (config_parse(&config, config_name, text != NULL ? text : "", modules->modules[0].size,
                     &report) != STATUS_OK) {
        config_report_log(&report, LOG_INFO, "portolan");
        log_info("portolan: %s is not a good configuration (%u errors)", config_name,
                 report.errors);
        return STATUS_NOTE(STATUS_INVALID);
    }
    config_report_log(&report, LOG_INFO, "portolan");
    status = files_match(information, memory, modules);
    for (uint32_t i = 0; i < modules->count && status == STATUS_OK; i++) {
        module_clear_tail(&modules->modules[i]);
    }
    return status;
}
