/* SPDX-License-Identifier: BSD-2-Clause */
/* THE table of CPUID: every leaf a guest can see but 40000000h, which is ours; what is not here
 * reads as zero. */
#include "vmm/host/fpu.h"
#include "vmm/pc/clock.h"
#include "vmm/vm/model.h"

#include <string.h>

#define BASIC_MAX      0x15U
#define HYPERVISOR     0x40000000U
#define HYPERVISOR_MAX 0x40000000U
#define EXTENDED       0x80000000U
#define EXTENDED_MAX   0x8000001fU
#define ALL            UINT32_MAX

/* Leaf 1. MONITOR, VMX, EIST, TM2, PDCM, PCID of Intel, DCA, and what is about debug stores and
 * thermal limits of a real package, are not shown. */
#define L1_ECX_PASS                                                                             \
    (1U << 0 /* SSE3 */ | 1U << 1 /* PCLMULQDQ */ | 1U << 9 /* SSSE3 */ | 1U << 12 /* FMA */ |  \
     1U << 13 /* CMPXCHG16B */ | 1U << 19 /* SSE4.1 */ | 1U << 20 /* SSE4.2 */ |                \
     1U << 22 /* MOVBE */ | 1U << 23 /* POPCNT */ | 1U << 25 /* AES */ | 1U << 26 /* XSAVE */ | \
     1U << 28 /* AVX */ | 1U << 29 /* F16C */ | 1U << 30 /* RDRAND */)
#define L1_ECX_X2APIC       (1U << 21)
#define L1_ECX_TSC_DEADLINE (1U << 24)
#define L1_ECX_XSAVE        (1U << 26)
#define L1_ECX_OSXSAVE      (1U << 27)
#define L1_ECX_HYPERVISOR   (1U << 31)
#define L1_EDX_APIC         (1U << 9)
#define L1_EDX_HTT          (1U << 28)
#define L1_EDX_PASS         (0x178bfbffU & ~(L1_EDX_APIC | L1_EDX_HTT))

/* Leaf 7: no TSC_ADJUST, RTM, MPX, PKU, CET, LA57, UINTR, AMX: they have state or modes of their
 * own. */
#define L7_EBX_PASS                                                                             \
    (1U << 0 /* FSGSBASE */ | 1U << 3 /* BMI1 */ | 1U << 5 /* AVX2 */ | 1U << 7 /* SMEP */ |    \
     1U << 8 /* BMI2 */ | 1U << 9 /* ERMS */ | 1U << 16 /* AVX512F */ | 1U << 17 /* DQ */ |     \
     1U << 18 /* RDSEED */ | 1U << 19 /* ADX */ | 1U << 20 /* SMAP */ | 1U << 21 /* IFMA */ |   \
     1U << 23 /* CLFLUSHOPT */ | 1U << 24 /* CLWB */ | 1U << 28 /* CD */ | 1U << 29 /* SHA */ | \
     1U << 30 /* BW */ | 1U << 31 /* VL */)
#define L7_ECX_PASS                                                                       \
    (1U << 1 /* VBMI */ | 1U << 2 /* UMIP */ | 1U << 6 /* VBMI2 */ | 1U << 8 /* GFNI */ | \
     1U << 9 /* VAES */ | 1U << 10 /* VPCLMULQDQ */ | 1U << 11 /* VNNI */ |               \
     1U << 12 /* BITALG */ | 1U << 14 /* VPOPCNTDQ */ | 1U << 22 /* RDPID */)
#define L7_EDX_PASS (1U << 4 /* FSRM */)

/* 80000001h: no SVM, OSVW, IBS, SKINIT, WDT, LWP, topology extensions, performance counters, and no
 * breakpoint extensions, whose address masks are model registers. */
#define X1_ECX_PASS                                                                             \
    (1U << 0 /* LAHF */ | 1U << 4 /* CR8 by LOCK */ | 1U << 5 /* ABM */ | 1U << 6 /* SSE4A */ | \
     1U << 7 /* misaligned SSE */ | 1U << 8 /* PREFETCHW */ | 1U << 11 /* XOP */ |              \
     1U << 16 /* FMA4 */ | 1U << 21 /* TBM */)
