/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's first program: from the boot's files into guest memory. */
#include "vmm/base/format.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/host/msr.h"
#include "vmm/load/load.h"
#include "vmm/pc/guest_tables.h"
#include "vmm/pc/rom.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/input.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/vm.h"

#include "drivers/virtio/device.h"

#define ATTRIBUTES_CODE32 0xc9bU
#define ATTRIBUTES_CODE64 0xa9bU
#define ATTRIBUTES_DATA   0xc93U

/* One plan for all VMs: it is big, and needed for a moment only. */
static struct load_plan plan;
static struct spinlock plan_lock = SPINLOCK(LOCK_PLAN);

static enum status carry_out(struct vm *vm)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < plan.piece_count && status == STATUS_OK; i++) {
        const struct load_piece *piece = &plan.piece[i];

        status = ram_write(&vm->ram, piece->to, piece->from, piece->size);
        if (status == STATUS_OK) {
            status = ram_zero(&vm->ram, gpa(piece->to.raw + piece->size), piece->zero);
        }
    }
    vm->entry = plan.entry;
    return status;
}

static enum status write_tables(struct vm *vm)
{
    uint8_t *image = ram_pointer(&vm->ram, gpa(TABLES_AREA_BASE), TABLES_SIZE_MAX);
    struct tables tables;

    if (!image) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    enum status status = tables_build(&vm->pc.config, image, TABLES_SIZE_MAX, &tables);

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ram_written(&vm->ram, gpa(TABLES_AREA_BASE), TABLES_SIZE_MAX);
    vm->rsdp = tables.rsdp;
    for (unsigned i = 0; i < ROM_PIECES && status == STATUS_OK; i++) {
        status = ram_write(&vm->ram, rom_pieces[i].at, rom_pieces[i].bytes, rom_pieces[i].size);
    }
    return status;
}

/* VFs of TYPE by paths of which SeaBIOS compares the slot and the TAIL. */
static void order_type(struct vm *vm, unsigned type, const char *tail)
{
    struct firmware_order *order = &vm->order;

    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        const struct legacy_setup *setup = &vm->vfs.legacy.function[i]->setup;
        size_t room = sizeof(order->text) - order->used;

        if (setup->type == type) {
            order->used += (uint32_t)format(order->text + order->used, room,
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
    struct firmware_order *order = &vm->order;
    bool net_first = vm->config->boot == CONFIG_BOOT_NET;

    *order = (struct firmware_order){0};
    if (!net_first) {
        order_disks(vm);
    }
    order_type(vm, VIRTIO_TYPE_NET, "");
    if (net_first) {
        order_disks(vm);
    }
    fw_cfg_add_file(&vm->pc.fw_cfg, "bootorder", order->text, order->used + 1);
    bytes_put(order->menu_ms, sizeof(order->menu_ms), vm->config->boot_menu * 1000ULL);
    fw_cfg_add_file(&vm->pc.fw_cfg, "etc/boot-menu-wait", order->menu_ms, sizeof(order->menu_ms));
    vm->pc.fw_cfg.boot_menu = vm->config->boot_menu != 0;
}

/* RAM stays as it is: firmware that finds it after a reset knows what is its own. */
static enum status load_firmware(struct vm *vm)
{
    low_memory_settle(vm, true);
    if (vm->pc.fw_cfg.file_count != 0) { /* it is reset only */
        return STATUS_OK;
    }
    add_boot_order(vm);
    return firmware_files_add(&vm->pc, &vm->files);
}

enum status program_load(struct vm *vm)
{
    struct load_file modules[CONFIG_MODULES_MAX];
    struct load_input input;

    if (vm->rom_size != 0) {
        return load_firmware(vm);
    }
    enum status status = write_tables(vm);

    if (status == STATUS_OK) {
        status = input_gather(vm->config, &input, modules);
    }
    if (status == STATUS_OK) {
        input.acpi_rsdp = vm->rsdp;
        spinlock_acquire(&plan_lock);
        status = load_plan_build(&input, &plan);
        if (status == STATUS_OK) {
            status = carry_out(vm);
        }
        spinlock_release(&plan_lock);
    }
    if (status != STATUS_OK) {
        log_warn("VM '%s' cannot be loaded: %s", vm->config->name, status_name(status));
    }
    return status;
}

static struct state_segment flat(uint16_t selector, uint16_t attributes)
{
    return (struct state_segment){
        .selector = selector, .attributes = attributes, .limit = UINT32_MAX};
}

void program_enter(const struct vm *vm, struct cpu_state *state)
{
    const struct load_entry *entry = &vm->entry;

    if (vm->rom_size != 0) {
        return; /* at the reset vector it is already */
    }
    bool long_mode = entry->mode == LOAD_ENTRY_LONG64;

    for (unsigned i = STATE_ES; i <= STATE_GS; i++) {
        state->segment[i] = flat(entry->ds, ATTRIBUTES_DATA);
    }
    state->segment[STATE_CS] = flat(entry->cs, long_mode ? ATTRIBUTES_CODE64 : ATTRIBUTES_CODE32);
    state->segment[STATE_GDTR] =
        (struct state_segment){.limit = entry->gdt_limit, .base = entry->gdt.raw};
    state->cr0 = CR0_PE | CR0_ET | CR0_NE | (long_mode ? CR0_PG : 0);
    state->cr4 = long_mode ? CR4_PAE : 0;
    state->efer = long_mode ? EFER_LME | EFER_LMA : 0;
    state->cr3 = long_mode ? entry->cr3.raw : 0;
    state->rip = entry->rip;
    state->gpr[INSN_RSP] = entry->rsp;
    state->gpr[INSN_RDX] = 0;
    state->gpr[INSN_RAX] = entry->rax;
    state->gpr[INSN_RBX] = entry->rbx;
    state->gpr[INSN_RSI] = entry->rsi;
}
