/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What another host's VM must be like so that a guest can go on in it: the text of a VM.
 * vmm/migrate/compare.c has the keys' rules, docs/migration.md what they mean.
 */
#include "vmm/base/format.h"
#include "vmm/host/direct.h"
#include "vmm/host/time.h"
#include "vmm/state/state.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/model.h"
#include "vmm/vm/msr_table.h"
#include "vmm/vm/vm.h"

#include <string.h>

/* Grows with each change of the virtual PC that is not in its state. */
#define PC_VERSION 1U

#define EXTENDED   0x80000000U
#define TSC_HZ_ANY 1000000000U

struct text {
    char *at;
    size_t used;
};

#define put(text, ...)               \
    ((text)->used += (size_t)format( \
         (text)->at + (text)->used,  \
         (text)->used < VM_MOVE_TEXT_MAX ? VM_MOVE_TEXT_MAX - (text)->used : 0, __VA_ARGS__))

/* At any rate of the TSC: it is compared by itself. */
static struct cpuid ask(const struct vm *vm, uint32_t leaf, uint32_t subleaf)
{
    const struct model_view view = {
        .level = &vm->level, .vcpu_count = vm->vcpu_count, .apic = true, .tsc_hz = TSC_HZ_ANY};

    return model_cpuid(&view, leaf, subleaf);
}

/* Leaves of which it only matters whether they are the same. */
static uint32_t sum_leaves(const struct vm *vm, const uint32_t *leaf, unsigned count)
{
    struct cpuid out[8];

    for (unsigned i = 0; i < count; i++) {
        out[i] = ask(vm, leaf[i], 0);
    }
    return state_checksum((const uint8_t *)out, count * sizeof(*out));
}

/* The features word by word: so a refusal shows which bits it is about. */
static void put_features(struct text *text, const struct vm *vm)
{
    struct cpuid one = ask(vm, 1, 0), seven = ask(vm, 7, 0), size = ask(vm, EXTENDED + 8, 0);
    struct cpuid extended = ask(vm, EXTENDED + 1, 0), xsave = ask(vm, 0xd, 0);

    put(text, "c1c=%x;c1d=%x;c7b=%x;c7c=%x;c7d=%x;x1c=%x;x1d=%x;x7d=%x;x8a=%x;x8b=%x;", one.ecx,
        one.edx, seven.ebx, seven.ecx, seven.edx, extended.ecx, extended.edx,
        ask(vm, EXTENDED + 7, 0).edx, size.eax, size.ebx);
    put(text, "xcr0=%x;xsave=%x;", xsave.eax, xsave.ecx);
}

static void put_model(struct text *text, const struct vm *vm)
{
    static const uint32_t caches[] = {
        2, 4, 0x15, EXTENDED + 5, EXTENDED + 6, EXTENDED + 0x19, EXTENDED + 0x1a};
    static const uint32_t brand[] = {EXTENDED + 2, EXTENDED + 3, EXTENDED + 4};
    struct cpuid zero = ask(vm, 0, 0);
    char vendor[13] = "";

    memcpy(vendor, &zero.ebx, 4);
    memcpy(vendor + 4, &zero.edx, 4);
    memcpy(vendor + 8, &zero.ecx, 4);
    put(text, "vendor=%s;sig=%x;max=%x.%x;", vendor, ask(vm, 1, 0).eax, zero.eax,
        ask(vm, EXTENDED, 0).eax);
    put_features(text, vm);
    put(text, "cache=%x;brand=%x;", sum_leaves(vm, caches, ARRAY_SIZE(caches)),
        sum_leaves(vm, brand, ARRAY_SIZE(brand)));
}

/* What each model register is: the table is the VMM's. */
static uint32_t sum_registers(void)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < msr_row_count; i++) {
        const struct msr_row *row = &msr_rows[i];
        const uint64_t words[] = {sum, row->first, row->last, row->kind, row->kept, row->value};

        sum = state_checksum((const uint8_t *)words, sizeof(words));
    }
    return sum;
}

/* What the firmware is offered: names and sizes, not all of the bytes, which take their time. */
static uint32_t sum_offers(const struct fw_cfg *fw)
{
    uint32_t words[1 + FW_CFG_PARTS];

    words[0] = state_checksum(fw->directory, sizeof(fw->directory));
    for (unsigned i = 0; i < FW_CFG_PARTS; i++) {
        words[1 + i] = fw->part[i].size;
    }
    return state_checksum((const uint8_t *)words, sizeof(words));
}

/* A ROM is not RAM, and stays where and as it is: its sum takes milliseconds, once. */
static uint32_t sum_rom(struct vm *vm)
{
    if (vm->rom_size != 0 && vm->rom_sum == 0) {
        vm->rom_sum = state_checksum(direct_view(vm->rom), vm->rom_size);
    }
    return vm->rom_sum;
}

static void put_machine(struct text *text, struct vm *vm)
{
    const struct pc_config *pc = &vm->pc.config;

    put(text, "vm/1;pc=%u;cpus=%u;ram=%lx+%lx;slots=", PC_VERSION, vm->vcpu_count,
        pc->memory_below_4g, pc->memory_above_4g);
    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        const struct legacy_setup *setup = &vm->vfs.legacy.function[i]->setup;

        put(text, "%s%u:%u", i > 0 ? "," : "", setup->slot, setup->type);
    }
    put(text, ";vga=%u.%x;rom=%lx.%x", pc->screen ? 1U : 0U,
        pc->screen_rom ? state_checksum(pc->screen_rom, pc->screen_rom_size) : 0U, vm->rom_size,
        sum_rom(vm));
    if (vm->nvram_size != 0) { /* VMMs that know of none must not take it for a VM without */
        put(text, "+%x", vm->nvram_size);
    }
    put(text, ";fwcfg=%x;debug=%x.%u;", sum_offers(&vm->pc.fw_cfg), pc->debug_exit,
        pc->debug_output);
}

enum status vm_move_text(struct vm *vm, char *to)
{
    struct text text = {.at = to};

    if (!vm_is_up(vm)) {
        return STATUS_STATE;
    }
    put_machine(&text, vm);
    put_model(&text, vm);
    put(&text, "tsc=%lu;scale=%u;msr=%x", vm->pc.config.tsc_hz,
        backend_offers.tsc_ratio.fraction != 0 ? 1U : 0U, sum_registers());
    return text.used < VM_MOVE_TEXT_MAX ? STATUS_OK : STATUS_NOTE(STATUS_RANGE);
}