#define X1_ECX_CMP_LEGACY (1U << 1)
#define X1_EDX_PASS                                                                     \
    (0x0183f3ffU | 1U << 11 /* SYSCALL */ | 1U << 20 /* NX */ | 1U << 22 /* MMXEXT */ | \
     1U << 25 /* FFXSR */ | 1U << 26 /* 1 GiB pages */ | 1U << 27 /* RDTSCP */ |        \
     1U << 29 /* long mode */ | 1U << 30 | 1U << 31 /* 3DNow */)
#define X7_EDX_PASS (1U << 8) /* invariant TSC */
#define X8_EBX_PASS (1U << 0 /* CLZERO */ | 1U << 2 /* FX error pointers */ | 1U << 12 /* IBPB */)

#define X8_EAX_LINEAR     0xff00U
#define X8_EAX_LINEAR_48  0x3000U
#define XCR0_X87          1ULL
#define XCR0_SSE          2ULL
#define XCR0_AVX          4ULL
#define XCR0_AVX512       0xe0ULL
#define XCR0_FIRST        2U /* the components before have no leaf of their own */
#define XCR0_COMPONENTS   64U
#define XSAVE_LEGACY_SIZE 576U /* with the header */
#define LD_1_EAX_PASS     0x7U /* XSAVEOPT, XSAVEC, XGETBV(1); no XSAVES */
#define LEAF_THERMAL      6U
#define LEAF_THERMAL_ARAT 0x4U
#define PHYSICAL_BITS_OLD 36U
#define L4_EAX_KIND       0x1fU
#define L4_EAX_OWN        0x3fffU /* all but who shares it, and the cores */
#define L4_LAST_LEVEL     3U
#define L4_SHARERS_AT     14
#define L4_CORES_AT       26
#define LB_ECX_THREADS    (1U << 8)
#define LB_ECX_CORES      (2U << 8)

struct row {
    uint32_t leaf;
    uint32_t eax, ebx, ecx, edx; /* bits that are passed on */
};

static const struct row rows[] = {
    {0x00000000, 0,   ALL,         ALL,         ALL        }, /* vendor */
    {0x00000001, ALL, 0xff00,      L1_ECX_PASS, L1_EDX_PASS},
    {0x00000002, ALL, ALL,         ALL,         ALL        }, /* caches and TLBs; 0 on AMD */
    {0x00000004, ALL, ALL,         ALL,         ALL        }, /* see caches() */
    {0x00000006, 0,   0,           0,           0          }, /* see learn() */
    {0x00000007, 0,   L7_EBX_PASS, L7_ECX_PASS, L7_EDX_PASS},
    {0x0000000b, 0,   0,           0,           0          }, /* see topology() */
    {0x0000000d, 0,   0,           0,           0          }, /* see area_leaf() */
    {0x00000015, ALL, ALL,         0,           0          }, /* see rates() */
    {0x80000000, 0,   ALL,         ALL,         ALL        },
    {0x80000001, ALL, ALL,         X1_ECX_PASS, X1_EDX_PASS},
    {0x80000002, ALL, ALL,         ALL,         ALL        }, /* brand */
    {0x80000003, ALL, ALL,         ALL,         ALL        },
    {0x80000004, ALL, ALL,         ALL,         ALL        },
    {0x80000005, ALL, ALL,         ALL,         ALL        }, /* caches and TLBs */
    {0x80000006, ALL, ALL,         ALL,         ALL        },
    {0x80000007, 0,   0,           0,           X7_EDX_PASS},
    {0x80000008, ALL, X8_EBX_PASS, 0,           0          },
    {0x80000019, ALL, ALL,         0,           0          }, /* TLBs of 1 GiB pages */
    {0x8000001a, ALL, 0,           0,           0          }, /* how to optimise */
};

static struct cpuid mask(struct cpuid host, const struct row *row)
{
    return (struct cpuid){host.eax & row->eax, host.ebx & row->ebx, host.ecx & row->ecx,
                          host.edx & row->edx};
}

/*
 * What the CPU says never changes, and asking it is slow: it is asked once. The rows' leaves as a
 * guest sees them; those that have more subleaves; and the size of the area for all components in
 * XCR0.
 */
struct model_facts model_facts;
struct model_level model_host;

#define CACHES 8U

