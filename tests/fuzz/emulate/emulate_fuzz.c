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

/* What HOW says is done at rip. */
static void run(uint8_t how)
{
    static const enum insn_op ops[] = {INSN_CPUID, INSN_LMSW, INSN_WBINVD, INSN_MOV_TO_CR};
    uint64_t value;
    struct insn insn;

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
}

/* Change one thing that a memo must notice. */
static void change(struct input *input)
{
    uint8_t kind = (uint8_t)take(input, 1);
    struct emulate_cpu *cpu = &guest.cpu;
    struct x86_segment *segment = &cpu->segment[kind >> 4 & 3];

    switch (kind & 15) {
    case 0:
        guest.ram[GUEST_CODE + (kind >> 4)] ^= (uint8_t)take(input, 1);
        break;
    case 1: /* an entry of a table of any level: its rights, or where it leads */
        guest.ram[GUEST_TABLES + take(input, 2) % 0x5000] ^= (uint8_t)take(input, 1);
        break;
    case 2:
        guest_write(GUEST_TABLES + GUEST_CODE / PAGE_SIZE * (cpu->cr4 & CR4_PAE ? 8 : 4), 4,
                    GUEST_DATA | 7);
        break;
    case 3:
        cpu->cr0 ^= 1ULL << take(input, 1) % 32;
        break;
    case 4:
        cpu->cr4 ^= 1ULL << take(input, 1) % 24;
        break;
    case 5:
        cpu->efer ^= 1ULL << take(input, 1) % 12;
        break;
    case 6:
        cpu->cr3 ^= 1ULL << take(input, 1) % 16;
        break;
    case 7:
        cpu->cpl ^= 3;
        break;
    case 8:
        cpu->rflags ^= 1ULL << (16 + take(input, 1) % 6);
        break;
    case 9:
        segment->attributes ^= (uint16_t)(1U << take(input, 1) % 12);
        break;
    case 10:
        segment->base = take_register(input);
        break;
    case 11:
        segment->limit = (uint32_t)take_register(input);
        break;
    case 12:
        guest.gpr[kind >> 4] = take_register(input);
        break;
    case 13:
        cpu->byte_count = (uint8_t)take(input, 1) % (INSN_MAX + 1);
        break;
    default:
        break;
    }
}

/* What lies before the record of accesses is all that can be seen. */
static void copy(struct guest *to, const struct guest *from)
{
    memcpy(to, from, offsetof(struct guest, access));
}

static bool is_same(const struct guest *other)
{
    const struct emulate_result *a = &guest.result, *b = &other->result;

    return a->outcome == b->outcome && a->vector == b->vector && a->has_error == b->has_error &&
           a->single_step == b->single_step && a->error == b->error && a->address == b->address &&
           guest.cpu.rip == other->cpu.rip && guest.cpu.rflags == other->cpu.rflags &&
           guest.access_count == other->access_count &&
           memcmp(guest.gpr, other->gpr, sizeof(guest.gpr)) == 0 &&
           memcmp(guest.ram, other->ram, sizeof(guest.ram)) == 0 &&
           memcmp(guest.device, other->device, sizeof(guest.device)) == 0;
}

/*
 * The same instruction again, with and without what is remembered of the time before, after some
 * changes: there must be no difference.
 */
static void compare(struct input *input, uint8_t how, uint64_t rip)
{
    static struct guest start, plain;
    static struct guest_access accesses[64];

    guest.cpu.rip = rip;
    for (unsigned i = 0; i < 3; i++) {
        change(input);
    }
    guest.access_count = 0;
    copy(&start, &guest);
    guest.cpu.memo = NULL;
    run(how);
    copy(&plain, &guest);
    memcpy(accesses, guest.access, sizeof(accesses));
    copy(&guest, &start);
    run(how);
    unsigned count = guest.access_count < ARRAY_SIZE(accesses) ? guest.access_count
                                                               : (unsigned)ARRAY_SIZE(accesses);

    if (!is_same(&plain)) {
        abort();
    }
    for (unsigned i = 0; i < count; i++) {
        const struct guest_access *a = &guest.access[i], *b = &accesses[i];

        if (a->kind != b->kind || a->address != b->address || a->size != b->size ||
            a->value != b->value) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct emulate_memo memo;
    struct input input = {data, size};
    uint8_t code[INSN_MAX] = {0};

    for (unsigned i = 0; i < INSN_MAX; i++) {
        code[i] = (uint8_t)take(&input, 1);
    }
    uint8_t how = (uint8_t)take(&input, 1);
    set_state(&input);
    for (unsigned i = 0; i < 16; i++) {
        guest.gpr[i] = take_register(&input);
    }
    if (how & 1) {
        memcpy(guest.cpu.bytes, code, INSN_MAX);
        guest.cpu.byte_count = INSN_MAX;
    }
    memcpy(guest.ram + GUEST_CODE, code, INSN_MAX);
    const struct emulate_cpu before = guest.cpu;
    bool twice = how & 0x40;

    if (twice) {
        memset(&memo, 0, sizeof(memo));
        guest.cpu.memo = &memo;
    }
    run(how);
    check(&before);
    if (twice) {
        compare(&input, how, before.rip);
    }
    return 0;
}
