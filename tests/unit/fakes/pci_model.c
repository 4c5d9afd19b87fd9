/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/pci_model.h"

#include "drivers/pci/caps.h"
#include "drivers/pci/function.h"
#include "drivers/pci/sriov.h"
#include "tests/unit/fakes/pci_space.h"
#include "vmm/host/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PFS_MAX    80U
#define RESETS_MAX 80U
#define CAPABILITY 0x40U /* bytes of the SR-IOV capability */

static struct pf {
    struct fake_sriov is;
    uint16_t control;
    uint16_t num_vfs;
    uint64_t enabled_us;
    uint64_t disabled_us; /* 0: never */
    uint32_t ids[65536 / 16];
    uint32_t vfs;
} pfs[PFS_MAX];
static uint32_t pf_count;
static uint8_t pf_of[65536]; /* index + 1 */
static uint8_t vf_of[65536]; /* of its PF, + 1 */
static uint16_t vf_number[65536];

static struct reset {
    bdf_t bdf;
    uint16_t express;
    uint64_t pending_until;
    uint64_t started;
    uint64_t busy_us;
} resets[RESETS_MAX];
static uint32_t reset_count;
static unsigned violations;

static uint64_t now_us(void)
{
    return time_now_ns() / 1000;
}

static uint32_t id_of(bdf_t bdf)
{
    return (uint32_t)bdf.bus << 8 | bdf.devfn;
}

static bdf_t bdf_of(uint32_t id)
{
    return (bdf_t){.bus = (uint8_t)(id >> 8), .devfn = (uint8_t)id};
}

static uint32_t get32(const uint8_t *config, uint32_t offset)
{
    uint32_t value;

    memcpy(&value, config + offset, sizeof(value));
    return value;
}

static uint16_t get16(const uint8_t *config, uint32_t offset)
{
    return (uint16_t)(config[offset] | config[offset + 1] << 8);
}

static void violation(bdf_t bdf, const char *what)
{
    if (violations++ < 8) {
        (void)fprintf(stderr, "violation: " BDF_FORMAT ": %s\n", BDF_ARGS(bdf), what);
    }
}

unsigned fake_model_violations(void)
{
    return violations;
}

void fake_model_bar(bdf_t bdf, uint32_t offset, uint32_t flags, uint64_t size, uint64_t base)
{
    uint8_t *config = fake_pci_config(bdf);
    uint8_t *mask = fake_pci_mask(bdf);
    uint64_t bits = ~(size - 1);
    uint32_t low = (uint32_t)bits & ((flags & 1) != 0 ? ~3U : ~15U);

    fake_put32(config, offset, (uint32_t)base | flags);
    fake_put32(mask, offset, low);
    if ((flags & 7) == 4) {
        fake_put32(config, offset + 4, (uint32_t)(base >> 32));
        fake_put32(mask, offset + 4, (uint32_t)(bits >> 32));
    }
}

/* BARs that nobody declared do not exist. */
static void no_bars(bdf_t bdf, uint32_t offset, uint32_t bytes)
{
    memset(fake_pci_mask(bdf) + offset, 0, bytes);
}

void fake_model_windows(bdf_t bdf, uint64_t memory, uint64_t memory_size, uint64_t prefetchable,
                        uint64_t prefetchable_size, bool wide)
{
    uint8_t *config = fake_pci_config(bdf);
    uint8_t *mask = fake_pci_mask(bdf);
    uint64_t limit = memory + memory_size - 1;

    no_bars(bdf, PCI_BAR0, 8);
    no_bars(bdf, PCI_BRIDGE_ROM, 4);
    for (uint32_t at = PCI_BRIDGE_MEMORY_BASE; at < PCI_BRIDGE_PREFETCHABLE_BASE_UPPER; at += 2) {
        fake_put16(mask, at, 0xfff0);
    }
    memset(mask + PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, wide ? 0xff : 0, 8);
    fake_put16(config, PCI_BRIDGE_MEMORY_BASE, memory_size != 0 ? memory >> 16 & 0xfff0 : 0xfff0);
    fake_put16(config, PCI_BRIDGE_MEMORY_LIMIT, memory_size != 0 ? limit >> 16 & 0xfff0 : 0);
    limit = prefetchable + prefetchable_size - 1;
    if (prefetchable_size == 0) {
        prefetchable = 0xfff00000;
        limit = 0;
    }
    fake_put16(config, PCI_BRIDGE_PREFETCHABLE_BASE,
               (uint16_t)((prefetchable >> 16 & 0xfff0) | wide));
    fake_put16(config, PCI_BRIDGE_PREFETCHABLE_LIMIT, (uint16_t)((limit >> 16 & 0xfff0) | wide));
    fake_put32(config, PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, (uint32_t)(prefetchable >> 32));
    fake_put32(config, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, (uint32_t)(limit >> 32));
}

