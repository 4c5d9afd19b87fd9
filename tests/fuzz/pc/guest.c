/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/pc/guest.h"

#include "tests/unit/pc/fake_edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define take          guest_take
#define require(what) guest_require(what, __LINE__)

void guest_require(bool holds, int line)
{
    if (!holds) {
        fprintf(stderr, "line %d: does not hold\n", line);
        abort();
    }
}

static unsigned long operations;

static void say_operations(void)
{
    fprintf(stderr, "stat::operations: %lu\n", operations);
}

void guest_count(void)
{
    if (operations++ == 0) {
        guest_require(atexit(say_operations) == 0, __LINE__);
    }
}

uint64_t guest_take(struct guest *g, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size && g->left != 0; i++) {
        value |= (uint64_t)*g->data++ << 8 * i;
        g->left--;
    }
    return value;
}

/* Pages that were not touched cost nothing. */
void *guest_screen(unsigned n)
{
    static void *screens[2];

    if (screens[n] == NULL) {
        screens[n] =
            mmap(NULL, VGA_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        guest_require(screens[n] != MAP_FAILED, __LINE__);
    }
    guest_require(madvise(screens[n], VGA_MEMORY_SIZE, MADV_DONTNEED) == 0, __LINE__);
    return screens[n];
}

/* FNV-1a, a word at a time. */
static void see(struct guest *g, uint64_t value)
{
    g->seen = (g->seen ^ value) * 0x100000001b3ULL;
    g->seen ^= g->seen >> 29;
}

static const uint16_t ports[] = {
    0x20,  0x21,  0x40,  0x41,  0x42,  0x43,  0x60,  0x61,  0x64,  0x70,  0x71,  0x72,  0x73,
    0x80,  0x92,  0xa0,  0xa1,  0xb2,  0xf4,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe,
    0x4d0, 0x4d1, 0x510, 0x511, 0x600, 0x604, 0x608, 0x700, 0x402, 0x514, 0x518, 0xcf8, 0xcf9,
    0xcfc, 0xcfd, 0xcfe, 0xcff, 0xed,  0x602, 0x628, 0x702, 0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3c7,
    0x3c8, 0x3c9, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x1ce, 0x1cf,
};

static uint16_t pick_port(struct guest *g)
{
    uint8_t choice = (uint8_t)take(g, 1);

    return choice < 2 * sizeof(ports) / sizeof(ports[0]) ? ports[choice / 2] : (uint16_t)take(g, 2);
}

#define PORTAL_BASE 0xfebee000U /* after a reset */

static gpa_t pick_address(struct guest *g)
{
    uint16_t choice = (uint16_t)take(g, 2);
    if ((choice & 0x4000U) != 0) {
        return gpa(PORTAL_BASE + (choice & 0x3fU));
    }
    if ((choice & 0x2000U) != 0) {
        return gpa(VGA_WINDOW + ((choice & 0x1000U) != 0 ? 0x18000 : 0) + (choice & 0xfffU));
    }
    uint32_t offset = (choice & 0x8000U) != 0 ? choice & 0xfffU : choice & 0xff0U;

    return gpa(((choice & 0x1000U) != 0 ? IOAPIC_BASE : LAPIC_BASE) + offset);
}

/* Whom an interrupt goes to is drawn from the same vectors and CPUs all the time: they meet. */
static void route_pin(struct guest *g)
{
    unsigned pin = (unsigned)take(g, 1) % IOAPIC_PINS;
    uint32_t low = (uint32_t)take(g, 3);
    uint32_t high = (uint32_t)(take(g, 1) % (GUEST_VCPUS + 1)) << 24;
    const uint32_t writes[4][2] = {
        {0,    0x11 + 2 * pin},
        {0x10, high          },
        {0,    0x10 + 2 * pin},
        {0x10, low           }
    };

    for (unsigned i = 0; i < 4; i++) {
        see(g, pc_mmio_write(g->pc, 0, gpa(IOAPIC_BASE + writes[i][0]), 4, writes[i][1], g->now));
    }
}

static void write_msr(struct guest *g, unsigned vcpu)
{
    static const uint32_t msrs[] = {LAPIC_MSR_BASE, LAPIC_MSR_TSC_DEADLINE};
    uint8_t choice = (uint8_t)take(g, 1);
    uint32_t msr = choice < 0xc0 ? LAPIC_MSR_X2APIC + (choice & 0x3fU) : msrs[choice & 1U];
    uint64_t value = take(g, 1 + choice % 8);

    if (msr == LAPIC_MSR_BASE) {
        value = LAPIC_BASE | (value & 0xd00U);
    }
    see(g, pc_msr_write(g->pc, vcpu, msr, value, g->now));
    see(g, pc_msr_read(g->pc, vcpu, msr, g->now, &value));
    see(g, value);
}

/* A register of the local APIC that exists, in either mode; then all of them are read. */
static void touch_lapic(struct guest *g, unsigned vcpu)
{
    static const uint16_t offsets[] = {
        LAPIC_TPR,         LAPIC_LDR,         LAPIC_DFR,        LAPIC_ESR,    LAPIC_ICR,
        LAPIC_ICR_HIGH,    LAPIC_LVT,         LAPIC_INITIAL,    LAPIC_DIVIDE, LAPIC_LVT + 0x30U,
        LAPIC_LVT + 0x40U, LAPIC_LVT + 0x50U, LAPIC_LVT + 0x10U};
    uint8_t choice = (uint8_t)take(g, 1);
    uint32_t offset = offsets[choice % (sizeof(offsets) / sizeof(offsets[0]))];
    uint32_t value = (uint32_t)take(g, 1 + choice % 4);
    uint64_t read = 0;

    (void)pc_mmio_write(g->pc, vcpu, gpa(LAPIC_BASE + offset), 4, value, g->now);
    see(g, pc_msr_write(g->pc, vcpu, LAPIC_MSR_X2APIC + (offset >> 4), value, g->now));
    if (choice >= 0x80) { /* counts only if the timer is in that mode */
        see(g, pc_msr_write(g->pc, vcpu, LAPIC_MSR_TSC_DEADLINE, (uint64_t)value << 8, g->now));
    }
    see(g, pc_msr_read(g->pc, vcpu, LAPIC_MSR_TSC_DEADLINE, g->now, &read));
    see(g, read);
    for (offset = 0; offset < 0x400; offset += 16) {
        (void)pc_mmio_read(g->pc, vcpu, gpa(LAPIC_BASE + offset), 4, g->now, &read);
        see(g, read);
        (void)pc_msr_read(g->pc, vcpu, LAPIC_MSR_X2APIC + (offset >> 4), g->now, &read);
        see(g, read);
    }
}

static void serve(struct guest *g, unsigned vcpu)
{
    bool pending = pc_interrupt_pending(g->pc, vcpu);
    int vector = pc_interrupt_take(g->pc, vcpu);

    require(pending == (vector >= 0));
    require(vector < 256);
    see(g, (uint64_t)vector);
}

#define FILE_SIZE 9000U

static void put_big(uint32_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        fake_edge.ram[at + i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
}

/* A transfer with a descriptor that may be anything, some pieces of it, and others in its midst. */
static void use_dma(struct guest *g, uint8_t op)
{
    uint32_t at = (uint32_t)take(g, 2) % (FAKE_RAM_SIZE - 16);
    uint32_t control = (uint32_t)(take(g, 1) | take(g, 1) << 16);
    uint64_t address = take(g, (op & 0x10U) != 0 ? 8 : 2);
    unsigned pieces = (unsigned)take(g, 1) % 8;

    put_big(at, 4, (op & 0x40U) != 0 ? control | 0x200000U : control);
    put_big(at + 4, 4, take(g, (op & 0x20U) != 0 ? 4 : 2));
    put_big(at + 8, 8, address);
    pc_port_write(g->pc, 0x518, 4, __builtin_bswap32(at), g->now);
    while (pieces-- > 0) {
        unsigned before = fake_edge.ram_accesses;

        see(g, pc_dma_run(g->pc));
        require(fake_edge.ram_accesses - before <= 3); /* descriptor, piece, result */
    }
}

static void access(struct guest *g, uint8_t op)
{
    unsigned vcpu = op % GUEST_VCPUS;
    unsigned width = 1U << (op >> 4 & 3U);
    uint64_t value;
    gpa_t address;
    uint16_t port;

    switch (op & 15U) {
    case 0:
    case 1:
        port = pick_port(g);
        pc_port_write(g->pc, port, width > 4 ? 4 : width, (uint32_t)take(g, 4), g->now);
        break;
    case 2:
        see(g, pc_port_read(g->pc, pick_port(g), width > 4 ? 4 : width, g->now));
        break;
    case 3:
        port = pick_port(g);
        pc_port_write(g->pc, port, 1, (uint32_t)take(g, 1), g->now);
        break;
    case 4:
        address = pick_address(g);
        see(g, pc_mmio_write(g->pc, vcpu, address, width, take(g, 4), g->now));
        break;
    case 5:
        see(g, pc_mmio_read(g->pc, vcpu, pick_address(g), width, g->now, &value));
        see(g, value);
        break;
    case 6:
        (void)pc_mmio_write(g->pc, vcpu, gpa(LAPIC_BASE + 0xf0), 4, 0x1ff, g->now);
        break;
    case 7:
        route_pin(g);
        break;
    case 8:
        write_msr(g, vcpu);
        break;
    case 9:
        g->now += take(g, 1 + op % 5);
        break;
    case 10:
        touch_lapic(g, vcpu);
        break;
    case 11:
        use_dma(g, op);
        break;
    default:
        serve(g, vcpu);
        break;
    }
}

/* A key, or the mouse; then the guest takes some of what comes. */
static void input(struct guest *g, uint8_t value)
{
    const int16_t delta[3] = {(int16_t)take(g, 2), (int16_t)take(g, 2), (int8_t)value};

    if ((value & 1U) != 0) {
        see(g, pc_key(g->pc, (uint16_t)(delta[0] & 0x7ff), g->now));
    } else {
        pc_mouse(g->pc, delta, value >> 1, g->now);
    }
    for (unsigned i = 0; i < value >> 5; i++) {
        see(g, pc_port_read(g->pc, 0x64, 1, g->now));
        see(g, pc_port_read(g->pc, 0x60, 1, g->now));
    }
}

static void serve_portal(struct guest *g, uint8_t value)
{
    struct portal_look look;

    pc_portal_look(g->pc, &look);
    see(g, look.sent);
    see(g, look.read);
    pc_portal_tell(g->pc, look.session, look.sent, (uint32_t)take(g, 2), (value & 7U) == 0);
}

static void event(struct guest *g, uint8_t op)
{
    unsigned vcpu = op % GUEST_VCPUS;
    uint8_t value = (uint8_t)take(g, 1);
    uint32_t low;

    switch (op & 7U) {
    case 0:
        if (value >> 3 != 0 && value >> 3 != 2 && value >> 3 < IOAPIC_PINS) {
            fake_edge_set_irq(g->pc, FAKE_SOURCE + (value & 7U), value >> 3, (op & 0x40U) != 0);
        }
        break;
    case 1:
        pc_set_intx(g->pc, value, op >> 3 & 7U, (op & 0x40U) != 0);
        break;
    case 2:
        low = (uint32_t)take(g, 2);
        see(g, pc_msi(g->pc, 0xfee00000U | low << 2, (uint32_t)take(g, 2)));
        break;
    case 3:
        see(g, pc_console_read(g->pc, value, g->now));
        break;
    case 4:
        if ((op & 0x40U) != 0) {
            input(g, value);
            break;
        }
        pc_power_button(g->pc, g->now);
        pc_nmi(g->pc);
        break;
    case 5:
        pc_cr8_write(g->pc, vcpu, value);
        require(pc_cr8_read(g->pc, vcpu) == (value & 15U));
        break;
    case 6:
        (void)pc_mmio_write(g->pc, vcpu, gpa(LAPIC_BASE + LAPIC_EOI), 4, 0, g->now);
        break;
    default:
        if (value < 4) {
            pc_reset(g->pc, g->now);
        } else if (value < 16) {
            pc_vcpu_init(g->pc, vcpu);
        } else if (value < 48) {
            serve_portal(g, value);
        } else {
            pc_vcpu_set_tsc_offset(g->pc, vcpu, take(g, 8), g->now);
        }
        break;
    }
}

void guest_begin(struct guest *g, struct pc *pc, const uint8_t *data, size_t size)
{
    static uint8_t file[FILE_SIZE];
    struct pc_config config = fake_edge_config(GUEST_VCPUS);

    for (unsigned i = 0; i < FILE_SIZE; i++) {
        file[i] = (uint8_t)(i * 7);
    }
    config.debug_exit = 0xf4;
    config.firmware = (size & 4U) != 0;
    config.debug_output = (size & 8U) != 0;
    config.keyboard = (size & 2U) != 0;
    config.mouse = (size & 16U) != 0;
    config.portal = (size & 64U) != 0;
    if ((size & 32U) != 0) {
        static const struct pc *first;

        first = first != NULL ? first : pc;
        config.screen = guest_screen(pc != first);
    }
    *g = (struct guest){.pc = pc, .data = data, .left = size};
    fake_edge_clear();
    require(pc_init(pc, &config) == STATUS_OK);
    fw_cfg_add_file(&pc->fw_cfg, "etc/file", file, FILE_SIZE);
}

void guest_step(struct guest *g, uint8_t op)
{
    if ((op & 0x80U) != 0) {
        event(g, op);
    } else {
        access(g, op);
    }
    pc_run(g->pc, g->now);
}
