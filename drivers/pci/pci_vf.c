/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/pci_vf.h"

#include "drivers/pci/bars.h"
#include "drivers/pci/bridge.h"
#include "drivers/pci/flr.h"
#include "drivers/pci/msix.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/room.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"

#define PAGE_SIZE_4K 1U /* in Supported Page Sizes and System Page Size */
#define POLL_US      1000U
#define POLLS_MAX    2000U
#define SWITCH       (PCI_SRIOV_CONTROL_ENABLE | PCI_SRIOV_CONTROL_MEMORY)

static struct pci_pf pfs[PCI_PFS_MAX]; /* function NULL: free */
static struct pci_vf vfs[PCI_VFS_MAX]; /* each PF has a run of them */

/* When the VFs of a function were switched off, if they ever were; by pci_scan()'s index. */
static uint64_t released_ns[PCI_FUNCTIONS_MAX];

const struct pci_pf *pci_pf_at(uint32_t index)
{
    return index < PCI_PFS_MAX && pfs[index].function != NULL ? &pfs[index] : NULL;
}

static struct pci_pf *pf_find(bdf_t bdf)
{
    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        if (pfs[i].function != NULL && bdf_equal(pfs[i].function->bdf, bdf)) {
            return &pfs[i];
        }
    }
    return NULL;
}

const struct pci_pf *pci_pf_find(bdf_t bdf)
{
    return pf_find(bdf);
}

const struct pci_vf *pci_vf_of(const struct pci_pf *pf, uint32_t index)
{
    return index < pf->vfs ? &vfs[pf->first + index] : NULL;
}

const struct pci_vf *pci_vf_find(bdf_t bdf)
{
    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        for (uint32_t vf = pfs[i].first; pfs[i].function != NULL && vf < pfs[i].first + pfs[i].vfs;
             vf++) {
            if (bdf_equal(vfs[vf].bdf, bdf)) {
                return &vfs[vf];
            }
        }
    }
    return NULL;
}

struct pci_bar pci_vf_bar(const struct pci_vf *vf, uint32_t bar)
{
    struct pci_bar result = {0};

    if (bar < PCI_BARS_MAX && pfs[vf->pf].sriov.bars[bar].size != 0) {
        result = pfs[vf->pf].sriov.bars[bar];
        result.base += vf->index * result.size;
    }
    return result;
}

enum status pci_vf_set_master(const struct pci_vf *vf, bool on)
{
    struct pci_vf *own = &vfs[vf - vfs];

    if (!own->present) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    if (on) {
        return pci_master_acquire(&own->master, own->bdf);
    }
    pci_master_release(&own->master, own->bdf);
    return STATUS_OK;
}

/* A free run of COUNT places in the table of VFs, in *FIRST. */
static bool table_find(uint32_t count, uint16_t *first)
{
    uint32_t at = 0;
    bool moved = true;

    while (moved && at + count <= PCI_VFS_MAX) {
        moved = false;
        for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
            if (pfs[i].function != NULL && ranges_overlap(at, count, pfs[i].first, pfs[i].vfs)) {
                at = (uint32_t)pfs[i].first + pfs[i].vfs;
                moved = true;
            }
        }
    }
    *first = (uint16_t)at;
    return at + count <= PCI_VFS_MAX;
}

static uint32_t control_read(const struct pci_function *pf)
{
    return pci_config_read(pf->bdf, pf->sriov + (uint32_t)PCI_SRIOV_CONTROL, 2);
}

static void control_write(const struct pci_function *pf, uint32_t control)
{
    pci_config_write(pf->bdf, pf->sriov + (uint32_t)PCI_SRIOV_CONTROL, 2, control);
}

/* Wait until NS by the clock, which may stand still: no longer than POLLS_MAX polls. */
static void wait_until(uint64_t ns)
{
    for (uint32_t i = 0; i < POLLS_MAX && time_now_ns() < ns; i++) {
        time_delay_us(POLL_US);
    }
}

