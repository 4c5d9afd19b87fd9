/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/emulate/engine.h"

#include "vmm/emulate/emulate_edge.h"

#define LEVELS_MAX 5U

#define ENTRY_PRESENT  (1ULL << 0)
#define ENTRY_WRITE    (1ULL << 1)
#define ENTRY_USER     (1ULL << 2)
#define ENTRY_ACCESSED (1ULL << 5)
#define ENTRY_DIRTY    (1ULL << 6)
#define ENTRY_LARGE    (1ULL << 7)
#define ENTRY_NX       (1ULL << 63)
#define ENTRY_ADDRESS  0x000ffffffffff000ULL

/*
 * PDPTEs of PAE paging have no rights: these bits are reserved (SDM 3 table 4-8). Bit 5 is too, but
 * a CPU that walks nested page tables may take it for the accessed bit and set it itself.
 */
#define PAE_PDPTE_RESERVED 0x1c6ULL

enum paging { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_LONG };

struct walker {
    const struct emulate_cpu *cpu;
    gva_t address;
    unsigned access;
    enum paging paging;
    unsigned level; /* of the entry in hand; 1 is the last */
    unsigned top;
    unsigned entry_size;
    unsigned index_bits;
    gpa_t at[LEVELS_MAX + 1]; /* where the entry of each level lies */
    uint64_t entry[LEVELS_MAX + 1];
    uint64_t rights; /* ENTRY_WRITE and ENTRY_USER where all levels have it */
    bool no_execute;
};

static enum paging paging_mode(const struct emulate_cpu *cpu)
{
    if (!(cpu->cr0 & CR0_PG)) {
        return PAGING_NONE;
    }
    if (cpu->efer & EFER_LMA) {
        return PAGING_LONG;
    }
    return cpu->cr4 & CR4_PAE ? PAGING_PAE : PAGING_32;
}

/* The table that CR3 points to. */
static gpa_t start(struct walker *w)
{
    const struct emulate_cpu *cpu = w->cpu;

    w->paging = paging_mode(cpu);
    w->entry_size = w->paging == PAGING_32 ? 4 : 8;
    w->index_bits = w->paging == PAGING_32 ? 10 : 9;
    w->rights = ENTRY_WRITE | ENTRY_USER;
    switch (w->paging) {
    case PAGING_LONG:
        w->top = cpu->cr4 & CR4_LA57 ? 5 : 4;
        return gpa(cpu->cr3 & ENTRY_ADDRESS);
    case PAGING_PAE:
        w->top = 3;
        return gpa(cpu->cr3 & 0xffffffe0);
    case PAGING_32:
        w->top = 2;
        return gpa(cpu->cr3 & 0xfffff000);
    case PAGING_NONE:
        break;
    }
    return gpa(0);
}

static unsigned level_shift(const struct walker *w)
{
    return 12 + w->index_bits * (w->level - 1);
}

static bool is_leaf(const struct walker *w, uint64_t entry)
{
    if (w->level == 1) {
        return true;
    }
    if (!(entry & ENTRY_LARGE)) {
        return false;
    }
    return (w->level == 2 && (w->paging != PAGING_32 || (w->cpu->cr4 & CR4_PSE))) ||
           (w->level == 3 && w->paging == PAGING_LONG);
}

static uint64_t bits(unsigned from, unsigned to)
{
    return from > to ? 0 : (~0ULL >> (63 - to)) & (~0ULL << from);
}

/* SDM 3 4.3 (2-level, with PSE-36), 4.4.2 (PAE), 4.5.4 (long mode). */
static uint64_t reserved_bits(const struct walker *w, bool leaf)
{
    unsigned width = w->cpu->physical_bits;
    uint64_t reserved = 0;

    if (w->paging == PAGING_32) {
        /* Bits 20:13 of a 4-MiB entry are address bits 39:32. */
        unsigned extra = width < 40 ? width - 32 : 8;
        return leaf && w->level == 2 ? bits(13 + extra, 21) : 0;
    }
    reserved = bits(width, w->paging == PAGING_PAE ? 62 : 51);
    if (w->paging == PAGING_PAE && w->level == 3) {
        return reserved | PAE_PDPTE_RESERVED | ENTRY_NX;
    }
    if (!(w->cpu->efer & EFER_NXE)) {
        reserved |= ENTRY_NX;
    }
    if (leaf && w->level > 1) {
        reserved |= bits(13, level_shift(w) - 1); /* bit 12 is PAT */
    } else if (w->level > 3) {
        reserved |= ENTRY_LARGE;
    }
    return reserved;
}

static bool has_rights(const struct walker *w)
{
    return !(w->paging == PAGING_PAE && w->level == 3);
}

static bool read_entry(struct walker *w, gpa_t table)
{
    uint64_t mask = (1ULL << w->index_bits) - 1;
    uint64_t index = w->address.raw >> level_shift(w) & mask;
    uint64_t *entry = &w->entry[w->level];

    *entry = 0;
    if (w->paging == PAGING_PAE && w->level == 3 && w->cpu->pdpte_cached) {
        *entry = w->cpu->pdpte[index & 3];
        return true;
    }
    w->at[w->level] = gpa(table.raw + index * w->entry_size);
    return emulate_ram_read(w->cpu->vcpu, w->at[w->level], entry, w->entry_size);
}

