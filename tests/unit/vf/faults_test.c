/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of DMA that was blocked, and how often. */
#include "drivers/iommu/iommu_edge.h"
#include "tests/unit/fakes/log.h"
#include "vmm/vf/vf_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OWNER 3U

static struct config_vm config;
static struct guest_log guest;
static struct vf_set assign;
static bool there;
static struct iommu_facts facts;

const struct iommu_facts *iommu_facts(void)
{
    return &facts;
}

uint32_t iommu_poll_faults(void)
{
    return 0;
}

struct vf_set *vf_set_at(unsigned index)
{
    return there && index == OWNER ? &assign : NULL;
}

static int setup(void **state)
{
    fake_log_now_ns = 5000000000ULL;
    memset(&assign, 0, sizeof(assign));
    assign.fault_log.vm = "web";
    guest = (struct guest_log){.vm = "web"};
    (void)snprintf(config.name, sizeof(config.name), "web");
    assign.owner = (struct vf_owner){.config = &config, .log = &guest};
    there = true;
    fake_log_clear();
    return 0;
}

static void report(uint64_t address)
{
    const struct iommu_fault fault = {
        .bdf = {.bus = 2, .devfn = 9},
        .address = address,
        .reason = "it is nobody's",
        .write = true,
        .owned = true,
        .owner = OWNER
    };

    iommu_edge_fault(&fault);
}

static void test_names(void **state)
{
    report(0x1234000);
    assert_true(fake_log_contains("VM 'web': VF 0000:02:01.1: a write at 0x1234000 was blocked: it "
                                  "is nobody's"));
    assert_int_equal(assign.faults, 1);
}

/* Also when the VM has caused all other lines that it may cause. */
static void test_not_used_up(void **state)
{
    for (unsigned i = 0; i < 1000; i++) {
        guest_log(&guest, LOG_WARN, "line %u", i);
    }
    assert_int_equal(fake_log_lines(), GUEST_LOG_BURST);
    report(0x5000);
    assert_true(fake_log_contains("0x5000"));
}

static void test_flood(void **state)
{
    for (unsigned i = 0; i < 10000; i++) {
        report(0x1000);
    }
    assert_int_equal(fake_log_lines(), GUEST_LOG_BURST);
    assert_int_equal(assign.faults, 10000);
    /* A while later there is room for one more, which says what was left out. */
    fake_log_clear();
    fake_log_now_ns += GUEST_LOG_EACH_NS - 1;
    report(0x2000);
    assert_int_equal(fake_log_lines(), 0);
    fake_log_now_ns += 1;
    report(0x3000);
    report(0x4000);
    assert_int_equal(fake_log_lines(), 2);
    assert_true(fake_log_contains("VM 'web': 9969 lines about it were left out"));
    assert_true(fake_log_contains("0x3000"));
    assert_false(fake_log_contains("0x4000"));
    /* And after a long one the whole burst is there again, no more. */
    fake_log_clear();
    fake_log_now_ns += 1000 * GUEST_LOG_EACH_NS;
    for (unsigned i = 0; i < 100; i++) {
        report(0x1000);
    }
    assert_int_equal(fake_log_lines(), GUEST_LOG_BURST + 1);
}

/* Nobody's, or of a VM that is not there. */
static void test_others(void **state)
{
    struct iommu_fault fault = {.reason = "it is nobody's", .owned = true, .owner = OWNER + 1};

    iommu_edge_fault(&fault);
    fault.owner = IOMMU_OWNER_VMM;
    iommu_edge_fault(&fault);
    fault.owner = OWNER;
    fault.owned = false;
    iommu_edge_fault(&fault);
    there = false;
    fault.owned = true;
    iommu_edge_fault(&fault);
    assert_int_equal(fake_log_lines(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_not_used_up, setup),
        cmocka_unit_test_setup(test_flood, setup),
        cmocka_unit_test_setup(test_others, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
