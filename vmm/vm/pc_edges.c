/* SPDX-License-Identifier: BSD-2-Clause */
/* What the virtual PC asks of its VM: vmm/pc/pc_edge.h. */
#include "vmm/pc/pc_edge.h"

#include "vmm/base/log.h"
#include "vmm/host/irq.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

#define DEBUG_EXIT_STATUS(value) ((value) << 1 | 1) /* as QEMU's isa-debug-exit gives it */

static struct vm *vm_of(struct pc *pc)
{
    return (struct vm *)((uintptr_t)pc - offsetof(struct vm, pc));
}

/* Interrupts stay off: a device's handler on this CPU may want the lock too. */
void pc_edge_lock(struct pc *pc)
{
    struct vm *vm = vm_of(pc);
    uint64_t flags = irq_save();

    spinlock_acquire(&vm->lock);
    vm->lock_flags = flags;
}

void pc_edge_unlock(struct pc *pc)
{
    struct vm *vm = vm_of(pc);
    uint64_t flags = vm->lock_flags;

    spinlock_release(&vm->lock);
    irq_restore(flags);
}

void pc_edge_vcpu_kick(struct pc *pc, unsigned vcpu)
{
    struct vm *vm = vm_of(pc);

    if (vcpu < vm->vcpu_count) {
        vcpu_kick(vm->vcpu[vcpu]);
    }
}

void pc_edge_vcpu_signal(struct pc *pc, unsigned vcpu, enum apic_delivery signal, uint8_t vector)
{
    struct vcpu *target = vm_of(pc)->vcpu[vcpu];

    if (signal == APIC_DELIVERY_STARTUP) {
        __atomic_store_n(&target->startup_vector, vector, __ATOMIC_RELAXED);
    }
    vcpu_request(target, signal == APIC_DELIVERY_NMI    ? VCPU_REQUEST_NMI
                         : signal == APIC_DELIVERY_INIT ? VCPU_REQUEST_INIT
                                                        : VCPU_REQUEST_STARTUP);
}

void pc_edge_reset(struct pc *pc)
{
    (void)vm_reset(vm_of(pc), "its guest wants it");
}

void pc_edge_flash_changed(struct pc *pc)
{
    nvram_settle(vm_of(pc));
}

void pc_edge_portal_rang(struct pc *pc)
{
    vcpu_request(vm_of(pc)->vcpu[0], VCPU_REQUEST_PORTAL);
}

bool pc_edge_is_stopping(struct pc *pc)
{
    return vm_is_stopping(vm_of(pc));
}

void pc_edge_power_off(struct pc *pc)
{
    (void)vm_stop(vm_of(pc), "its guest has switched it off");
}

void pc_edge_debug_exit(struct pc *pc, uint32_t value)
{
    struct vm *vm = vm_of(pc);

    if (!vm_is_stopping(vm)) {
        vm_say(vm, "debug exit, status %u", DEBUG_EXIT_STATUS(value));
    }
    (void)vm_stop(vm, "it wrote to its debug exit port");
}

bool pc_edge_console_write(struct pc *pc, uint8_t byte)
{
    return vm_edge_output(vm_of(pc)->index, byte);
}

/* vCPU 0's CPU looks at the deadline before each entry; elsewhere it must be told. */
void pc_edge_deadline_changed(struct pc *pc, uint64_t deadline_ns)
{
    vcpu_kick(vm_of(pc)->vcpu[0]);
}

bool pc_edge_ram_read(struct pc *pc, gpa_t from, void *to, uint32_t size)
{
    const void *memory = ram_pointer(&vm_of(pc)->ram, from, size);

    if (memory) {
        memcpy(to, memory, size);
    }
    return memory;
}

bool pc_edge_ram_write(struct pc *pc, gpa_t to, const void *from, uint32_t size)
{
    return ram_holds(&vm_of(pc)->ram, to.raw, size) &&
           ram_write(&vm_of(pc)->ram, to, from, size) == STATUS_OK;
}

uint32_t pc_edge_pci_read(struct pc *pc, uint8_t devfn, uint8_t offset, unsigned width)
{
    return legacy_config_read(&vm_of(pc)->vfs.legacy, devfn, offset, width);
}

/* What it asks for is done after the pc lock is given back: emulate_port_write(). */
void pc_edge_pci_write(struct pc *pc, uint8_t devfn, uint8_t offset, unsigned width, uint32_t value)
{
    legacy_config_write(&vm_of(pc)->vfs.legacy, devfn, offset, width, value);
}
