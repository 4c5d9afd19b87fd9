/* SPDX-License-Identifier: BSD-2-Clause */
/* When a PF that takes no more commands is restarted, and when that is refused. */
#include "tests/unit/fakes/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/vf/vf_spare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VMS 3U

static struct config_pf config_pfs[2];
static struct pf pfs[2];
static struct config_vm configs[VMS];
static struct vf_set assigns[VMS];
static struct vf vfs[VMS];
static uint8_t registers[VMS];
static uint16_t doorbells[VMS];

static unsigned restarts, closed_tables, closed_blocks, released, found_again;
static enum status outcome;

struct vf_set *vf_set_at(unsigned index)
{
    return index < VMS ? &assigns[index] : NULL;
}

bool vf_is_cut_off(const struct vf *vf)
{
    return vf->pf->broken;
}

static const struct pf *used_by_spare;
static struct vf *arrives; /* at VM 2 which runs, just before somebody looks at the spare */

bool vf_spare_uses(const struct pf *pf)
{
    assert_true(pf->restarting);
    if (arrives) {
        assigns[2].vf[0] = arrives;
        assigns[2].bound = true;
    }
    return pf == used_by_spare;
}

/* Nothing of the PF's VFs may be mapped, and no VM with one of them may run. */
enum status pf_restart(struct pf *pf)
{
    for (unsigned i = 0; i < VMS; i++) {
        assert_false(assigns[i].bound && assigns[i].vf[0]->pf == pf);
        if (vfs[i].pf == pf) {
            assert_null(vfs[i].mmr.registers);
            assert_null(vfs[i].doorbell);
            assert_int_not_equal(vfs[i].fit, STATUS_OK);
        }
    }
    assert_true(pf->restarting);
    restarts++;
    pf->broken = outcome != STATUS_OK;
    return outcome;
}

void vf_find_again(struct vf_set *set, const struct pf *pf)
{
    assert_int_equal(restarts, 1);
    assert_false(pf->broken);
    set->vf[0]->fit = STATUS_OK;
    found_again++;
}

void pci_msix_close(struct pci_msix_table *table)
{
    closed_tables++;
}

void mmr_close(struct mmr *mmr)
{
    closed_blocks += mmr->registers != NULL;
    mmr->registers = NULL;
}

void map_release(void *window, size_t size)
{
    released++;
}

/* VMs 0 and 1 have VFs of PF 0, VM 2 of PF 1; all are stopped, and by commands. */
static int setup(void **state)
{
    restarts = closed_tables = closed_blocks = released = found_again = 0;
    outcome = STATUS_OK;
    memset(vfs, 0, sizeof(vfs));
    memset(pfs, 0, sizeof(pfs));
    for (unsigned i = 0; i < 2; i++) {
        config_pfs[i].bdf = (bdf_t){.bus = (uint8_t)(i + 1)};
        pfs[i].config = &config_pfs[i];
    }
    for (unsigned i = 0; i < VMS; i++) {
        (void)snprintf(configs[i].name, sizeof(configs[i].name), "vm%u", i);
        vfs[i].pf = &pfs[i / 2];
        vfs[i].doorbell = &doorbells[i];
        vfs[i].set = &assigns[i];
        assigns[i] = (struct vf_set){.owner = {.config = &configs[i]}, .count = 1, .vf = {&vfs[i]}};
    }
    fake_log_clear();
    return 0;
}

static void test_alive(void **state)
{
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_OK);
    pfs[1].broken = true; /* another one's */
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_OK);
    assert_int_equal(restarts, 0);
}

static void test_restart(void **state)
{
    pfs[0].broken = true;
    assigns[2].bound = true; /* on another PF: it stays as it is */
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_OK);
    assert_int_equal(restarts, 1);
    assert_int_equal(closed_tables, 2);
    assert_int_equal(released, 2);
    assert_int_equal(found_again, 2);
    assert_non_null(vfs[2].doorbell);
    assert_true(fake_log_contains("PF 0000:01:00.0 is reset"));
}

static void test_user(void **state)
{
    pfs[0].broken = true;
    assigns[1].bound = true;
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_CONFLICT);
    assert_int_equal(restarts, 0);
    assert_int_equal(closed_tables, 0);
    assert_true(fake_log_contains(
        "VM 'vm0' is not started: PF 0000:01:00.0 takes no more commands for its VF "));
    assert_true(fake_log_contains("VFs of VM 'vm1' away"));
}

/* Registers in memory need no commands. */
static void test_no_need(void **state)
{
    pfs[0].broken = true;
    vfs[0].mmr.registers = &registers[0];
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_OK);
    assert_int_equal(restarts, 0);
    /* Unless the VF could not be had as it was. */
    vfs[0].fit = STATUS_DEVICE;
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_OK);
    assert_int_equal(restarts, 1);
    assert_int_equal(closed_blocks, 1);
    assert_int_equal(closed_tables, 1); /* that of VM 1 */
}

/* While one of its VFs is on its way to or from a VM nothing of the PF may go away. */
static void test_spare(void **state)
{
    pfs[0].broken = true;
    used_by_spare = &pfs[0];
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_CONFLICT);
    assert_int_equal(restarts, 0);
    used_by_spare = &pfs[1];
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_OK);
    used_by_spare = NULL;
}

/* A spare that has been closed meanwhile may be a VF of a VM that runs. */
static void test_spare_arrives(void **state)
{
    pfs[0].broken = true;
    arrives = &vfs[1];
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_CONFLICT);
    arrives = NULL;
    assert_int_equal(restarts, 0);
    assert_true(fake_log_contains("VFs of VM 'vm2' away"));
    assert_false(pfs[0].restarting);
}

static void test_failure(void **state)
{
    pfs[0].broken = true;
    outcome = STATUS_TIMEOUT;
    assert_int_equal(vf_recover_pfs(&assigns[0]), STATUS_TIMEOUT);
    assert_int_equal(found_again, 0);
    assert_true(fake_log_contains("could not be reset"));
    /* It may be tried again, by the other one too; nothing is let go twice. */
    restarts = 0;
    outcome = STATUS_OK;
    assert_int_equal(vf_recover_pfs(&assigns[1]), STATUS_OK);
    assert_int_equal(closed_tables, 2);
    assert_int_equal(released, 2);
    assert_int_equal(found_again, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alive, setup),
        cmocka_unit_test_setup(test_restart, setup),
        cmocka_unit_test_setup(test_user, setup),
        cmocka_unit_test_setup(test_no_need, setup),
        cmocka_unit_test_setup(test_failure, setup),
        cmocka_unit_test_setup(test_spare, setup),
        cmocka_unit_test_setup(test_spare_arrives, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
