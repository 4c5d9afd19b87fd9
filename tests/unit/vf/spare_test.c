/* SPDX-License-Identifier: BSD-2-Clause */
/* Which PFs must not be reset while a VF is exchanged. */
#include "drivers/pci/flr.h"
#include "tests/unit/fakes/log.h"
#include "vmm/host/pool.h"
#include "vmm/vf/vf_spare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PF(n) ((bdf_t){.bus = (uint8_t)((n) + 1)})

static struct config_pf config_pfs[2];
static struct pf pfs[2];
static struct pci_vf pci_vfs[2];
static struct config_vm config = {.name = "vm"};
static struct vf_set set;
static struct vf first, second, third; /* each is the VM's VF in one test */
static unsigned found, forgotten, handed_over;
static char order[8]; /* what was done to a VF: R retired, D detached, F FLR */

static void note(char what)
{
    order[strlen(order)] = what;
}

struct vf_set *vf_set_at(unsigned index)
{
    return index == 0 ? &set : NULL;
}

struct pf *pf_find(bdf_t bdf)
{
    return bdf_equal(bdf, PF(0)) ? &pfs[0] : bdf_equal(bdf, PF(1)) ? &pfs[1] : NULL;
}

enum status vf_find(struct vf *vf)
{
    vf->pf = pf_find(vf->place.pf);
    if (!vf->pf) {
        return STATUS_UNSUPPORTED;
    }
    assert_true(vf_spare_uses(vf->pf));
    vf->pci = &pci_vfs[1];
    found++;
    return STATUS_OK;
}

void vf_forget(struct vf *vf)
{
    assert_true(!vf->pf || vf_spare_uses(vf->pf));
    vf->pci = NULL;
    forgotten++;
}

bool vf_is_separated(struct vf *vf)
{
    return true;
}

void vf_is_new(struct vf *vf) {}

void vf_note_release(struct vf_set *of, enum status status)
{
    assert_int_equal(status, STATUS_OK);
}

enum status pci_flr_start(struct pci_flr *flr, bdf_t bdf)
{
    note('F');
    flr->state = PCI_FLR_DONE;
    return STATUS_OK;
}

enum pci_flr_state pci_flr_poll(struct pci_flr *flr)
{
    return (enum pci_flr_state)flr->state;
}

enum status iommu_attach(struct iommu_domain *domain, bdf_t bdf, bdf_t pf)
{
    return STATUS_OK;
}

enum status iommu_detach(bdf_t bdf)
{
    note('D');
    return STATUS_OK;
}

void legacy_init(struct legacy_set *legacy, const char *vm) {}

enum status legacy_add(struct legacy_set *legacy, struct legacy_function *function,
                       const struct legacy_setup *setup)
{
    return STATUS_OK;
}

/* In the middle of the exchange: neither PF may go. */
void legacy_hand_over(struct legacy_function *from, struct legacy_function *to)
{
    assert_true(vf_spare_uses(&pfs[0]));
    assert_true(vf_spare_uses(&pfs[1]));
    handed_over++;
}

/* No DMA and no interrupts from here on. */
void legacy_retire(struct legacy_function *function)
{
    note('R');
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    static uint8_t memory[1U << 20] __attribute__((aligned(PAGE_SIZE)));

    assert_in_range(size, 1, sizeof(memory));
    return memory;
}

/* The VM has a VF of PF 0. */
static int setup(void **state)
{
    memset(pfs, 0, sizeof(pfs));
    for (unsigned i = 0; i < 2; i++) {
        config_pfs[i].bdf = PF(i);
        pfs[i].config = &config_pfs[i];
    }
    first = (struct vf){.set = &set, .pf = &pfs[0], .pci = &pci_vfs[0], .place.pf = PF(0)};
    second = third = first;
    set = (struct vf_set){.owner = {.config = &config}, .bound = true, .count = 1, .vf = {&first}};
    memset(order, 0, sizeof(order));
    found = forgotten = handed_over = 0;
    fake_log_clear();
    return 0;
}

static void test_both_pfs_stay(void **state)
{
    enum status status;

    assert_false(vf_spare_uses(&pfs[0]));
    assert_non_null(vf_spare_open(0, &first, PF(1), 3));
    assert_true(vf_spare_uses(&pfs[0]));
    assert_true(vf_spare_uses(&pfs[1]));
    assert_int_equal(vf_spare_add(0, &first), STATUS_OK);
    const struct vf *now = vf_spare_exchange(0, &first);

    assert_ptr_equal(now, set.vf[0]);
    assert_ptr_equal(vf_spare(0), &first);
    assert_int_equal(handed_over, 1);
    assert_true(vf_spare_uses(&pfs[0]));
    assert_true(vf_spare_uses(&pfs[1]));
    vf_spare_retire(0);
    assert_true(vf_spare_is_reset(0, &status));
    assert_true(vf_spare_uses(&pfs[0]));
    vf_spare_close(0);
    assert_false(vf_spare_uses(&pfs[0]));
    assert_false(vf_spare_uses(&pfs[1]));
    assert_int_equal(forgotten, 1);
}

static void test_no_vf_of_a_pf_that_is_reset(void **state)
{
    pfs[1].restarting = true;
    assert_null(vf_spare_open(0, &second, PF(1), 3));
    assert_int_equal(found, 0);
    assert_true(fake_log_contains("PF 0000:02:00.0 is being reset: VM 'vm' is not moved"));
    assert_false(vf_spare_uses(&pfs[1]));
    pfs[1].restarting = false;
    assert_null(vf_spare_open(0, &second, PF(2), 3));
    assert_non_null(vf_spare_open(0, &second, PF(1), 3));
    vf_spare_close(0);
}

/* DMA of a VF that goes from its VM ends before the mappings do, or the IOMMU has to block it: also
 * of one that was refused half-way. */
static void test_no_io_page_fault_during_recovery(void **state)
{
    for (unsigned moved = 0; moved < 2; moved++) {
        enum status status;

        (void)setup(NULL);
        set.vf[0] = &third;
        third.attached = true;
        assert_non_null(vf_spare_open(0, &third, PF(1), 3));
        assert_true(vf_spare_is_reset(0, &status));
        assert_int_equal(vf_spare_add(0, &third), STATUS_OK);
        if (moved) {
            (void)vf_spare_exchange(0, &third);
        }
        memset(order, 0, sizeof(order));
        vf_spare_retire(0);
        assert_string_equal(order, "RDF");
        assert_true(vf_spare_is_reset(0, &status));
        vf_spare_close(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_both_pfs_stay, setup),
        cmocka_unit_test_setup(test_no_vf_of_a_pf_that_is_reset, setup),
        cmocka_unit_test_setup(test_no_io_page_fault_during_recovery, setup),
    };

    return vf_spare_create() != STATUS_OK || cmocka_run_group_tests(tests, NULL, NULL);
}
