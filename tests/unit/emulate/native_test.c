/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Results and flags against the CPU that the test runs on: each form of each instruction is run
 * natively on a buffer, then emulated on the same buffer at the same address from the same state.
 * Once the buffer counts as RAM, once as device registers.
 */
#include "tests/unit/emulate/random.h"
#include "vmm/emulate/emulate.h"
#include "vmm/emulate/emulate_edge.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BUFFER_SIZE 0x4000U
#define ROUNDS      600U

#define ALL_FLAGS \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF | RFLAGS_DF)
#define LOGIC_FLAGS (ALL_FLAGS & ~RFLAGS_AF) /* AF is undefined */
#define BIT_FLAGS   (RFLAGS_CF | RFLAGS_ZF | RFLAGS_DF)

enum immediate { NO_IMMEDIATE, BYTE_IMMEDIATE, FULL_IMMEDIATE };

/* One opcode; REG is ModRM.reg, as an extension or for a register: 0 RAX, 2 RDX, 6 DH or RSI. */
struct form {
    uint8_t map; /* 0: one byte; 1: 0F; 2: 0F 38 */
    uint8_t code;
    uint8_t reg;
    uint8_t immediate;
    bool byte;        /* operands are bytes */
    bool lock;        /* may be locked */
    uint8_t smallest; /* operand size, 2 if 0 */
    uint64_t flags;
};

static const struct form forms[] = {
    {0, 0x84, 2, 0,              true,  false, 0, LOGIC_FLAGS},
    {0, 0x85, 2, 0,              false, false, 0, LOGIC_FLAGS},
    {0, 0x86, 2, 0,              true,  true,  0, ALL_FLAGS  },
    {0, 0x87, 2, 0,              false, true,  0, ALL_FLAGS  },
    {0, 0x88, 2, 0,              true,  false, 0, ALL_FLAGS  },
    {0, 0x89, 2, 0,              false, false, 0, ALL_FLAGS  },
    {0, 0x8a, 2, 0,              true,  false, 0, ALL_FLAGS  },
    {0, 0x8a, 6, 0,              true,  false, 0, ALL_FLAGS  },
    {0, 0x88, 6, 0,              true,  false, 0, ALL_FLAGS  },
    {0, 0x8b, 2, 0,              false, false, 0, ALL_FLAGS  },
    {0, 0x63, 2, 0,              false, false, 0, ALL_FLAGS  },
    {0, 0xc6, 0, BYTE_IMMEDIATE, true,  false, 0, ALL_FLAGS  },
    {0, 0xc7, 0, FULL_IMMEDIATE, false, false, 0, ALL_FLAGS  },
    {0, 0xf6, 0, BYTE_IMMEDIATE, true,  false, 0, LOGIC_FLAGS},
    {0, 0xf7, 0, FULL_IMMEDIATE, false, false, 0, LOGIC_FLAGS},
    {0, 0xf6, 2, 0,              true,  true,  0, ALL_FLAGS  },
    {0, 0xf7, 2, 0,              false, true,  0, ALL_FLAGS  },
    {0, 0xf6, 3, 0,              true,  true,  0, ALL_FLAGS  },
    {0, 0xf7, 3, 0,              false, true,  0, ALL_FLAGS  },
    {0, 0xfe, 0, 0,              true,  true,  0, ALL_FLAGS  },
    {0, 0xfe, 1, 0,              true,  true,  0, ALL_FLAGS  },
    {0, 0xff, 0, 0,              false, true,  0, ALL_FLAGS  },
    {0, 0xff, 1, 0,              false, true,  0, ALL_FLAGS  },
    {1, 0xa3, 2, 0,              false, false, 0, BIT_FLAGS  },
    {1, 0xab, 2, 0,              false, true,  0, BIT_FLAGS  },
    {1, 0xb3, 2, 0,              false, true,  0, BIT_FLAGS  },
    {1, 0xbb, 2, 0,              false, true,  0, BIT_FLAGS  },
    {1, 0xba, 4, BYTE_IMMEDIATE, false, false, 0, BIT_FLAGS  },
    {1, 0xba, 5, BYTE_IMMEDIATE, false, true,  0, BIT_FLAGS  },
    {1, 0xba, 6, BYTE_IMMEDIATE, false, true,  0, BIT_FLAGS  },
    {1, 0xba, 7, BYTE_IMMEDIATE, false, true,  0, BIT_FLAGS  },
    {1, 0xb0, 2, 0,              true,  true,  0, ALL_FLAGS  },
    {1, 0xb1, 2, 0,              false, true,  0, ALL_FLAGS  },
    {1, 0xc0, 2, 0,              true,  true,  0, ALL_FLAGS  },
    {1, 0xc0, 6, 0,              true,  true,  0, ALL_FLAGS  },
    {1, 0xc1, 2, 0,              false, true,  0, ALL_FLAGS  },
    {1, 0xb6, 2, 0,              false, false, 0, ALL_FLAGS  },
    {1, 0xb7, 2, 0,              false, false, 0, ALL_FLAGS  },
    {1, 0xbe, 2, 0,              false, false, 0, ALL_FLAGS  },
    {1, 0xbf, 2, 0,              false, false, 0, ALL_FLAGS  },
    {1, 0xc3, 2, 0,              false, false, 4, ALL_FLAGS  },
    {2, 0xf0, 2, 0,              false, false, 0, ALL_FLAGS  },
    {2, 0xf1, 2, 0,              false, false, 0, ALL_FLAGS  },
};

