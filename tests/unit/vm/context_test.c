/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions on top of exceptions, stepping over instructions, and the way back from emulation. */
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/emulate/emulate.h"
#include "vmm/vm/exit_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DE 0U
#define DB 1U
#define UD 6U
#define DF 8U
#define GP 13U
#define PF 14U

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    fake_cpu_milan();
    fake_vm_reset();
    return 0;
}

enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

/* AMD APM 2, 8.2.9: #DE, #TS, #NP, #SS and #GP are contributory. */
static const enum class classes[32] = {
    [0] = CONTRIBUTORY,  [8] = DOUBLE_FAULT,  [10] = CONTRIBUTORY, [11] = CONTRIBUTORY,
    [12] = CONTRIBUTORY, [13] = CONTRIBUTORY, [14] = PAGE_FAULT,
};

enum outcome { SECOND, DOUBLE, SHUTDOWN };

/* Table 8-6, the rows by the first exception, the columns by the second. */
static const enum outcome table[4][4] = {
    [BENIGN] = {SECOND, SECOND,   SECOND,   SECOND},
    [CONTRIBUTORY] = {SECOND, DOUBLE,   SECOND,   SECOND},
    [PAGE_FAULT] = {SECOND, DOUBLE,   DOUBLE,   SECOND},
    [DOUBLE_FAULT] = {SECOND, SHUTDOWN, SHUTDOWN, SECOND},
};

static void check_pair(unsigned first, unsigned second)
{
    fake_vm_reset();
    vcpu->event =
        (struct vcpu_event){.kind = VCPU_EVENT_EXCEPTION, .vector = (uint8_t)first, .error = 9};
    vcpu_raise(vcpu, (uint8_t)second, second == GP, second == GP ? 0x18 : 0);
    enum outcome outcome = table[classes[first]][classes[second]];

    assert_int_equal(fake_resets, outcome == SHUTDOWN);
    switch (outcome) {
    case SECOND:
        fake_expect_exception(second, second == GP, second == GP ? 0x18 : 0);
        break;
    case DOUBLE:
        fake_expect_exception(DF, true, 0);
        break;
    case SHUTDOWN:
        fake_expect_nothing();
        assert_int_equal(fake_complaints, 1);
        break;
    }
}

static void test_every_pair(void **state)
{
    for (unsigned first = 0; first < 32; first++) {
        for (unsigned second = 0; second < 32; second++) {
            check_pair(first, second);
        }
    }
}

/* Interrupts and NMIs under way are benign, whatever their vectors. */
static void test_on_top_of_others(void **state)
{
    static const enum vcpu_event_kind kinds[] = {VCPU_EVENT_NONE, VCPU_EVENT_INTERRUPT,
                                                 VCPU_EVENT_NMI};

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (unsigned vector = 0; vector < 32; vector++) {
            vcpu->event = (struct vcpu_event){.kind = kinds[i], .vector = (uint8_t)vector};
            vcpu_raise(vcpu, PF, true, 6);
            fake_expect_exception(PF, true, 6);
        }
    }
    assert_int_equal(fake_resets, 0);
}

/* #GP while a #GP is delivered, then #NP while that #DF is: a triple fault. */
static void test_triple_fault(void **state)
{
    vcpu_raise_gp(vcpu);
    fake_expect_exception(GP, true, 0);
    vcpu_raise_gp(vcpu);
    fake_expect_exception(DF, true, 0);
    vcpu_raise(vcpu, 11, true, 0x33);
    fake_expect_nothing();
    assert_int_equal(fake_resets, 1);
}

/* Exceptions of real mode push no error code; with one, VMRUN may do so or refuse. */
static void test_no_error_code_in_real_mode(void **state)
{
    fake_backend.cr0 = CR0_ET;
    vcpu_raise_gp(vcpu);
    fake_expect_exception(GP, false, 0);
    vcpu_raise_gp(vcpu);
    fake_expect_exception(DF, false, 0);
}

static void expect_skip(uint64_t from, unsigned length, uint64_t to)
{
    vcpu->rip = from;
    vcpu_skip(vcpu, length);
    assert_int_equal(vcpu->rip, to);
}