/* SDM 3 4.6: may this access use a page with these rights? */
static bool access_allowed(const struct walker *w)
{
    const struct emulate_cpu *cpu = w->cpu;
    bool user_page = (w->rights & ENTRY_USER) != 0;

    if (w->access & WALK_EXECUTE) {
        if (w->no_execute || (!(w->access & WALK_USER) && user_page && (cpu->cr4 & CR4_SMEP))) {
            return false;
        }
    }
    if (w->access & WALK_USER) {
        return user_page && (!(w->access & WALK_WRITE) || (w->rights & ENTRY_WRITE));
    }
    if (user_page && !(w->access & WALK_EXECUTE) && (cpu->cr4 & CR4_SMAP) &&
        !(cpu->rflags & RFLAGS_AC)) {
        return false;
    }
    return !(w->access & WALK_WRITE) || (w->rights & ENTRY_WRITE) || !(cpu->cr0 & CR0_WP);
}

/* The I bit is there only if something can forbid execution (SDM 3 4.7). */
static uint32_t error_code(const struct walker *w, uint32_t cause)
{
    const struct emulate_cpu *cpu = w->cpu;
    bool nx = (cpu->efer & EFER_NXE) && w->paging != PAGING_32;
    bool fetch_known = nx || (cpu->cr4 & CR4_SMEP);

    return cause | (w->access & (WALK_WRITE | WALK_USER)) |
           (fetch_known ? w->access & WALK_EXECUTE : 0);
}

static gpa_t leaf_address(const struct walker *w)
{
    uint64_t entry = w->entry[w->level];
    uint64_t offset_mask = (1ULL << level_shift(w)) - 1;
    uint64_t frame = entry & ENTRY_ADDRESS & ~offset_mask;

    if (w->paging == PAGING_32) {
        frame &= 0xffffffff;
        if (w->level == 2) {
            frame |= (entry & bits(13, 20)) << 19;
        }
    }
    return gpa(frame | (w->address.raw & offset_mask));
}

/* Compare and exchange, so that what another CPU does to the entry meanwhile is not undone. */
static enum walk_result mark_used(struct walker *w)
{
    for (unsigned level = w->top; level >= w->level; level--) {
        uint64_t old = w->entry[level], new = old | ENTRY_ACCESSED;

        if (w->paging == PAGING_PAE && level == 3) {
            continue;
        }
        if (level == w->level && (w->access & WALK_WRITE)) {
            new |= ENTRY_DIRTY;
        }
        if (new == old) {
            continue;
        }
        enum emulate_swap swap =
            emulate_ram_swap(w->cpu->vcpu, w->at[level], w->entry_size, old, new);
        if (swap != EMULATE_SWAPPED) {
            return swap == EMULATE_SWAP_CHANGED ? WALK_AGAIN : WALK_NO_TABLE;
        }
        w->entry[level] = new;
    }
    return WALK_OK;
}

/* So that the next walk need only look whether all is the same. */
static void remember(const struct walker *w, gpa_t found)
{
    struct emulate_walk walk = {
        .page = align_down(w->address.raw, PAGE_SIZE),
        .gpa = align_down(found.raw, PAGE_SIZE),
        .entry_size = (uint8_t)w->entry_size,
    };

    if (!w->cpu->memo || (w->paging == PAGING_PAE && w->cpu->pdpte_cached)) {
        return;
    }
    for (unsigned level = w->top; level >= w->level && level > 0; level--) {
        const void *at = emulate_ram_lasting(w->cpu->vcpu, w->at[level], w->entry_size);

        if (!at) {
            return;
        }
        walk.entry[walk.count].at = at;
        walk.entry[walk.count++].value = w->entry[level];
    }
    recall_keep_walk(w->cpu, &walk, w->access);
}

/* Through the tables, down to the leaf. */
static enum walk_result descend(struct walker *w, gpa_t table, uint32_t *error)
{
    for (w->level = w->top; w->level > 0; w->level--) {
        if (!read_entry(w, table)) {
            return WALK_NO_TABLE;
        }
        uint64_t entry = w->entry[w->level];
        bool leaf = is_leaf(w, entry);
        if (!(entry & ENTRY_PRESENT)) {
            *error = error_code(w, 0);
            return WALK_FAULT;
        }
        if (entry & reserved_bits(w, leaf)) {
            *error = error_code(w, WALK_PRESENT | WALK_RESERVED);
            return WALK_FAULT;
        }
        if (has_rights(w)) {
            w->rights &= entry;
            w->no_execute = w->no_execute || (entry & ENTRY_NX);
        }
        if (leaf) {
            break;
        }
        table = gpa(entry & ENTRY_ADDRESS);
    }
    if (!access_allowed(w)) {
        *error = error_code(w, WALK_PRESENT);
        return WALK_FAULT;
    }
    return mark_used(w);
}

enum walk_result walk_translate(const struct emulate_cpu *cpu, gva_t address, unsigned access,
                                gpa_t *physical, uint32_t *error)
{
    const struct emulate_walk *known = recall_walk(cpu, address.raw, access);

    if (known) {
        *physical = gpa(known->gpa + address.raw % PAGE_SIZE);
        return WALK_OK;
    }
    struct walker w = {.cpu = cpu, .address = address, .access = access};
    gpa_t table = start(&w);
    enum walk_result result = w.paging == PAGING_NONE ? WALK_OK : descend(&w, table, error);

    if (result == WALK_OK) {
        *physical = w.paging == PAGING_NONE ? gpa(address.raw) : leaf_address(&w);
        remember(&w, *physical);
    }
    return result;
}
