/* SPDX-License-Identifier: BSD-2-Clause */
/* Which VFs get an FLR, and what becomes of those that do not take it. */
#include "drivers/pci/flr.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/vf/vf_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VFS 3U

static struct vf vf[VFS];
static struct pci_vf pci[VFS];
static struct pf pf;
static struct vf *all[VFS];
static unsigned started[VFS], rounds;
static enum status start_status[VFS];
static bool never_answers[VFS];

enum status pci_flr_start(struct pci_flr *flr, bdf_t bdf)
{
    unsigned n = bdf.devfn;

    assert_true(n < VFS);
    *flr = (struct pci_flr){.bdf = bdf, .state = PCI_FLR_FAILED};
    started[n]++;
    if (start_status[n] == STATUS_OK) {
        flr->state = PCI_FLR_DRAIN;
    }
    return start_status[n];
}

void pci_flr_finish(struct pci_flr *flr, uint32_t count)
{
    rounds++;
    for (uint32_t i = 0; i < count; i++) {
        if (flr[i].state == PCI_FLR_DRAIN) {
            flr[i].state = never_answers[flr[i].bdf.devfn] ? PCI_FLR_FAILED : PCI_FLR_DONE;
        }
    }
}

void vf_state_open(struct vf_state *state, struct vf_state_pf *control, uint16_t member)
{
    *state = (struct vf_state){.control = control, .member = member};
}

static int set_up(void **state)
{
    memset(vf, 0, sizeof(vf));
    memset(started, 0, sizeof(started));
    memset(start_status, 0, sizeof(start_status));
    memset(never_answers, 0, sizeof(never_answers));
    rounds = 0;
    for (unsigned i = 0; i < VFS; i++) {
        pci[i] = (struct pci_vf){
            .bdf = {.bus = 2, .devfn = (uint8_t)i}
        };
        vf[i].pci = &pci[i];
        vf[i].pf = &pf;
        all[i] = &vf[i];
    }
    return 0;
}

static void expect_started(unsigned first, unsigned second, unsigned third)
{
    assert_int_equal(started[0], first);
    assert_int_equal(started[1], second);
    assert_int_equal(started[2], third);
}

static void all_are_reset_in_one_round(void **state)
{
    enum status status[VFS] = {STATUS_DEVICE, STATUS_DEVICE, STATUS_DEVICE};

    vf_reset_each(all, VFS, status);
    assert_int_equal(rounds, 1);
    expect_started(1, 1, 1);
    for (unsigned i = 0; i < VFS; i++) {
        assert_int_equal(status[i], STATUS_OK);
        assert_true(vf[i].fresh);
    }
}

static void none_is_reset_twice_unless_it_was_used(void **state)
{
    enum status status[VFS];
    struct legacy_function *function[] = {&vf[2].function, &vf[1].function};

    vf_reset_each(all, VFS, status);
    vf_reset_each(all, VFS, status);
    expect_started(1, 1, 1);
    assert_int_equal(status[2], STATUS_OK);
    vf[1].fresh = false;
    legacy_edge_flr(function, 2, status);
    expect_started(1, 2, 1);
    assert_int_equal(status[0], STATUS_OK);
    assert_int_equal(status[1], STATUS_OK);
    assert_true(vf[1].fresh);
}

static void one_that_fails_is_tried_again(void **state)
{
    enum status status[VFS];

    never_answers[0] = true;
    start_status[2] = STATUS_DEVICE;
    vf_reset_each(all, VFS, status);
    assert_int_equal(status[0], STATUS_TIMEOUT);
    assert_int_equal(status[1], STATUS_OK);
    assert_int_equal(status[2], STATUS_DEVICE);
    assert_false(vf[0].fresh || vf[2].fresh);
    never_answers[0] = false;
    start_status[2] = STATUS_OK;
    vf_reset_each(all, VFS, status);
    expect_started(2, 1, 2);
    assert_true(vf[0].fresh && vf[1].fresh && vf[2].fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_are_reset_in_one_round, set_up),
        cmocka_unit_test_setup(none_is_reset_twice_unless_it_was_used, set_up),
        cmocka_unit_test_setup(one_that_fails_is_tried_again, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