static struct {
    struct cpuid cache[CACHES];              /* leaf 4 */
    struct cpuid component[XCR0_COMPONENTS]; /* leaf Dh */
    uint32_t xsave_size;
    bool topology; /* leaf Bh has something */
} known;

/* Which components must come together: Intel SDM 1, 13.3. */
bool model_xcr0_is_valid(uint64_t value)
{
    return (value & ~model_facts.xcr0) == 0 && (value & XCR0_X87) &&
           (!(value & XCR0_AVX) || (value & XCR0_SSE)) &&
           (!(value & XCR0_AVX512) || ((value & XCR0_AVX512) == XCR0_AVX512 && (value & XCR0_AVX)));
}

/* Feature bits that the VMM's own devices provide, or that depend on the vCPU. */
static struct cpuid features(struct cpuid out, const struct model_view *view)
{
    out.ebx |= view->vcpu << 24 | (view->vcpu_count & 0xff) << 16;
    out.ecx |= L1_ECX_X2APIC | L1_ECX_TSC_DEADLINE | L1_ECX_HYPERVISOR;
    out.ecx |= view->osxsave && (out.ecx & L1_ECX_XSAVE) ? L1_ECX_OSXSAVE : 0;
    out.edx |= (view->apic ? L1_EDX_APIC : 0) | (view->vcpu_count > 1 ? L1_EDX_HTT : 0);
    return out;
}

/* Bytes for the components in XCR0. */
static uint32_t area_size(uint64_t xcr0)
{
    uint32_t size = XSAVE_LEGACY_SIZE;

    for (uint32_t i = XCR0_FIRST; i < XCR0_COMPONENTS; i++) {
        uint32_t end = known.component[i].ebx + known.component[i].eax; /* its offset and size */

        size = (xcr0 >> i & 1) && end > size ? end : size;
    }
    return size;
}

static struct cpuid area_leaf(const struct model_level *level, uint32_t subleaf)
{
    bool shown = !level->own || (level->leaf[0][1].ecx & L1_ECX_XSAVE);
    uint64_t xcr0 = shown ? model_facts.xcr0 & ~level->xcr0 : 0;
    struct cpuid none = {0};

    if (xcr0 == 0 || subleaf >= XCR0_COMPONENTS) {
        return none;
    }
    struct cpuid host = known.component[subleaf];

    if (subleaf == 0) {
        /* EBX is the size for XCR0 as it is, which is the guest's: only the CPU knows it. */
        return (struct cpuid){(uint32_t)xcr0, cpuid_read(0xd, 0).ebx,
                              level->own ? area_size(xcr0) : known.xsave_size,
                              (uint32_t)(xcr0 >> 32)};
    }
    if (subleaf == 1) {
        return level->own
                   ? none
                   : (struct cpuid){host.eax & LD_1_EAX_PASS, host.ebx, 0, 0}; /* no IA32_XSS */
    }
    return xcr0 >> subleaf & 1 ? host : none;
}

/* The number of cores, and of bits in an APIC id that count them. */
static uint32_t core_count(const struct model_view *view)
{
    uint32_t bits = 0;

    while ((1U << bits) < view->vcpu_count) {
        bits++;
    }
    return bits << 12 | (view->vcpu_count - 1);
}

/* Who shares a cache: nobody, but all vCPUs the last level. Leaf 4; 0 on AMD. */
static struct cpuid caches(struct cpuid out, const struct model_view *view)
{
    uint32_t level = out.eax >> 5 & 7, others = view->vcpu_count - 1;

    if ((out.eax & L4_EAX_KIND) == 0) {
        return (struct cpuid){0};
    }
    out.eax &= L4_EAX_OWN;
    out.eax |= others << L4_CORES_AT | (level >= L4_LAST_LEVEL ? others << L4_SHARERS_AT : 0);
    return out;
}

/* Leaf Bh: each vCPU is a core of one thread. */
static struct cpuid topology(const struct model_view *view, uint32_t subleaf)
{
    struct cpuid out = {.ecx = subleaf & 0xff, .edx = view->vcpu};

    if (!known.topology && !view->level->own) {
        return (struct cpuid){0};
    }
    if (subleaf == 0) {
        out.ebx = 1;
        out.ecx |= LB_ECX_THREADS;
    } else if (subleaf == 1) {
        out.eax = core_count(view) >> 12;
        out.ebx = view->vcpu_count;
        out.ecx |= LB_ECX_CORES;
    }
    return out;
}