/* What the native code loads and stores; offsets are in the code below. */
struct state {
    uint64_t rax, rcx, rdx, rsi, rdi, flags;
};

static uint8_t *buffer;
static uint8_t *code;
static bool buffer_is_device;
static struct random random_state = {0x5eed};

/* ---- the edges: the buffer, at its own address ---- */

static uint8_t *at(gpa_t address, unsigned size)
{
    uint64_t offset = address.raw - (uint64_t)(uintptr_t)buffer;

    assert_true(range_fits(offset, size, BUFFER_SIZE));
    return buffer + offset;
}

bool emulate_ram_read(struct vcpu *vcpu, gpa_t from, void *to, unsigned size)
{
    if (!buffer_is_device) {
        memcpy(to, at(from, size), size);
    }
    return !buffer_is_device;
}

bool emulate_ram_write(struct vcpu *vcpu, gpa_t to, const void *from, unsigned size)
{
    if (!buffer_is_device) {
        memcpy(at(to, size), from, size);
    }
    return !buffer_is_device;
}

const void *emulate_ram_lasting(const struct vcpu *vcpu, gpa_t from, unsigned size)
{
    return NULL;
}

enum emulate_swap emulate_ram_swap(struct vcpu *vcpu, gpa_t to, unsigned size, uint64_t expected,
                                   uint64_t wanted)
{
    if (buffer_is_device) {
        return EMULATE_SWAP_NOT_RAM;
    }
    assert_memory_equal(at(to, size), &expected, size);
    memcpy(at(to, size), &wanted, size);
    return EMULATE_SWAPPED;
}

uint64_t emulate_device_read(struct vcpu *vcpu, gpa_t from, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at(from, size), size);
    return value;
}

void emulate_device_write(struct vcpu *vcpu, gpa_t to, unsigned size, uint64_t value)
{
    memcpy(at(to, size), &value, size);
}

uint32_t emulate_port_read(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    fail_msg("port read");
    return 0;
}

bool emulate_port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value)
{
    fail_msg("port write");
    return true;
}

bool emulate_must_pause(const struct vcpu *vcpu)
{
    return false; /* the CPU goes on to the end, too */
}

/* ---- running ---- */

/* void run(struct state *): load the registers, execute INSTRUCTION, store them. */
static void make_code(const uint8_t *instruction, unsigned size)
{
    static const uint8_t head[] = {
        0x49, 0x89, 0xf8,       /* mov %rdi, %r8 */
        0x49, 0x8b, 0x00,       /* mov 0(%r8), %rax */
        0x49, 0x8b, 0x48, 0x08, /* mov 8(%r8), %rcx */
        0x49, 0x8b, 0x50, 0x10, /* mov 16(%r8), %rdx */
        0x49, 0x8b, 0x70, 0x18, /* mov 24(%r8), %rsi */
        0x49, 0x8b, 0x78, 0x20, /* mov 32(%r8), %rdi */
        0x41, 0xff, 0x70, 0x28, /* push 40(%r8) */
        0x9d,                   /* popf */
    };
    static const uint8_t tail[] = {
        0x9c,                   /* pushf */
        0x41, 0x8f, 0x40, 0x28, /* pop 40(%r8) */
        0xfc,                   /* cld */
        0x49, 0x89, 0x00,       /* mov %rax, 0(%r8) */
        0x49, 0x89, 0x48, 0x08, /* mov %rcx, 8(%r8) */
        0x49, 0x89, 0x50, 0x10, /* mov %rdx, 16(%r8) */
        0x49, 0x89, 0x70, 0x18, /* mov %rsi, 24(%r8) */
        0x49, 0x89, 0x78, 0x20, /* mov %rdi, 32(%r8) */
        0xc3,                   /* ret */
    };
    uint8_t *to = code;

    memcpy(to, head, sizeof(head));
    to += sizeof(head);
    memcpy(to, instruction, size);
    to += size;
    memcpy(to, tail, sizeof(tail));
}

