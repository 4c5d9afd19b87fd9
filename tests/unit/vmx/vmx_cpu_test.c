/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding VMX and switching it on: the permission map of model registers, firmware that forbids it,
 * and that what fails leaves nothing behind. Includes vmx_cpu.c to take the control registers out.
 */
#include "vmm/host/instructions.h"

static unsigned long cr0, cr3, cr4;
#define cpu_read_cr0()       cr0
#define cpu_read_cr3()       cr3
#define cpu_read_cr4()       cr4
#define cpu_write_cr0(value) ((void)(cr0 = (value)))
#define cpu_write_cr4(value) ((void)(cr4 = (value)))
#include "vmm/vmx/vmx_cpu.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vmx/fake_vmcs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define ARCH_SET_GS 0x1001
#define LOCKED_OFF  0x1U
#define LOCKED_ON   0x5U
#define REVISION    0x1234U
#define SPEC_CTRL   0x48U

const char vmx_exit_point[1];
static struct cpu cpu;

uint64_t trap_table(void)
{
    return 0x1000;
}

void panic(const char *fmt, ...)
{
    abort();
}

struct backend_offers backend_offers;

static void make_machine(void)
{
    fake_cpu_intel();
    fake_cpuid_set(1, 0, (struct cpuid){.eax = 0x606a6, .ecx = 1U << 5});
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        fake_msr_set(vmx_word_msr[i], i < VMX_PIN ? UINT32_MAX : (uint64_t)UINT32_MAX << 32);
    }
    fake_msr_set(vmx_word_msr[VMX_BASIC], 1ULL << 55 | 1ULL << 31 | REVISION);
    fake_msr_set(0x486, 0x80000021);
    fake_msr_set(0x487, UINT32_MAX);
    fake_msr_set(0x488, 0x2000);
    fake_msr_set(0x489, 0x3767ff);
    fake_pages_reset(8);
}

static void test_init(void **state)
{
    make_machine();
    fake_cpuid_set(1, 0, (struct cpuid){.eax = 0x606a6});
    assert_int_equal(vmx_init(), STATUS_UNSUPPORTED);
    make_machine();
    fake_msr_set(vmx_word_msr[VMX_SECONDARY], 0x2ULL << 32); /* EPT alone */
    assert_int_equal(vmx_init(), STATUS_UNSUPPORTED);
    make_machine();
    fake_pages_limit(0);
    assert_int_equal(vmx_init(), STATUS_NO_MEMORY);
    fake_pages_limit(8);
    assert_int_equal(vmx_init(), STATUS_OK);
    assert_memory_equal(&backend_offers, &features.offers, sizeof(backend_offers));
}

/* Reading and writing exit together, but for the registers that the table passes. */
static void test_bitmap(void **state)
{
    static uint8_t map[PAGE_SIZE];

    fill_bitmap(map);
    for (unsigned half = 0; half < 2; half++) {
        for (uint32_t i = 0; i < MAP_MSRS; i++) {
            uint32_t msr = i + (half ? MSR_HIGH : 0);
            bool passed = false;

            for (unsigned row = 0; row < msr_row_count; row++) {
                passed |= msr_rows[row].kind == MSR_KIND_PASSED && msr_rows[row].first == msr;
            }
            const uint8_t *byte = map + (size_t)half * MAP_HIGH + i / 8;

            assert_int_equal(byte[0] >> i % 8 & 1, !passed);
            assert_int_equal(byte[MAP_WRITING] >> i % 8 & 1, !passed);
        }
    }
}

static void expect_failure(enum status status)
{
    unsigned before = fake_pages_used();

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vmx_enable_cpu(), status);
        assert_int_equal(fake_pages_used(), before);
        assert_int_equal(cr4 & CR4_VMXE, 0);
    }
}

/* One CPU, from the first failure to what works: each try finds it as if it were the first. */
static void test_enable(void **state)
{
    cpu.self = &cpu;
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu), 0);
    make_machine();
    assert_int_equal(vmx_init(), STATUS_OK);
    cr0 = 0x80010011;
    cr4 = 0x660;
    fake_msr_set(MSR_FEATURE_CONTROL, LOCKED_OFF);
    expect_failure(STATUS_UNSUPPORTED);
    fake_msr_set(MSR_FEATURE_CONTROL, LOCKED_ON);
    for (unsigned limit = 1; limit < 3; limit++) { /* the bitmap is one */
        fake_pages_limit(limit);
        expect_failure(STATUS_NO_MEMORY);
    }
    fake_pages_limit(8);
    fake_vmxon_refuses = true;
    expect_failure(STATUS_DEVICE);
    fake_vmxon_refuses = false;
    fake_msr_set(MSR_FEATURE_CONTROL, 0); /* the firmware left it to us */
    features.guards = GUARD_IBRS | GUARD_RRSBA_DIS | GUARD_BUFFERS;
    fake_msr_set(SPEC_CTRL, 0x8);
    assert_int_equal(vmx_enable_cpu(), STATUS_OK);
    assert_int_equal(fake_msr(MSR_FEATURE_CONTROL), LOCKED_ON);
    assert_int_equal(fake_msr(SPEC_CTRL), 0x49);
    assert_int_equal(cr0, 0x80010031);
    assert_int_equal(cr4, 0x2660);
    assert_int_equal(fake_pages_used(), 3);
    assert_int_equal(cpu_vmcs[0][0], REVISION); /* bit 31 is no part of it */
    assert_int_equal(cpu_vmcs[0][-(int)(PAGE_SIZE / sizeof(uint32_t))], REVISION); /* VMXON's */
    assert_int_equal(vmx_enable_cpu(), STATUS_OK);
    assert_int_equal(fake_pages_used(), 3);
    vmx_renew_vmcs();
    assert_int_equal(fake_clears, 1);
    vmx_set_host();
    assert_int_equal(vmcs_read(VMCS_HOST_CR4), 0x2660);
    assert_int_equal(vmcs_read(VMCS_HOST_GS_BASE), (uint64_t)&cpu);
    assert_int_equal(vmcs_read(VMCS_HOST_TR), SELECTOR_TSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_bitmap),
        cmocka_unit_test(test_enable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
