/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest did last, for an operator who wonders why it does not boot: accesses to ports, to
 * device memory and to PCI configuration space, and interrupts. Off until it is asked for; then who
 * carries these out looks at one word of the VM. Notifications of queues and what the CPU does by
 * itself are never seen here.
 */
#ifndef PORTOLAN_VMM_VM_TRACE_H
#define PORTOLAN_VMM_VM_TRACE_H

#include "vmm/base/types.h"
#include "vmm/host/spinlock.h"

#define TRACE_PORTS (1U << 0)
#define TRACE_MMIO  (1U << 1)
#define TRACE_PCI   (1U << 2)
#define TRACE_INT   (1U << 3)
#define TRACE_ALL   0xfU

#define TRACE_ENTRIES 256U

struct trace_entry {
    uint64_t ns; /* of its VM's time */
    uint64_t rip;
    uint64_t at; /* port, address, bus, function and register, or the interrupt's vector */
    uint64_t value;
    uint32_t repeats; /* the same came so often more, one after the other */
    uint8_t kind;     /* TRACE_... */
    uint8_t size;     /* bytes */
    uint8_t vcpu;
    bool write;
};

/* A VM's; but for the lock all zero: off. */
struct trace {
    uint32_t kinds; /* what is kept; atomic */
    struct spinlock lock;
    uint64_t count; /* of entries since it was set */
    struct trace_entry entry[TRACE_ENTRIES];
};

struct vm;
struct vcpu;

/* From now on keep KINDS, nothing: none more. What was kept is forgotten, but by 0. CPU 0. */
void trace_set(struct vm *vm, uint32_t kinds);

/*
 * Copy the entry that is BACK (0: the last) before the last. False: there is none, or no more. CPU
 * 0.
 */
bool trace_get(struct vm *vm, uint64_t back, struct trace_entry *entry);

/* VCPU did that. For those who have looked at 'kinds'; VCPU's own CPU, no lock of these or later.
 */
void trace_port(struct vcpu *vcpu, uint16_t port, unsigned size, bool write, uint32_t value);
void trace_add(struct vcpu *vcpu, uint32_t kind, const struct trace_entry *what);

static inline bool trace_is_on(const struct trace *trace, uint32_t kinds)
{
    return __builtin_expect(__atomic_load_n(&trace->kinds, __ATOMIC_RELAXED) & kinds, 0);
}

#endif
