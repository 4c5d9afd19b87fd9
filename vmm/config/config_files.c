/* SPDX-License-Identifier: BSD-2-Clause */
/* The files that a configuration names, each once. */
#include "vmm/config/config.h"
#include "vmm/config/config_keys.h"

#include <string.h>

#define VM_FILES (8U + CONFIG_MODULES_MAX)

struct file_use {
    const char *name; /* "" : no file */
    uint32_t line;
};

/* Use number USE < VM_FILES of a VM. */
static struct file_use vm_file(const struct config_vm *vm, uint32_t use)
{
    const struct file_use uses[] = {
        {vm->kernel.text,     vm->lines.key[VM_KERNEL]    },
        {vm->initrd.text,     vm->lines.key[VM_INITRD]    },
        {vm->multiboot.text,  vm->lines.key[VM_MULTIBOOT] },
        {vm->firmware.text,   vm->lines.key[VM_FIRMWARE]  },
        {vm->nvram.text,      vm->lines.key[VM_NVRAM]     },
        {vm->vga_rom.text,    vm->lines.key[VM_VGA_ROM]   },
        {vm->net_rom.text,    vm->lines.key[VM_NET_ROM]   },
        {vm->kernel_rom.text, vm->lines.key[VM_KERNEL_ROM]},
    };

    if (use < ARRAY_SIZE(uses)) {
        return uses[use];
    }
    const struct config_module *module = &vm->modules.module[use - ARRAY_SIZE(uses)];

    return (struct file_use){use - ARRAY_SIZE(uses) < vm->modules.count ? module->path.text : "",
                             module->line};
}

static struct file_use config_use(const struct config *config, uint32_t use)
{
    return vm_file(&config->vms[use / VM_FILES], use % VM_FILES);
}

/* Is this use the first of its file? */
static bool is_first_use(const struct config *config, uint32_t use)
{
    const char *name = config_use(config, use).name;

    if (name[0] == '\0') {
        return false;
    }
    for (uint32_t i = 0; i < use; i++) {
        if (strcmp(config_use(config, i).name, name) == 0) {
            return false;
        }
    }
    return true;
}

uint32_t config_file_count(const struct config *config)
{
    uint32_t count = 0;

    for (uint32_t use = 0; use < config->vm_count * VM_FILES; use++) {
        count += is_first_use(config, use);
    }
    return count;
}

/* The first use of file INDEX; no name if there are not so many. */
static struct file_use file_at(const struct config *config, uint32_t index)
{
    for (uint32_t use = 0; use < config->vm_count * VM_FILES; use++) {
        if (is_first_use(config, use) && index-- == 0) {
            return config_use(config, use);
        }
    }
    return (struct file_use){NULL, 0};
}

const char *config_file_name(const struct config *config, uint32_t index)
{
    return file_at(config, index).name;
}

void config_complain_file(const struct config *config, uint32_t index, const char *why,
                          struct config_report *report)
{
    struct file_use file = file_at(config, index);

    config_error(report, file.line, "the file '%s' %s", file.name, why);
    config_fix(report, "put it in the configuration's folder, or correct the name");
}
