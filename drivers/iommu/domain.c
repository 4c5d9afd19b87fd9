/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/iommu_backend.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"

#include <string.h>

static struct iommu_domain domains[IOMMU_DOMAINS_MAX];
static struct iommu_function functions[IOMMU_FUNCTIONS_MAX];
static uint64_t lost_pages;

void iommu_domain_reset(void)
{
    memset(domains, 0, sizeof(domains));
    memset(functions, 0, sizeof(functions));
    lost_pages = 0;
}

struct iommu_function *iommu_function_find(bdf_t bdf)
{
    for (uint32_t i = 0; i < IOMMU_FUNCTIONS_MAX; i++) {
        if (functions[i].domain != NULL && bdf_equal(functions[i].bdf, bdf)) {
            return &functions[i];
        }
    }
    return NULL;
}

struct iommu_function *iommu_function_at(uint32_t index)
{
    return &functions[index];
}

struct iommu_function *iommu_requester_find(bdf_t requester)
{
    uint16_t id = iommu_requester(requester);

    for (uint32_t i = 0; i < IOMMU_FUNCTIONS_MAX; i++) {
        struct iommu_function *function = &functions[i];

        if (function->domain != NULL && function->bdf.segment == requester.segment &&
            (iommu_requester(function->bdf) == id || function->alias == id)) {
            return function;
        }
    }
    return NULL;
}

void iommu_lost_pages_add(uint64_t pages)
{
    lost_pages += pages;
}

void iommu_domain_count(struct iommu_counters *counters)
{
    for (uint32_t i = 0; i < IOMMU_DOMAINS_MAX; i++) {
        if (domains[i].used) {
            counters->domains++;
            counters->table_pages +=
                __atomic_load_n(&domains[i].table.table_pages, __ATOMIC_RELAXED);
            counters->mapped_bytes += __atomic_load_n(&domains[i].mapped_bytes, __ATOMIC_RELAXED);
        }
    }
    for (uint32_t i = 0; i < IOMMU_FUNCTIONS_MAX; i++) {
        counters->functions += functions[i].domain != NULL;
    }
    counters->lost_pages = lost_pages;
}

uint32_t iommu_irqs_promised(void)
{
    uint32_t promised = IOMMU_OWNERS * IOMMU_IRQS_EACH;

    for (uint32_t i = 0; i < IOMMU_DOMAINS_MAX; i++) {
        uint32_t irqs = domains[i].used ? domains[i].irqs : 0;
        uint32_t has = irqs < IOMMU_IRQS_EACH ? irqs : IOMMU_IRQS_EACH;

        promised -= has < promised ? has : promised;
    }
    return promised;
}

/* An invalidation failed: nothing that DOMAIN ever mapped may be used again. Under the IOMMU lock.
 */
static enum status domain_break(struct iommu_domain *domain, enum status status)
{
    if (!domain->broken) {
        log_warn("IOMMU: domain %s: a unit did not confirm that it let go of memory (%s); the "
                 "memory stays unused until the machine is reset",
                 domain->name, status_name(status));
    }
    domain->broken = true;
    return status;
}

/* Under the domain's lock: what hardware is to be told, one step of it with the IOMMU lock. */
static enum status domain_sync(struct iommu_domain *domain, bool removed)
{
    uint64_t flags = iommu_lock();
    enum status status = domain->units != 0 ? iommu_backend->sync(domain, removed) : STATUS_OK;

    status = status == STATUS_OK ? STATUS_OK : domain_break(domain, status);
    iommu_unlock(flags);
    return status;
}

/* A free slot, taken; NULL: none. Under the IOMMU lock. */
static struct iommu_domain *domain_reserve(uint32_t owner)
{
    for (uint32_t i = 0; i < IOMMU_DOMAINS_MAX && i + 1 < iommu_limits.domain_ids; i++) {
        if (!domains[i].used) {
            domains[i] = (struct iommu_domain){
                .used = true,
                .lock = SPINLOCK(LOCK_DOMAIN),
                .id = (uint16_t)(i + 1),
                .owner = owner,
                .table = {.format = iommu_limits.format,
                          .page_sizes = iommu_state.page_sizes,
                          .extra_leaf = iommu_limits.extra_leaf,
                          .levels = iommu_limits.levels,
                          .incoherent = !iommu_state.coherent},
            };
            return &domains[i];
        }
    }
    return NULL;
}

