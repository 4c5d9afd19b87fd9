/* SPDX-License-Identifier: BSD-2-Clause */
/* What the console asks of the VMs. */
#include "vmm/console/console_edge.h"

#include "vmm/base/format.h"
#include "vmm/console/console.h"
#include "vmm/host/frame.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm.h"

#include <string.h>

#define DIRTY_RUNS_MAX 64U    /* printed */
#define TRACE_SHOWN    90U    /* entries, of the last */
#define DIRTY_PAGES    32768U /* looked at in one go */

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

/* The marks of one that is moved are not the operator's to take. */
static enum status track(struct vm *vm, bool on)
{
    enum status status = STATUS_STATE;

    if (!dirty_claim(vm)) {
        return STATUS_STATE;
    }
    if (!vm_move_is_under_way(vm)) {
        dirty_stop(vm);
        status = on ? dirty_start(vm) : STATUS_OK;
    }
    dirty_release(vm);
    return status;
}

enum status console_edge_vm_do(unsigned index, enum console_action action)
{
    struct vm *vm = vm_by_index(index);

    __atomic_store_n(&vm->by_service, false, __ATOMIC_RELAXED);
    switch (action) {
    case CONSOLE_START:
        return vm_start(vm);
    case CONSOLE_STOP:
        return vm_stop(vm, "the operator wants it");
    case CONSOLE_RESET:
        return vm_reset(vm, "the operator wants it");
    case CONSOLE_PAUSE:
        return vm_request(vm, VM_REQUEST_PAUSE);
    case CONSOLE_RESUME:
        return vm_request(vm, VM_REQUEST_RESUME);
    case CONSOLE_TRACK:
    case CONSOLE_UNTRACK:
        return track(vm, action == CONSOLE_TRACK);
    case CONSOLE_NMI:
        return vm_press(vm, VM_PRESS_NMI);
    case CONSOLE_BUTTON:
        return vm_press(vm, VM_PRESS_POWER);
    case CONSOLE_INCOMING:
        return vm_move_await(vm);
    case CONSOLE_VF_SHOW:
    case CONSOLE_VF_SET:
    case CONSOLE_VF_DIRTY:
    case CONSOLE_VF_SAVE:
    case CONSOLE_VF_MOVE:
        break;
    }
    return STATUS_INVALID;
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

bool console_edge_vm_has_screen(unsigned vm)
{
    return vm_by_index(vm)->config->vga != 0;
}

const uint32_t *console_edge_vm_screen(unsigned index, struct vga_state *state, uint64_t *now)
{
    struct vm *vm = vm_by_index(index);

    *now = vm_now(vm);
    return vm_state(vm) != VM_STARTING && pc_screen(&vm->pc, state) ? vm->pc.vga.memory : NULL;
}

bool console_edge_vm_key(unsigned vm, uint16_t stroke)
{
    struct vm *to = vm_by_index(vm);

    if (!vm_touch(to)) {
        return false;
    }
    bool taken = pc_key(&to->pc, stroke, vm_now(to));

    vm_touched(to);
    return taken;
}

enum status console_edge_vm_mouse(unsigned vm, const int16_t delta[3], uint8_t buttons)
{
    struct vm *to = vm_by_index(vm);

    if (!to->pc.config.mouse) {
        return STATUS_NOT_FOUND;
    }
    if (!vm_touch(to)) {
        return STATUS_STATE;
    }
    pc_mouse(&to->pc, delta, buttons, vm_now(to));
    vm_touched(to);
    return STATUS_OK;
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

static const struct {
    const char *name;
    uint32_t kinds;
} trace_kinds[] = {
    {"off",   0          },
    {"ports", TRACE_PORTS},
    {"mmio",  TRACE_MMIO },
    {"pci",   TRACE_PCI  },
    {"int",   TRACE_INT  },
    {"all",   TRACE_ALL  },
};

static void print_trace_entry(const struct trace_entry *entry)
{
    char repeats[32] = "", what[48];
    const char *arrow = entry->write ? "<-" : "->";

    if (entry->kind == TRACE_INT) {
        (void)format(what, sizeof(what), "interrupt %lxh", entry->at);
    } else if (entry->kind == TRACE_PCI) {
        (void)format(what, sizeof(what), "pci %02lx:%02lx.%lx %02lxh", entry->at >> 16,
                     entry->at >> 11 & 31, entry->at >> 8 & 7, entry->at & 0xff);
    } else {
        (void)format(what, sizeof(what), "%s %lxh", entry->kind == TRACE_PORTS ? "port" : "mmio",
                     entry->at);
    }
    if (entry->repeats != 0) {
        (void)format(repeats, sizeof(repeats), ", and %u more", entry->repeats);
    }
    if (entry->kind != TRACE_INT) {
        console_print("  %lu us, vCPU %u at %lxh: %s %s %0*lxh%s", entry->ns / 1000, entry->vcpu,
                      entry->rip, what, arrow, 2 * entry->size, entry->value, repeats);
    } else {
        console_print("  %lu us, vCPU %u at %lxh: %s%s", entry->ns / 1000, entry->vcpu, entry->rip,
                      what, repeats);
    }
}

enum status console_edge_vm_trace(unsigned index, const char *kind)
{
    struct vm *vm = vm_by_index(index);
    struct trace_entry entry;

