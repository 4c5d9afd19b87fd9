/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's first program: from the boot's files into guest memory. */
#include "vmm/base/log.h"
#include "vmm/base/x86.h"
#include "vmm/host/instructions.h"
#include "vmm/host/timer.h"
#include "vmm/load/load.h"
#include "vmm/pc/guest_tables.h"
#include "vmm/pc/rom.h"
#include "vmm/vm/guest_firmware.h"
#include "vmm/vm/input.h"
#include "vmm/vm/vm.h"

#define STEP (4ULL << 20) /* bytes between two looks at CPU 0's service */

/* One plan for all VMs: it is big, and needed for a moment only. Nothing in CPU 0's service loads a
 * program, so that may go on while the lock is held. */
static struct load_plan plan;
static struct spinlock plan_lock = SPINLOCK(LOCK_PLAN);

static enum status put(const struct ram *ram, const struct load_piece *piece)
{
    uint64_t end = piece->size + piece->zero, step;
    enum status status = STATUS_OK;

    for (uint64_t done = 0; done < end && status == STATUS_OK; done += step) {
        gpa_t to = gpa(piece->to.raw + done);
        bool copy = done < piece->size;
        uint64_t left = (copy ? piece->size : end) - done;

        step = left < STEP ? left : STEP;
        status = copy ? ram_write(ram, to, piece->from + done, step) : ram_zero(ram, to, step);
        timer_service();
    }
    return status;
}

static enum status carry_out(struct vm *vm)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < plan.piece_count && status == STATUS_OK; i++) {
        status = put(&vm->ram, &plan.piece[i]);
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

enum status program_load(struct vm *vm)
{
    struct load_file modules[CONFIG_MODULES_MAX];
    struct load_input input;

    if (vm->rom_size != 0) {
        return firmware_load(vm);
    }
    enum status status = write_tables(vm);

    if (status == STATUS_OK) {
        status = input_gather(vm->config, &input, modules);
    }
    if (status == STATUS_OK) {
        input.acpi_rsdp = vm->rsdp;
        while (!spinlock_try(&plan_lock)) { /* another VM's kernel and initrd may be large */
            timer_service();
            cpu_relax();
        }
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

static struct x86_segment flat(uint16_t selector, uint16_t attributes)
{
    return (struct x86_segment){
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
        state->segment[i] = flat(entry->ds, SEGMENT_DATA32);
    }
    state->segment[STATE_CS] = flat(entry->cs, long_mode ? SEGMENT_CODE64 : SEGMENT_CODE32);
    state->segment[STATE_GDTR] =
        (struct x86_segment){.limit = entry->gdt_limit, .base = entry->gdt.raw};
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
