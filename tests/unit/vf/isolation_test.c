/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs whose VFs reach each other past the IOMMU, on a machine where the test says who does. */
#include "drivers/pci/acs.h"
#include "tests/unit/fakes/log.h"
#include "vmm/vf/vf_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VMS 4U
#define VFS 2U /* of each; VF k of VM i is at bus i, devfn k */

static struct config_vm configs[VMS] = {
    {.name = "one"}, {.name = "two"}, {.name = "three"}, {.name = "none"}};
static struct vf_set assigns[VMS];
static struct vf vfs[VMS][VFS];
static struct pci_vf pci[VMS][VFS];
static const struct config_pf config_pfs[2] = {{.bdf = {.bus = 7}}, {.bdf = {.bus = 8}}};
static struct pf pfs[2] = {{.config = &config_pfs[0]}, {.config = &config_pfs[1]}};
static struct pci_function port = {
    .bdf = {.bus = 0, .devfn = 0x10}
};
static bool reaches[VMS][VMS]; /* VF 1 of the first VM to VF 0 of the second */
static bool open[VMS];         /* the port is above that bus */

struct vf_set *vf_set_at(unsigned index)
{
    return index < VMS - 1 ? &assigns[index] : NULL;
}

static struct iommu_facts iommu;

const struct iommu_facts *iommu_facts(void)
{
    return &iommu;
}

const struct pci_function *pci_acs_gap(bdf_t bdf)
{
    return open[bdf.bus] ? &port : NULL;
}

bool pci_acs_reaches(bdf_t from, bdf_t to)
{
    assert_int_not_equal(from.bus, to.bus);
    return from.devfn == 1 && to.devfn == 0 && reaches[from.bus][to.bus];
}

/* All PFs of the test are of one device, but the third VM's. */
bool pci_acs_same_device(bdf_t one, bdf_t other)
{
    return one.bus == other.bus;
}

static int set_up(void **state)
{
    memset(vfs, 0, sizeof(vfs));
    memset(assigns, 0, sizeof(assigns));
    memset(reaches, 0, sizeof(reaches));
    memset(open, 0, sizeof(open));
    iommu = (struct iommu_facts){.interrupts = true};
    fake_log_clear();
    for (unsigned i = 0; i < VMS; i++) {
        assigns[i].owner = (struct vf_owner){.config = &configs[i], .index = i};
        assigns[i].count = VFS;
        for (unsigned k = 0; k < VFS; k++) {
            pci[i][k] = (struct pci_vf){
                .bdf = {.bus = (uint8_t)i, .devfn = (uint8_t)k}
            };
            vfs[i][k].pci = &pci[i][k];
            vfs[i][k].pf = &pfs[i == 2];
            assigns[i].vf[k] = &vfs[i][k];
        }
    }
    return 0;
}

static void expect_fit(bool one, bool two, bool three)
{
    assert_int_equal(assigns[0].fit == STATUS_OK, one);
    assert_int_equal(assigns[1].fit == STATUS_OK, two);
    assert_int_equal(assigns[2].fit == STATUS_OK, three);
}

static void nothing_is_said_of_closed_ports(void **state)
{
    vf_check_isolation(false);
    expect_fit(true, true, true);
    assert_string_equal(fake_log_text(), "");
}

static void a_gap_is_said_once_for_a_vm(void **state)
{
    open[1] = true;
    vf_check_isolation(false);
    expect_fit(true, true, true);
    assert_true(fake_log_contains("VM 'two': VF 0000:01:00.0 may reach other devices past the "
                                  "IOMMU: port 0000:00:02.0"));
    assert_false(fake_log_contains("0000:01:00.1"));
    assert_false(fake_log_contains("VM 'one'"));
}

/* Whichever of the two can reach the other, the later one has to wait. */
static void the_later_one_is_not_started(void **state)
{
    reaches[0][1] = true;
    reaches[2][0] = true;
    vf_check_isolation(false);
    expect_fit(true, false, false);
    assert_int_equal(assigns[1].fit, STATUS_CONFLICT);
    assert_true(fake_log_contains("VM 'two' and VM 'one' are not separated: past the IOMMU, VF "
                                  "0000:01:00.0 and VF 0000:00:00.1 may reach each other"));
    assert_true(fake_log_contains("VM 'three' and VM 'one' are not separated"));
    assert_true(fake_log_contains("the first one is not started"));
}

/* Nothing on the way is open, but the device itself. */
static void a_device_without_access_control(void **state)
{
    vfs[0][1].leaks = vfs[2][0].leaks = true;
    vf_check_isolation(false);
    expect_fit(true, false, true);
    assert_int_equal(assigns[1].fit, STATUS_CONFLICT);
    assert_true(fake_log_contains("VM 'two' and VM 'one' are not separated: past the IOMMU, VF "
                                  "0000:01:00.0 and VF 0000:00:00.1 may reach each other"));
}

static void one_that_cannot_run_is_in_nobodys_way(void **state)
{
    reaches[0][1] = reaches[1][2] = true;
    vfs[0][1].pci = NULL; /* it was not found */
    assigns[0].fit = STATUS_DEVICE;
    vf_check_isolation(false);
    expect_fit(false, true, false);
    assert_int_equal(assigns[0].fit, STATUS_DEVICE);
}

static void they_run_if_that_is_asked_for(void **state)
{
    reaches[1][0] = true;
    vf_check_isolation(true);
    expect_fit(true, true, true);
    assert_true(fake_log_contains("they are started all the same (unsafe_dma = yes)"));
}

/* It could hit the VMM itself, so one VM alone is one too many. */
static void none_is_started_without_remapped_interrupts(void **state)
{
    iommu.interrupts = false;
    assigns[1].fit = STATUS_DEVICE; /* has another reason already */
    vf_check_isolation(false);
    expect_fit(false, false, false);
    assert_int_equal(assigns[0].fit, STATUS_UNSUPPORTED);
    assert_int_equal(assigns[1].fit, STATUS_DEVICE);
    assert_true(fake_log_contains("VM 'one' could send any interrupt to any CPU through its VFs"));
    assert_true(fake_log_contains("it is not started"));
    assert_false(fake_log_contains("VM 'two'"));
    assert_false(fake_log_contains("VM 'none'"));
}

static void forgers_run_if_that_is_asked_for(void **state)
{
    iommu.interrupts = false;
    vf_check_isolation(true);
    expect_fit(true, true, true);
    assert_true(fake_log_contains("VM 'three' could send any interrupt"));
    assert_true(fake_log_contains("it is started all the same (unsafe_dma = yes)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(none_is_started_without_remapped_interrupts, set_up),
        cmocka_unit_test_setup(forgers_run_if_that_is_asked_for, set_up),
        cmocka_unit_test_setup(nothing_is_said_of_closed_ports, set_up),
        cmocka_unit_test_setup(a_gap_is_said_once_for_a_vm, set_up),
        cmocka_unit_test_setup(the_later_one_is_not_started, set_up),
        cmocka_unit_test_setup(a_device_without_access_control, set_up),
        cmocka_unit_test_setup(one_that_cannot_run_is_in_nobodys_way, set_up),
        cmocka_unit_test_setup(they_run_if_that_is_asked_for, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
