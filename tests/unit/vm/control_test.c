/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers and XCR0: every combination that is #GP, and what the rest does. */
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/vm/exit_table.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UD  6U
#define GP  13U
#define LME (1ULL << 8)
#define LMA (1ULL << 10)

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    fake_cpu_genoa();
    fake_vm_reset();
    return 0;
}

/* MOV to control register NUMBER, as the hardware describes it. True: no #GP. */
static bool write_cr(unsigned number, uint64_t value)
{
    struct exit exit = {.reason = EXIT_CR_WRITE, .length = 3};
    uint64_t rip = vcpu->rip;

    exit.control = (struct exit_control){.number = (uint8_t)number, .value = value};
    vcpu->event.kind = VCPU_EVENT_NONE;
    handle_cr_write(vcpu, &exit);
    if (vcpu->event.kind == VCPU_EVENT_NONE) {
        assert_int_equal(vcpu->rip, rip + 3);
        return true;
    }
    fake_expect_exception(GP, true, 0);
    assert_int_equal(vcpu->rip, rip);
    return false;
}

static void test_cr0_bits(void **state)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        bool bad = bit == 29 || bit >= 31; /* NW without CD, PG from 64-bit code */

        fake_vm_reset();
        fake_vm_long_mode(); /* so that all 64 bits count */
        assert_int_equal(write_cr(0, CR0_PE | 1ULL << bit), !bad);
        uint64_t kept = (1ULL << bit) & 0xe005003fULL;

        assert_int_equal(fake_backend.cr0, bad ? CR0_PE | CR0_ET | CR0_NE : CR0_PE | CR0_ET | kept);
        assert_int_equal(fake_backend.flushes, !bad);
    }
    assert_true(write_cr(0, CR0_PE | CR0_CD | CR0_NW));
    assert_true(write_cr(0, CR0_PE | CR0_CD));
    assert_false(write_cr(0, CR0_PG)); /* without PE */
    assert_false(write_cr(0, CR0_PG | CR0_CD));
}

/* Switching paging on and off, in every state: AMD APM 2, 14.6.1 and 14.6.2. */
static void check_mode(unsigned bits)
{
    bool lme = bits & 1, pae = bits & 2, long_code = bits & 4, was_on = bits & 8, on = bits & 16;
    uint64_t efer = (lme ? LME : 0) | (lme && was_on ? LMA : 0);
    uint64_t cr0 = CR0_PE | CR0_ET | (was_on ? CR0_PG : 0);
    bool allowed = true;

    if (lme && on && !was_on) {
        allowed = pae && !long_code;
    } else if (lme && !on && was_on) {
        allowed = !long_code;
    }
    fake_vm_reset();
    fake_backend.efer = efer;
    fake_backend.cr0 = cr0;
    fake_backend.cr4 = pae ? CR4_PAE : 0;
    fake_backend.cs_attributes = long_code ? FAKE_CODE_LONG : FAKE_CODE_32;
    assert_int_equal(write_cr(0, CR0_PE | (on ? CR0_PG : 0)), allowed);
    if (!allowed) {
        assert_int_equal(fake_backend.efer, efer);
        assert_int_equal(fake_backend.cr0, cr0);
        return;
    }
    assert_int_equal(fake_backend.efer, (lme ? LME : 0) | (lme && on ? LMA : 0));
    assert_int_equal(fake_backend.cr0 & CR0_PG, on ? CR0_PG : 0);
}

static void test_every_mode(void **state)
{
    for (unsigned bits = 0; bits < 32; bits++) {
        check_mode(bits);
    }
}

static void test_cr4(void **state)
{
    uint64_t mask = model_facts.cr4;

    for (unsigned bit = 0; bit < 64; bit++) {
        fake_vm_reset();
        fake_vm_long_mode();
        assert_int_equal(write_cr(4, CR4_PAE | 1ULL << bit), mask >> bit & 1);
        assert_int_equal(fake_backend.cr4, CR4_PAE | (1ULL << bit & mask));
        assert_int_equal(fake_backend.flushes, mask >> bit & 1);
    }
    assert_false(write_cr(4, 0)); /* PAE off in long mode */
    assert_true(fake_backend.cr4 & CR4_PAE);
    fake_backend.efer = LME; /* enabled, not active */
    assert_true(write_cr(4, 0));
}

static void test_cr8(void **state)
{
    fake_vm_long_mode();
    for (unsigned value = 0; value < 16; value++) {
        assert_true(write_cr(8, value));
        assert_int_equal(fake_platform.cr8, value);
    }
    for (unsigned bit = 4; bit < 64; bit++) {
        assert_false(write_cr(8, 1ULL << bit));
    }
    assert_int_equal(fake_platform.cr8, 15);
}

static void test_other_registers(void **state)
{
    for (unsigned number = 0; number < 16; number++) {
        if (number != 0 && number != 4 && number != 8) {
            assert_false(write_cr(number, 0));
        }
    }
}

static void test_reads(void **state)
{
    struct exit exit = {.reason = EXIT_CR_READ, .length = 3};

    fake_backend.cr4 = 0x350020;
    exit.control = (struct exit_control){.number = 4, .reg = 12};
    handle_cr_read(vcpu, &exit);
    assert_int_equal(vcpu->gpr[12], 0x350020);
    assert_int_equal(vcpu->rip, 0x1003);
}

