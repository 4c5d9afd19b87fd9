/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/input.h"

#include "vmm/base/log.h"
#include "vmm/pc/vga.h"
#include "vmm/vm/vm_edge.h"

#define ROM_MAX  (128U << 10)
#define ROM_MARK 0xaa55U /* an option ROM begins with these two bytes */

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
    enum status status = vm_edge_find_file(linux_kernel               ? config->kernel.text
                                           : config->firmware.text[0] ? config->firmware.text
                                                                      : config->multiboot.text,
                                           &input->image);

    if (status == STATUS_OK && config->initrd.text[0]) {
        status = vm_edge_find_file(config->initrd.text, &input->initrd);
    }
    for (unsigned i = 0; i < config->modules.count && status == STATUS_OK; i++) {
        const struct config_module *module = &config->modules.module[i];

        status = vm_edge_find_file(module->path.text, &modules[i]);
        modules[i].arguments = module->arguments;
    }
    return status;
}

enum status input_rom(const struct config_vm *config, enum config_vm_key key, struct load_file *rom)
{
    const struct config_key *row = &config_sections[SECTION_VM].keys[key];
    uint64_t limit = key == VM_VGA_ROM ? VGA_ROM_MAX : ROM_MAX;
    const char *name = (const char *)config + row->offset;

    *rom = (struct load_file){.name = name};
    if (!name[0]) {
        return STATUS_OK;
    }
    enum status status = vm_edge_find_file(name, rom);

    if (status == STATUS_OK &&
        (rom->size < 2 || rom->size > limit || (rom->data[0] | rom->data[1] << 8) != ROM_MARK)) {
        log_warn("load: %s: '%s' wants an option ROM, at most %lu KiB that begin with 55h AAh",
                 name, row->name, limit >> 10);
        status = STATUS_NOTE(STATUS_INVALID);
    }
    return status;
}