static void run_native(struct state *state)
{
    void (*run)(struct state *);

    memcpy(&run, &code, sizeof(run));
    run(state);
}

static void run_emulated(struct state *state, const uint8_t *instruction, unsigned size)
{
    struct emulate_result result;
    uint64_t gpr[16] = {0};
    struct emulate_cpu cpu = {
        .gpr = gpr, .rip = 0x1000, .rflags = state->flags, .byte_count = (uint8_t)size};

    cpu.efer = EFER_LMA; /* with paging off: linear addresses stay what they are */
    cpu.segment[INSN_SEGMENT_CS].attributes = SEGMENT_LONG;
    gpr[INSN_RAX] = state->rax;
    gpr[INSN_RCX] = state->rcx;
    gpr[INSN_RDX] = state->rdx;
    gpr[INSN_RSI] = state->rsi;
    gpr[INSN_RDI] = state->rdi;
    memcpy(cpu.bytes, instruction, size);
    emulate_memory(&cpu, &result);
    assert_int_equal(result.outcome, EMULATE_DONE);
    assert_int_equal(cpu.rip, 0x1000 + size);
    *state = (struct state){gpr[INSN_RAX], gpr[INSN_RCX], gpr[INSN_RDX],
                            gpr[INSN_RSI], gpr[INSN_RDI], cpu.rflags};
}

static void show(const char *name, const struct state *s, const uint8_t *instruction, unsigned size)
{
    print_error("%s: rax %lx rcx %lx rdx %lx rsi %lx rdi %lx flags %lx; code", name, s->rax, s->rcx,
                s->rdx, s->rsi, s->rdi, s->flags);
    for (unsigned i = 0; i < size; i++) {
        print_error(" %02x", instruction[i]);
    }
    print_error("\n");
}

static void compare(const struct state *before, const uint8_t *instruction, unsigned size,
                    uint64_t flags)
{
    static uint8_t start[BUFFER_SIZE], expected[BUFFER_SIZE];
    struct state native = *before, emulated = *before;

    memcpy(start, buffer, BUFFER_SIZE);
    make_code(instruction, size);
    run_native(&native);
    memcpy(expected, buffer, BUFFER_SIZE);
    memcpy(buffer, start, BUFFER_SIZE);
    run_emulated(&emulated, instruction, size);
    native.flags &= flags;
    emulated.flags &= flags;
    if (memcmp(&native, &emulated, sizeof(native)) != 0 ||
        memcmp(expected, buffer, BUFFER_SIZE) != 0) {
        show("before", before, instruction, size);
        show("native", &native, instruction, size);
        show("emulated", &emulated, instruction, size);
        fail_msg("the CPU and the emulator differ");
    }
}

/* Random, but often near the corners. */
static uint64_t value(void)
{
    static const uint64_t corners[] = {0,
                                       1,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0x7fffffff,
                                       0x80000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000};
    uint64_t random = random_next(&random_state);

    if (random_below(&random_state, 2)) {
        return random;
    }
    return corners[random % ARRAY_SIZE(corners)] + random_below(&random_state, 3) - 1;
}

static struct state random_registers(void)
{
    struct state state = {.rax = value(), .rcx = value(), .rdx = value(), .rsi = value()};

    state.flags = 2 | (random_next(&random_state) & (ALL_FLAGS & ~RFLAGS_DF));
    state.rdi = (uint64_t)(uintptr_t)buffer + BUFFER_SIZE / 2 - 4 + random_below(&random_state, 8);
    return state;
}

static unsigned put_form(const struct form *form, unsigned size, uint8_t *to)
{
    unsigned n = 0, immediate = 0;

    if (form->lock && random_below(&random_state, 2)) {
        to[n++] = 0xf0;
    }
    if (size == 2) {
        to[n++] = 0x66;
    }
    if (size == 8) {
        to[n++] = 0x48;
    }
    if (form->map > 0) {
        to[n++] = 0x0f;
    }
    if (form->map > 1) {
        to[n++] = 0x38;
    }
    to[n++] = form->code;
    to[n++] = (uint8_t)(form->reg << 3 | 7); /* (%rdi) */
    immediate = form->immediate == NO_IMMEDIATE     ? 0
                : form->immediate == BYTE_IMMEDIATE ? 1
                : size < 4                          ? size
                                                    : 4;
    for (unsigned i = 0; i < immediate; i++) {
        to[n++] = (uint8_t)random_next(&random_state);
    }
    return n;
}