/* XSETBV; 0: carried out, else the vector. */
static unsigned xsetbv(uint32_t index, uint64_t value)
{
    struct exit exit = {.reason = EXIT_XSETBV, .length = 3};

    vcpu->event.kind = VCPU_EVENT_NONE;
    vcpu->rip = 0x1000;
    vcpu->gpr[INSN_RCX] = 0xffffffff00000000ULL | index;
    vcpu->gpr[INSN_RAX] = 0xffffffff00000000ULL | (value & UINT32_MAX);
    vcpu->gpr[INSN_RDX] = 0xffffffff00000000ULL | value >> 32;
    handle_xsetbv(vcpu, &exit);
    assert_int_equal(vcpu->rip, vcpu->event.kind == VCPU_EVENT_NONE ? 0x1003 : 0x1000);
    return vcpu->event.kind == VCPU_EVENT_NONE ? 0 : vcpu->event.vector;
}

/* Intel SDM 1, 13.3, on a host with all of x87, SSE, AVX and AVX-512. */
static bool xcr0_is_legal(uint64_t value)
{
    bool sse = value & 2, avx = value & 4;
    unsigned wide = value >> 5 & 7;

    return (value & ~0xe7ULL) == 0 && (value & 1) && (!avx || sse) &&
           (wide == 0 || (wide == 7 && avx));
}

static void test_xsetbv(void **state)
{
    assert_int_equal(xsetbv(0, 1), UD); /* CR4.OSXSAVE is 0 */
    fake_backend.cr4 = CR4_OSXSAVE;
    for (uint64_t value = 0; value < 0x1000; value++) {
        fake_xcr0 = 1;
        assert_int_equal(xsetbv(0, value), xcr0_is_legal(value) ? 0 : GP);
        assert_int_equal(fake_xcr0, xcr0_is_legal(value) ? value : 1);
    }
    for (unsigned bit = 8; bit < 64; bit++) {
        assert_int_equal(xsetbv(0, 1 | 1ULL << bit), GP);
    }
    assert_int_equal(xsetbv(1, 1), GP);
    assert_int_equal(xsetbv(UINT32_MAX, 1), GP);
    fake_xcr0_refuses = true;
    assert_int_equal(xsetbv(0, 3), GP);
    fake_cpu_milan(); /* no AVX-512 */
    assert_int_equal(xsetbv(0, 0xe7), GP);
    assert_int_equal(xsetbv(0, 7), 0);
}

/* A program of the guest's must not take its kernel's registers away. */
static void test_xsetbv_is_privileged(void **state)
{
    fake_backend.cr4 = CR4_OSXSAVE;
    for (unsigned cpl = 1; cpl < 4; cpl++) {
        fake_backend.cpl = (uint8_t)cpl;
        fake_xcr0 = 7;
        assert_int_equal(xsetbv(0, 1), GP);
        assert_int_equal(fake_xcr0, 7);
    }
}

static void test_cpuid(void **state)
{
    const struct exit exit = {.reason = EXIT_CPUID, .length = 2};

    for (unsigned i = 0; i < 4; i++) {
        fake_vm.pc.lapic[0].state.mode = i & 1 ? LAPIC_XAPIC : LAPIC_DISABLED;
        fake_backend.cr4 = i & 2 ? CR4_OSXSAVE : 0;
        vcpu->gpr[INSN_RAX] = 0xffffffff00000001ULL;
        vcpu->gpr[INSN_RCX] = 0xffffffff00000000ULL;
        handle_cpuid(vcpu, &exit);
        assert_int_equal(vcpu->gpr[INSN_RAX], 0x00a10f11);
        assert_int_equal(vcpu->gpr[INSN_RDX] >> 9 & 1, i & 1);
        assert_int_equal(vcpu->gpr[INSN_RCX] >> 27, i & 2 ? 0x1f : 0x1e);
        assert_int_equal(vcpu->rip, 0x1002 + 2 * i);
    }
}

static void test_model_registers(void **state)
{
    const struct exit read = {.reason = EXIT_MSR_READ, .length = 2};
    const struct exit write = {.reason = EXIT_MSR_WRITE, .length = 2};

    vcpu->gpr[INSN_RCX] = 0xffffffff00000277ULL;
    vcpu->gpr[INSN_RAX] = 0xffffffff00070106ULL;
    vcpu->gpr[INSN_RDX] = 0xffffffff00070406ULL;
    handle_msr_write(vcpu, &write);
    assert_int_equal(fake_backend.pat, 0x0007040600070106ULL);
    handle_msr_read(vcpu, &read);
    assert_int_equal(vcpu->gpr[INSN_RAX], 0x00070106);
    assert_int_equal(vcpu->gpr[INSN_RDX], 0x00070406);
    assert_int_equal(vcpu->rip, 0x1004);
    vcpu->gpr[INSN_RAX] = 2;
    handle_msr_write(vcpu, &write);
    fake_expect_exception(GP, true, 0);
    vcpu->event.kind = VCPU_EVENT_NONE;
    vcpu->gpr[INSN_RCX] = 0x12345;
    handle_msr_read(vcpu, &read);
    fake_expect_exception(GP, true, 0);
    assert_int_equal(vcpu->rip, 0x1004);
    assert_int_equal(vcpu->gpr[INSN_RAX], 2);
    assert_int_equal(fake_complaints, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_cr0_bits, setup),
        cmocka_unit_test_setup(test_every_mode, setup),
        cmocka_unit_test_setup(test_cr4, setup),
        cmocka_unit_test_setup(test_cr8, setup),
        cmocka_unit_test_setup(test_other_registers, setup),
        cmocka_unit_test_setup(test_reads, setup),
        cmocka_unit_test_setup(test_xsetbv, setup),
        cmocka_unit_test_setup(test_xsetbv_is_privileged, setup),
        cmocka_unit_test_setup(test_cpuid, setup),
        cmocka_unit_test_setup(test_model_registers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
