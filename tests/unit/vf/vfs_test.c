/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs come to a VM and leave it. */
#include "drivers/pci/acs.h"
#include "drivers/pci/caps.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "vmm/legacy/inflight.h"
#include "vmm/vf/vf_internal.h"
#include "vmm/vf/vf_spare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VFS 2U

static struct config_pf config_pf = {.bdf = {.bus = 1}};
static struct pci_pf pci_pf = {.vfs = VFS};
static struct pci_vf pci_vfs[VFS];
static struct pf pf = {.config = &config_pf, .pci = &pci_pf};
static struct config_vm config = {.name = "vm"};
static struct vf_set set;
static struct pc pc;
static struct ram ram;
static unsigned added, released, attached, tables, blocks;
static enum status outcome; /* of the reset of the last VF */

struct pf *pf_find(bdf_t bdf)
{
    return &pf;
}

const struct pci_vf *pci_vf_of(const struct pci_pf *of, uint32_t index)
{
    return &pci_vfs[index];
}

struct pci_bar pci_vf_bar(const struct pci_vf *vf, uint32_t bar)
{
    return (struct pci_bar){.kind = PCI_BAR_NONE};
}

bool pci_acs_leaks(bdf_t bdf)
{
    return false;
}

bool pci_acs_set(bdf_t bdf, uint16_t acs)
{
    return true;
}

uint16_t pci_cap_find_extended(bdf_t bdf, enum pci_ext_cap_id id)
{
    return 0;
}

uint16_t virtio_type_resolve(uint16_t pci_device, uint16_t subsystem)
{
    return VIRTIO_TYPE_NET;
}

const char *virtio_type_name(uint16_t type)
{
    return "net";
}

static uint8_t block[64];

enum status mmr_open(bdf_t vf, uint16_t vf_device, const struct virtio_bar *bars,
                     const struct mmr_place *place, struct mmr *mmr)
{
    *mmr = (struct mmr){.registers = block, .type = VIRTIO_TYPE_NET, .length = sizeof(block)};
    blocks++;
    return STATUS_OK;
}

void mmr_close(struct mmr *mmr)
{
    blocks -= mmr->registers != NULL;
    mmr->registers = NULL;
}

enum status pci_msix_open(struct pci_msix_table *table, bdf_t bdf, uint16_t capability,
                          const struct pci_msix *msix, const struct pci_bar *bars)
{
    tables++;
    return STATUS_OK;
}

void pci_msix_close(struct pci_msix_table *table)
{
    tables--;
}

void vf_is_new(struct vf *vf) {}

enum status vf_recover_pfs(struct vf_set *of)
{
    return STATUS_OK;
}

void vf_reset_each(struct vf *const *vf, uint32_t count, enum status *status)
{
    memset(status, 0, count * sizeof(*status));
}

unsigned pci_host_pirq(uint8_t devfn, unsigned pin)
{
    return 0;
}

/* ---- The IOMMU ---- */

enum status iommu_domain_create(const char *name, uint32_t owner, struct iommu_domain **domain)
{
    *domain = (struct iommu_domain *)block;
    return STATUS_OK;
}

enum status iommu_domain_destroy(struct iommu_domain *domain)
{
    assert_int_equal(attached, 0);
    return STATUS_OK;
}

enum status iommu_map(struct iommu_domain *domain, gpa_t iova, hpa_t base, uint64_t size,
                      unsigned rights)
{
    return STATUS_OK;
}

enum status vf_join(struct vf *vf)
{
    attached++;
    vf->attached = true;
    return STATUS_OK;
}

enum status vf_cut(struct vf *vf)
{
    attached -= vf->attached;
    vf->attached = false;
    return STATUS_OK;
}

void vf_forget(struct vf *vf)
{
    if (vf->fit == STATUS_OK) {
        pci_msix_close(&vf->msix);
    }
    mmr_close(&vf->mmr);
}

/* ---- The legacy functions ---- */

void legacy_init(struct legacy_set *legacy, const char *vm) {}
void legacy_silence(struct legacy_set *legacy) {}
void legacy_reset(struct legacy_set *legacy) {}

/* It makes the function anew, with its lock: nobody else may look at it. */
enum status legacy_add(struct legacy_set *legacy, struct legacy_function *function,
                       const struct legacy_setup *setup)
{
    assert_false(set.bound);
    return ++added == VFS ? outcome : STATUS_OK;
}

void legacy_release(struct legacy_set *legacy)
{
    released++;
}

/* ---- Tests ---- */