static void test_rip_wraps(void **state)
{
    expect_skip(0x1000, 3, 0x1003);
    expect_skip(0xfffffffe, 2, 0);
    expect_skip(0xffffffff, 3, 2);
    fake_backend.cs_attributes = FAKE_CODE_16;
    expect_skip(0xfffe, 3, 0x10001); /* beyond the limit: the fetch gives #GP */
    fake_vm_long_mode();
    expect_skip(0xfffffffe, 2, 0x100000000);
    expect_skip(0x7ffffffffffe, 2, 0x800000000000);
    expect_skip(UINT64_MAX - 1, 2, 0);
    fake_backend.cs_attributes = FAKE_CODE_32; /* compatibility mode */
    expect_skip(0xfffffffe, 2, 0);
}

static void test_skip(void **state)
{
    vcpu->shadow = true;
    vcpu->rflags |= RFLAGS_RF;
    vcpu_skip(vcpu, 1);
    assert_false(vcpu->shadow);
    assert_int_equal(vcpu->rflags & RFLAGS_RF, 0);
    fake_expect_nothing();
    assert_int_equal(fake_backend.dr6, 0);
    vcpu->rflags |= RFLAGS_TF;
    vcpu_skip(vcpu, 1);
    fake_expect_exception(DB, false, 0);
    assert_int_equal(fake_backend.dr6, DR6_BS);
    assert_true(vcpu->rflags & RFLAGS_TF); /* the CPU clears it as it enters the handler */
}

static void store(struct emulate_cpu *cpu, struct emulate_result result)
{
    vcpu_store(vcpu, cpu, &result);
}

static void test_store(void **state)
{
    struct emulate_cpu cpu;

    vcpu->gpr[INSN_RBX] = 77;
    vcpu_context(vcpu, &cpu);
    assert_int_equal(cpu.gpr[INSN_RBX], 77);
    assert_int_equal(cpu.rip, vcpu->rip);
    assert_int_equal(cpu.physical_bits, 48);
    assert_int_equal(cpu.byte_count, 0);
    cpu.gpr[INSN_RBX] = 78;
    cpu.rip += 4;
    cpu.rflags |= RFLAGS_ZF;
    vcpu->shadow = true;
    store(&cpu, (struct emulate_result){.outcome = EMULATE_DONE});
    assert_int_equal(vcpu->gpr[INSN_RBX], 78);
    assert_int_equal(vcpu->rip, 0x1004);
    assert_true(vcpu->rflags & RFLAGS_ZF);
    assert_false(vcpu->shadow);
    fake_expect_nothing();

    vcpu->shadow = true;
    store(&cpu, (struct emulate_result){.outcome = EMULATE_RETRY});
    assert_true(vcpu->shadow); /* it has not been carried out yet */
    fake_expect_nothing();
    assert_int_equal(vcpu->rflags & RFLAGS_RF, 0);
    store(&cpu, (struct emulate_result){.outcome = EMULATE_RETRY, .single_step = true});
    fake_expect_exception(DB, false, 0);
    assert_true(vcpu->rflags & RFLAGS_RF); /* within a REP */
    assert_int_equal(fake_backend.dr6, DR6_BS);
}

static void test_store_faults(void **state)
{
    struct emulate_cpu cpu = {.rip = 5, .rflags = RFLAGS_FIXED};

    fake_backend.cr2 = 1;
    store(&cpu, (struct emulate_result){.outcome = EMULATE_FAULT,
                                        .vector = PF,
                                        .has_error = true,
                                        .error = 7,
                                        .address = 0xabcdef0123});
    fake_expect_exception(PF, true, 7);
    assert_int_equal(fake_backend.cr2, 0xabcdef0123);
    vcpu->event.kind = VCPU_EVENT_NONE;
    store(&cpu, (struct emulate_result){
                    .outcome = EMULATE_FAULT, .vector = GP, .has_error = true, .address = 9});
    fake_expect_exception(GP, true, 0);
    assert_int_equal(fake_backend.cr2, 0xabcdef0123);
    vcpu->event.kind = VCPU_EVENT_NONE;
    store(&cpu, (struct emulate_result){.outcome = EMULATE_UNSUPPORTED, .byte_count = INSN_MAX});
    fake_expect_exception(UD, false, 0);
    assert_int_equal(fake_complaints, 1);
}

