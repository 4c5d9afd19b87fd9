/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFs over a machine whose configuration space is fuzzed: bridges with any windows, PFs with any
 * SR-IOV capability and any BARs. Whatever they say:
 *  - sizing leaves every register as it was;
 *  - switching VFs on writes to the PF, to the lowest PF of its device, to its VFs, and to the
 *    bridges above, and to nothing else;
 *  - no two VF BARs share an address, and none lies on a BAR that is on the same bus;
 *  - the rules of the standard that the model knows are kept;
 *  - cost is bounded.
 *
 * The input is cut into chunks, one a function. Byte 0: bus; 1: devfn; 2: kind; the rest is what it
 * says of itself.
 */
#include "drivers/pci/bars.h"
#include "drivers/pci/bridge.h"
#include "drivers/pci/caps.h"
#include "drivers/pci/flr.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/pci_vf.h"
#include "drivers/pci/room.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_model.h"
#include "tests/unit/fakes/pci_space.h"
#include "vmm/host/time.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK        64U
#define FUNCTIONS    48U
#define BARS_AT      24U /* in a chunk: six VF BARs, 4 bytes each */
#define ACCESSES_MAX 400000UL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t (*before)[4096];

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static void add_bridge(bdf_t bdf, const uint8_t *chunk)
{
    uint8_t *config = fake_pci_add_bridge(bdf, chunk[3], chunk[4], chunk[5] & 0xf);

    fake_model_windows(bdf, (uint64_t)get16(chunk + 8) << 20, (uint64_t)chunk[10] << 20,
                       (uint64_t)get16(chunk + 12) << 28 | (uint64_t)chunk[14] << 20,
                       (uint64_t)get16(chunk + 16) << 20, (chunk[6] & 1) != 0);
    fake_put32(config, 0x40 + 0x24U, chunk[7] & 0x20U);
    if ((chunk[6] & 2) != 0) { /* stuck bits */
        memcpy(fake_pci_mask(bdf) + PCI_BRIDGE_MEMORY_BASE, chunk + 20, 16);
    }
    if ((chunk[6] & 4) != 0) { /* raw registers */
        memcpy(config + PCI_BRIDGE_MEMORY_BASE, chunk + 36, 16);
    }
}

/* A BAR from 4 bytes: flags, log2 of the size, and some of the address. */
static void add_bar(bdf_t bdf, uint32_t offset, const uint8_t *bytes)
{
    uint64_t size = 1ULL << (bytes[1] % 48);
    uint64_t base = (uint64_t)(bytes[2] | bytes[3] << 8) << 22;

    if ((bytes[0] & 0x80) != 0) {
        return;
    }
    fake_model_bar(bdf, offset, bytes[0] & 0xf, size, base & ~(size - 1));
    if ((bytes[0] & 0x40) != 0) {
        fake_pci_mask(bdf)[offset + 1] = bytes[2]; /* a size that is no power of two */
    }
}

static void add_pf(bdf_t bdf, const uint8_t *chunk)
{
    uint8_t *config = fake_pci_add(bdf, 0x1af4, 0x1041);
    uint16_t cap;

    config[PCI_HEADER_TYPE] = 0x80;
    fake_put16(config, PCI_COMMAND, chunk[3] & 7);
    fake_pci_express(config, PCI_PORT_ENDPOINT, (chunk[3] & 8) != 0);
    cap = fake_pci_sriov(config, (uint16_t)(get16(chunk + 4) & 0x1ff), 0, 0, 0x10f9);
    if ((chunk[3] & 0x10) != 0) {
        fake_put16(config, cap + (uint32_t)PCI_SRIOV_INITIAL_VFS, get16(chunk + 6));
    }
    if ((chunk[3] & 0x20) != 0) {
        fake_put32(config, cap + (uint32_t)PCI_SRIOV_PAGE_SIZES, chunk[8]);
    }
    if ((chunk[3] & 0x40) != 0) {
        fake_pci_ext_cap(config, PCI_EXT_CAP_ARI, 8);
    }
    fake_model_sriov(&(struct fake_sriov){
        .pf = bdf,
        .capability = cap,
        .offset = {get16(chunk + 10), get16(chunk + 12)},
        .stride = {get16(chunk + 14), get16(chunk + 16)},
        .ready_us = chunk[18] * 5000U,
        .retry = (chunk[19] & 1) != 0,
        .dead = chunk[20],
        .plain = (chunk[19] & 2) != 0
    });
    for (uint32_t i = 0; i < 6; i++) {
        bool last = i == 5 && (chunk[BARS_AT + 4 * i] & 7) == 4;

        if (!last) {
            add_bar(bdf, cap + (uint32_t)PCI_SRIOV_BAR0 + 4 * i, chunk + BARS_AT + 4 * i);
        }
    }
    add_bar(bdf, PCI_BAR0, chunk + 48);
    add_bar(bdf, PCI_BAR0 + 8, chunk + 52);
}

static void add_device(bdf_t bdf, const uint8_t *chunk)
{
    uint8_t *config = fake_pci_add(bdf, 0x1234, 1);

    config[PCI_HEADER_TYPE] = chunk[3];
    config[PCI_STATUS] = 0x10;
    fake_put16(config, PCI_COMMAND, chunk[4] & 7);
    memcpy(config + PCI_BAR0, chunk + 8, 40);
    memcpy(fake_pci_mask(bdf) + PCI_BAR0, chunk + 24, 40);
    config[PCI_CAPABILITIES] = chunk[5];
}

