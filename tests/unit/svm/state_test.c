/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's state and its registers, in the VMCB and out of it. */
#include "tests/unit/svm/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MSR_TSC_RATIO 0xc0000104U

static void test_state(void **state)
{
    static struct cpu_state in, out, again;

    memset(&in, 0x5a, sizeof(in));
    for (unsigned i = 0; i < ARRAY_SIZE(in.segment); i++) {
        in.segment[i].base = 0x5a5a5a5a5a5a; /* what more there is of an address is taken out */
    }
    in.lstar = in.cstar = in.kernel_gs_base = in.sysenter_esp = in.sysenter_eip = in.cr3 =
        0x5a5a5a5a5a5a;
    in.cr0 = in.dr6 = in.dr7 = 0x5a5a5a5a;
    svm_set_state(vcpu, &in);
    assert_int_equal(vmcb->efer & EFER_SVME, EFER_SVME);
    assert_true(vmcb->cr4 & CR4_MCE);
    assert_int_equal(vmcb->inject | vmcb->clean | vmcb->asid, 0);
    in.efer &= ~EFER_SVME;
    memset(&out, 0xa5, sizeof(out));
    svm_get_state(vcpu, &out);
    svm_set_state(vcpu, &out);
    memset(&again, 0xa5, sizeof(again));
    svm_get_state(vcpu, &again);
    assert_memory_equal(&out, &again, sizeof(out));
    assert_memory_equal(out.segment, in.segment, sizeof(in.segment));
    for (const char *member = (const char *)&in.cr0; member < (const char *)&in.tsc_offset;
         member += sizeof(uint64_t)) {
        size_t at = (size_t)(member - (const char *)&in);

        assert_memory_equal(member, (const char *)&out + at, sizeof(uint64_t));
    }
    assert_int_equal(out.cpl, in.cpl);
}

static void test_registers(void **state)
{
    for (unsigned reg = 0; reg < BACKEND_REGISTERS; reg++) {
        vmcb->clean = UINT32_MAX;
        fake_msr_set(MSR_TSC_RATIO, 0);
        backend->write(vcpu, (enum backend_register)reg, 0x100 + reg);
        if (reg == BACKEND_TSC_RATIO) {
            assert_int_equal(fake_msr(MSR_TSC_RATIO), 0x100 + reg);
        } else {
            assert_int_not_equal(vmcb->clean, UINT32_MAX);
        }
    }
    for (unsigned reg = 0; reg < BACKEND_REGISTERS; reg++) {
        assert_int_equal(backend->read(vcpu, (enum backend_register)reg), 0x100 + reg);
    }
    backend->set_root(vcpu, hpa(0x123000));
    assert_int_equal(vmcb->nested_cr3, 0x123000);
    assert_true(((struct svm_vcpu *)vcpu->backend)->asid.stale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_state, setup),
        cmocka_unit_test_setup(test_registers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