enum status iommu_domain_create(const char *name, uint32_t owner, struct iommu_domain **result)
{
    uint64_t flags = iommu_lock();
    bool ready = iommu_state.ready;
    struct iommu_domain *domain = ready ? domain_reserve(owner) : NULL;

    iommu_unlock(flags);
    if (domain == NULL) {
        return STATUS_NOTE(ready ? STATUS_NO_MEMORY : STATUS_STATE);
    }
    (void)format(domain->name, sizeof(domain->name), "%s", name);
    enum status status = radix_init(&domain->table);

    if (status == STATUS_OK) {
        *result = domain;
    }
    __atomic_store_n(&domain->used, status == STATUS_OK, __ATOMIC_RELEASE);
    return status;
}

static bool domain_valid(const struct iommu_domain *domain)
{
    return domain >= domains && domain < domains + IOMMU_DOMAINS_MAX && domain->used;
}

/* Where no function is, and no unit is broken, no unit has anything of the domain cached. */
enum status iommu_domain_destroy(struct iommu_domain *domain)
{
    if (!domain_valid(domain) || domain->functions != 0) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (domain->broken) { /* it keeps its id and tables for ever */
        return STATUS_NOTE(STATUS_DEVICE);
    }
    radix_destroy(&domain->table);
    __atomic_store_n(&domain->used, false, __ATOMIC_RELEASE);
    return STATUS_OK;
}

static bool touches_messages(uint64_t base, uint64_t size)
{
    return ranges_overlap(base, size, MSI_BASE, MSI_SIZE);
}

