/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/nvram.h"

#include "vmm/host/direct.h"
#include "vmm/load/load.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

_Static_assert(LOAD_NVRAM_BLOCK == FLASH_BLOCK && LOAD_FIRMWARE_MAX == FLASH_SIZE_MAX,
               "what was checked is what there is");
_Static_assert(ROM_END - LOAD_FIRMWARE_MAX >= LAPIC_BASE + LAPIC_SIZE && LAPIC_BASE >= PCI_HOLE_END,
               "firmware and flash lie above all other device memory");

static uint64_t base_of(const struct vm *vm)
{
    return ROM_END - vm->rom_size - vm->nvram_size;
}

enum status nvram_create(struct vm *vm)
{
    struct load_file file, firmware;

    if (!vm->config->nvram.text[0]) {
        return STATUS_OK;
    }
    enum status status = vm_edge_find_file(vm->config->nvram.text, &file);

    if (status == STATUS_OK) {
        status = vm_edge_find_file(vm->config->firmware.text, &firmware);
    }
    if (status == STATUS_OK) {
        status = load_nvram_check(&file, &firmware);
    }
    if (status == STATUS_OK) {
        status = direct_take(file.size, PAGE_SIZE, &vm->nvram);
    }
    if (status == STATUS_OK) {
        vm->nvram_size = (uint32_t)file.size;
        memcpy(direct_view(vm->nvram), file.data, file.size);
    }
    return status;
}

void nvram_destroy(struct vm *vm)
{
    if (vm->nvram_size != 0) {
        direct_give(vm->nvram, vm->nvram_size);
    }
}

enum status nvram_begin(struct vm *vm, struct pc_config *config)
{
    struct load_file file;

    if (vm->nvram_size == 0) {
        return STATUS_OK;
    }
    config->flash = direct_view(vm->nvram);
    config->flash_size = vm->nvram_size;
    config->flash_at = base_of(vm);
    if (!vm->awaits) {
        return STATUS_OK;
    }
    enum status status = vm_edge_find_file(vm->config->nvram.text, &file);

    if (status == STATUS_OK) {
        memcpy(direct_view(vm->nvram), file.data, vm->nvram_size);
    }
    return status;
}

/* What no memory is left to map stays trapped, and works, if slowly. */
void nvram_settle(struct vm *vm)
{
    if (vm->nvram_size == 0) {
        return;
    }
    spinlock_acquire(&vm->nested_lock);
    bool was = vm->nvram_mapped, wanted = flash_is_array(&vm->pc.flash);

    if (wanted && !was) {
        vm->nvram_mapped = radix_map(&vm->nested, base_of(vm), vm->nvram, vm->nvram_size,
                                     RADIX_READ | RADIX_EXECUTE, NULL) == STATUS_OK;
    } else if (!wanted && was) { /* whole pages: no table is needed */
        (void)radix_unmap(&vm->nested, base_of(vm), vm->nvram_size, NULL);
        vm->nvram_mapped = false;
    }
    spinlock_release(&vm->nested_lock);
    if (was && !wanted) { /* no CPU keeps in mind that nothing is mapped */
        vm_flush(vm);
    }
}
