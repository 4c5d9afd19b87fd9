/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a configuration: what comes out is within its bounds, whatever was said about it. */
#include "vmm/config/config.h"
#include "vmm/config/config_check.h"
#include "vmm/config/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config;
static struct config_report report;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void require_text(const char *text, size_t room)
{
    require(memchr(text, '\0', room) != NULL);
}

static void require_vm(const struct config_vm *vm, bool good)
{
    require_text(vm->name, sizeof(vm->name));
    require_text(vm->cmdline, sizeof(vm->cmdline));
    require(vm->cpus.count <= CONFIG_VM_CPUS_MAX && vm->vfs.count <= CONFIG_VM_VFS_MAX &&
            vm->modules.count <= CONFIG_MODULES_MAX);
    if (good) {
        require(vm->cpus.count > 0 && vm->memory > 0 && vm->memory % PAGE_SIZE_2M == 0);
    }
}

static void require_files(void)
{
    uint32_t count = config_file_count(&config);

    require(count <= CONFIG_FILES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = config_file_name(&config, i);

        require(value_path_ok((struct slice){name, strlen(name)}));
    }
    require(config_file_name(&config, count) == NULL);
}

static void require_report(enum status status)
{
    require_text(report.text, sizeof(report.text));
    require(strlen(report.text) == report.used);
    require((status == STATUS_OK) == (report.errors == 0));
    require(report.errors + report.warnings == 0 || report.used > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config_machine machine = {.can_run_vms = true, .cpu_count = 4, .memory = 1 << 30};
    enum status status = config_parse(&config, "fuzz.cfg", (const char *)data, size, &report);

    require_report(status);
    require(config.vm_count <= CONFIG_VMS_MAX && config.pf_count <= CONFIG_PFS_MAX);
    for (uint32_t i = 0; i < config.vm_count; i++) {
        require_vm(&config.vms[i], status == STATUS_OK);
    }
    require_files();
    if (status == STATUS_OK) {
        require_report(config_check_machine(&config, &machine, &report));
    }
    return 0;
}