static struct cpuid extended_features(struct cpuid out, const struct model_view *view)
{
    out.ecx |= view->vcpu_count > 1 ? X1_ECX_CMP_LEGACY : 0;
    out.edx &= view->apic ? ALL : ~L1_EDX_APIC;
    return out;
}

static struct cpuid hypervisor(uint32_t leaf)
{
    static const char name[13] = "PortolanVMM ";
    struct cpuid out = {.eax = HYPERVISOR_MAX};

    if (leaf != HYPERVISOR) {
        return (struct cpuid){0};
    }
    memcpy(&out.ebx, name, 4);
    memcpy(&out.ecx, name + 4, 4);
    memcpy(&out.edx, name + 8, 4);
    return out;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/*
 * Leaf 15h, if the host says something there: ECX ticks of the local APIC's timer are ECX * EBX /
 * EAX of the guest's TSC. Linux takes both for known then, and multiplies kHz by EBX in 32 bits: it
 * is to measure a rate for which these are too few.
 */
static struct cpuid rates(const struct cpuid *host, uint64_t tsc_hz)
{
    const uint32_t timer_khz = CLOCK_NS_PER_S / 1000;
    uint32_t tsc_khz = (uint32_t)(tsc_hz / 1000), common = common_divisor(timer_khz, tsc_khz);
    struct cpuid out = {timer_khz / common, tsc_khz / common, CLOCK_NS_PER_S, 0};
    bool told = host->eax != 0 && host->ebx != 0 && out.ebx <= UINT32_MAX / timer_khz;

    return told ? out : (struct cpuid){0};
}

/* The leaves that say more than the table, of the basic ones and of the extended ones. */
static const uint32_t special[2] = {
    1U << 1 | 1U << 4 | 1U << 7 | 1U << 0xb | 1U << 0xd | 1U << 0x15, 1U << 1 | 1U << 8};

/* IN_TABLE is what the table says. Out of line: what is asked at each exit is the table alone. */
static __attribute__((noinline)) struct cpuid special_leaf(const struct model_view *view,
                                                           uint32_t leaf, uint32_t subleaf,
                                                           const struct cpuid *in_table)
{
    struct cpuid out = *in_table;

    switch (leaf) {
    case 1:
        return features(out, view);
    case 4:
        return caches(
            subleaf < CACHES && !view->level->own ? known.cache[subleaf] : (struct cpuid){0}, view);
    case 7: /* it has one subleaf for us; the others do not look at it */
        return subleaf == 0 ? out : (struct cpuid){0};
    case 0xb:
        return topology(view, subleaf);
    case 0xd:
        return area_leaf(view->level, subleaf);
    case 0x15:
        return rates(in_table, view->tsc_hz);
    case EXTENDED + 1:
        return extended_features(out, view);
    default:
        out.ecx = out.eax ? core_count(view) : 0;
        return out;
    }
}

struct cpuid model_cpuid(const struct model_view *view, uint32_t leaf, uint32_t subleaf)
{
    uint32_t half = leaf / EXTENDED, index = leaf % EXTENDED;

    if (index >= MODEL_LEAVES) {
        return hypervisor(leaf);
    }
    const struct cpuid *out = &view->level->leaf[half][index];

    return special[half] >> index & 1 ? special_leaf(view, leaf, subleaf, out) : *out;
}

/* A leaf beyond the highest that the CPU has would be another's. */
static struct cpuid ask(uint32_t leaf, uint32_t subleaf)
{
    uint32_t highest = leaf & EXTENDED ? model_facts.extended_max : model_facts.basic_max;

    return leaf <= highest ? cpuid_read(leaf, subleaf) : (struct cpuid){0};
}

/* Fill the tables above. */
static void learn(void)
{
    memset(&known, 0, sizeof(known));
    memset(&model_host, 0, sizeof(model_host));
    model_host.physical_bits = model_facts.physical_bits;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        model_host.leaf[rows[i].leaf / EXTENDED][rows[i].leaf % EXTENDED] =
            mask(ask(rows[i].leaf, 0), &rows[i]);
    }
    model_host.leaf[0][0].eax = smaller(model_facts.basic_max, BASIC_MAX);
    model_host.leaf[1][0].eax = smaller(model_facts.extended_max, EXTENDED_MAX);
    if (model_facts.basic_max >= LEAF_THERMAL) {
        model_host.leaf[0][LEAF_THERMAL].eax =
            LEAF_THERMAL_ARAT; /* the local APIC's timer never stops */
    }
    uint32_t *sizes = &model_host.leaf[1][8].eax;