static uint64_t *released(const struct pci_function *pf)
{
    return &released_ns[pf - pci_function_at(0)];
}

/* Software must not read the capability for a second after this (9.3.3.3.1). */
static void switch_off(const struct pci_function *pf, uint32_t control)
{
    control_write(pf, control & ~SWITCH);
    *released(pf) = time_now_ns() + PCI_VF_RELEASE_NS;
}

void pci_vf_await_release(const struct pci_function *pf)
{
    wait_until(*released(pf));
}

/* Read the capability, with the VFs off and small pages, if it can give *COUNT VFs; for
 * PCI_VFS_FIT *COUNT becomes all that it can give. */
static enum status prepare(const struct pci_function *pf, uint16_t *count, struct pci_sriov *sriov)
{
    uint32_t page_at = pf->sriov + (uint32_t)PCI_SRIOV_PAGE_SIZE;
    enum status status;
    uint32_t control;

    pci_vf_await_release(pf);
    control = control_read(pf);
    if (control != 0xffffU && (control & PCI_SRIOV_CONTROL_ENABLE) != 0) {
        log_info("PCI " BDF_FORMAT ": its VFs were left on; they are switched off first",
                 BDF_ARGS(pf->bdf));
        switch_off(pf, control);
        pci_vf_await_release(pf);
    }
    status = pci_sriov_read(pf->bdf, pf->sriov, sriov);
    if (status != STATUS_OK) {
        return status;
    }
    *count = *count == PCI_VFS_FIT ? sriov->initial_vfs : *count;
    if (*count == 0 || *count > sriov->initial_vfs) {
        log_warn("PCI " BDF_FORMAT ": %u VFs are wanted, and it has 1 to %u", BDF_ARGS(pf->bdf),
                 *count, sriov->initial_vfs);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if ((sriov->page_sizes & PAGE_SIZE_4K) == 0) {
        log_warn("PCI " BDF_FORMAT ": its VFs cannot have pages of 4 KiB (Supported Page Sizes is "
                 "%#x); they are not used",
                 BDF_ARGS(pf->bdf), sriov->page_sizes);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    pci_config_write(pf->bdf, page_at, 4, PAGE_SIZE_4K);
    sriov->page_size = pci_config_read(pf->bdf, page_at, 4);
    return sriov->page_size == PAGE_SIZE_4K ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
}

/* Give the VF BARs addresses, in the device and in *SRIOV. VF MSE is clear. Bridges come last, when
 * every BAR has found room: their windows only ever grow. */
static enum status place_bars(const struct pci_function *pf, struct pci_sriov *sriov,
                              enum log_level level, bool fit)
{
    uint32_t placed = 0;
    enum status status = pci_bars_size_vf(pf->bdf, sriov);

    for (uint32_t i = 0; i < PCI_BARS_MAX && status == STATUS_OK; i++) {
        struct pci_bar *bar = &sriov->bars[i];
        hpa_t base;

        if (bar->size == 0) {
            continue;
        }
        status = pci_room_assign(pf, PCI_ROOM_VF_BAR + i, bar, bar->size * sriov->num_vfs, &base);
        if (status == STATUS_OK) {
            status = pci_bar_write(pf->bdf, sriov->capability + (uint32_t)PCI_SRIOV_BAR0 + 4 * i,
                                   bar, base.raw);
            bar->base = base.raw;
            placed++;
        } else if (status == STATUS_NO_ROOM) {
            pci_room_explain(pf, bar, bar->size * sriov->num_vfs, level, fit);
        }
    }
    if (status == STATUS_OK && placed == 0) {
        log_warn("PCI " BDF_FORMAT ": its VFs have no memory BAR; they are not used",
                 BDF_ARGS(pf->bdf));
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    return status == STATUS_OK ? pci_room_apply(pf) : status;
}

/*
 * Let a root port tell software of a function that says 'not yet' (2.3.2). Otherwise it repeats the
 * access until it gets another answer, and the CPU stands still as long as a VF takes to come up:
 * up to a second, where some machines' watchdogs strike before.
 */
static void show_retries(const struct pci_function *port)
{
    if (port->port == PCI_PORT_ROOT &&
        (pci_config_read(port->bdf, port->express + PCI_EXPRESS_ROOT_CAPS, 2) &
         PCI_EXPRESS_RETRY_CAP) != 0) {
        (void)pci_config_change(port->bdf, port->express + PCI_EXPRESS_ROOT_CONTROL, 0,
                                PCI_EXPRESS_RETRY_SEEN);
    }
}

/* Bridges pass memory accesses on only with Memory Space Enable (7.5.1.1.3). */
static void open_bridges(bdf_t bdf)
{
    const struct pci_function *bridge;

    while ((bridge = pci_upstream(bdf.segment, bdf.bus)) != NULL) {
        (void)pci_config_change(bridge->bdf, PCI_COMMAND, 0, PCI_COMMAND_MEMORY);
        show_retries(bridge);
        bdf = bridge->bdf;
    }
}

static void read_vf(struct pci_vf *vf)
{
    struct pci_function function = {.bdf = vf->bdf, .port = PCI_PORT_CONVENTIONAL};
    struct pci_bar bars[PCI_BARS_MAX];

    pci_function_read_body(&function);
    vf->subsystem = function.subsystem;
    vf->flr = function.flr;
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        bars[i] = pci_vf_bar(vf, i);
    }
    if (function.msix != 0 && pci_msix_read(vf->bdf, function.msix, &vf->msix) == STATUS_OK &&
        pci_msix_check(vf->bdf, &vf->msix, bars) == STATUS_OK) {
        vf->msix_at = function.msix;
    }
}

/* List the VFs of PF, waiting until DEADLINE for those that do not answer. How many do? */
static uint32_t list_vfs(const struct pci_pf *pf, uint64_t deadline_ns)
{
    uint32_t polls = POLLS_MAX;
    uint32_t present = 0;

    for (uint32_t i = 0; i < pf->vfs; i++) {
        struct pci_vf *vf = &vfs[pf->first + i];

        *vf = (struct pci_vf){.index = (uint16_t)i, .pf = (uint8_t)(pf - pfs)};
        (void)pci_sriov_vf(pf->function->bdf, &pf->sriov, i, &vf->bdf); /* the plan has checked */
        vf->present = pci_vf_answers(vf->bdf);
        while (!vf->present && polls > 0 && time_now_ns() < deadline_ns) {
            polls--;
            time_delay_us(POLL_US);
            vf->present = pci_vf_answers(vf->bdf);
        }
        if (!vf->present) {
            continue;
        }
        /* Bus Master off; and from the write a VF learns its bus number (2.2.6.2). */
        pci_config_write(vf->bdf, PCI_COMMAND, 2, 0);
        read_vf(vf);
        present++;
    }
    return present;
}

/* VF Enable, the wait, and the list. */
static enum status switch_on(struct pci_pf *pf)
{
    const struct pci_function *function = pf->function;
    uint32_t control = control_read(function) | SWITCH;
    uint64_t start;
    uint32_t present;

    open_bridges(function->bdf);
    control_write(function, control);
    start = time_now_ns();
    wait_until(start + PCI_VF_SETTLE_NS);
    if (control_read(function) != control) {
        log_warn("PCI " BDF_FORMAT ": VFs cannot be switched on (its SR-IOV control reads %#x)",
                 BDF_ARGS(function->bdf), control_read(function));
        return STATUS_NOTE(STATUS_DEVICE);
    }
    pf->sriov.enabled = true;
    present = list_vfs(pf, start + PCI_VF_ANSWER_NS);
    if (present < pf->vfs) {
        log_warn("PCI " BDF_FORMAT ": %u of its %u VFs do not answer 1 s after they were switched "
                 "on; they are not used",
                 BDF_ARGS(function->bdf), pf->vfs - present, pf->vfs);
    }
    return present > 0 ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
}

static void forget_bars(const struct pci_function *pf)
{
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        pci_room_release(pf, PCI_ROOM_VF_BAR + i);
    }
}

static struct pci_pf *pf_free(void)
{
    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        if (pfs[i].function == NULL) {
            return &pfs[i];
        }
    }
    return NULL;
}

