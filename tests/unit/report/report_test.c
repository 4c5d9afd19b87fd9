/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report on faked machines against golden texts, tests/unit/report/NAME.txt.
 * 'unit-report print NAME' prints what the report is now.
 */
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/physical.h"
#include "tests/unit/report/machines.h"
#include "vmm/base/format.h"
#include "vmm/report/features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct platform_facts facts;

static unsigned machine_find(const char *name)
{
    for (unsigned i = 0; machine_name(i) != NULL; i++) {
        if (strcmp(machine_name(i), name) == 0) {
            return i;
        }
    }
    fail_msg("no machine %s", name);
    return 0;
}

static enum report_verdict report(const char *name)
{
    const struct machine_core *core = machine_become(machine_find(name));

    fake_log_clear();
    report_gather(core->cpus_started, core->memory, &facts);
    assert_int_equal(fake_physical_windows(), 0);
    return report_print(&facts);
}

static void test_golden(void **state)
{
    static char wanted[1 << 14];
    char name[128];

    for (unsigned i = 0; machine_name(i) != NULL; i++) {
        unsigned lines = 0;

        format(name, sizeof(name), "tests/unit/report/%s.txt", machine_name(i));
        FILE *file = fopen(name, "r");
        assert_non_null(file);
        wanted[fread(wanted, 1, sizeof(wanted) - 1, file)] = '\0';
        (void)fclose(file);
        (void)report(machine_name(i));
        assert_string_equal(fake_log_text(), wanted);
        for (const char *c = fake_log_text(); *c != '\0'; c++) {
            lines += *c == '\n';
        }
        assert_in_range(lines, 10, 45);
    }
}

static void test_verdicts(void **state)
{
    assert_int_equal(report("amd-emulated"), REPORT_READY);
    assert_int_equal(report("amd-server"), REPORT_READY);
    assert_int_equal(report("amd-off"), REPORT_CANNOT_RUN);
    assert_int_equal(report("amd-without"), REPORT_CANNOT_RUN);
    assert_int_equal(report("intel-server"), REPORT_READY);
    assert_int_equal(report("intel-locked"), REPORT_CANNOT_RUN);
    assert_int_equal(report("intel-old"), REPORT_CANNOT_RUN);
    assert_int_equal(report("other"), REPORT_CANNOT_RUN);
}

/* Each lack by itself, on a machine that is otherwise sound, tips the verdict as it should. */
static void test_single_lacks(void **state)
{
    static struct acpi_facts acpi;

    (void)report("amd-server");
    acpi = *facts.acpi;
    facts.acpi = &acpi;
    assert_int_equal(report_verdict(&facts), REPORT_READY);
    facts.features[FEATURE_SVM_NPT] = false;
    assert_int_equal(report_verdict(&facts), REPORT_CANNOT_RUN);
    facts.features[FEATURE_SVM_NPT] = true;
    facts.features[FEATURE_X2APIC] = false;
    assert_int_equal(report_verdict(&facts), REPORT_READY);
    facts.iommus[2].answers = false;
    assert_int_equal(report_verdict(&facts), REPORT_NO_PASSTHROUGH);
    facts.iommus[2].answers = true;
    acpi.ivrs.complete = false;
    assert_int_equal(report_verdict(&facts), REPORT_NO_PASSTHROUGH);
    acpi.ivrs.complete = true;
    facts.pfs = 0;
    assert_int_equal(report_verdict(&facts), REPORT_NO_PASSTHROUGH);
    facts.pfs = 1;
    facts.pfs_without_bars = 1; /* the VMM places them */
    assert_int_equal(report_verdict(&facts), REPORT_READY);
    facts.pfs_without_bars = 0;
    facts.iommu_count = 0;
    fake_log_clear();
    assert_int_equal(report_print(&facts), REPORT_NO_PASSTHROUGH);
    assert_true(fake_log_contains("verdict: this machine can run VMs; no passthrough: no IOMMU "
                                  "(enable VT-d (Intel) or IOMMU (AMD)"));
    facts.memory.largest = 4096;
    assert_int_equal(report_verdict(&facts), REPORT_CANNOT_RUN);
}

static void test_facts(void **state)
{
    (void)report("intel-server");
    assert_int_equal(facts.vendor, CPU_VENDOR_INTEL);
    assert_int_equal(facts.family, 6);
    assert_int_equal(facts.model, 0x6a);
    assert_int_equal(facts.asids, 65536);
    assert_int_equal(facts.iommu_count, 9);
    assert_int_equal(facts.iommus[0].address_width, 48);
    assert_true(facts.iommus[0].abilities >> IOMMU_POSTED_INTERRUPTS & 1);
    assert_false(facts.iommus[8].abilities >> IOMMU_POSTED_INTERRUPTS & 1);
    assert_true(facts.interrupt_remapping);
    (void)report("amd-emulated");
    assert_int_equal(facts.family, 0x17);
    assert_int_equal(facts.model, 1);
    assert_int_equal(facts.asids, 16);
    assert_string_equal(facts.brand, "AMD EPYC Processor");
    assert_int_equal(facts.virtualization, VIRTUALIZATION_OPEN);
    assert_int_equal(facts.pfs, 2);
    (void)report("amd-server");
    assert_string_equal(facts.brand, "AMD EPYC 7713 64-Core Processor");
    assert_int_equal(facts.pfs_without_bars, 1);
    assert_int_equal(facts.pfs_without_ari, 1);
    assert_int_equal(facts.virtualization, VIRTUALIZATION_OPEN); /* locked, but open */
}

/* A needed lack always comes first, whatever else is missing. */
static void test_order(void **state)
{
    for (unsigned i = 0; machine_name(i) != NULL; i++) {
        enum lack_need last = LACK_NEEDED;
        struct lack lack;
        uint32_t cursor = 0;

        (void)report(machine_name(i));
        while (lack_next(&facts, &cursor, &lack)) {
            assert_true(lack.need >= last);
            assert_true(strlen(lack.remedy) > 10);
            last = lack.need;
        }
    }
}

/* What the check of the configuration is told. */
static void test_config_machine(void **state)
{
    static struct config_machine machine;

    (void)report("amd-emulated");
    report_config_machine(&facts, &machine);
    assert_true(machine.can_run_vms && machine.has_iommu);
    assert_int_equal(machine.cpu_count, 4);
    assert_int_equal(machine.memory, facts.memory.free);
    assert_int_equal(machine.pf_count, 2);
    assert_int_equal(machine.pfs[1].bdf.bus, 2);
    assert_true(machine.pfs[1].has_sriov);
    assert_int_equal(machine.pfs[1].total_vfs, 64);
    (void)report("intel-locked"); /* its IOMMU does not answer */
    report_config_machine(&facts, &machine);
    assert_false(machine.can_run_vms || machine.has_iommu);
    (void)report("amd-off"); /* functions without SR-IOV */
    report_config_machine(&facts, &machine);
    assert_int_equal(machine.cpu_count, 16);
    assert_int_equal(machine.pf_count, 2);
    assert_false(machine.pfs[0].has_sriov);
    assert_int_equal(machine.pfs[0].total_vfs, 0);
}

static int tear_down(void **state)
{
    machine_release();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_single_lacks), cmocka_unit_test(test_facts),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_config_machine),
    };

    if (argc == 3 && strcmp(argv[1], "print") == 0) {
        (void)report(argv[2]);
        (void)fputs(fake_log_text(), stdout);
        return tear_down(NULL);
    }
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