void fake_model_sriov(const struct fake_sriov *sriov)
{
    struct pf *pf = &pfs[pf_count++];
    uint8_t *mask = fake_pci_mask(sriov->pf);
    uint8_t *config = fake_pci_config(sriov->pf);

    if (pf_count > PFS_MAX) {
        abort();
    }
    *pf = (struct pf){.is = *sriov};
    pf_of[id_of(sriov->pf)] = (uint8_t)pf_count;
    memset(mask + sriov->capability, 0, CAPABILITY);
    fake_put16(mask, sriov->capability + (uint32_t)PCI_SRIOV_CONTROL, 0x19);
    fake_put16(mask, sriov->capability + (uint32_t)PCI_SRIOV_NUM_VFS, 0xffff);
    fake_put32(mask, sriov->capability + (uint32_t)PCI_SRIOV_PAGE_SIZE,
               get32(config, sriov->capability + (uint32_t)PCI_SRIOV_PAGE_SIZES));
    fake_put16(config, sriov->capability + (uint32_t)PCI_SRIOV_FIRST_OFFSET, sriov->offset[0]);
    fake_put16(config, sriov->capability + (uint32_t)PCI_SRIOV_STRIDE, sriov->stride[0]);
    no_bars(sriov->pf, PCI_BAR0, 24);
    no_bars(sriov->pf, PCI_ROM, 4);
}

static void vfs_remove(struct pf *pf)
{
    while (pf->vfs > 0) {
        uint32_t id = pf->ids[--pf->vfs];

        fake_pci_remove(bdf_of(id));
        vf_of[id] = 0;
    }
    pf->disabled_us = now_us();
}

static void vf_fill(uint8_t *config, const struct fake_sriov *is)
{
    uint16_t cap;

    if (is->plain) {
        return;
    }
    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    cap = fake_pci_cap(config, PCI_CAP_MSIX, 12);
    fake_put16(config, cap + 2U, 3);
    fake_put32(config, cap + 8U, 0x800);
    fake_put16(config, PCI_SUBSYSTEM_VENDOR, 0x1af4);
    fake_put16(config, PCI_SUBSYSTEM_ID, 1);
}

static void vfs_add(struct pf *pf)
{
    const uint8_t *config = fake_pci_config(pf->is.pf);
    uint32_t at = pf->is.capability;
    uint32_t id = id_of(pf->is.pf) + get16(config, at + PCI_SRIOV_FIRST_OFFSET);
    uint32_t count = get16(config, at + PCI_SRIOV_NUM_VFS);

    for (uint32_t i = 0; i < count && id < 65536 && i < ARRAY_SIZE(pf->ids); i++) {
        if (fake_pci_config(bdf_of(id)) != NULL) {
            violation(bdf_of(id), "a VF is where another function is");
            break;
        }
        vf_fill(fake_pci_add(bdf_of(id), 0xffff, 0xffff), &pf->is);
        memset(fake_pci_mask(bdf_of(id)), 0, 0x40); /* of the header only Bus Master */
        fake_put16(fake_pci_mask(bdf_of(id)), PCI_COMMAND, PCI_COMMAND_BUS_MASTER);
        vf_of[id] = (uint8_t)(pf - pfs + 1);
        vf_number[id] = (uint16_t)(i + 1);
        pf->ids[pf->vfs++] = id;
        id += get16(config, at + PCI_SRIOV_STRIDE);
    }
    pf->enabled_us = now_us();
}

/* A register of the SR-IOV capability was written. */
static void sriov_written(struct pf *pf, uint32_t offset)
{
    uint8_t *config = fake_pci_config(pf->is.pf);
    uint32_t at = pf->is.capability;
    uint16_t control = get16(config, at + PCI_SRIOV_CONTROL);
    bool ari = (control & PCI_SRIOV_CONTROL_ARI) != 0;
    bool was_on = (pf->control & PCI_SRIOV_CONTROL_ENABLE) != 0;
    bool on = (control & PCI_SRIOV_CONTROL_ENABLE) != 0;

    if (offset >= PCI_SRIOV_BAR0 && (control & PCI_SRIOV_CONTROL_MEMORY) != 0) {
        violation(pf->is.pf, "a VF BAR is written while VF MSE is set");
    }
    if (was_on && (offset == PCI_SRIOV_NUM_VFS || offset == PCI_SRIOV_PAGE_SIZE ||
                   ((control ^ pf->control) & PCI_SRIOV_CONTROL_ARI) != 0)) {
        violation(pf->is.pf, "NumVFs, page size or ARI change while VFs are on");
    }
    fake_put16(config, at + PCI_SRIOV_FIRST_OFFSET, pf->is.offset[ari]);
    fake_put16(config, at + PCI_SRIOV_STRIDE, pf->is.stride[ari]);
    pf->control = control;
    if (on && !was_on) {
        vfs_add(pf);
    } else if (!on && was_on) {
        vfs_remove(pf);
    }
}

static bool in_capability(const struct pf *pf, uint32_t offset)
{
    return offset >= pf->is.capability && offset - pf->is.capability < CAPABILITY;
}

