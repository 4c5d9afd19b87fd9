/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/platform/fake_edge.h"

#include "vmm/platform/vm_edge.h"

struct fake_edge fake_edge;

void fake_edge_clear(void)
{
    fake_edge = (struct fake_edge){.pci_value = 0xffffffff};
}

struct platform_config fake_edge_config(unsigned vcpus)
{
    return (struct platform_config){
        .vcpu_count = vcpus,
        .memory_below_4g = 512ULL << 20,
        .tsc_hz = 2500000000,
        .rtc_seconds = 1700000000,
        .keyboard = true,
    };
}

void vm_edge_lock(struct platform *platform)
{
    fake_edge.bad_locking += fake_edge.locked != 0;
    fake_edge.locked++;
}

void vm_edge_unlock(struct platform *platform)
{
    fake_edge.locked--;
    fake_edge.bad_locking += fake_edge.locked != 0;
}

void vm_edge_vcpu_kick(struct platform *platform, unsigned vcpu)
{
    fake_edge.kicks[vcpu]++;
}

void vm_edge_vcpu_nmi(struct platform *platform, unsigned vcpu)
{
    fake_edge.nmis[vcpu]++;
}

void vm_edge_vcpu_init(struct platform *platform, unsigned vcpu)
{
    fake_edge.inits[vcpu]++;
}

void vm_edge_vcpu_sipi(struct platform *platform, unsigned vcpu, uint8_t vector)
{
    fake_edge.sipis[vcpu]++;
    fake_edge.sipi_vector = vector;
}

void vm_edge_reset(struct platform *platform)
{
    fake_edge.resets++;
}

void vm_edge_power_off(struct platform *platform)
{
    fake_edge.power_offs++;
}

void vm_edge_debug_exit(struct platform *platform, uint32_t value)
{
    fake_edge.debug_exits++;
    fake_edge.debug_exit_value = value;
}

void vm_edge_console_write(struct platform *platform, uint8_t byte)
{
    if (fake_edge.console_length < sizeof(fake_edge.console) - 1) {
        fake_edge.console[fake_edge.console_length++] = (char)byte;
        fake_edge.console[fake_edge.console_length] = '\0';
    }
}

void vm_edge_deadline_changed(struct platform *platform, uint64_t deadline_ns)
{
    fake_edge.deadline_changes++;
}

uint32_t vm_edge_pci_read(struct platform *platform, uint8_t devfn, uint8_t offset, unsigned width)
{
    fake_edge.pci_devfn = devfn;
    fake_edge.pci_offset = offset;
    return width == 4 ? fake_edge.pci_value : fake_edge.pci_value & ((1U << 8 * width) - 1);
}

void vm_edge_pci_write(struct platform *platform, uint8_t devfn, uint8_t offset, unsigned width,
                       uint32_t value)
{
    fake_edge.pci_devfn = devfn;
    fake_edge.pci_offset = offset;
    fake_edge.pci_written = value;
}
