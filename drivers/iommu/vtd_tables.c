/* SPDX-License-Identifier: BSD-2-Clause */
/* Root and context tables. Intel VT-d specification 4.1, sections 3.4.2, 9.1 and 9.3. */
#include "drivers/iommu/vtd.h"
#include "vmm/host/pool.h"

#include <string.h>

#define SEGMENTS_MAX 32U
#define BUSES        256U

_Static_assert(BUSES * sizeof(struct vtd_pair) == PAGE_SIZE, "VT-d 4.1, 3.4.2: a page each");

/* The units of a segment share its root table: each sees only requests of its own devices. */
static struct root {
    uint16_t segment;
    struct vtd_pair *table; /* NULL: free */
} roots[SEGMENTS_MAX];

void vtd_tables_reset(void)
{
    memset(roots, 0, sizeof(roots));
}

static struct root *root_find(uint16_t segment)
{
    for (uint32_t i = 0; i < SEGMENTS_MAX; i++) {
        if (roots[i].table != NULL && roots[i].segment == segment) {
            return &roots[i];
        }
    }
    return NULL;
}

static struct vtd_pair *table_new(void)
{
    struct vtd_pair *table = pool_allocate(PAGE_SIZE, PAGE_SIZE);

    if (table != NULL && !iommu_state.coherent) {
        shared_write_back(table, PAGE_SIZE);
    }
    return table;
}

enum status vtd_tables_root(uint16_t segment, hpa_t *result)
{
    struct root *root = root_find(segment);

    for (uint32_t i = 0; root == NULL && i < SEGMENTS_MAX; i++) {
        if (roots[i].table == NULL) {
            root = &roots[i];
            *root = (struct root){.segment = segment, .table = table_new()};
        }
    }
    if (root == NULL || root->table == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    *result = pool_hpa(root->table);
    return STATUS_OK;
}

void vtd_tables_write_back(const struct vtd_pair *entry)
{
    if (!iommu_state.coherent) {
        shared_write_back(entry, sizeof(*entry));
    }
}

struct vtd_pair *vtd_tables_context(bdf_t bdf, bool make)
{
    struct root *root = root_find(bdf.segment);

    if (root == NULL) {
        return NULL;
    }
    struct vtd_pair *entry = &root->table[bdf.bus];
    uint64_t low = shared_load(&entry->word[0]);

    if ((low & VTD_PRESENT) == 0) {
        struct vtd_pair *table = make ? table_new() : NULL;

        if (table == NULL) {
            return NULL;
        }
        low = vtd_root_entry(pool_hpa(table)).word[0];
        shared_store(&entry->word[0], low);
        vtd_tables_write_back(entry);
    }
    struct vtd_pair *contexts = pool_pointer(hpa(low & VTD_TABLE_ADDRESS));

    return &contexts[bdf.devfn];
}
