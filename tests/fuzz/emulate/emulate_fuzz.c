/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any code, any registers, any page tables: the emulator must not crash, must do a bounded amount
 * of work, and must reach outside only through its edges with accesses within a page (the fake
 * guest aborts otherwise).
 */
#include "tests/unit/emulate/guest.h"

#include <stdlib.h>
#include <string.h>

/* A REP of bytes with both operands across pages and no cached translation stays below this. */
#define EDGE_CALLS_MAX (EMULATE_REP_BYTES * 32UL)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t left;
};

/* Little-endian; 0 when the input is used up. */
static uint64_t take(struct input *input, unsigned size)
{
    uint64_t value = 0;

    if (input->left >= size) {
        memcpy(&value, input->data, size);
        input->data += size;
        input->left -= size;
    }
    return value;
}

/* A register that leads somewhere, half of the time. */
static uint64_t take_register(struct input *input)
{
    static const uint64_t places[] = {
        GUEST_DATA, GUEST_DEVICE, GUEST_WINDOW,   GUEST_WINDOW + 0xff9, 0x30ffd,      0,
        0xffff,     0xfffffffd,   0x7ffffffffffc, 0xffffffffffffffff,   GUEST_TABLES, GUEST_CODE};
    uint8_t kind = (uint8_t)take(input, 1);

    if (kind < 128) {
        return places[kind % ARRAY_SIZE(places)] + (kind >> 4);
    }
    return take(input, kind % 8 + 1);
}

static void set_state(struct input *input)
{
    struct emulate_cpu *cpu = &guest.cpu;
    uint8_t choice = (uint8_t)take(input, 1);

    guest_reset((enum insn_mode)(choice % 3), (enum guest_paging)(choice >> 2 & 3));
    cpu->rflags = (take(input, 4) & 0x7fd7ff) | 2;
    cpu->cpl = choice & 0x10 ? 3 : 0;
    if (choice & 0x20) {
        cpu->cr0 ^= take(input, 4);
        cpu->cr4 ^= take(input, 3);
        cpu->efer ^= take(input, 2);
        cpu->cr3 ^= take(input, 2);
        cpu->physical_bits = (uint8_t)(32 + take(input, 1) % 21);
    }
    if (choice & 0x40) {
        for (unsigned i = 0; i < INSN_SEGMENT_COUNT; i++) {
            cpu->segment[i].attributes ^= (uint16_t)take(input, 2) & 0xfff;
            cpu->segment[i].base = take_register(input);
            cpu->segment[i].limit = (uint32_t)take_register(input);
        }
    }
    while (choice & 0x80 && input->left > 64) {
        /* Entries of any table. */
        uint32_t at = GUEST_TABLES + (uint32_t)take(input, 2) % 0x5000;
        guest_write(at, 8, take(input, 8));
    }
    guest.swaps_to_disturb = (unsigned)take(input, 1) & 3;
}

static void check(const struct emulate_cpu *before)
{
    const struct emulate_cpu *cpu = &guest.cpu;
    bool moved = cpu->rip != before->rip;

    if (guest.result.outcome > EMULATE_UNSUPPORTED || guest.result.byte_count > INSN_MAX ||
        guest.edge_calls > EDGE_CALLS_MAX || (moved && guest.result.outcome != EMULATE_DONE)) {
        abort();
    }
    /* Only status flags, RF, and the registers may change. */
    if (((cpu->rflags ^ before->rflags) & ~(0x8d5ULL | RFLAGS_RF)) != 0 ||
        cpu->cr3 != before->cr3 || cpu->cpl != before->cpl ||
        memcmp(cpu->segment, before->segment, sizeof(cpu->segment)) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum insn_op ops[] = {INSN_CPUID, INSN_LMSW, INSN_WBINVD, INSN_MOV_TO_CR};
    struct input input = {data, size};
    uint8_t code[INSN_MAX] = {0};
    uint64_t value;
    struct insn insn;

    for (unsigned i = 0; i < INSN_MAX; i++) {
        code[i] = (uint8_t)take(&input, 1);
    }
    uint8_t how = (uint8_t)take(&input, 1);
    set_state(&input);
    for (unsigned i = 0; i < 16; i++) {
        guest.cpu.gpr[i] = take_register(&input);
    }
    if (how & 1) {
        memcpy(guest.cpu.bytes, code, INSN_MAX);
        guest.cpu.byte_count = INSN_MAX;
    }
    memcpy(guest.ram + GUEST_CODE, code, INSN_MAX);
    const struct emulate_cpu before = guest.cpu;
    if (how & 2) {
        const struct emulate_string_io io = {how & 4, (uint8_t)(1U << (how >> 3) % 3)};
        emulate_string(&guest.cpu, &io, &guest.result);
    } else if (how & 0x80) {
        if (emulate_decode(&guest.cpu, ops, ARRAY_SIZE(ops), &insn, &guest.result) &&
            insn.op == INSN_LMSW) {
            (void)emulate_operand_read(&guest.cpu, &insn, &value, &guest.result);
        }
    } else {
        emulate_memory(&guest.cpu, &guest.result);
    }
    check(&before);
    return 0;
}
