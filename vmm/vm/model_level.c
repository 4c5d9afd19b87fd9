/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Levels of the guests' CPU: what unlike machines of one vendor have in common, so that a VM can go
 * from one to the other. What is levelled is not only the features: names, caches and what follows
 * from the highest leaf are others on each machine, too.
 */
#include "vmm/vm/model.h"

#include <string.h>

#define EXTENDED      0x80000000U
#define BASIC_MAX     0xdU
#define EXTENDED_MAX  (EXTENDED + 8)
#define SIGNATURE     0x00000f61U /* family 15, model 6, of both vendors, as KVM's plain CPU has it */
#define ARAT          4U
#define LINEAR_48     0x3000U
#define PHYSICAL_BITS 40U /* where the VM's RAM ends below that */
#define ALL           UINT32_MAX
#define C1C_XSAVE     (1U << 26)
#define C1C_AVX       (1U << 28)
#define C7B_AVX512    (1U << 16)
#define XCR0_LEGACY   3ULL
#define XCR0_AVX      7ULL

/* Features by the levels of the x86-64 psABI; and what a VMM needs no hardware for stays. */
#define C1C_V2                                                              \
    (1U << 0 /* SSE3 */ | 1U << 9 /* SSSE3 */ | 1U << 13 /* CMPXCHG16B */ | \
     1U << 19 /* SSE4.1 */ | 1U << 20 /* SSE4.2 */ | 1U << 23 /* POPCNT */)
#define X1C_V2 (1U << 0 /* LAHF */)
#define X1D_BASE                                                                \
    (0x0183f3ffU /* as leaf 1 */ | 1U << 11 /* SYSCALL */ | 1U << 20 /* NX */ | \
     1U << 29 /* long mode */)

/* clang-format off */
static const uint32_t levels[][CPU_WORDS] = {
    /*                   c1c     c1d  c7b c7c c7d x1c     x1d       x7d  x8b */
    [CONFIG_CPU_HOST] = {ALL,    ALL, ALL, ALL, ALL, ALL, ALL,      ALL, ALL},
    [CONFIG_CPU_BASE] = {0,      ALL, 0,   0,   0,   0,   X1D_BASE, ALL, 0},
    [CONFIG_CPU_V2]   = {C1C_V2, ALL, 0,   0,   0,   X1C_V2, X1D_BASE, ALL, 0},
};
/* clang-format on */

/* Where each word is: register 0 is EAX. */
static const struct {
    uint32_t leaf;
    uint8_t reg;
} places[CPU_WORDS] = {
    [CPU_C1C] = {1,            2},
    [CPU_C1D] = {1,            3},
    [CPU_C7B] = {7,            1},
    [CPU_C7C] = {7,            2},
    [CPU_C7D] = {7,            3},
    [CPU_X1C] = {EXTENDED + 1, 2},
    [CPU_X1D] = {EXTENDED + 1, 3},
    [CPU_X7D] = {EXTENDED + 7, 3},
    [CPU_X8B] = {EXTENDED + 8, 1},
};

static uint64_t hidden_components(const struct model_level *level)
{
    uint32_t c1c = level->leaf[0][1].ecx;
    uint64_t shown = ALL;

    if ((c1c & (C1C_XSAVE | C1C_AVX)) != (C1C_XSAVE | C1C_AVX)) {
        shown = XCR0_LEGACY;
    } else if (!(level->leaf[0][7].ebx & C7B_AVX512)) {
        shown = XCR0_AVX;
    }
    return model_facts.xcr0 & ~shown;
}

/* What is the machine's own, and not a feature. */
static void replace(const struct model_level *level, uint32_t leaf, struct cpuid *out)
{
    static const char brand[49] = "Portolan virtual CPU";

    switch (leaf) {
    case 0:
        out->eax = BASIC_MAX;
        break;
    case 1:
        out->eax = SIGNATURE;
        break;
    case 6:
        *out = (struct cpuid){.eax = ARAT};
        break;
    case EXTENDED:
        out->eax = EXTENDED_MAX;
        break;
    case EXTENDED + 1:
        out->eax = out->eax != 0 ? SIGNATURE : 0; /* AMD's have it there, too */
        out->ebx = 0;
        break;
    case EXTENDED + 2:
    case EXTENDED + 3:
    case EXTENDED + 4:
        memcpy(out, brand + (leaf - EXTENDED - 2) * sizeof(*out), sizeof(*out));
        break;
    case EXTENDED + 8:
        out->eax = LINEAR_48 | level->physical_bits;
        break;
    default: /* features, or what leaves above the highest, caches and rates have */
        if (leaf != 7 && leaf != EXTENDED + 7) {
            *out = (struct cpuid){0};
        }
        break;
    }
}

static void hide(struct model_level *level, const uint32_t *shown)
{
    for (uint32_t i = 0; i < MODEL_LEAVES; i++) {
        replace(level, i, &level->leaf[0][i]);
        replace(level, EXTENDED + i, &level->leaf[1][i]);
    }
    for (unsigned i = 0; i < CPU_WORDS; i++) {
        struct cpuid *leaf = &level->leaf[places[i].leaf / EXTENDED][places[i].leaf % EXTENDED];
        uint32_t *const regs[] = {&leaf->eax, &leaf->ebx, &leaf->ecx, &leaf->edx};

        *regs[places[i].reg] &= shown[i];
    }
}

void model_level_set(struct model_level *level, const struct config_cpu *wanted, uint64_t end)
{
    *level = model_host;
    if (wanted->level == CONFIG_CPU_HOST) {
        return;
    }
    level->own = true;
    if (level->physical_bits > PHYSICAL_BITS && end <= 1ULL << PHYSICAL_BITS) {
        level->physical_bits = PHYSICAL_BITS;
    }
    hide(level, wanted->level == CONFIG_CPU_MASK ? wanted->mask : levels[wanted->level]);
    level->xcr0 = hidden_components(level);
    level->cr4 = model_facts.cr4 & ~model_cr4(level);
    level->efer = model_facts.efer & ~model_efer(level);
}

uint32_t model_signature(const struct model_level *level)
{
    return level->own ? SIGNATURE : model_facts.signature;
}

bool model_level_allows(const struct model_level *level, const struct cpu_state *state)
{
    return !(state->cr4 & level->cr4) && !(state->efer & level->efer) &&
           !(state->fpu.xcr0 & level->xcr0) && !(state->fpu.area[FPU_AREA_BV] & level->xcr0);
}