static enum status map_check(const struct iommu_domain *domain, uint64_t iova, uint64_t base,
                             uint64_t size, unsigned rights)
{
    if (!domain_valid(domain) || domain->broken) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (rights == 0 || (rights & ~(unsigned)(IOMMU_READ | IOMMU_WRITE)) != 0 || size == 0 ||
        (iova | base | size) % PAGE_SIZE != 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (!range_fits(iova, size, 1ULL << iommu_state.iova_bits) ||
        !range_fits(base, size, 1ULL << iommu_state.physical_bits)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (touches_messages(iova, size) || touches_messages(base, size) ||
        iommu_backend->has_registers(hpa(base), size)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

static enum status domain_map(struct iommu_domain *domain, uint64_t iova, uint64_t base,
                              uint64_t size, unsigned rights)
{
    uint64_t done = 0;
    enum status status = map_check(domain, iova, base, size, rights);

    if (status != STATUS_OK) {
        return status;
    }
    if (radix_maps_any(&domain->table, iova, size)) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    status = radix_map(&domain->table, iova, hpa(base), size, rights, &done);
    domain->mapped_bytes += done;
    status = status == STATUS_OK ? domain_sync(domain, false) : status;
    if (status != STATUS_OK) {
        /* Splits nothing: cannot fail. Tables stay for the next time. */
        (void)radix_unmap(&domain->table, iova, size, &done);
        domain->mapped_bytes -= done;
        (void)domain_sync(domain, true); /* the first failure is the one to tell */
    }
    return status;
}

enum status iommu_map(struct iommu_domain *domain, gpa_t iova, hpa_t base, uint64_t size,
                      unsigned rights)
{
    spinlock_acquire(&domain->lock);
    enum status status = domain_map(domain, iova.raw, base.raw, size, rights);

    spinlock_release(&domain->lock);
    return status;
}

/* ---- What devices write ---- */

enum status iommu_take_written(struct iommu_domain *domain, const struct ram *ram, uint64_t *pages)
{
    *pages = 0;
    spinlock_acquire(&domain->lock);
    for (unsigned i = 0; i < ram->run_count; i++) {
        uint64_t at = ram->run[i].at.raw, end = at + ram->run[i].size;

        for (; at < end; at += RAM_MARKS_BYTES) {
            uint64_t written = radix_take_written(&domain->table, at);

            *pages += written != 0 ? ram_mark_word(ram, at / PAGE_SIZE, written) : 0;
        }
    }
    /* A unit sets a mark when it first translates: with what it has cached it sets none. */
    enum status status = domain_sync(domain, true);

    spinlock_release(&domain->lock);
    return status;
}

enum status iommu_watch(struct iommu_domain *domain, const struct ram *ram)
{
    enum status status = iommu_state.marks ? STATUS_OK : STATUS_UNSUPPORTED;
    uint64_t pages;

    spinlock_acquire(&domain->lock);
    for (unsigned i = 0; i < ram->run_count && status == STATUS_OK; i++) {
        status = radix_split(&domain->table, ram->run[i].at.raw, ram->run[i].size);
    }
    spinlock_release(&domain->lock);
    return status == STATUS_OK ? iommu_take_written(domain, ram, &pages) : status;
}

/* ---- Attachments: under the IOMMU lock ---- */

/* Fill in FUNCTION for BDF, or say why it cannot be attached. */
static enum status function_place(struct iommu_function *function, bdf_t bdf, bdf_t pf,
                                  const struct iommu_domain *domain)
{
    struct iommu_place place = {.alias = iommu_requester(bdf)};
    enum status status = iommu_backend->find(bdf, pf, &place);

    if (status != STATUS_OK) {
        return status;
    }
    if (place.reserved_memory && bdf_equal(bdf, pf) && domain->owner != IOMMU_OWNER_VMM) {
        log_warn("IOMMU: " BDF_FORMAT " is not assigned to a VM: firmware uses it for DMA of its "
                 "own (RMRR or IVMD); assign a VF of it instead",
                 BDF_ARGS(bdf));
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    /* Also finds BDF itself. An id that is another function's alias is not placed at all. */
    if (iommu_requester_find(iommu_requester_bdf(bdf.segment, place.alias)) != NULL) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    *function = (struct iommu_function){.bdf = bdf, .alias = place.alias, .unit = place.unit};
    return STATUS_OK;
}

static struct iommu_function *function_free_slot(void)
{
    for (uint32_t i = 0; i < IOMMU_FUNCTIONS_MAX; i++) {
        if (functions[i].domain == NULL) {
            return &functions[i];
        }
    }
    return NULL;
}

/*
 * Find anew which units may have something of DOMAIN cached: those that its functions are behind. A
 * unit that did not confirm stays among them for ever, so that nothing can be confirmed without it.
 */
static void domain_units_update(struct iommu_domain *domain)
{
    if (domain->broken) {
        return;
    }
    domain->units = 0;
    for (uint32_t i = 0; i < IOMMU_FUNCTIONS_MAX; i++) {
        domain->units |= functions[i].domain == domain ? 1ULL << functions[i].unit : 0;
    }
}

static enum status domain_attach(struct iommu_domain *domain, bdf_t bdf, bdf_t pf)
{
    struct iommu_function *slot = function_free_slot();
    struct iommu_function function = {.domain = NULL};

    if (!domain_valid(domain) || domain->broken || bdf.segment != pf.segment) {
        return STATUS_NOTE(STATUS_STATE);
    }
    enum status status = function_place(&function, bdf, pf, domain);

    if (status != STATUS_OK) {
        return status;
    }
    if (slot == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    *slot = function;
    slot->domain = domain;
    domain->functions++;
    domain->units |= 1ULL << function.unit;
    status = iommu_backend->attach(slot, domain);
    if (status != STATUS_OK) {
        enum status undone = iommu_backend->detach(slot, domain);

        slot->domain = NULL;
        domain->functions--;
        if (undone == STATUS_OK) {
            domain_units_update(domain);
        } else {
            (void)domain_break(domain, undone);
        }
    }
    return status;
}

enum status iommu_attach(struct iommu_domain *domain, bdf_t bdf, bdf_t pf)
{
    /* The domain's as well: what is mapped from here on is to be shown to the unit. */
    spinlock_acquire(&domain->lock);
    uint64_t flags = iommu_lock();
    enum status status = domain_attach(domain, bdf, pf);

    iommu_unlock(flags);
    spinlock_release(&domain->lock);
    return status;
}

static enum status function_detach(struct iommu_function *function)
{
    if (function == NULL) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    if (function->irqs != 0) {
        return STATUS_NOTE(STATUS_STATE);
    }
    struct iommu_domain *domain = function->domain;
    enum status status = iommu_backend->detach(function, domain);

    function->domain = NULL;
    domain->functions--;
    if (status != STATUS_OK) {
        return domain_break(domain, status);
    }
    domain_units_update(domain);
    return STATUS_OK;
}

enum status iommu_detach(bdf_t bdf)
{
    uint64_t flags = iommu_lock();
    enum status status = function_detach(iommu_function_find(bdf));

    iommu_unlock(flags);
    return status;
}
