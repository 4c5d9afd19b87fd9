/* SPDX-License-Identifier: BSD-2-Clause */
/* What the console and VMs ask of each other: console_edge.h and vmm/vm/vm_edge.h. */
#include "vmm/console/console_edge.h"

#include "vmm/console/console.h"
#include "vmm/host/frame.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

unsigned console_edge_vm_count(void)
{
    return vm_count();
}

const char *console_edge_vm_name(unsigned vm)
{
    return vm_by_index(vm)->config->name;
}

bool console_edge_vm_runs(unsigned vm)
{
    return vm_state(vm_by_index(vm)) != VM_STOPPED;
}

const char *console_edge_vm_state(unsigned vm)
{
    static const char *const names[] = {
        [VM_STOPPED] = "off",   [VM_STARTING] = "starting", [VM_RUNNING] = "running",
        [VM_PAUSED] = "paused", [VM_ENDED] = "stopping",
    };

    return vm_is_stopping(vm_by_index(vm)) ? "stopping" : names[vm_state(vm_by_index(vm))];
}

/* What goes to the machine itself; while it is paused nothing of it may change. */
static enum status press(struct vm *vm, enum console_action action)
{
    if (!vm_touch(vm)) {
        return STATUS_STATE;
    }
    if (action == CONSOLE_NMI) {
        pc_nmi(&vm->pc);
    } else {
        pc_power_button(&vm->pc, vm_now(vm));
    }
    vm_touched(vm);
    return STATUS_OK;
}

enum status console_edge_vm_do(unsigned index, enum console_action action)
{
    struct vm *vm = vm_by_index(index);

    switch (action) {
    case CONSOLE_START:
        return vm_start(vm);
    case CONSOLE_STOP:
        return vm_stop(vm, "the operator wants it");
    case CONSOLE_RESET:
        return vm_reset(vm, "the operator wants it");
    case CONSOLE_PAUSE:
        return vm_pause(vm);
    case CONSOLE_RESUME:
        return vm_resume(vm);
    case CONSOLE_NMI:
    case CONSOLE_BUTTON:
        return press(vm, action);
    }
    return STATUS_INVALID;
}

bool vm_edge_output(unsigned vm, uint8_t byte)
{
    return console_vm_output(vm, byte);
}

bool vm_edge_has_room(unsigned vm)
{
    return console_vm_has_room(vm);
}

void vm_edge_bring(unsigned vm)
{
    console_vm_bring(vm);
}

void vm_edge_flush(unsigned vm)
{
    console_vm_flush(vm);
}

bool console_edge_vm_input(unsigned vm, uint8_t byte)
{
    struct vm *to = vm_by_index(vm);

    if (!vm_touch(to)) {
        return false;
    }
    bool taken = pc_console_read(&to->pc, byte, vm_now(to));

    vm_touched(to);
    return taken;
}

enum status console_edge_vm_checkpoint(unsigned vm, unsigned count)
{
    return checkpoint_request(vm_by_index(vm), count);
}

static void print_state_line(void *context, const char *line)
{
    console_print("  %s", line);
}

enum status console_edge_vm_print(unsigned vm, const char *section)
{
    return vm_print_state(vm_by_index(vm), section, print_state_line, NULL);
}

void console_edge_vm_ready(unsigned vm)
{
    pc_console_ready(&vm_by_index(vm)->pc, vm_now(vm_by_index(vm)));
}

static void print_vcpu(const struct vcpu *vcpu)
{
    uint64_t khz = time_facts()->tsc_khz;

    console_print("  vCPU %u on CPU %u: %lu ms in the guest, %lu interrupts", vcpu->index,
                  vcpu->cpu->index, vcpu->guest_cycles / khz, vcpu->interrupts);
    for (unsigned i = 0; i < EXIT_REASONS; i++) {
        const struct vcpu_counter *counter = &vcpu->counter[i];

        if (counter->exits > 0) {
            console_print("    %-14s %12lu exits %16lu cycles", exit_name((enum exit_reason)i),
                          counter->exits, counter->cycles);
        }
    }
}

void console_edge_vm_stats(unsigned index)
{
    const struct vm *vm = vm_by_index(index);
    const struct pc_counters *unclaimed = &vm->pc.unclaimed;

    console_print("%s: %s, %u resets, %lu lines of the log, %lu more left out", vm->config->name,
                  console_edge_vm_state(index), vm->resets, vm->log.lines - vm->log.left_out,
                  vm->log.left_out);
    console_print("  accesses to nothing: %lu port reads, %lu port writes, %lu memory, %lu model "
                  "registers",
                  unclaimed->port_reads, unclaimed->port_writes, unclaimed->mmio, unclaimed->msrs);
    vf_print(&vm->vfs, console_print);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        print_vcpu(vm->vcpu[i]);
    }
}

void console_edge_stats(void)
{
    struct frame_counters memory = frame_count();

    console_print("the VMM: %u of %u VMs run", vm_running(), vm_count());
    console_print("  memory: %lu KiB of RAM free, %lu KiB of the VMM's own in use",
                  memory.free >> 10, pool_used() >> 10);
    vf_print_all(console_print);
}
