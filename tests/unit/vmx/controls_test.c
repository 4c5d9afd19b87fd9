/* SPDX-License-Identifier: BSD-2-Clause */
/* What a CPU must and may offer: every lack alone, every combination of what is optional, and the
 * report's rows held against those that decide. */
#include "vmm/report/features.h"
#include "vmm/vmx/vmx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Of the words of controls the lower half is what is forced: what is always 1 (appendix A). */
#define FORCED_PIN     0x16U
#define FORCED_PRIMARY 0x04006172U
#define FORCED_EXIT    0x36dfbU
#define FORCED_ENTRY   0x11fbU

static uint64_t capability[VMX_WORDS];
static struct vmx_features chosen;

static int setup(void **state)
{
    static const uint32_t forced[VMX_WORDS] = {
        [VMX_PIN] = FORCED_PIN,
        [VMX_PRIMARY] = FORCED_PRIMARY,
        [VMX_EXIT] = FORCED_EXIT & ~(1U << 2),
        [VMX_ENTRY] = FORCED_ENTRY & ~(1U << 2),
    };

    capability[VMX_BASIC] = 1ULL << 55;
    capability[VMX_EPT] = UINT32_MAX;
    for (unsigned word = VMX_PIN; word < VMX_WORDS; word++) {
        capability[word] = (uint64_t)UINT32_MAX << 32 | forced[word];
    }
    return 0;
}

/* The bit of its word that says whether ROW is met. */
static uint64_t bit_of(const struct vmx_row *row)
{
    return 1ULL << (row->word < VMX_PIN || row->need == VMX_CLEAR ? row->bit : 32U + row->bit);
}

static bool is_set(const struct vmx_row *row)
{
    return chosen.control[row->word] >> row->bit & 1;
}

static void test_full(void **state)
{
    assert_null(vmx_choose(capability, &chosen));
    assert_true(chosen.offers.giant_pages && chosen.invept_one);
    assert_int_equal(chosen.control[VMX_PIN], FORCED_PIN | 0x29);
    for (unsigned i = 0; i < vmx_row_count; i++) {
        const struct vmx_row *row = &vmx_rows[i];

        if (row->word >= VMX_PIN) {
            assert_int_equal(is_set(row), row->need == VMX_REQUIRED || row->need == VMX_OPTIONAL);
        }
    }
}

static void test_each_lack(void **state)
{
    for (unsigned i = 0; i < vmx_row_count; i++) {
        const struct vmx_row *row = &vmx_rows[i];

        capability[row->word] ^= bit_of(row);
        const char *lack = vmx_choose(capability, &chosen);

        if (row->need == VMX_OPTIONAL) {
            assert_null(lack);
            assert_false(row->word >= VMX_PIN && is_set(row));
        } else {
            assert_string_equal(lack, row->name);
        }
        capability[row->word] ^= bit_of(row);
    }
}

/* PML is taken with EPT's dirty bits only, and APICv's are taken together, or not at all. */
static bool is_log(const struct vmx_row *row)
{
    return row->word == VMX_SECONDARY && row->bit == 17;
}

static bool is_apic(const struct vmx_row *row)
{
    return row->word == VMX_SECONDARY && (VMCS_SECONDARY_APIC >> row->bit & 1);
}

static void test_all_options(void **state)
{
    const struct vmx_row *options[16];
    unsigned count = 0;

    for (unsigned i = 0; i < vmx_row_count; i++) {
        if (vmx_rows[i].need == VMX_OPTIONAL) {
            assert_true(count < ARRAY_SIZE(options));
            options[count++] = &vmx_rows[i];
        }
    }
    for (unsigned set = 0; set < 1U << count; set++) {
        (void)setup(NULL);
        for (unsigned i = 0; i < count; i++) {
            capability[options[i]->word] &= set >> i & 1 ? UINT64_MAX : ~bit_of(options[i]);
        }
        assert_null(vmx_choose(capability, &chosen));
        bool apic = true, log = true;

        for (unsigned i = 0; i < count; i++) {
            bool is_dirty_bits = options[i]->word == VMX_EPT && options[i]->bit == 21;

            apic = apic && (!is_apic(options[i]) || set >> i & 1);
            log = log && (!(is_log(options[i]) || is_dirty_bits) || set >> i & 1);
        }
        assert_int_equal(chosen.offers.serves_apic, apic);
        assert_int_equal(chosen.offers.logs_writes, log);
        for (unsigned i = 0; i < count; i++) {
            if (options[i]->word >= VMX_PIN) {
                assert_int_equal(is_set(options[i]), is_apic(options[i])  ? apic
                                                     : is_log(options[i]) ? log
                                                                          : set >> i & 1);
            }
        }
    }
}

/* What is forced stays, be it known or not. */
static void test_forced(void **state)
{
    capability[VMX_SECONDARY] |= 1U << 30;
    assert_null(vmx_choose(capability, &chosen));
    assert_int_equal(chosen.control[VMX_SECONDARY] >> 30 & 1, 1);
    assert_int_equal(chosen.control[VMX_PRIMARY] & FORCED_PRIMARY, FORCED_PRIMARY);
}

static const struct feature *reported(const struct vmx_row *row)
{
    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        const struct feature *feature = &features[i];
        unsigned bit = row->word < VMX_PIN ? row->bit : 32U + row->bit;

        if (feature->source == SOURCE_MSR && feature->where == vmx_word_msr[row->word] &&
            feature->bit == bit) {
            return feature;
        }
    }
    return NULL;
}

/* The report needs what the code needs of EPT and of the secondary controls, which not every CPU
 * has that VMX is on; and nothing of VMX besides that. */
static void test_report(void **state)
{
    unsigned needed = 0, rows = 0;

    for (unsigned i = 0; i < vmx_row_count; i++) {
        const struct vmx_row *row = &vmx_rows[i];
        const struct feature *feature = reported(row);

        if (row->need == VMX_REQUIRED && (row->word == VMX_EPT || row->word == VMX_SECONDARY)) {
            assert_non_null(feature);
            assert_int_equal(feature->need, FEATURE_NEEDED);
            rows++;
        } else if (feature) {
            assert_int_equal(feature->need == FEATURE_NEEDED, row->need == VMX_REQUIRED);
        }
        assert_true(!feature || strcmp(feature->name, row->name) == 0);
    }
    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        needed += features[i].source == SOURCE_MSR && features[i].need == FEATURE_NEEDED;
    }
    assert_int_equal(needed, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_full, setup),
        cmocka_unit_test_setup(test_each_lack, setup),
        cmocka_unit_test_setup(test_all_options, setup),
        cmocka_unit_test_setup(test_forced, setup),
        cmocka_unit_test_setup(test_report, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