static void try_form(const struct form *form)
{
    unsigned first = form->byte ? 1 : form->smallest ? form->smallest : 2;
    unsigned last = form->byte ? 1 : 8;

    for (unsigned size = first; size <= last; size *= 2) {
        for (unsigned i = 0; i < ROUNDS; i++) {
            uint8_t instruction[INSN_MAX];
            struct state state = random_registers();
            unsigned length = put_form(form, size, instruction);
            uint64_t operand = value();

            memcpy(buffer + BUFFER_SIZE / 2, &operand, sizeof(operand));
            if (form->map == 1 && (form->code & 0xe7) == 0xa3 && size > 2) {
                state.rdx = state.rdx % 0x8000 - 0x4000; /* stay in the buffer */
            }
            if (i % 4 == 0) { /* let CMPXCHG succeed */
                memcpy(&state.rax, buffer + (state.rdi - (uint64_t)(uintptr_t)buffer),
                       sizeof(state.rax));
            }
            buffer_is_device = i & 1;
            compare(&state, instruction, length, form->flags);
        }
    }
}

static bool cpu_has_movbe(void)
{
    unsigned eax, ebx, ecx = 0, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_MOVBE);
}

static void test_forms(void **unused)
{
    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        if (forms[i].map < 2 || cpu_has_movbe()) {
            try_form(&forms[i]);
        }
    }
}

static void test_arithmetic(void **unused)
{
    for (uint8_t op = 0; op < 8; op++) {
        bool logic = op == 1 || op == 4 || op == 6, lock = op != 7;
        uint64_t flags = logic ? LOGIC_FLAGS : ALL_FLAGS;
        uint8_t row = (uint8_t)(op << 3);

        try_form(&(struct form){0, row, 2, 0, true, lock, 0, flags});
        try_form(&(struct form){0, row + 1, 2, 0, false, lock, 0, flags});
        try_form(&(struct form){0, row + 2, 2, 0, true, false, 0, flags});
        try_form(&(struct form){0, row + 2, 6, 0, true, false, 0, flags});
        try_form(&(struct form){0, row + 3, 2, 0, false, false, 0, flags});
        try_form(&(struct form){0, 0x80, op, BYTE_IMMEDIATE, true, lock, 0, flags});
        try_form(&(struct form){0, 0x81, op, FULL_IMMEDIATE, false, lock, 0, flags});
        try_form(&(struct form){0, 0x83, op, BYTE_IMMEDIATE, false, lock, 0, flags});
    }
}

static void test_conditions(void **unused)
{
    for (uint8_t condition = 0; condition < 16; condition++) {
        try_form(&(struct form){1, 0x40 + condition, 2, 0, false, false, 0, ALL_FLAGS});
        try_form(&(struct form){1, 0x90 + condition, 0, 0, true, false, 0, ALL_FLAGS});
    }
}

/* MOVS, CMPS, STOS, LODS, SCAS of all sizes, without and with each REP, up and down. */
static void try_string(uint8_t opcode, unsigned size, uint8_t repeat)
{
    uint8_t instruction[4];
    struct state state = random_registers();
    unsigned n = 0;

    if (repeat != 0) {
        instruction[n++] = repeat;
    }
    if (size == 2) {
        instruction[n++] = 0x66;
    }
    if (size == 8) {
        instruction[n++] = 0x48;
    }
    instruction[n++] = (uint8_t)(opcode | (size > 1));
    for (unsigned i = 0; i < BUFFER_SIZE; i++) {
        buffer[i] = random_below(&random_state, 32) == 0; /* long runs of equal bytes */
    }
    state.rax = random_below(&random_state, 2);
    state.rcx = random_below(&random_state, 200);
    state.rsi = (uint64_t)(uintptr_t)buffer + BUFFER_SIZE / 2 + random_below(&random_state, 300);
    state.flags |= random_below(&random_state, 2) ? RFLAGS_DF : 0;
    buffer_is_device = random_below(&random_state, 2);
    compare(&state, instruction, n, ALL_FLAGS);
}

static void test_strings(void **unused)
{
    static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
    static const uint8_t repeats[] = {0, 0xf2, 0xf3};

    for (unsigned i = 0; i < 200; i++) {
        for (unsigned op = 0; op < sizeof(opcodes); op++) {
            for (unsigned size = 1; size <= 8; size *= 2) {
                for (unsigned repeat = 0; repeat < sizeof(repeats); repeat++) {
                    try_string(opcodes[op], size, repeats[repeat]);
                }
            }
        }
    }
}

static int set_up(void **unused)
{
    code = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED || buffer == MAP_FAILED;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_strings),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