static void machine_build(const uint8_t *data, size_t size)
{
    uint32_t functions = 0;

    for (size_t at = 0; at + CHUNK <= size && functions < FUNCTIONS; at += CHUNK) {
        const uint8_t *chunk = data + at;
        bdf_t bdf = {.bus = chunk[0] % 16, .devfn = chunk[1] % 64};

        if (fake_pci_config(bdf) != NULL) {
            continue;
        }
        functions++;
        switch (chunk[2] % 4) {
        case 0:
            add_bridge(bdf, chunk);
            break;
        case 1:
        case 2:
            (void)pci_config_open(0, bdf.bus);
            add_pf(bdf, chunk);
            break;
        default:
            add_device(bdf, chunk);
            break;
        }
    }
}

/* Sizing all BARs changes nothing that stays. */
static void check_sizing(void)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        memcpy(before[i], fake_pci_config(pci_function_at(i)->bdf), 4096);
    }
    (void)pci_room_init();
    for (uint32_t i = 0; i < pci_count(); i++) {
        require(memcmp(before[i], fake_pci_config(pci_function_at(i)->bdf), 4096) == 0);
    }
}

static bool is_above(const struct pci_function *bridge, bdf_t bdf)
{
    const struct pci_function *at;

    while ((at = pci_upstream(bdf.segment, bdf.bus)) != NULL) {
        if (at == bridge) {
            return true;
        }
        bdf = at->bdf;
    }
    return false;
}

static void check_written(bdf_t pf)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_function_at(i);
        bool related = bdf_equal(function->bdf, pf) || is_above(function, pf) ||
                       (function->sriov != 0 && function->bdf.bus == pf.bus);

        require(related || !fake_pci_written(function->bdf));
    }
}

/* The addresses of all VF BARs of all PFs, and of the BARs beside them. */
static void check_overlaps(void)
{
    static struct {
        uint64_t base;
        uint64_t size;
    } taken[PCI_PFS_MAX * PCI_BARS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        const struct pci_pf *pf = pci_pf_at(i);

        for (uint32_t bar = 0; pf != NULL && bar < PCI_BARS_MAX; bar++) {
            uint64_t base = pf->sriov.bars[bar].base;
            uint64_t size = pf->sriov.bars[bar].size * pf->vfs;

            if (size == 0) {
                continue;
            }
            require(base != 0 && range_fits(base, size, PCI_ADDRESS_LIMIT));
            for (uint32_t j = 0; j < count; j++) {
                require(!ranges_overlap(base, size, taken[j].base, taken[j].size));
            }
            for (uint32_t slot = PCI_ROOM_BAR; slot <= PCI_ROOM_ROM; slot++) {
                hpa_t other;
                uint64_t other_size;

                require(pci_room_find(pf->function, slot, &other, &other_size) != STATUS_OK ||
                        !ranges_overlap(base, size, other.raw, other_size));
            }
            taken[count].base = base;
            taken[count++].size = size;
        }
    }
}

static void check_vfs(const struct pci_pf *pf)
{
    for (uint32_t i = 0; i < pf->vfs; i++) {
        const struct pci_vf *vf = pci_vf_of(pf, i);

        require(pci_vf_find(vf->bdf) == vf);
        require(vf->index == i && pci_pf_at(vf->pf) == pf);
        require(pci_find(vf->bdf) == NULL);
        if (vf->present && i < 2) {
            (void)pci_vf_set_master(vf, true);
            if (vf->flr) {
                require(fake_flr_run(vf->bdf) == STATUS_OK);
            }
        }
    }
}

static void use(const struct pci_function *function, uint16_t count)
{
    enum status status;

    fake_pci_forget_accesses();
    status = pci_vf_enable(function->bdf, count);
    require((status == STATUS_OK) == (pci_pf_find(function->bdf) != NULL));
    check_written(function->bdf);
    check_overlaps();
    if (status == STATUS_OK) {
        const struct pci_pf *pf = pci_pf_find(function->bdf);

        require(count == PCI_VFS_FIT ? pf->vfs <= pf->sriov.initial_vfs : pf->vfs == count);
        require(pf->vfs > 0 && pf->vfs == pf->sriov.num_vfs);
        check_vfs(pci_pf_find(function->bdf));
    }
    require(fake_pci_reads() + fake_pci_writes() < ACCESSES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (before == NULL) {
        before = malloc(sizeof(*before) * PCI_FUNCTIONS_MAX);
        require(before != NULL);
    }
    fake_model_reset();
    time_delay_us(2000000); /* what was before has settled */
    machine_build(data, size);
    (void)pci_scan();
    check_sizing();
    if (size > 4 && (data[size - 1] & 1) != 0) {
        (void)pci_room_reserve(hpa((uint64_t)data[size - 2] << 24), 1ULL << 24,
                               (data[size - 1] & 2) != 0);
    }
    for (uint32_t i = 0; i < pci_count(); i++) {
        if (pci_function_at(i)->sriov != 0) {
            uint16_t count = data[i % size] % 80;

            use(pci_function_at(i), count < 8 ? PCI_VFS_FIT : count);
        }
    }
    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        if (pci_pf_at(i) != NULL) {
            require(pci_vf_disable(pci_pf_at(i)->function->bdf) == STATUS_OK);
        }
    }
    require(fake_model_violations() == 0);
    return 0;
}
