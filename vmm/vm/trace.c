/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/trace.h"

#include "vmm/vm/vm.h"

#define PCI_DATA      0xcfcU
#define PCI_DATA_LAST 0xcffU
#define PCI_PLACE     0xfffffcU /* in the address register: bus, function, register */

void trace_set(struct vm *vm, uint32_t kinds)
{
    struct trace *trace = &vm->trace;

    spinlock_acquire(&trace->lock);
    if (kinds != 0) {
        trace->count = 0;
    }
    __atomic_store_n(&trace->kinds, kinds, __ATOMIC_RELAXED);
    spinlock_release(&trace->lock);
}

bool trace_get(struct vm *vm, uint64_t back, struct trace_entry *entry)
{
    struct trace *trace = &vm->trace;

    spinlock_acquire(&trace->lock);
    bool found = back < trace->count && back < TRACE_ENTRIES;

    if (found) {
        *entry = trace->entry[(trace->count - 1 - back) % TRACE_ENTRIES];
    }
    spinlock_release(&trace->lock);
    return found;
}

static bool is_same(const struct trace_entry *a, const struct trace_entry *b)
{
    return a->rip == b->rip && a->at == b->at && a->value == b->value && a->kind == b->kind &&
           a->size == b->size && a->vcpu == b->vcpu && a->write == b->write;
}

void trace_add(struct vcpu *vcpu, uint32_t kind, const struct trace_entry *what)
{
    struct trace *trace = &vcpu->vm->trace;
    struct trace_entry entry = *what;

    if (!trace_is_on(trace, kind)) {
        return;
    }
    entry.ns = vm_now(vcpu->vm);
    entry.rip = vcpu->rip;
    entry.kind = (uint8_t)kind;
    entry.vcpu = (uint8_t)vcpu->index;
    spinlock_acquire(&trace->lock);
    struct trace_entry *last = &trace->entry[(trace->count - 1) % TRACE_ENTRIES];

    if (trace->count != 0 && is_same(last, &entry)) {
        last->repeats += last->repeats != UINT32_MAX;
    } else {
        trace->entry[trace->count++ % TRACE_ENTRIES] = entry;
    }
    spinlock_release(&trace->lock);
}

void trace_port(struct vcpu *vcpu, uint16_t port, unsigned size, bool write, uint32_t value)
{
    struct trace_entry entry = {.at = port, .size = (uint8_t)size, .write = write, .value = value};

    trace_add(vcpu, TRACE_PORTS, &entry);
    if (port >= PCI_DATA && port <= PCI_DATA_LAST) {
        entry.at = (vcpu->vm->pc.pci.address & PCI_PLACE) + (port - PCI_DATA);
        trace_add(vcpu, TRACE_PCI, &entry);
    }
}