static enum status create(void)
{
    const struct vf_owner owner = {.config = &config, .pc = &pc, .ram = &ram};

    return vf_create(&set, &owner);
}

static int setup(void **state)
{
    config.vfs = (struct config_vfs){.count = VFS};
    config.standby = (struct config_vf){.line = 0};
    for (uint32_t i = 0; i < VFS; i++) {
        config.vfs.vf[i] =
            (struct config_vf){.pf = config_pf.bdf, .index = i, .slot = CONFIG_SLOT_AUTO};
        pci_vfs[i] = (struct pci_vf){.index = (uint16_t)i,
                                     .msix_at = 0x40,
                                     .present = true,
                                     .flr = true,
                                     .msix = {.vectors = 2}};
    }
    added = released = attached = tables = blocks = 0;
    outcome = STATUS_OK;
    fake_pages_reset(64);
    fake_log_clear();
    fake_log_passes = NULL;
    return 0;
}

/* CPU 0 looks into the functions of a set that is bound. */
static void test_bound_when_all_is_there(void **state)
{
    assert_int_equal(create(), STATUS_OK);
    assert_ptr_equal(vf_set_at(0), &set);
    for (unsigned life = 0; life < 2; life++) {
        added = 0;
        assert_int_equal(vf_bind(&set), STATUS_OK);
        assert_int_equal(added, VFS);
        assert_int_equal(attached, VFS);
        assert_true(set.bound);
        vf_unbind(&set);
        assert_int_equal(released, life + 1);
        assert_false(set.bound);
    }
}

static void test_start_fails(void **state)
{
    assert_int_equal(create(), STATUS_OK);
    outcome = STATUS_DEVICE;
    assert_int_equal(vf_bind(&set), STATUS_DEVICE);
    assert_false(set.bound);
    assert_int_equal(released, 1);
    assert_int_equal(attached, 0);
    assert_true(fake_log_contains("VM 'vm' is not started: its VFs cannot be given to it"));
}

/* A VM that is left out after its VFs were found: nothing of it stays. */
static void test_left_out(void **state)
{
    struct vf_set none = {.count = 0};

    config.vfs.count = 1;
    config.standby.line = 7;
    assert_int_equal(create(), STATUS_OK);
    assert_int_equal(tables, 1);
    assert_int_equal(blocks, 1);
    assert_non_null(set.inflight);
    vf_destroy(&none); /* one that did not come to its VFs */
    assert_ptr_equal(vf_set_at(0), &set);
    vf_destroy(&set);
    assert_null(vf_set_at(0));
    assert_int_equal(tables, 0);
    assert_int_equal(blocks, 0);
    assert_int_equal(fake_pages_used(), 0);
    vf_destroy(&set);
}

static bool too_many(void)
{
    return false;
}

/* A guest that resets itself all the time, with its VF lost and no standby to be had, asks each
 * time: within the limit of its lines. */
static void test_refusals_are_limited(void **state)
{
    pci_vfs[1].present = false;
    assert_int_equal(create(), STATUS_OK);
    assert_int_equal(set.fit, STATUS_DEVICE);
    assert_true(fake_log_contains("VM 'vm' cannot have VF 1 of 0000:01:00.0 and is not started: "
                                  "the VF does not answer"));
    set.bound = true;
    fake_log_clear();
    assert_int_equal(vf_find(set.vf[1]), STATUS_DEVICE);
    assert_true(fake_log_contains("VM 'vm' cannot have VF 1 of 0000:01:00.0: the VF does not"));
    fake_log_clear();
    fake_log_passes = too_many;
    assert_int_equal(vf_find(set.vf[1]), STATUS_DEVICE);
    assert_int_equal(fake_log_lines(), 0);
}

static void test_no_memory(void **state)
{
    unsigned limit = 0;

    config.vfs.count = 1;
    config.standby.line = 7;
    for (fake_pages_limit(0); create() == STATUS_NO_MEMORY; fake_pages_limit(++limit)) {
        vf_destroy(&set); /* again: it was given back already */
        assert_null(vf_set_at(0));
        assert_int_equal(tables, 0);
        assert_int_equal(blocks, 0);
        assert_int_equal(fake_pages_used(), 0);
    }
    assert_true(limit > 1);
    vf_destroy(&set);
    assert_int_equal(fake_pages_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bound_when_all_is_there, setup),
        cmocka_unit_test_setup(test_start_fails, setup),
        cmocka_unit_test_setup(test_left_out, setup),
        cmocka_unit_test_setup(test_refusals_are_limited, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
