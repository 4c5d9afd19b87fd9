/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/guest_firmware.h"

#include "vmm/base/format.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/vm/input.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/vm.h"

#include "drivers/virtio/device.h"

/* Names that SeaBIOS looks for: of a ROM without a device, and of one for each net VF. */
#define KERNEL_ROM "genroms/linuxboot_dma.bin"
#define NET_ROM    "pci1af4,1000.rom"

/* VFs of TYPE by paths of which SeaBIOS compares the slot and the TAIL. */
static void order_type(struct vm *vm, unsigned type, const char *tail)
{
    struct firmware *firmware = &vm->firmware;

    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        const struct legacy_setup *setup = &vm->vfs.legacy.function[i]->setup;
        size_t room = sizeof(firmware->order) - firmware->order_used;

        if (setup->type == type) {
            firmware->order_used += (uint32_t)format(firmware->order + firmware->order_used, room,
                                                     "/pci@i0cf8/virtio@%x%s\n", setup->slot, tail);
        }
    }
}

static void order_disks(struct vm *vm)
{
    order_type(vm, VIRTIO_TYPE_BLOCK, "");
    order_type(vm, VIRTIO_TYPE_SCSI, "/channel@0/disk@0,0");
}

static void add_boot_order(struct vm *vm)
{
    struct firmware *firmware = &vm->firmware;
    bool net_first = vm->config->boot == CONFIG_BOOT_NET;

    firmware->order_used =
        (uint32_t)format(firmware->order, sizeof(firmware->order), "%s",
                         vm->config->kernel.text[0] ? "/rom@" KERNEL_ROM "\n" : "");
    if (!net_first) {
        order_disks(vm);
    }
    order_type(vm, VIRTIO_TYPE_NET, "");
    if (net_first) {
        order_disks(vm);
    }
    fw_cfg_add_file(&vm->pc.fw_cfg, "bootorder", firmware->order, firmware->order_used + 1);
    bytes_put(firmware->menu_ms, sizeof(firmware->menu_ms), vm->config->boot_menu * 1000ULL);
    fw_cfg_add_file(&vm->pc.fw_cfg, "etc/boot-menu-wait", firmware->menu_ms,
                    sizeof(firmware->menu_ms));
    vm->pc.fw_cfg.boot_menu = vm->config->boot_menu != 0;
}

static enum status add_rom(struct vm *vm, enum config_vm_key key, const char *name)
{
    struct load_file rom;
    enum status status = input_rom(vm->config, key, &rom);

    if (status == STATUS_OK && rom.size != 0) {
        fw_cfg_add_file(&vm->pc.fw_cfg, name, rom.data, (uint32_t)rom.size);
    }
    return status;
}

static enum status add_kernel(struct vm *vm)
{
    static const unsigned parts[LOAD_PARTS] = {[LOAD_SETUP] = FW_CFG_SETUP,
                                               [LOAD_KERNEL] = FW_CFG_KERNEL,
                                               [LOAD_INITRD] = FW_CFG_INITRD,
                                               [LOAD_CMDLINE] = FW_CFG_CMDLINE};
    struct load_file modules[CONFIG_MODULES_MAX];
    struct load_piece piece[LOAD_PARTS];
    struct load_input input;

    if (!vm->config->kernel.text[0]) {
        return STATUS_OK;
    }
    enum status status = input_gather(vm->config, &input, modules);

    if (status == STATUS_OK) {
        status = load_real_mode(&input, vm->firmware.setup, piece);
    }
    for (unsigned i = 0; i < LOAD_PARTS && status == STATUS_OK; i++) {
        vm->pc.fw_cfg.part[parts[i]] =
            (struct fw_cfg_part){piece[i].from, (uint32_t)piece[i].size, (uint32_t)piece[i].to.raw};
    }
    return status == STATUS_OK ? add_rom(vm, VM_KERNEL_ROM, KERNEL_ROM) : status;
}

/* RAM stays as it is: firmware that finds it after a reset knows what is its own. */
enum status firmware_load(struct vm *vm)
{
    low_memory_settle(vm, true);
    if (vm->pc.fw_cfg.file_count != 0) { /* it is reset only */
        return STATUS_OK;
    }
    add_boot_order(vm);
    enum status status = add_rom(vm, VM_NET_ROM, NET_ROM);

    if (status == STATUS_OK) {
        status = add_kernel(vm);
    }
    return status == STATUS_OK ? firmware_files_add(&vm->pc, &vm->firmware.files) : status;
}
