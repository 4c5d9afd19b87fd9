/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/plan.h"

#include "vmm/base/log.h"

/* Are SIZE bytes from FROM on within the TOTAL bytes at START? Addresses, as C's rules for pointers
 * into different objects do not allow this question. */
static bool source_within(const uint8_t *from, uint64_t size, const uint8_t *start, uint64_t total)
{
    uint64_t at = (uint64_t)(uintptr_t)from;
    uint64_t base = (uint64_t)(uintptr_t)start;

    return start != NULL && at >= base && range_fits(at - base, size, total);
}

static bool source_known(const struct load_input *input, const struct load_plan *plan,
                         const struct load_piece *piece)
{
    if (piece->size == 0 || source_within(piece->from, piece->size, plan->low, sizeof(plan->low)) ||
        source_within(piece->from, piece->size, input->image.data, input->image.size) ||
        source_within(piece->from, piece->size, input->initrd.data, input->initrd.size)) {
        return true;
    }
    for (unsigned i = 0; i < input->module_count; i++) {
        if (source_within(piece->from, piece->size, input->modules[i].data,
                          input->modules[i].size)) {
            return true;
        }
    }
    return false;
}

/* Is [at, at + size) within the copied bytes of one piece? Only for pieces that were checked. */
static bool copied(const struct load_plan *plan, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < plan->piece_count; i++) {
        const struct load_piece *piece = &plan->piece[i];
        if (at >= piece->to.raw && range_fits(at - piece->to.raw, size, piece->size)) {
            return true;
        }
    }
    return false;
}

static enum status pieces_check(const struct load_input *input, const struct load_plan *plan)
{
    struct map map;

    map_build(input->memory_below_4g, input->memory_above_4g, &map);
    for (unsigned i = 0; i < plan->piece_count; i++) {
        const struct load_piece *piece = &plan->piece[i];
        uint64_t size;
        if (__builtin_add_overflow(piece->size, piece->zero, &size) ||
            !map_has_ram(&map, piece->to.raw, size)) {
            log_error("load: piece %u at %#lx is not in RAM", i, piece->to.raw);
            return STATUS_NOTE(STATUS_RANGE);
        }
        if (!source_known(input, plan, piece)) {
            log_error("load: piece %u at %#lx comes from no file", i, piece->to.raw);
            return STATUS_NOTE(STATUS_RANGE);
        }
        for (unsigned j = 0; j < i; j++) {
            const struct load_piece *other = &plan->piece[j];
            if (ranges_overlap(piece->to.raw, size, other->to.raw, other->size + other->zero)) {
                log_error("load: pieces %u and %u overlap at %#lx", j, i, piece->to.raw);
                return STATUS_NOTE(STATUS_CONFLICT);
            }
        }
    }
    return STATUS_OK;
}

static enum status entry_check(const struct load_plan *plan)
{
    const struct load_entry *entry = &plan->entry;
    bool tables_good = entry->mode != LOAD_ENTRY_LONG64 ||
                       (entry->cr3.raw % PAGE_SIZE == 0 && copied(plan, entry->cr3.raw, PAGE_SIZE));

    if (!copied(plan, entry->rip, 1) || !copied(plan, entry->gdt.raw, entry->gdt_limit + 1ULL) ||
        !tables_good) {
        log_error("load: RIP %#lx, GDT %#lx or CR3 %#lx is nothing that was loaded", entry->rip,
                  entry->gdt.raw, entry->cr3.raw);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (entry->cs + 7U > entry->gdt_limit || entry->ds + 7U > entry->gdt_limit) {
        log_error("load: selectors %#x and %#x are beyond the GDT's limit %#x", entry->cs,
                  entry->ds, entry->gdt_limit);
        return STATUS_NOTE(STATUS_RANGE);
    }
    return STATUS_OK;
}

enum status load_plan_check(const struct load_input *input, const struct load_plan *plan)
{
    if (plan->piece_count > LOAD_PIECES_MAX) {
        log_error("load: %u pieces", plan->piece_count);
        return STATUS_NOTE(STATUS_RANGE);
    }
    enum status status = pieces_check(input, plan);
    return status == STATUS_OK ? entry_check(plan) : status;
}
