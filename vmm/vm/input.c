/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/input.h"

#include "vmm/vm/vm_edge.h"

static enum status find_file(const char *name, const char *arguments, struct load_file *file)
{
    *file = (struct load_file){.name = name, .arguments = arguments};
    return vm_edge_find_file(name, &file->data, &file->size);
}

enum status input_gather(const struct config_vm *config, struct load_input *input,
                         struct load_file *modules)
{
    bool linux_kernel = config->kernel.text[0];

    *input = (struct load_input){
        .kind = linux_kernel ? LOAD_LINUX : LOAD_MULTIBOOT,
        .cmdline = config->cmdline,
        .modules = modules,
        .module_count = config->modules.count,
        .memory_below_4g = guest_map_below_4g(config->memory),
        .memory_above_4g = config->memory - guest_map_below_4g(config->memory),
    };
    enum status status = find_file(linux_kernel               ? config->kernel.text
                                   : config->firmware.text[0] ? config->firmware.text
                                                              : config->multiboot.text,
                                   NULL, &input->image);

    if (status == STATUS_OK && config->initrd.text[0]) {
        status = find_file(config->initrd.text, NULL, &input->initrd);
    }
    for (unsigned i = 0; i < config->modules.count && status == STATUS_OK; i++) {
        const struct config_module *module = &config->modules.module[i];

        status = find_file(module->path.text, module->arguments, &modules[i]);
    }
    return status;
}
