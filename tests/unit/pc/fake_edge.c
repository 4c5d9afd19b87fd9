/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/fake_edge.h"

#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc_edge.h"

#include <string.h>

struct fake_edge fake_edge;

void fake_edge_clear(void)
{
    static uint8_t ram[FAKE_RAM_SIZE];

    memset(ram, 0, sizeof(ram));
    fake_edge = (struct fake_edge){.pci_value = 0xffffffff, .ram = ram};
}

struct pc_config fake_edge_config(unsigned vcpus)
{
    return (struct pc_config){
        .vcpu_count = vcpus,
        .memory_below_4g = 512ULL << 20,
        .tsc_hz = 2500000000,
        .rtc_seconds = 1700000000,
        .keyboard = true,
    };
}

void fake_edge_set_irq(struct pc *pc, unsigned source, unsigned gsi, bool level)
{
    pc_edge_lock(pc);
    irq_set(pc, source, gsi, level);
    pc_edge_unlock(pc);
}

void pc_edge_lock(struct pc *pc)
{
    fake_edge.bad_locking += fake_edge.locked != 0;
    fake_edge.locked++;
}

void pc_edge_unlock(struct pc *pc)
{
    fake_edge.locked--;
    fake_edge.bad_locking += fake_edge.locked != 0;
    void (*other)(void) = fake_edge.unlocked;

    fake_edge.unlocked = NULL;
    if (other) {
        other();
    }
}

void pc_edge_vcpu_kick(struct pc *pc, unsigned vcpu)
{
    fake_edge.kicks[vcpu]++;
}

void pc_edge_vcpu_signal(struct pc *pc, unsigned vcpu, enum apic_delivery signal, uint8_t vector)
{
    if (signal == APIC_DELIVERY_STARTUP) {
        fake_edge.sipis[vcpu]++;
        fake_edge.sipi_vector = vector;
    } else {
        (signal == APIC_DELIVERY_INIT ? fake_edge.inits : fake_edge.nmis)[vcpu]++;
    }
}

void pc_edge_reset(struct pc *pc)
{
    fake_edge.resets++;
}

/* It takes what it needs of the VM's: no lock is held. */
void pc_edge_flash_changed(struct pc *pc)
{
    fake_edge.bad_locking += fake_edge.locked != 0;
    fake_edge.flash_changes++;
}

void pc_edge_portal_rang(struct pc *pc)
{
    fake_edge.rings++;
}

bool pc_edge_is_stopping(struct pc *pc)
{
    return false;
}

void pc_edge_power_off(struct pc *pc)
{
    fake_edge.power_offs++;
}

void pc_edge_debug_exit(struct pc *pc, uint32_t value)
{
    fake_edge.debug_exits++;
    fake_edge.debug_exit_value = value;
}

bool pc_edge_console_write(struct pc *pc, uint8_t byte)
{
    if (fake_edge.console_length < sizeof(fake_edge.console) - 1) {
        fake_edge.console[fake_edge.console_length++] = (char)byte;
        fake_edge.console[fake_edge.console_length] = '\0';
    }
    return !fake_edge.console_full;
}

void pc_edge_deadline_changed(struct pc *pc, uint64_t deadline_ns)
{
    fake_edge.deadline_changes++;
}

uint32_t pc_edge_pci_read(struct pc *pc, uint8_t devfn, uint8_t offset, unsigned width)
{
    fake_edge.pci_devfn = devfn;
    fake_edge.pci_offset = offset;
    return width == 4 ? fake_edge.pci_value : fake_edge.pci_value & ((1U << 8 * width) - 1);
}

void pc_edge_pci_write(struct pc *pc, uint8_t devfn, uint8_t offset, unsigned width, uint32_t value)
{
    fake_edge.pci_devfn = devfn;
    fake_edge.pci_offset = offset;
    fake_edge.pci_written = value;
}

/* NULL: not all of it is RAM. */
static uint8_t *ram_at(gpa_t at, uint32_t size)
{
    fake_edge.ram_accesses++;
    return range_fits(at.raw, size, FAKE_RAM_SIZE) ? fake_edge.ram + at.raw : NULL;
}

bool pc_edge_ram_read(struct pc *pc, gpa_t from, void *to, uint32_t size)
{
    const uint8_t *ram = ram_at(from, size);

    if (ram) {
        memcpy(to, ram, size);
    }
    return ram;
}

bool pc_edge_ram_write(struct pc *pc, gpa_t to, const void *from, uint32_t size)
{
    uint8_t *ram = ram_at(to, size);

    if (ram) {
        memcpy(ram, from, size);
    }
    return ram;
}
