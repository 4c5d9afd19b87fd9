/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU's emulation remembers (struct emulate_memo), and how it finds out whether that is
 * still so.
 *
 * A walk is remembered with all entries that it read: it is the same walk again if the registers
 * that it looks at are the same, and each entry has the same value. They are read from the top
 * down, as a walk does, which finds nothing else than a new one. An instruction is remembered with
 * its bytes, and is the same if those at its place, by such a walk, are.
 */
#include "vmm/emulate/emulate_edge.h"
#include "vmm/emulate/engine.h"

#include <string.h>

#define WORD 8U

/* What walk_translate() looks at, but for CR3: no two of these bits are at the same place. */
#define RULES_CR0    (CR0_PG | CR0_WP)
#define RULES_CR4    (CR4_PSE | CR4_PAE | CR4_LA57 | CR4_SMEP | CR4_SMAP)
#define RULES_EFER   (EFER_LMA | EFER_NXE)
#define RULES_ACCESS 32 /* where the access begins */

_Static_assert((RULES_CR0 | RULES_CR4 | RULES_EFER | RFLAGS_AC) ==
                   RULES_CR0 + RULES_CR4 + RULES_EFER + RFLAGS_AC,
               "two rules in one bit");
_Static_assert((RULES_CR0 | RULES_CR4 | RULES_EFER | RFLAGS_AC) >> RULES_ACCESS == 0, "no room");

static uint64_t rules_of(const struct emulate_cpu *cpu, unsigned access)
{
    return (cpu->cr0 & RULES_CR0) | (cpu->cr4 & RULES_CR4) | (cpu->efer & RULES_EFER) |
           (cpu->rflags & RFLAGS_AC) | (uint64_t)access << RULES_ACCESS;
}

/* Code, reads and writes of one page have places of their own. */
static struct emulate_walk *walk_slot(const struct emulate_cpu *cpu, uint64_t linear,
                                      unsigned access)
{
    uint64_t kind = access & WALK_EXECUTE ? 1 : access & WALK_WRITE;

    return &cpu->memo->walk[(linear / PAGE_SIZE + 3 * kind) % EMULATE_MEMO_WALKS];
}

static struct emulate_decoded *decoded_slot(const struct emulate_cpu *cpu)
{
    return &cpu->memo->decoded[(cpu->rip ^ cpu->rip >> 4) % EMULATE_MEMO_INSNS];
}

/* From the top down: x86 keeps the order of loads, and the compiler that of volatile ones. */
static bool is_same(const struct emulate_walk *walk)
{
    if (walk->entry_size == WORD) {
        for (unsigned i = 0; i < walk->count; i++) {
            if (*(const volatile uint64_t *)walk->entry[i].at != walk->entry[i].value) {
                return false;
            }
        }
        return true;
    }
    for (unsigned i = 0; i < walk->count; i++) {
        if (*(const volatile uint32_t *)walk->entry[i].at != walk->entry[i].value) {
            return false;
        }
    }
    return true;
}

const struct emulate_walk *recall_walk(const struct emulate_cpu *cpu, uint64_t linear,
                                       unsigned access)
{
    if (!cpu->memo) {
        return NULL;
    }
    const struct emulate_walk *walk = walk_slot(cpu, linear, access);

    if (walk->page != align_down(linear, PAGE_SIZE) || walk->cr3 != cpu->cr3 ||
        walk->rules != rules_of(cpu, access) || walk->entry_size == 0) {
        return NULL;
    }
    return is_same(walk) ? walk : NULL;
}

void recall_keep_walk(const struct emulate_cpu *cpu, const struct emulate_walk *walk,
                      unsigned access)
{
    struct emulate_walk *slot = walk_slot(cpu, walk->page, access);

    *slot = *walk;
    slot->cr3 = cpu->cr3;
    slot->rules = rules_of(cpu, access);
    slot->bytes = emulate_ram_lasting(cpu->vcpu, gpa(walk->gpa), PAGE_SIZE);
}

/* Where the LENGTH bytes of the code at rip are now; NULL: that takes a fetch to find out. */
static const uint8_t *code_at(const struct emulate_cpu *cpu, unsigned length)
{
    const struct x86_segment *code = &cpu->segment[INSN_SEGMENT_CS];
    uint64_t linear = cpu->rip;

    if (cpu->byte_count != 0) {
        return cpu->byte_count >= length ? cpu->bytes : NULL;
    }
    if (emulate_mode(cpu) != INSN_MODE_64) {
        if (cpu->rip + length - 1 > code->limit) {
            return NULL;
        }
        linear = (linear + code->base) & UINT32_MAX;
    } /* else it is canonical, or there would be no walk */
    const struct emulate_walk *walk =
        recall_walk(cpu, linear, WALK_EXECUTE | (cpu->cpl == 3 ? WALK_USER : 0));
    uint64_t offset = linear % PAGE_SIZE;

    return walk && walk->bytes && offset <= PAGE_SIZE - INSN_MAX ? walk->bytes + offset : NULL;
}

/* All of INSN_MAX bytes at FROM, in two words. */
static void load_bytes(uint64_t words[2], const uint8_t *from)
{
    memcpy(&words[0], from, WORD);
    memcpy(&words[1], from + INSN_MAX - WORD, WORD);
}

const struct insn *emulate_recall(const struct emulate_cpu *cpu)
{
    if (!cpu->memo) {
        return NULL;
    }
    const struct emulate_decoded *decoded = decoded_slot(cpu);

    if (decoded->rip != cpu->rip || decoded->mode != emulate_mode(cpu) ||
        decoded->insn.length == 0) {
        return NULL;
    }
    const uint8_t *code = code_at(cpu, decoded->insn.length);
    uint64_t words[2];

    if (!code) {
        return NULL;
    }
    load_bytes(words, code);
    return ((words[0] ^ decoded->bytes[0]) & decoded->mask[0]) == 0 &&
                   ((words[1] ^ decoded->bytes[1]) & decoded->mask[1]) == 0
               ? &decoded->insn
               : NULL;
}

bool recall_insn(struct engine *engine)
{
    const struct insn *insn = emulate_recall(engine->cpu);

    if (!insn) {
        return false;
    }
    const struct emulate_decoded *decoded = decoded_slot(engine->cpu);
    uint8_t *bytes = engine->result->bytes;

    engine->insn = *insn;
    engine->result->byte_count = insn->length;
    memcpy(bytes, &decoded->bytes[0], WORD);
    memcpy(bytes + INSN_MAX - WORD, &decoded->bytes[1], WORD);
    return true;
}

/* The lowest COUNT bytes of a word. */
static uint64_t low_bytes(unsigned count)
{
    return count == 0 ? 0 : UINT64_MAX >> 8 * (WORD - count);
}

void recall_keep_insn(const struct engine *engine)
{
    const struct emulate_cpu *cpu = engine->cpu;
    unsigned length = engine->insn.length, first = INSN_MAX - WORD;

    if (!cpu->memo) {
        return;
    }
    struct emulate_decoded *decoded = decoded_slot(cpu);

    decoded->rip = cpu->rip;
    decoded->mode = (uint8_t)emulate_mode(cpu);
    decoded->mask[0] = low_bytes(length < WORD ? length : WORD);
    decoded->mask[1] = low_bytes(length > first ? length - first : 0);
    load_bytes(decoded->bytes, engine->result->bytes);
    decoded->insn = engine->insn;
}
