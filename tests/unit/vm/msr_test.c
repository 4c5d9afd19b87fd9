/* SPDX-License-Identifier: BSD-2-Clause */
/* Model registers: who answers what, and what is refused. Includes model_msr.c for its names. */
#include "vmm/vm/model_msr.c" /* NOLINT(bugprone-suspicious-include): of values only */

#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define TSC_SLACK (1ULL << 36) /* what the host's TSC may advance within a test */

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    struct cpu_state reset = {0};

    fake_cpu_milan();
    fake_vm_reset();
    fake_msr_set(0x8b, 0xa0011d1);
    fake_msr_set(0x49, 0);
    fake_msr_set(0xc0000103, 7);
    model_reset(&reset);
    vcpu->model = reset.model;
    return 0;
}

static uint64_t read_ok(uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_int_equal(model_msr_read(vcpu, msr, &value), STATUS_OK);
    return value;
}

static void write_ok(uint32_t msr, uint64_t value)
{
    assert_int_equal(model_msr_write(vcpu, msr, value), STATUS_OK);
}

static void write_refused(uint32_t msr, uint64_t value)
{
    assert_int_equal(model_msr_write(vcpu, msr, value), STATUS_INVALID);
}

static void test_table(void **state)
{
    for (unsigned i = 0; i < msr_row_count; i++) {
        assert_true(msr_rows[i].first <= msr_rows[i].last);
        assert_true(i == 0 || msr_rows[i].first > msr_rows[i - 1].last); /* in order, none twice */
    }
}

static const char *const meanings[] = {
    [MSR_KIND_PASSED] = "the guest's own, no exit",
    [MSR_KIND_PLATFORM] = "the virtual PC's",
    [MSR_KIND_TSC] = "the host's at the VM's rate, plus an offset",
    [MSR_KIND_EFER] = "checked; LMA follows CR0.PG",
    [MSR_KIND_PAT] = "checked, loaded",
    [MSR_KIND_MTRR_DEFAULT] = "checked, kept, no effect",
    [MSR_KIND_MTRR_VARIABLE] = "checked, kept, no effect",
    [MSR_KIND_MTRR_FIXED] = "checked, kept, no effect",
    [MSR_KIND_DEBUGCTL] = "checked, kept, no effect",
    [MSR_KIND_TSC_AUX] = "checked, loaded",
    [MSR_KIND_HOST] = "reads as the host's, writes do nothing",
    [MSR_KIND_CONSTANT] = "reads as a constant, writes do nothing",
    [MSR_KIND_FIXED] = "reads as a constant, writes give #GP",
    [MSR_KIND_IBPB] = "writes only, passed on",
};

static void expect_line(FILE *page, const char *wanted)
{
    char line[512];

    do {
        assert_non_null(fgets(line, sizeof(line), page));
    } while (line[0] != '|' || line[2] != '`');
    assert_string_equal(line, wanted);
}

/* docs/model-registers.md has a line for each row, and no other. */
static void test_page(void **state)
{
    FILE *page = fopen("docs/model-registers.md", "r");
    char line[512];

    assert_non_null(page);
    for (unsigned i = 0; i < msr_row_count; i++) {
        const struct msr_row *row = &msr_rows[i];
        const char *kept = row->kept == MSR_NOT_KEPT ? "no" : "yes";
        char last[24] = "";

        if (row->last != row->first) {
            (void)snprintf(last, sizeof(last), "\xe2\x80\x93`%x`", row->last);
        }
        (void)snprintf(line, sizeof(line), "| `%x`%s | %s | %s | %s |\n", row->first, last,
                       row->name, meanings[row->kind], kept);
        expect_line(page, line);
    }
    assert_null(fgets(line, sizeof(line), page));
    assert_int_equal(fclose(page), 0);
}

/* Every number that is not in the table gives #GP, on both sides of each row, and in the gaps that
 * guests probe. */