/* SDM 3, 18.3.1.1: what the handler finds in RFLAGS.RF on its stack. */
static void test_resume_flag(void **state)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        bool fault = vector != DB && vector != 3 && vector != 4 && vector != DF && vector != 18;

        fake_vm_reset();
        vcpu_raise(vcpu, (uint8_t)vector, false, 0);
        assert_int_equal((vcpu->rflags & RFLAGS_RF) != 0, fault);
        vcpu->event.kind = VCPU_EVENT_NONE;
        vcpu->rflags |= RFLAGS_RF; /* an instruction that was resumed, and is over */
        vcpu_skip(vcpu, 1);
        vcpu->rflags |= RFLAGS_TF;
        vcpu_skip(vcpu, 1);
        fake_expect_exception(DB, false, 0);
        assert_int_equal(vcpu->rflags & RFLAGS_RF, 0);
    }
}

/* The UART's data register while the console is full: the guest comes back with the same OUT. */
static void test_console_full(void **state)
{
    const struct exit exit = {
        .reason = EXIT_IO, .length = 1, .io = {.port = 0x3f8, .size = 1}
    };
    uint64_t rip = vcpu->rip;

    fake_console.room = 0;
    vcpu->gpr[INSN_RAX] = 'x';
    for (unsigned i = 1; i < 10; i++) {
        handle_io(vcpu, &exit);
        assert_int_equal(vcpu->rip, rip);
        assert_int_equal(fake_platform.accesses, 0);
        assert_int_equal(fake_console.brought, i);
    }
    fake_expect_nothing();
    fake_console.drained = 1; /* the line takes some */
    handle_io(vcpu, &exit);
    assert_int_equal(vcpu->rip, rip + 1);
    assert_int_equal(fake_platform.accesses, 1);
    assert_int_equal(fake_platform.port_value, 'x');
    assert_int_equal(fake_console.brought, 11);
}

/* Each piece of news ends a REP OUTSB after the element that is under way; none: it goes on. */
static void test_string_io_pauses(void **state)
{
    const struct exit exit = {
        .reason = EXIT_STRING_IO, .io = {.port = 0x64, .size = 1}
    };

    for (unsigned news = 0; news < 6; news++) {
        assert_int_equal(setup(state), 0);
        FAKE_CODE(0xf3, 0x6e);
        uint64_t rip = vcpu->rip;

        vcpu->gpr[INSN_RDX] = 0x64;
        vcpu->gpr[INSN_RSI] = 0x2000;
        vcpu->gpr[INSN_RCX] = 1000;
        vcpu->left = __builtin_ia32_rdtsc();
        vcpu->requests = news == 1;
        vcpu->kicked = news == 2;
        vcpu->due_tsc = news == 3 ? 0 : UINT64_MAX;
        fake_console.service_due = news == 4;
        vcpu->left -= news == 5 ? UINT32_MAX : 0;
        handle_string_io(vcpu, &exit);
        assert_int_equal(fake_platform.accesses, news == 0 ? 1000 : 1);
        assert_int_equal(vcpu->gpr[INSN_RCX], news == 0 ? 0 : 999);
        assert_int_equal(vcpu->rip, news == 0 ? rip + 2 : rip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_pair, setup),
        cmocka_unit_test_setup(test_on_top_of_others, setup),
        cmocka_unit_test_setup(test_triple_fault, setup),
        cmocka_unit_test_setup(test_no_error_code_in_real_mode, setup),
        cmocka_unit_test_setup(test_rip_wraps, setup),
        cmocka_unit_test_setup(test_skip, setup),
        cmocka_unit_test_setup(test_store, setup),
        cmocka_unit_test_setup(test_store_faults, setup),
        cmocka_unit_test_setup(test_resume_flag, setup),
        cmocka_unit_test_setup(test_console_full, setup),
        cmocka_unit_test_setup(test_string_io_pauses, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