    if (kind[0] == '\0') {
        console_print("vm trace %s: %lu entries%s", vm->config->name, vm->trace.count,
                      vm->trace.kinds == 0 ? ", off" : "");
        for (unsigned back = TRACE_SHOWN; back-- > 0;) {
            if (trace_get(vm, back, &entry)) {
                print_trace_entry(&entry);
            }
        }
        return STATUS_OK;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(trace_kinds); i++) {
        if (strcmp(kind, trace_kinds[i].name) == 0) {
            trace_set(vm, trace_kinds[i].kinds);
            console_print("vm trace %s: %s", vm->config->name, kind);
            return STATUS_OK;
        }
    }
    return STATUS_INVALID;
}

/* One whose time stands still takes it for granted when it goes on: vmm/vm/rendezvous.c. */
void console_edge_vm_ready(unsigned vm)
{
    struct vm *to = vm_by_index(vm);

    if (vm_touch(to)) {
        pc_console_ready(&to->pc, vm_now(to));
        vm_touched(to);
    }
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
    uint64_t left_out = vm->log.left_out + vm->orders_log.left_out;

    console_print("%s: %s, %u resets, %lu lines of the log, %lu more left out", vm->config->name,
                  console_edge_vm_state(index), vm->resets,
                  vm->log.lines + vm->orders_log.lines - left_out, left_out);
    console_print("  accesses to nothing: %lu port reads, %lu port writes, %lu memory, %lu model "
                  "registers",
                  unclaimed->port_reads, unclaimed->port_writes, unclaimed->mmio, unclaimed->msrs);
    vf_print(&vm->vfs, console_print);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        print_vcpu(vm->vcpu[i]);
    }
}

/* What is printed about dirty pages: runs of them, some, and how many in all. */
struct dirty_print {
    uint64_t first, end, pages; /* the run so far, and all pages */
    unsigned runs;
};

static void print_run(struct dirty_print *print)
{
    if (print->first < print->end && print->runs++ < DIRTY_RUNS_MAX) {
        console_print("  %lx-%lx", print->first * PAGE_SIZE, print->end * PAGE_SIZE - 1);
    }
}

static void print_page(struct dirty_print *print, uint64_t page)
{
    if (page != print->end) {
        print_run(print);
        print->first = page;
    }
    print->end = page + 1;
    print->pages++;
}

/* SIZE bytes of RAM from AT on, a part at a time. */
static void print_dirty(struct vm *vm, uint64_t at, uint64_t size, struct dirty_print *print)
{
    static uint64_t bitmap[DIRTY_PAGES / RAM_MARKS_WORD]; /* only CPU 0 comes here */
    uint64_t end = (at + size) / PAGE_SIZE;

    for (uint64_t page = at / PAGE_SIZE, count; page < end; page += count) {
        count = end - page < DIRTY_PAGES ? end - page : DIRTY_PAGES;
        if (!dirty_collect(vm, page, count, bitmap)) {
            continue;
        }
        for (uint64_t i = 0; i < count; i++) {
            if (bitmap[i / RAM_MARKS_WORD] >> i % RAM_MARKS_WORD & 1) {
                print_page(print, page + i);
            }
        }
    }
}

void console_edge_vm_dirty(unsigned index)
{
    struct vm *vm = vm_by_index(index);
    struct dirty_print print = {0};

    if (!vm->ram.tracked || vm_move_is_under_way(vm)) {
        console_print("vm dirty %s: it is not tracked: 'vm track' comes first", vm->config->name);
        return;
    }
    for (unsigned i = 0; i < vm->ram.run_count; i++) {
        print_dirty(vm, vm->ram.run[i].at.raw, vm->ram.run[i].size, &print);
    }
    print_run(&print);
    console_print("vm dirty %s: %lu pages in %u runs%s", vm->config->name, print.pages, print.runs,
                  print.runs > DIRTY_RUNS_MAX ? "; more than are shown" : "");
}

void console_edge_stats(void)
{
    struct frame_counters memory = frame_count();

    console_print("the VMM: %u of %u VMs run", vm_running(), vm_count());
    console_print("  memory: %lu KiB of RAM free, %lu KiB of the VMM's own in use",
                  memory.free >> 10, pool_used() >> 10);
    vf_print_all(console_print);
}
