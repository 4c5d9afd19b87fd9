/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/emulate/guest.h"

#include "vmm/emulate/emulate_edge.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_FLAGS 7U /* present, writable, user */

struct guest guest;

/* What the emulator promises of every access to memory. */
static void check_access(gpa_t at, unsigned size)
{
    guest.edge_calls++;
    if (size < 1 || size > 8 || at.raw % PAGE_SIZE + size > PAGE_SIZE) {
        abort();
    }
}

static void record(enum guest_access_kind kind, uint64_t address, unsigned size, uint64_t value)
{
    if (guest.access_count < GUEST_ACCESSES_MAX) {
        guest.access[guest.access_count++] = (struct guest_access){kind, address, size, value};
    }
}

bool emulate_ram_read(struct vcpu *vcpu, gpa_t from, void *to, unsigned size)
{
    check_access(from, size);
    if (from.raw >= GUEST_RAM_SIZE) {
        return false;
    }
    memcpy(to, guest.ram + from.raw, size);
    return true;
}

bool emulate_ram_write(struct vcpu *vcpu, gpa_t to, const void *from, unsigned size)
{
    check_access(to, size);
    if (to.raw >= GUEST_RAM_SIZE) {
        return false;
    }
    memcpy(guest.ram + to.raw, from, size);
    return true;
}

const void *emulate_ram_lasting(const struct vcpu *vcpu, gpa_t at, unsigned size)
{
    if (at.raw % PAGE_SIZE + size > PAGE_SIZE) {
        abort();
    }
    return at.raw < GUEST_RAM_SIZE && !guest.nothing_lasts ? guest.ram + at.raw : NULL;
}

enum emulate_swap emulate_ram_swap(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t expected,
                                   uint64_t wanted)
{
    check_access(at, size);
    if (at.raw >= GUEST_RAM_SIZE) {
        return EMULATE_SWAP_NOT_RAM;
    }
    if (guest.swaps_to_disturb > 0) {
        guest.swaps_to_disturb--;
        return EMULATE_SWAP_CHANGED;
    }
    if (memcmp(guest.ram + at.raw, &expected, size) != 0) {
        return EMULATE_SWAP_CHANGED;
    }
    record(GUEST_SWAP, at.raw, size, wanted);
    memcpy(guest.ram + at.raw, &wanted, size);
    return EMULATE_SWAPPED;
}

uint64_t emulate_device_read(struct vcpu *vcpu, gpa_t at, unsigned size)
{
    uint64_t value = ~0ULL;

    check_access(at, size);
    if ((size & (size - 1)) != 0) {
        abort();
    }
    if (at.raw - GUEST_DEVICE < GUEST_DEVICE_SIZE) {
        memcpy(&value, guest.device + (at.raw - GUEST_DEVICE), size);
    }
    record(GUEST_DEVICE_READ, at.raw, size, value);
    return value; /* the bytes above SIZE are set: they must not matter */
}

void emulate_device_write(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t value)
{
    check_access(at, size);
    if ((size & (size - 1)) != 0 || (size < 8 && value >> 8 * size != 0)) {
        abort();
    }
    if (at.raw - GUEST_DEVICE < GUEST_DEVICE_SIZE) {
        memcpy(guest.device + (at.raw - GUEST_DEVICE), &value, size);
    }
    record(GUEST_DEVICE_WRITE, at.raw, size, value);
}

uint32_t emulate_port_read(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    uint32_t value = 0x04030201U * (guest.access_count + 1);

    record(GUEST_PORT_READ, port, size, value);
    return value;
}

bool emulate_port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value)
{
    if (guest.port_full) {
        return false;
    }
    record(GUEST_PORT_WRITE, port, size, value);
    return true;
}

bool emulate_must_pause(const struct vcpu *vcpu)
{
    return guest.pause_after != 0 && guest.access_count >= guest.pause_after;
}

uint64_t guest_read(uint32_t address, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, guest.ram + address, size);
    return value;
}

