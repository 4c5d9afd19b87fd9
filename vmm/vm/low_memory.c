/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/low_memory.h"

#include "vmm/host/direct.h"
#include "vmm/load/load.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

/* Of a ROM's end, so much appears below 1 MiB. */
#define ROM_LOW_MAX 0x20000U

enum status rom_create(struct vm *vm)
{
    struct load_file file;

    if (!vm->config->firmware.text[0]) {
        return STATUS_OK;
    }
    enum status status = vm_edge_find_file(vm->config->firmware.text, &file);

    if (status == STATUS_OK) {
        status = load_firmware_check(&file);
    }
    if (status == STATUS_OK) {
        status = direct_take(file.size, PAGE_SIZE, &vm->rom);
    }
    if (status == STATUS_OK) {
        vm->rom_size = file.size;
        memcpy(direct_view(vm->rom), file.data, file.size);
        status = radix_map(&vm->nested, ROM_END - file.size, vm->rom, file.size,
                           RADIX_READ | RADIX_EXECUTE, NULL);
    }
    return status;
}

void rom_destroy(struct vm *vm)
{
    if (vm->rom_size != 0) {
        direct_give(vm->rom, vm->rom_size);
    }
}

/* Where in the ROM is what lies at AT, below 1 MiB or at its place? False: it is not of the ROM. */
static bool find_in_rom(const struct vm *vm, uint64_t at, uint64_t *offset)
{
    bool low = at < PC_LOW_HIGH;

    at += low ? ROM_END - PC_LOW_HIGH : 0;
    *offset = at - (ROM_END - vm->rom_size);
    return at < ROM_END && *offset < vm->rom_size && (!low || at >= ROM_END - ROM_LOW_MAX);
}

static enum status map_area(struct vm *vm, unsigned area, uint32_t kinds)
{
    uint64_t at = pc_low_start(area), size = pc_low_start(area + 1) - at, offset;
    hpa_t to = hpa(vm->ram.run[0].frames.raw + at);
    bool reads = PC_LOW_READS(kinds, area), alias = at == PC_LOW_HIGH && !reads;
    unsigned rights = RADIX_READ | RADIX_EXECUTE;

    if (alias) {
        to = hpa(to.raw - PC_LOW_HIGH);
    } else if (!reads) {
        if (!find_in_rom(vm, at, &offset)) {
            return radix_unmap(&vm->nested, at, size, NULL);
        }
        to = hpa(vm->rom.raw + offset);
    }
    if ((alias || (reads && PC_LOW_WRITES(kinds, area))) && !vm->ram.tracked) {
        rights |= RADIX_WRITE;
    }
    return radix_map(&vm->nested, at, to, size, rights, NULL);
}

void low_memory_settle(struct vm *vm, bool anew)
{
    enum status status = STATUS_OK;

    if (vm->rom_size == 0) {
        return;
    }
    spinlock_acquire(&vm->nested_lock);
    uint32_t kinds = pc_low_kinds(&vm->pc);
    bool changes = anew || kinds != vm->low_kinds;

    for (unsigned area = 0; area < PC_LOW_AREAS && changes && status == STATUS_OK; area++) {
        status = map_area(vm, area, kinds);
    }
    __atomic_store_n(&vm->low_kinds, kinds, __ATOMIC_RELEASE);
    spinlock_release(&vm->nested_lock);
    if (changes) {
        vm_flush(vm);
    }
    if (status != STATUS_OK) {
        (void)vm_stop(vm, "no memory is left to map its BIOS");
    }
}

gpa_t low_memory_alias(const struct vm *vm, gpa_t at)
{
    uint32_t kinds = __atomic_load_n(&vm->low_kinds, __ATOMIC_ACQUIRE);
    bool high = at.raw >= PC_LOW_HIGH && at.raw < PC_LOW_END;

    return high && !PC_LOW_READS(kinds, PC_LOW_AREAS - 1) ? gpa(at.raw - PC_LOW_HIGH) : at;
}

static bool is_low(const struct vm *vm, uint64_t at)
{
    return vm->rom_size != 0 && at >= PC_LOW_BASE && at < PC_LOW_END;
}

bool low_memory_is_lasting(const struct vm *vm, gpa_t at)
{
    return !is_low(vm, at.raw);
}

bool low_memory_may_write(const struct vm *vm, uint64_t at)
{
    unsigned area = is_low(vm, at) ? pc_low_area((uint32_t)at) : 0;

    return !is_low(vm, at) ||
           (PC_LOW_READS(vm->low_kinds, area) && PC_LOW_WRITES(vm->low_kinds, area));
}

/* RAM; or a flash that is read as memory, so that code there can be emulated. */
static void *find_outside(const struct vm *vm, gpa_t at, unsigned size, bool write)
{
    const struct flash *flash = &vm->pc.flash;
    void *memory = ram_pointer(&vm->ram, at, size);

    return !memory && !write && flash_claims(flash, at.raw) && flash_is_array(flash)
               ? flash->bytes + (at.raw - flash->base)
               : memory;
}

void *low_memory_pointer(const struct vm *vm, gpa_t at, unsigned size, bool write)
{
    uint32_t kinds = __atomic_load_n(&vm->low_kinds, __ATOMIC_ACQUIRE);
    uint64_t offset;

    if (is_low(vm, at.raw)) {
        unsigned area = pc_low_area((uint32_t)at.raw);

        if (write ? PC_LOW_WRITES(kinds, area) : PC_LOW_READS(kinds, area)) {
            return ram_pointer(&vm->ram, at, size);
        }
    } else if (at.raw < ROM_END - vm->rom_size || at.raw >= ROM_END) {
        return find_outside(vm, at, size, write);
    }
    return !write && find_in_rom(vm, at.raw, &offset) ? direct_view(vm->rom) + offset : NULL;
}
