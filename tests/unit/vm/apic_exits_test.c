/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits of the local APIC's page: what goes straight to it, and what is emulated. */
#include "tests/unit/vm/fake_vm.h"
#include "vmm/vm/exit_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    fake_vm_reset();
    return 0;
}

/* Make the exit of CODE, which stays at 1000h; true: it went straight to the local APIC. */
static bool goes_straight(const uint8_t *code, unsigned size, uint64_t at, bool write)
{
    struct exit exit = {.reason = EXIT_MEMORY};

    exit.memory.address = gpa(at);
    exit.memory.write = write;
    memcpy(fake_ram + 0x1000, code, size);
    vcpu->rip = 0x1000;
    fake_platform.apic_offset = fake_platform.mmio = 0;
    handlers_run(vcpu, &exit);
    assert_int_equal(vcpu->rip, 0x1000 + size);
    assert_int_not_equal(fake_platform.apic_offset == 0, fake_platform.mmio == 0);
    return fake_platform.apic_offset != 0;
}
#define STRAIGHT(at, write, ...) \
    goes_straight((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), at, write)

/* A MOV that is known from before goes straight to the local APIC, if all that the CPU says of it
 * agrees; emulation does the same. */
static void test_apic_moves(void **state)
{
    fake_vm.pc.lapic[0].state.mode = LAPIC_XAPIC;
    vcpu->gpr[INSN_RAX] = 0x11111111aabbccddULL;
    for (unsigned i = 0; i < 2; i++) { /* MOV [FEE00300h], EAX; and of an immediate number */
        assert_int_equal(STRAIGHT(0xfee00300, true, 0xa3, 0x00, 0x03, 0xe0, 0xfe), i);
        assert_int_equal(i ? fake_platform.apic_value : fake_platform.mmio_value, 0xaabbccdd);
    }
    for (unsigned i = 0; i < 2; i++) {
        vcpu->shadow = true;
        assert_int_equal(STRAIGHT(0xfee000b0, true, 0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 4, 3, 2, 1),
                         i);
        assert_int_equal(i ? fake_platform.apic_value : fake_platform.mmio_value, 0x01020304);
        assert_false(vcpu->shadow);
    }
    assert_int_equal(fake_platform.apic_offset, 0xb0);
    /* Changed code, another address or direction, less than a register, another instruction. */
    assert_false(STRAIGHT(0xfee00300, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_false(STRAIGHT(0xfee00300, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_true(STRAIGHT(0xfee00310, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_false(STRAIGHT(0xfee00310, false, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfee00301, true, 0xa3, 0x01, 0x03, 0xe0, 0xfe));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfee00300, true, 0x66, 0xa3, 0x00, 0x03, 0xe0, 0xfe));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfee00300, true, 0x01, 0x05, 0x00, 0x03, 0xe0, 0xfe));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_false(STRAIGHT(0xfec00010, true, 0xa3, 0x10, 0x00, 0xc0, 0xfe));
    }
    fake_vm.pc.lapic[0].state.mode = LAPIC_X2APIC; /* there is no page */
    assert_false(STRAIGHT(0xfee00310, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
    assert_false(STRAIGHT(0xfee00310, true, 0xa3, 0x10, 0x03, 0xe0, 0xfe));
}

/* A write that cannot let anything in needs no look at interrupts before the next entry. */
static void test_apic_looks(void **state)
{
    static const struct {
        uint32_t offset;
        bool requested, looks;
    } rows[] = {
        {LAPIC_EOI,      false, false},
        {LAPIC_EOI,      true,  true },
        {LAPIC_TPR,      false, false},
        {LAPIC_TPR,      true,  true },
        {LAPIC_ICR,      false, false},
        {LAPIC_ICR_HIGH, false, false},
        {LAPIC_INITIAL,  false, true },
        {LAPIC_SVR,      false, true },
    };

    fake_vm.pc.lapic[0].state.mode = LAPIC_XAPIC;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t low = (uint8_t)rows[i].offset, high = (uint8_t)(rows[i].offset >> 8);

        fake_vm.pc.lapic[0].state.irr[7] = rows[i].requested;
        (void)STRAIGHT(0xfee00000 + rows[i].offset, true, 0xa3, low, high, 0xe0, 0xfe);
        assert_true(vcpu->look);
        vcpu->look = false;
        fake_platform.cr8 = (uint8_t)(i + 1);
        assert_true(STRAIGHT(0xfee00000 + rows[i].offset, true, 0xa3, low, high, 0xe0, 0xfe));
        assert_int_equal(vcpu->look, rows[i].looks);
        assert_int_equal(vcpu->cr8, i + 1);
    }
}

/* Loads go there, too; a step is seen behind them. */
static void test_apic_loads(void **state)
{
    fake_vm.pc.lapic[0].state.mode = LAPIC_XAPIC;
    for (unsigned i = 0; i < 2; i++) {
        fake_platform.mmio_value = 0x87654321;
        vcpu->gpr[INSN_RBX] = UINT64_MAX;
        assert_false(STRAIGHT(0xfee00080, false, 0x8b, 0x1d, 0x80, 0x00, 0xe0, 0xfe));
        assert_int_equal(vcpu->gpr[INSN_RBX], 0x87654321);
        fake_expect_nothing();
    }
    vcpu->rflags |= RFLAGS_TF | RFLAGS_RF;
    assert_false(STRAIGHT(0xfee00080, false, 0x8b, 0x1d, 0x80, 0x00, 0xe0, 0xfe));
    fake_expect_exception(1, false, 0);
    assert_int_equal(vcpu->rflags & RFLAGS_RF, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_apic_moves, setup),
        cmocka_unit_test_setup(test_apic_loads, setup),
        cmocka_unit_test_setup(test_apic_looks, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