static void test_unknown(void **state)
{
    static const uint32_t probed[] = {0x0,        0x16,       0x2a,       0x34,       0x3a,
                                      0xce,       0x122,      0x140,      0x174,      0x1a2,
                                      0x400,      0x480,      0x610,      0xd90,      0xda0,
                                      0x40000000, 0x4b564d00, 0xc0000081, 0xc0000100, 0xc0000104,
                                      0xc0010117, 0xc0010131, 0xc0011027, UINT32_MAX};
    uint64_t value;

    for (unsigned i = 0; i < msr_row_count; i++) {
        uint32_t before = msr_rows[i].first - 1, behind = msr_rows[i].last + 1;

        if (!find(before)) {
            assert_int_equal(model_msr_read(vcpu, before, &value), STATUS_INVALID);
            write_refused(before, 0);
        }
        if (!find(behind)) {
            assert_int_equal(model_msr_read(vcpu, behind, &value), STATUS_INVALID);
            write_refused(behind, 0);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(probed); i++) {
        assert_int_equal(model_msr_read(vcpu, probed[i], &value), STATUS_INVALID);
        write_refused(probed[i], 0);
    }
}

static void test_kinds_without_state(void **state)
{
    for (unsigned i = 0; i < msr_row_count; i++) {
        for (uint32_t msr = msr_rows[i].first; msr <= msr_rows[i].last; msr++) {
            if (msr_rows[i].kind == MSR_KIND_CONSTANT) {
                write_ok(msr, UINT64_MAX);
                assert_int_equal(read_ok(msr), msr_rows[i].value);
            } else if (msr_rows[i].kind == MSR_KIND_FIXED) {
                write_refused(msr, msr_rows[i].value);
                assert_int_equal(read_ok(msr), msr_rows[i].value);
            } else if (msr_rows[i].kind == MSR_KIND_PLATFORM) {
                fake_platform.msr_value = msr + 1;
                assert_int_equal(read_ok(msr), msr + 1);
                assert_int_equal(fake_platform.msr, msr);
                write_ok(msr, 5);
                assert_int_equal(fake_platform.msr_value, 5);
            }
        }
    }
    assert_int_equal(read_ok(0xc0010114), 0x18); /* VM_CR: locked, SVM off */
    assert_int_equal(read_ok(0xfe), 0x508);
    assert_int_equal(read_ok(0xc0011028), 0);
    assert_int_equal(read_ok(0xc0011029), 2); /* DE_CFG: LFENCE waits */
    assert_int_equal(read_ok(0xc001102a), 0);
    fake_platform.msr_status = STATUS_INVALID;
    write_refused(0x1b, 0);
    assert_int_equal(read_ok(0x8b), 0xa0011d1);
    write_ok(0x8b, 1);
    assert_int_equal(read_ok(0x8b), 0xa0011d1);
}

static void test_platform_owns_its_rows(void **state)
{
    uint64_t value;

    fake_platform.msr_status = STATUS_INVALID;
    assert_int_equal(model_msr_read(vcpu, 0x8ff, &value), STATUS_INVALID);
    assert_int_equal(model_msr_read(vcpu, 0x6e0, &value), STATUS_INVALID);
}

static void test_memory_types(void **state)
{
    static const uint32_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                     0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

    for (unsigned type = 0; type < 256; type++) {
        bool mtrr = type == 0 || type == 1 || (type >= 4 && type <= 6), pat = mtrr || type == 7;

        for (unsigned at = 0; at < 64; at += 8) {
            enum status status = model_msr_write(vcpu, 0x277, (uint64_t)type << at);

            assert_int_equal(status, pat ? STATUS_OK : STATUS_INVALID);
            status = model_msr_write(vcpu, 0x26f, (uint64_t)type << at);
            assert_int_equal(status, mtrr ? STATUS_OK : STATUS_INVALID);
        }
    }
    write_ok(0x277, 0x0007010600070106ULL);
    write_refused(0x277, 0x0207010600070106ULL);
    assert_int_equal(read_ok(0x277), 0x0007010600070106ULL);
    assert_int_equal(fake_backend.pat, 0x0007010600070106ULL);
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) { /* each has a place of its own */
        write_ok(fixed[i], (i < 8 ? 6ULL : 5ULL) << i % 8 * 8);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        assert_int_equal(read_ok(fixed[i]), (i < 8 ? 6ULL : 5ULL) << i % 8 * 8);
    }
}