    if ((*sizes & X8_EAX_LINEAR) > X8_EAX_LINEAR_48) { /* LA57 is not shown */
        *sizes = (*sizes & ~X8_EAX_LINEAR) | X8_EAX_LINEAR_48;
    }
    for (uint32_t i = 0; i < CACHES; i++) {
        known.cache[i] = ask(4, i);
    }
    for (uint32_t i = 0; i < XCR0_COMPONENTS; i++) {
        known.component[i] =
            i < XCR0_FIRST || (model_facts.xcr0 >> i & 1) ? ask(0xd, i) : (struct cpuid){0};
    }
    known.xsave_size = area_size(model_facts.xcr0);
    known.topology = ask(0xb, 0).ebx != 0;
}

/* Which bit of CR4 needs which feature. */
static const struct {
    uint8_t cr4_bit;
    uint8_t reg; /* 0: leaf 1 ECX, 1: leaf 1 EDX, 2: leaf 7 EBX, 3: leaf 7 ECX */
    uint8_t bit;
} cr4_bits[] = {
    {0,  1, 1 }, /* VME */
    {1,  1, 1 }, /* PVI */
    {2,  1, 4 }, /* TSD */
    {3,  1, 2 }, /* DE */
    {4,  1, 3 }, /* PSE */
    {5,  1, 6 }, /* PAE */
    {6,  1, 7 }, /* MCE */
    {7,  1, 13}, /* PGE */
    {8,  1, 5 }, /* PCE */
    {9,  1, 24}, /* OSFXSR */
    {10, 1, 25}, /* OSXMMEXCPT */
    {11, 3, 2 }, /* UMIP */
    {16, 2, 0 }, /* FSGSBASE */
    {18, 0, 26}, /* OSXSAVE */
    {20, 2, 7 }, /* SMEP */
    {21, 2, 20}, /* SMAP */
};

uint64_t model_cr4(const struct model_level *level)
{
    struct model_view view = {.level = level, .vcpu_count = 1, .apic = true};
    struct cpuid one = model_cpuid(&view, 1, 0), seven = model_cpuid(&view, 7, 0);
    const uint32_t regs[] = {one.ecx, one.edx, seven.ebx, seven.ecx};
    uint64_t allowed = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
        if (regs[cr4_bits[i].reg] >> cr4_bits[i].bit & 1) {
            allowed |= 1ULL << cr4_bits[i].cr4_bit;
        }
    }
    return allowed;
}

/* SCE, LME, LMA, NXE, FFXSR, as far as 80000001h shows them. */
uint64_t model_efer(const struct model_level *level)
{
    struct model_view view = {.level = level, .vcpu_count = 1, .apic = true};
    uint32_t edx = model_cpuid(&view, EXTENDED + 1, 0).edx;

    return (edx >> 11 & 1 ? 1ULL << 0 : 0) | (edx >> 29 & 1 ? 1ULL << 8 | 1ULL << 10 : 0) |
           (edx >> 20 & 1 ? 1ULL << 11 : 0) | (edx >> 25 & 1 ? 1ULL << 14 : 0);
}

void model_init(void)
{
    model_facts.basic_max = cpuid_read(0, 0).eax;
    model_facts.extended_max = cpuid_read(EXTENDED, 0).eax;
    model_facts.signature = cpuid_read(1, 0).eax;
    model_facts.physical_bits = PHYSICAL_BITS_OLD;
    if (model_facts.extended_max >= EXTENDED + 8) {
        model_facts.physical_bits = cpuid_read(EXTENDED + 8, 0).eax & 0xff;
    }
    model_facts.xcr0 = fpu_components();
    learn();
    model_facts.cr4 = model_cr4(&model_host);
    model_facts.efer = model_efer(&model_host);
}
