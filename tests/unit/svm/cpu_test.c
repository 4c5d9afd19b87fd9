/* SPDX-License-Identifier: BSD-2-Clause */
/* Switching SVM on: what fails leaves nothing behind, and says so again. */
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "vmm/host/percpu.h"
#include "vmm/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct backend_offers backend_offers;

#define ARCH_SET_GS 0x1001
#define EFER        0xc0000080U
#define VM_CR       0xc0010114U
#define HSAVE       0xc0010117U

static struct cpu cpu;
static unsigned saves;

void svm_save_host(hpa_t host)
{
    assert_int_equal(host.raw % PAGE_SIZE, 0);
    saves++;
}

enum status maps_init(void)
{
    return STATUS_OK;
}

static void expect_failure(enum status status)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(svm_enable_cpu(), status);
        assert_int_equal(fake_pages_used(), 0);
        assert_int_equal(saves, 0);
    }
}

/* One CPU, from the first failure to what works: each try finds it as if it were the first. */
static void test_enable(void **state)
{
    cpu.self = &cpu;
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu), 0);
    fake_cpu_milan();
    fake_pages_reset(8);
    fake_msr_set(VM_CR, 0x10); /* by the firmware */
    expect_failure(STATUS_UNSUPPORTED);
    fake_msr_set(VM_CR, 0);
    for (unsigned limit = 0; limit < 2; limit++) {
        fake_pages_limit(limit);
        expect_failure(STATUS_NO_MEMORY);
    }
    fake_pages_limit(8);
    expect_failure(STATUS_DEVICE); /* it has not even EFER */
    fake_msr_set(EFER, 0xd01);
    expect_failure(STATUS_DEVICE); /* no place for the host's state */
    fake_msr_set(HSAVE, 0);
    assert_int_equal(svm_enable_cpu(), STATUS_OK);
    assert_int_equal(fake_msr(EFER), 0x1d01);
    assert_int_not_equal(fake_msr(HSAVE), 0);
    assert_int_equal(fake_pages_used(), 2);
    assert_int_equal(saves, 1);
    assert_int_equal(svm_enable_cpu(), STATUS_OK);
    assert_int_equal(saves, 1);
    assert_int_equal(svm_host_vmcb(&cpu).raw % PAGE_SIZE, 0);
}

/* Automatic IBRS, on the next CPU: where the table says so. */
static void test_guards(void **state)
{
    cpu.index = 1;
    fake_cpu_genoa();
    fake_cpuid_set(0x80000021, 0, (struct cpuid){.eax = 1U << 8});
    assert_int_equal(svm_init(), STATUS_OK);
    assert_int_equal(backend_offers.tsc_ratio.whole != 0, cpuid_read(0x8000000a, 0).edx >> 4 & 1);
    fake_msr_set(EFER, 0xd01);
    fake_msr_set(HSAVE, 0);
    fake_pages_reset(8);
    assert_int_equal(svm_enable_cpu(), STATUS_OK);
    assert_int_equal(fake_msr(EFER), 0x201d01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_enable),
                                       cmocka_unit_test(test_guards)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