static void test_variable_ranges(void **state)
{
    for (uint32_t i = 0; i < 16; i += 2) {
        write_ok(0x200 + i, ((uint64_t)i << 28) | 6);
        write_ok(0x201 + i, 0xfffff0000800ULL | (uint64_t)i << 16);
    }
    for (uint32_t i = 0; i < 16; i += 2) {
        assert_int_equal(read_ok(0x200 + i), ((uint64_t)i << 28) | 6);
        assert_int_equal(read_ok(0x201 + i), 0xfffff0000800ULL | (uint64_t)i << 16);
    }
    write_ok(0x2ff, 0x800);
    assert_int_equal(read_ok(0x2ff), 0x800);
}

/* Intel SDM 3, 12.11.2: what a type, an address or a reserved bit may not be. */
static void test_mtrr_refusals(void **state)
{
    static const unsigned wrong[] = {2, 3, 7, 8, 0xff};

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        write_refused(0x2ff, 0xc00 | wrong[i]);
        write_refused(0x200, wrong[i]);
    }
    write_refused(0x2ff, 0x1000);
    write_refused(0x2ff, 0x100);
    write_refused(0x200, 0x106);
    write_refused(0x200, 1ULL << 48 | 6); /* beyond the guest's physical addresses */
    write_refused(0x201, 0x801);
    write_refused(0x201, 1ULL << 48 | 0x800);
    assert_int_equal(read_ok(0x2ff), 0xc06);
    assert_int_equal(read_ok(0x200), PCI_HOLE_BASE);
}

static void test_reset(void **state)
{
    assert_int_equal(read_ok(0x2ff), 0xc06); /* on, write-back */
    assert_int_equal(read_ok(0x250), MTRR_ALL_WB);
    assert_int_equal(read_ok(0x258), MTRR_ALL_WB);
    assert_int_equal(read_ok(0x259), 0); /* the frame buffer's window */
    assert_int_equal(read_ok(0x268), 0x0505050505050505);
    assert_int_equal(read_ok(0x200), 0xe0000000); /* 512 MiB up to 4 GiB, uncached */
    assert_int_equal(read_ok(0x201), 0xffffe0000800ULL);
    assert_int_equal(read_ok(0x202), 0);
    assert_int_equal(read_ok(0xc0000103), 0);
    assert_int_equal(read_ok(0x1d9), 0);
}

static void test_tsc(void **state)
{
    fake_vm.base_tsc = cpu_read_tsc();
    assert_in_range(read_ok(0x10), 0, TSC_SLACK);
    write_ok(0x10, 1ULL << 60);
    assert_in_range(read_ok(0x10), 1ULL << 60, (1ULL << 60) + TSC_SLACK);
    assert_in_range(vcpu->tsc_offset, (1ULL << 60) - TSC_SLACK, 1ULL << 60);
    assert_int_equal(fake_platform.tsc_offset, vcpu->tsc_offset);
    assert_int_equal(fake_backend.tsc_offset, vcpu->tsc_offset - fake_vm.base_tsc);
    write_ok(0x10, 0); /* back */
    assert_in_range(read_ok(0x10), 0, TSC_SLACK);
    assert_int_equal(fake_platform.tsc_offset, vcpu->tsc_offset);
}

static uint64_t scaled_now(void)
{
    return vm_scale_tsc(&fake_vm, cpu_read_tsc()) - fake_vm.base_tsc + vcpu->tsc_offset;
}