void guest_write(uint32_t address, unsigned size, uint64_t value)
{
    memcpy(guest.ram + address, &value, size);
}

/* The last level's table is at GUEST_TABLES; the ones above it follow. */
static void build_tables(enum guest_paging paging)
{
    unsigned size = paging == GUEST_PAGED_32 ? 4 : 8;
    uint32_t table = GUEST_TABLES;

    for (uint32_t page = 0; page < PAGE_SIZE / size; page++) {
        uint64_t linear = (uint64_t)page * PAGE_SIZE;
        bool device = linear >= GUEST_WINDOW && linear < GUEST_WINDOW + GUEST_DEVICE_SIZE;
        uint64_t target = device ? GUEST_DEVICE + (linear - GUEST_WINDOW) : linear;

        if (linear < GUEST_RAM_SIZE || device) {
            guest_write(table + page * size, size, target | TABLE_FLAGS);
        }
    }
    unsigned above = paging == GUEST_PAGED_32 ? 1 : paging == GUEST_PAGED_PAE ? 2 : 3;
    for (unsigned i = 0; i < above; i++, table += PAGE_SIZE) {
        bool pdpt = paging == GUEST_PAGED_PAE && i == 1;
        guest_write(table + PAGE_SIZE, size, table | (pdpt ? 1 : TABLE_FLAGS));
    }
    guest.cpu.cr3 = table;
    guest.cpu.cr0 |= CR0_PG | CR0_WP;
    guest.cpu.cr4 |= paging == GUEST_PAGED_32 ? 0 : CR4_PAE;
    guest.cpu.efer |= paging == GUEST_PAGED_LONG ? EFER_LMA | EFER_NXE : 0;
}

static unsigned entry_size(void)
{
    return guest.cpu.cr4 & CR4_PAE ? 8 : 4;
}

uint64_t guest_entry(uint32_t linear)
{
    return guest_read(GUEST_TABLES + linear / 4096 * entry_size(), entry_size());
}

void guest_set_entry(uint32_t linear, uint64_t entry)
{
    guest_write(GUEST_TABLES + linear / 4096 * entry_size(), entry_size(), entry);
}

void guest_reset(enum insn_mode mode, enum guest_paging paging)
{
    memset(&guest, 0, offsetof(struct guest, access));
    bool real = mode == INSN_MODE_16 && paging == GUEST_FLAT;

    for (unsigned i = 0; i < INSN_SEGMENT_COUNT; i++) {
        guest.cpu.segment[i].limit = real ? 0xffff : 0xffffffff;
        guest.cpu.segment[i].attributes = 0x93 | (real ? 0 : SEGMENT_DEFAULT_BIG);
    }
    guest.cpu.segment[INSN_SEGMENT_CS].attributes =
        0x9b | (mode == INSN_MODE_64   ? SEGMENT_LONG
                : mode == INSN_MODE_32 ? SEGMENT_DEFAULT_BIG
                                       : 0);
    guest.cpu.cr0 = real ? 0 : CR0_PE;
    guest.cpu.efer = mode == INSN_MODE_64 ? EFER_LMA : 0;
    guest.cpu.physical_bits = 40;
    guest.cpu.rflags = 2;
    guest.cpu.rip = GUEST_CODE;
    guest.cpu.gpr = guest.gpr;
    guest.gpr[INSN_RSP] = GUEST_STACK;
    if (real) {
        guest.cpu.segment[INSN_SEGMENT_CS].base = GUEST_CODE;
        guest.cpu.rip = 0;
        guest.gpr[INSN_RSP] = 0x8000;
    }
    if (paging != GUEST_FLAT) {
        build_tables(paging);
    }
}

enum emulate_outcome guest_run(const uint8_t *code, unsigned size)
{
    memcpy(guest.ram + guest.cpu.segment[INSN_SEGMENT_CS].base + guest.cpu.rip, code, size);
    emulate_memory(&guest.cpu, &guest.result);
    return guest.result.outcome;
}
