/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/main.h"

#include "vmm/console/line.h"
#include "vmm/console/sinks.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/panic.h"
#include "vmm/host/percpu.h"
#include "vmm/host/spinlock.h"
#include "vmm/vm/vm_edge.h"

#include "drivers/acpi/acpi.h"

#include <string.h>

static struct config config;
static struct config_report report;
static struct config_machine machine;
static char file_name[CONFIG_PATH_MAX];
static enum status parsed = STATUS_NOT_FOUND;

static struct file {
    hpa_t base;
    uint64_t size;
    const uint8_t *data; /* once mapped */
    bool present;
} files[CONFIG_FILES_MAX]; /* numbered as config_file_name() does */
static struct spinlock files_lock = SPINLOCK(LOCK_FILES);

static void read_name(uint64_t at, char name[CONFIG_PATH_MAX])
{
    const char *text = map_physical(hpa(at), CONFIG_PATH_MAX, MAP_READ_ONLY);

    if (text) {
        strncpy(name, text, CONFIG_PATH_MAX - 1);
        map_release((void *)(uint64_t)text, CONFIG_PATH_MAX);
    }
}

static void parse_module(const struct handoff_module *module)
{
    const char *text =
        module->size ? map_physical(hpa(module->base), module->size, MAP_READ_ONLY) : "";

    read_name(module->name, file_name);
    if (text) {
        parsed = config_parse(&config, file_name, text, module->size, &report);
    }
}

static void reset_machine(void)
{
    (void)acpi_reset(acpi_facts());
}

static void apply(const struct config_vmm *vmm)
{
    log_set_level((enum log_level)vmm->log);
    panic_set_reset(vmm->on_panic == CONFIG_PANIC_RESET ? reset_machine : NULL);
    if (vmm->serial.port == 0) {
        line_stop();
    } else if (log_start_serial((uint16_t)vmm->serial.port, vmm->serial.baud) != STATUS_OK) {
        log_warn("no UART answers at port 0x%x: no log on a serial line; 'serial' in [vmm] chooses "
                 "another",
                 vmm->serial.port);
    }
}

const struct config *main_config(void)
{
    return &config;
}

/* Files are mapped once and for all, when they are first asked for: a VM's reset reads them anew.
 */
static enum status map_file(struct file *file)
{
    if (!file->data) {
        file->data =
            file->size ? map_physical(file->base, file->size, MAP_READ_ONLY) : (const uint8_t *)"";
    }
    return file->data ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

static void note_file(const struct handoff_module *module)
{
    char name[CONFIG_PATH_MAX] = "";

    read_name(module->name, name);
    for (uint32_t n = 0; n < config_file_count(&config); n++) {
        if (strcmp(name, config_file_name(&config, n)) == 0) {
            files[n] = (struct file){hpa(module->base), module->size, .present = true};
        }
    }
}

const struct config_vmm *main_configure(const struct handoff *handoff)
{
    uint64_t size = handoff->module_count * sizeof(struct handoff_module);
    const struct handoff_module *modules =
        size ? map_physical(hpa(handoff->modules), size, MAP_READ_ONLY) : NULL;

    strncpy(file_name, "portolan.cfg", sizeof(file_name));
    if (modules) {
        parse_module(&modules[0]);
    }
    if (parsed == STATUS_NOT_FOUND) {
        parsed = config_parse(&config, file_name, "", 0, &report);
    }
    apply(&config.vmm);
    for (uint32_t i = 0; modules && i < handoff->module_count; i++) {
        note_file(&modules[i]);
    }
    if (modules) {
        map_release((void *)(uint64_t)modules, size);
    }
    if (parsed != STATUS_OK) {
        config_report_log(&report, LOG_WARN, file_name);
    }
    return &config.vmm;
}

enum status vm_edge_find_file(const char *name, struct load_file *file)
{
    enum status status = STATUS_NOT_FOUND;

    *file = (struct load_file){.name = name};
    spinlock_acquire(&files_lock);
    for (uint32_t i = 0; i < config_file_count(&config); i++) {
        if (files[i].present && strcmp(config_file_name(&config, i), name) == 0) {
            status = map_file(&files[i]);
            file->data = files[i].data;
            file->size = files[i].size;
        }
    }
    spinlock_release(&files_lock);
    if (status == STATUS_NOT_FOUND) {
        log_warn("the boot loader has not brought the file '%s'", name);
    }
    return status;
}

enum status main_check_machine(const struct platform_facts *facts)
{
    enum status status = parsed;

    if (status == STATUS_OK) {
        config_report_init(&report, file_name);
        report_config_machine(facts, &machine);
        machine.cpu_count = cpu_count();
        for (uint32_t i = 0; i < machine.cpu_count && i < ARRAY_SIZE(machine.cpu_usable); i++) {
            machine.cpu_usable[i] = cpu_by_index(i)->started;
            machine.core[i] = cpu_by_index(i)->apic_id >> facts->thread_bits;
        }
        status = config_check_machine(&config, &machine, &report);
        config_report_log(&report, LOG_WARN, file_name);
    }
    if (status != STATUS_OK) {
        log_warn("%s: %u errors: no VM is started", file_name, report.errors);
    }
    return status;
}