/* At half the host's rate and more than twice as fast: what the CPU shows the guest, it reads. */
static void test_scaled_tsc(void **state)
{
    static const uint64_t ratios[] = {1ULL << 31, 9ULL << 30};

    fake_vm.tsc_fraction = 32;
    for (unsigned i = 0; i < ARRAY_SIZE(ratios); i++) {
        fake_vm.tsc_ratio = ratios[i];
        fake_vm.base_tsc = vm_scale_tsc(&fake_vm, cpu_read_tsc());
        write_ok(0x10, 1ULL << 50);
        assert_int_equal(fake_backend.tsc_offset, vcpu->tsc_offset - fake_vm.base_tsc);
        uint64_t before = scaled_now(), read = read_ok(0x10);

        assert_in_range(read, before, scaled_now());
        assert_in_range(read, 1ULL << 50, (1ULL << 50) + 3 * TSC_SLACK);
    }
    fake_vm.tsc_ratio = 0;
    vcpu->tsc_offset = 0;
}

static void test_efer(void **state)
{
    write_ok(0xc0000080, 0x901); /* SCE, LME, NXE */
    assert_int_equal(fake_backend.efer, 0x901);
    assert_int_equal(fake_backend.flushes, 1);
    write_ok(0xc0000080, 0xd00); /* LMA is the CPU's to set */
    assert_int_equal(fake_backend.efer, 0x900);
    fake_backend.cr0 |= CR0_PG;
    fake_backend.efer = 0x500;
    write_refused(0xc0000080, 0x400); /* LME, with paging on */
    write_ok(0xc0000080, 0x901);
    assert_int_equal(read_ok(0xc0000080), 0xd01);
    fake_backend.efer = 0;
    write_refused(0xc0000080, 0x100);
    write_ok(0xc0000080, 0x800);
    fake_backend.cr0 &= ~CR0_PG;
    for (unsigned bit = 0; bit < 64; bit++) {
        enum status status = model_msr_write(vcpu, 0xc0000080, 1ULL << bit);
        bool known = 0x4d01ULL >> bit & 1;

        assert_int_equal(status, known ? STATUS_OK : STATUS_INVALID); /* SVME (12) is not */
    }
}

static void test_small_ones(void **state)
{
    uint64_t value;

    assert_int_equal(model_msr_read(vcpu, 0x49, &value), STATUS_INVALID);
    write_ok(0x49, 0);
    assert_int_equal(fake_msr(0x49), 0);
    write_ok(0x49, 1);
    assert_int_equal(fake_msr(0x49), 1);
    write_refused(0x49, 2);
    write_ok(0x1d9, 0x3f);
    write_refused(0x1d9, 0x40);
    assert_int_equal(read_ok(0x1d9), 0x3f);
    write_ok(0xc0000103, 0x12345);
    assert_int_equal(fake_msr(0xc0000103), 0x12345);
    write_refused(0xc0000103, 1ULL << 32);
    assert_int_equal(read_ok(0xc0000103), 0x12345);
    fake_cpu_milan(); /* forgets that it has these registers */
    write_refused(0x49, 1);
    write_refused(0xc0000103, 3);
    assert_int_equal(read_ok(0xc0000103), 0x12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_table, setup),
        cmocka_unit_test_setup(test_page, setup),
        cmocka_unit_test_setup(test_unknown, setup),
        cmocka_unit_test_setup(test_kinds_without_state, setup),
        cmocka_unit_test_setup(test_platform_owns_its_rows, setup),
        cmocka_unit_test_setup(test_memory_types, setup),
        cmocka_unit_test_setup(test_variable_ranges, setup),
        cmocka_unit_test_setup(test_mtrr_refusals, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_tsc, setup),
        cmocka_unit_test_setup(test_scaled_tsc, setup),
        cmocka_unit_test_setup(test_efer, setup),
        cmocka_unit_test_setup(test_small_ones, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