static void check_release(const struct pf *pf)
{
    if (pf->disabled_us != 0 && now_us() < pf->disabled_us + 1000000) {
        violation(pf->is.pf, "SR-IOV is used less than 1 s after VF Enable was cleared");
    }
}

static void check_bar_write(bdf_t bdf, uint32_t offset)
{
    const uint8_t *config = fake_pci_config(bdf);
    bool bridge = (config[PCI_HEADER_TYPE] & 0x7f) != 0;
    uint32_t rom = bridge ? PCI_BRIDGE_ROM : PCI_ROM;
    uint32_t end = PCI_BAR0 + (bridge ? 8U : 24U);

    if (((offset >= PCI_BAR0 && offset < end) || offset == rom) &&
        (config[PCI_COMMAND] & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)) != 0) {
        violation(bdf, "a BAR is written while it is decoded");
    }
}

static struct reset *reset_of(bdf_t bdf)
{
    for (uint32_t i = 0; i < reset_count; i++) {
        if (bdf_equal(resets[i].bdf, bdf)) {
            return &resets[i];
        }
    }
    return NULL;
}

static void reset_written(struct reset *reset, uint32_t offset)
{
    uint8_t *config = fake_pci_config(reset->bdf);
    uint32_t at = reset->express + (uint32_t)PCI_EXPRESS_DEVICE_CONTROL;

    if (offset != at || (get16(config, at) & PCI_EXPRESS_START_FLR) == 0) {
        return;
    }
    if ((config[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER) != 0) {
        violation(reset->bdf, "reset with bus mastering on");
    }
    fake_put16(config, at, 0);
    fake_put16(config, PCI_COMMAND, 0);
    for (uint32_t bar = PCI_BAR0; bar < PCI_BAR0 + 24U; bar += 4) {
        fake_put32(config, bar, get32(config, bar) & 0xf);
    }
    reset->started = now_us();
}

static void model_write(bdf_t bdf, uint32_t offset, unsigned width)
{
    struct pf *pf = pf_of[id_of(bdf)] != 0 ? &pfs[pf_of[id_of(bdf)] - 1] : NULL;
    struct reset *reset = reset_of(bdf);

    check_bar_write(bdf, offset);
    if (reset != NULL) {
        reset_written(reset, offset);
    }
    if (pf != NULL && in_capability(pf, offset)) {
        check_release(pf);
        sriov_written(pf, offset - pf->is.capability);
    }
}

/* What a function answers that is not ready. */
static uint32_t not_ready(uint32_t offset, unsigned width, bool retry)
{
    if (retry && offset == 0 && width >= 2) {
        return width == 2 ? 1 : 0xffff0001U;
    }
    return width < 4 ? (1U << 8 * width) - 1 : 0xffffffffU;
}

static void model_read(bdf_t bdf, uint32_t offset, unsigned width, uint32_t *value)
{
    const struct pf *pf = pf_of[id_of(bdf)] != 0 ? &pfs[pf_of[id_of(bdf)] - 1] : NULL;
    const struct pf *owner = vf_of[id_of(bdf)] != 0 ? &pfs[vf_of[id_of(bdf)] - 1] : NULL;
    const struct reset *reset = reset_of(bdf);

    if (pf != NULL && in_capability(pf, offset)) {
        check_release(pf);
    }
    if (owner != NULL) {
        if (now_us() < owner->enabled_us + 100000) {
            violation(bdf, "a VF is used less than 100 ms after VF Enable");
        }
        if (now_us() < owner->enabled_us + owner->is.ready_us ||
            owner->is.dead == vf_number[id_of(bdf)]) {
            *value = not_ready(offset, width, owner->is.retry);
        }
    }
    if (reset != NULL) {
        bool ready = fake_pci_config(bdf)[PCI_STATUS] & 1; /* Immediate Readiness */

        if (!ready && reset->started != 0 && now_us() < reset->started + 100000) {
            violation(bdf, "a function is used less than 100 ms after its reset");
        }
        if (reset->started != 0 && now_us() < reset->started + reset->busy_us) {
            *value = not_ready(offset, width, true);
        } else if (offset == reset->express + (uint32_t)PCI_EXPRESS_DEVICE_STATUS &&
                   now_us() < reset->pending_until) {
            *value |= PCI_EXPRESS_PENDING;
        }
    }
}

void fake_model_flr(bdf_t bdf, uint32_t pending_us, uint32_t busy_us)
{
    uint16_t express = pci_cap_find(bdf, PCI_CAP_EXPRESS); /* while there is no reset yet */

    if (reset_count == RESETS_MAX) {
        abort();
    }
    resets[reset_count++] = (struct reset){
        .bdf = bdf, .express = express, .pending_until = now_us() + pending_us, .busy_us = busy_us};
}

void fake_model_reset(void)
{
    static const struct fake_pci_hooks hooks = {model_read, model_write};

    fake_pci_reset();
    pf_count = 0;
    reset_count = 0;
    violations = 0;
    memset(pf_of, 0, sizeof(pf_of));
    memset(vf_of, 0, sizeof(vf_of));
    fake_pci_hook(&hooks);
}
