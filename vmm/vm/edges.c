/* SPDX-License-Identifier: BSD-2-Clause */
/* What the virtual PC asks of its VM: vmm/platform/vm_edge.h. */
#include "vmm/platform/vm_edge.h"

#include "vmm/console/console.h"
#include "vmm/console/log.h"
#include "vmm/cpu/irq.h"
#include "vmm/vm/vm.h"

#define DEBUG_EXIT_STATUS(value) ((value) << 1 | 1) /* as QEMU's isa-debug-exit gives it */

static struct vm *vm_of(struct platform *platform)
{
    return (struct vm *)((uintptr_t)platform - offsetof(struct vm, platform));
}

/* Interrupts stay off: a device's handler on this CPU may want the lock too. */
void vm_edge_lock(struct platform *platform)
{
    struct vm *vm = vm_of(platform);
    uint64_t flags = irq_save();

    spinlock_acquire(&vm->lock);
    vm->lock_flags = flags;
}

void vm_edge_unlock(struct platform *platform)
{
    struct vm *vm = vm_of(platform);
    uint64_t flags = vm->lock_flags;

    spinlock_release(&vm->lock);
    irq_restore(flags);
}

void vm_edge_vcpu_kick(struct platform *platform, unsigned vcpu)
{
    struct vm *vm = vm_of(platform);

    if (vcpu < vm->vcpu_count) {
        vcpu_kick(vm->vcpu[vcpu]);
    }
}

void vm_edge_vcpu_nmi(struct platform *platform, unsigned vcpu)
{
    vcpu_request(vm_of(platform)->vcpu[vcpu], VCPU_REQUEST_NMI);
}

void vm_edge_vcpu_init(struct platform *platform, unsigned vcpu)
{
    vcpu_request(vm_of(platform)->vcpu[vcpu], VCPU_REQUEST_INIT);
}

void vm_edge_vcpu_sipi(struct platform *platform, unsigned vcpu, uint8_t vector)
{
    struct vcpu *target = vm_of(platform)->vcpu[vcpu];

    __atomic_store_n(&target->startup_vector, vector, __ATOMIC_RELAXED);
    vcpu_request(target, VCPU_REQUEST_STARTUP);
}

void vm_edge_reset(struct platform *platform)
{
    (void)vm_reset(vm_of(platform), "its guest wants it");
}

void vm_edge_power_off(struct platform *platform)
{
    (void)vm_stop(vm_of(platform), "its guest has switched it off");
}

void vm_edge_debug_exit(struct platform *platform, uint32_t value)
{
    struct vm *vm = vm_of(platform);

    log_info("VM '%s': debug exit, status %u", vm->config->name, DEBUG_EXIT_STATUS(value));
    (void)vm_stop(vm, "it wrote to its debug exit port");
}

void vm_edge_console_write(struct platform *platform, uint8_t byte)
{
    console_vm_output(vm_of(platform)->index, byte);
}

/* vCPU 0's CPU looks at the deadline before each entry; elsewhere it must be told. */
void vm_edge_deadline_changed(struct platform *platform, uint64_t deadline_ns)
{
    vcpu_kick(vm_of(platform)->vcpu[0]);
}

uint32_t vm_edge_pci_read(struct platform *platform, uint8_t devfn, uint8_t offset, unsigned width)
{
    return legacy_config_read(&vm_of(platform)->legacy, devfn, offset, width);
}

/* What it asks for is done after the platform's lock is given back: emulate_port_write(). */
void vm_edge_pci_write(struct platform *platform, uint8_t devfn, uint8_t offset, unsigned width,
                       uint32_t value)
{
    legacy_config_write(&vm_of(platform)->legacy, devfn, offset, width, value);
}