/* Find places for COUNT VFs of PF: in the table, on the buses, for their BARs. FIT: or fewer. */
static enum status place(struct pci_pf *pf, uint16_t count, enum log_level level, bool fit)
{
    pf->vfs = count;
    if (pf_free() == NULL || !table_find(count, &pf->first)) {
        log_write(level, "PCI " BDF_FORMAT ": more than %u PFs or %u VFs in all: use fewer VFs",
                  BDF_ARGS(pf->function->bdf), PCI_PFS_MAX, PCI_VFS_MAX);
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    enum status status = pci_vf_plan(pf->function, &pf->sriov, count, level);

    if (status == STATUS_OK) {
        status = place_bars(pf->function, &pf->sriov, level, fit);
    }
    if (status != STATUS_OK) {
        forget_bars(pf->function);
        pci_room_forget(pf->function);
    }
    return status;
}

/*
 * The most VFs of PF that have places, when MANY, for STATUS, have none. By halves: what more VFs
 * need only grows.
 */
static enum status place_most(struct pci_pf *pf, uint16_t many, enum status status)
{
    uint16_t good = 0;
    uint16_t bad = many;

    while (bad - good > 1 && status != STATUS_DEVICE) {
        uint16_t count = (uint16_t)(good + (bad - good) / 2);

        status = place(pf, count, LOG_DEBUG, true);
        *(status == STATUS_OK ? &good : &bad) = count;
    }
    if (status != STATUS_OK && status != STATUS_DEVICE && good > 0) {
        status = place(pf, good, LOG_WARN, true);
    }
    if (status == STATUS_OK) {
        log_info("PCI " BDF_FORMAT ": %u of its %u VFs have room and are used ('num_vfs = fit'); "
                 "what the others lack stands above",
                 BDF_ARGS(pf->function->bdf), good, many);
    }
    return status;
}

enum status pci_vf_enable(bdf_t bdf, uint16_t count)
{
    const struct pci_function *function = pci_find(bdf);
    struct pci_pf next = {.function = function};
    bool fit = count == PCI_VFS_FIT;
    struct pci_pf *pf;
    enum status status;

    if (function == NULL || function->sriov == 0 || function->header != PCI_HEADER_DEVICE) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    if (pf_find(bdf) != NULL) {
        (void)pci_vf_disable(bdf);
    }
    status = prepare(function, &count, &next.sriov);
    if (status == STATUS_OK) {
        status = place(&next, count, LOG_WARN, fit);
        if (fit && status != STATUS_OK && pf_free() != NULL) {
            status = place_most(&next, count, status);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    pf = pf_free();
    *pf = next;
    status = switch_on(pf);
    if (status != STATUS_OK) {
        (void)pci_vf_disable(bdf);
    }
    return status;
}

enum status pci_vf_disable(bdf_t bdf)
{
    struct pci_pf *pf = pf_find(bdf);

    if (pf == NULL) {
        return STATUS_NOTE(STATUS_STATE);
    }
    for (uint32_t i = 0; i < pf->vfs; i++) {
        struct pci_vf *vf = &vfs[pf->first + i];

        pci_master_release(&vf->master, vf->bdf);
    }
    switch_off(pf->function, control_read(pf->function));
    forget_bars(pf->function);
    pf->function = NULL;
    return STATUS_OK;
}
