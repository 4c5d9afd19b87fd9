/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/main_config.h"

#include "vmm/config/check.h"
#include "vmm/console/sinks.h"
#include "vmm/cpu/panic.h"
#include "vmm/cpu/percpu.h"
#include "vmm/mem/map.h"
#include "vmm/report/machine.h"

#include <string.h>

static struct config config;
static struct config_report report;
static struct config_machine machine;
static char file_name[CONFIG_PATH_MAX];
static enum status parsed = STATUS_NOT_FOUND;

/* The report's lines, each as one of the log's. */
static void log_report(void)
{
    for (const char *line = report.text; *line;) {
        const char *end = strchr(line, '\n');
        int length = end ? (int)(end - line) : (int)strlen(line);

        log_warn("%.*s", length, line);
        line += length + (end ? 1 : 0);
    }
    if (report.left_out) {
        log_warn("%s: %u more messages", file_name, report.left_out);
    }
}

static void copy_name(hpa_t name)
{
    const char *text = map_physical(name, CONFIG_PATH_MAX, MAP_READ_ONLY);

    if (text) {
        strncpy(file_name, text, sizeof(file_name) - 1);
        map_release((void *)(uint64_t)text, CONFIG_PATH_MAX);
    }
}

static void parse_module(const struct handoff *handoff)
{
    const struct handoff_module *modules =
        map_physical(hpa(handoff->modules), sizeof(*modules), MAP_READ_ONLY);

    if (!modules) {
        return;
    }
    copy_name(hpa(modules->name));
    const char *text =
        modules->size ? map_physical(hpa(modules->base), modules->size, MAP_READ_ONLY) : "";

    if (text) {
        parsed = config_parse(&config, file_name, text, modules->size, &report);
    }
}

static void apply(const struct config_vmm *vmm)
{
    log_set_level((enum log_level)vmm->log);
    panic_set_action(vmm->on_panic == CONFIG_PANIC_RESET ? PANIC_RESET : PANIC_HALT);
    if (vmm->serial.port == 0) {
        log_stop_serial();
    } else if (log_start_serial((uint16_t)vmm->serial.port, vmm->serial.baud) != STATUS_OK) {
        log_warn("no UART answers at port 0x%x: no log on a serial line; 'serial' in [vmm] chooses "
                 "another",
                 vmm->serial.port);
    }
}

const struct config_vmm *main_configure(const struct handoff *handoff)
{
    strncpy(file_name, "portolan.cfg", sizeof(file_name));
    if (handoff->module_count > 0) {
        parse_module(handoff);
    }
    if (parsed == STATUS_NOT_FOUND) {
        parsed = config_parse(&config, file_name, "", 0, &report);
    }
    apply(&config.vmm);
    if (parsed != STATUS_OK) {
        log_report();
    }
    return &config.vmm;
}

static void fill_machine(const struct platform_facts *facts)
{
    report_config_machine(facts, &machine);
    machine.cpu_count = cpu_count();
    for (uint32_t i = 0; i < machine.cpu_count && i < ARRAY_SIZE(machine.cpu_usable); i++) {
        machine.cpu_usable[i] = cpu_by_index(i)->started;
    }
}

enum status main_check_machine(const struct platform_facts *facts)
{
    if (parsed != STATUS_OK) {
        log_warn("%s: %u errors: no VM is started", file_name, report.errors);
        return parsed;
    }
    config_report_init(&report, file_name);
    fill_machine(facts);
    enum status status = config_check_machine(&config, &machine, &report);

    log_report();
    if (status != STATUS_OK) {
        log_warn("%s: %u errors: no VM is started", file_name, report.errors);
    } else if (config.vm_count > 0) {
        log_warn("%s: fits this machine, but this version cannot run VMs yet (SUPPORT.md): none of "
                 "%u is started",
                 file_name, config.vm_count);
    }
    return status;
}
