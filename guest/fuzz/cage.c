/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cage: page tables in which random code can do no harm to the fuzzer, and descriptor tables
 * whose every vector has a stack of its own.
 */
#include "guest/fuzz/fuzz.h"
#include "guest/lib/apic.h"

#include <string.h>

#define PRESENT   1UL
#define WRITE     2UL
#define USER      4UL
#define KERNEL_RW (PRESENT | WRITE)
#define USER_RW   (PRESENT | WRITE | USER)

#define POOL         16
#define VECTOR_NMI   2
#define IST_TRAP     1
#define IST_NMI      2
#define CR0_AM       (1UL << 18)
#define CR4_DE       (1UL << 3)
#define CR4_PGE      (1UL << 7)
#define CR4_FSGSBASE (1UL << 16)
#define CR4_OSXSAVE  (1UL << 18)
#define FIRMWARE     0xf0000UL
#define MXCSR_MASKED 0x1f80

struct task_state {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

struct range {
    uint64_t virtual_address, physical, length, flags;
};

extern const uint8_t guest_end[];
extern uint64_t guest_pml4[];

uint8_t fuzz_code[8192] __attribute__((aligned(4096)));
uint8_t fuzz_data[CAGE_DATA_LEN] __attribute__((aligned(4096)));
static uint8_t state_pages[STATE_PAGES * 4096] __attribute__((aligned(4096)));
static uint64_t pool[POOL][512] __attribute__((aligned(4096)));
static uint64_t cage_pml4[512] __attribute__((aligned(4096)));
static unsigned pool_used;

static uint64_t *table_below(uint64_t *table, unsigned index)
{
    if (!(table[index] & PRESENT)) {
        table[index] = (uint64_t)pool[pool_used++] | USER_RW;
    }
    return (uint64_t *)(table[index] & ~0xfffUL);
}

static void map_page(uint64_t *pml4, uint64_t address, uint64_t physical, uint64_t flags)
{
    uint64_t *table = pml4;

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        table = table_below(table, address >> shift & 511);
    }
    table[address >> 12 & 511] = physical | flags;
}

static void map_all(void)
{
    const struct range ranges[] = {
        {0x100000,              0x100000,              (uint64_t)guest_end - 0x100000, PRESENT  },
        {CAGE_CODE,             (uint64_t)fuzz_code,   CAGE_CODE_LEN,                  USER_RW  },
        {CAGE_LOW_CODE,         (uint64_t)fuzz_code,   CAGE_CODE_LEN,                  USER_RW  },
        {CAGE_DATA,             (uint64_t)fuzz_data,   CAGE_DATA_LEN,                  USER_RW  },
        {CAGE_LOW_DATA,         (uint64_t)fuzz_data,   CAGE_LOW_LEN,                   USER_RW  },
        {CAGE_DEVICES,          APIC_BASE,             4096,                           PRESENT  },
        {CAGE_DEVICES + 0x1000, IOAPIC_BASE,           4096,                           PRESENT  },
        {CAGE_DEVICES + 0x2000, FIRMWARE,              8192,                           PRESENT  },
        {CAGE_HOLES,            0xfec10000,            8192,                           USER_RW  },
        {CAGE_HOLES + 0x2000,   0xdff00000,            8192,                           KERNEL_RW},
        {STATE_BASE,            (uint64_t)state_pages, sizeof(state_pages),            KERNEL_RW},
        {STATE_APIC,            APIC_BASE,             4096,                           KERNEL_RW},
    };

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint64_t at = 0; at < ranges[i].length; at += 4096) {
            map_page(cage_pml4, ranges[i].virtual_address + at, ranges[i].physical + at,
                     ranges[i].flags);
        }
    }
    guest_pml4[STATE_SLOT] = cage_pml4[STATE_SLOT] & ~USER;
    write_cr3(read_cr3());
}

static uint64_t descriptor(uint8_t access, uint8_t flags, uint32_t base)
{
    return 0xffff | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(flags << 4 | 0xf) << 48 | (uint64_t)(base >> 24) << 56;
}

/* A descriptor of two entries: TSS and LDT. */
static void descriptor_system(uint64_t *entry, uint8_t type, uint64_t base, uint32_t limit)
{
    entry[0] = limit | (base & 0xffffff) << 16 | (uint64_t)type << 40 | (base >> 24 & 0xff) << 56;
    entry[1] = base >> 32;
}

static void build_gdt(uint64_t *gdt)
{
    uint64_t landing = (uint64_t)fuzz_landing;

    memset(gdt, 0, sizeof(uint64_t) * GDT_ENTRIES);
    gdt[SEL_CODE64 / 8] = descriptor(0x9b, 0xa, 0);
    gdt[SEL_DATA / 8] = descriptor(0x93, 0xc, 0);
    gdt[SEL_CODE32 / 8] = descriptor(0x9b, 0xc, 0);
    gdt[SEL_CODE16 / 8] = descriptor(0x9b, 0x8, 0);
    gdt[SEL_USER32 / 8] = descriptor(0xfb, 0xc, 0);
    gdt[SEL_USER_DATA / 8] = descriptor(0xf3, 0xc, 0);
    gdt[SEL_USER64 / 8] = descriptor(0xfb, 0xa, 0);
    gdt[SEL_CONFORMING / 8] = descriptor(0xff, 0xa, 0);
    gdt[SEL_USER16 / 8] = descriptor(0xfb, 0x8, 0);
    gdt[5] = descriptor(0xf3, 0x4, CAGE_LOW_DATA);                          /* data with a base */
    gdt[SEL_USER16 / 8 + 1] = descriptor(0xf7, 0x0, CAGE_DATA) & ~0xf000UL; /* grows down */
    descriptor_system(&gdt[SEL_LDT / 8], 0x82, STATE_GDT, GDT_ENTRIES * 8 - 1);
    descriptor_system(&gdt[SEL_TSS / 8], 0x89, STATE_TSS, sizeof(struct task_state) - 1);
    gdt[SEL_GATE / 8] = (landing & 0xffff) | (uint64_t)SEL_CODE64 << 16 | 0xecUL << 40 |
                        (landing >> 16 & 0xffff) << 48;
    gdt[SEL_GATE / 8 + 1] = landing >> 32;
}

static void build_idt(uint64_t *idt)
{
    for (unsigned vector = 0; vector < 256; vector++) {
        bool nmi = vector == VECTOR_NMI;
        uint64_t target = nmi ? (uint64_t)fuzz_nmi : (uint64_t)fuzz_entries + vector * 16UL;

        uint64_t *gate = idt + 2UL * vector;

        /* Every vector is open to INT n at CPL 3. */
        gate[0] = (target & 0xffff) | (uint64_t)SEL_CODE64 << 16 |
                  (uint64_t)(nmi ? IST_NMI : IST_TRAP) << 32 | (nmi ? 0x8eUL : 0xeeUL) << 40 |
                  (target >> 16 & 0xffff) << 48;
        gate[1] = target >> 32;
    }
}

static void pointer_set(struct fuzz_descriptor *pointer, uint16_t limit, uint64_t base)
{
    pointer->limit = limit;
    memcpy(pointer->base, &base, sizeof(base));
}

static void build_tables(void)
{
    struct task_state *task = (struct task_state *)STATE_TSS;

    build_gdt((uint64_t *)STATE_GDT);
    build_idt((uint64_t *)STATE_IDT);
    memset(task, 0, sizeof(*task));
    task->rsp[0] = STATE_TRAP_STACK;
    task->ist[IST_TRAP - 1] = STATE_TRAP_STACK;
    task->ist[IST_NMI - 1] = STATE_NMI_STACK;
    task->io_map = sizeof(*task); /* none: CPL 3 reaches ports by IOPL alone */
    pointer_set(&fuzz_state->gdtr, GDT_ENTRIES * 8 - 1, STATE_GDT);
    pointer_set(&fuzz_state->idtr, 4095, STATE_IDT);
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(fuzz_state->gdtr), "m"(fuzz_state->idtr),
                     "r"(SEL_TSS)
                     : "memory");
}

static uint64_t wanted_cr4(void)
{
    uint32_t features[4], more[4];
    uint64_t value = read_cr4() | CR4_DE | CR4_PGE;

    cpuid(1, 0, features);
    cpuid(7, 0, more);
    return value | (features[2] & 1U << 26 ? CR4_OSXSAVE : 0) | (more[1] & 1 ? CR4_FSGSBASE : 0);
}

void fuzz_cage_build(void)
{
    map_all();
    memset(state_pages, 0, sizeof(state_pages));
    build_tables();
    fuzz_state->good_cr0 = read_cr0() | CR0_AM;
    fuzz_state->good_cr3 = read_cr3();
    fuzz_state->good_cr4 = wanted_cr4();
    fuzz_state->cage_cr3 = (uint64_t)cage_pml4;
    fuzz_state->mxcsr = MXCSR_MASKED;
    __asm__ volatile("mov %0, %%cr0; mov %1, %%cr4" ::"r"(fuzz_state->good_cr0),
                     "r"(fuzz_state->good_cr4)
                     : "memory");
    fuzz_msrs_restore();
    fuzz_debug_restore();
}

void fuzz_msrs_restore(void)
{
    static const struct {
        uint32_t index;
        uint64_t value;
    } wanted[] = {
        {0xc0000080, 0xd01             }, /* EFER: SCE, LME, LMA, NXE */
        {0xc0000081, 0x0043000800000000}, /* STAR */
        {0xc0000084, 0x100             }, /* SFMASK */
        {0xc0000100, CAGE_DATA         }, /* FS base */
        {0xc0000101, CAGE_DATA         },
        {0xc0000102, CAGE_HOLES        }, /* after SWAPGS */
        {0x174,      SEL_CODE64        },
        {0x175,      CAGE_DATA + 0x8000},
        {0x277,      0x0007040600070406}, /* PAT */
    };
    uint64_t landing = (uint64_t)fuzz_landing;

    for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        wrmsr(wanted[i].index, wanted[i].value);
    }
    wrmsr(0xc0000082, landing);
    wrmsr(0xc0000083, landing);
    wrmsr(0x176, landing);
}

static uint64_t stub_debug_off(uint64_t a, uint64_t b)
{
    __asm__ volatile("mov %0, %%dr7; mov %1, %%dr6" ::"r"(0x400UL), "r"(0xffff0ff0UL));
    return 0;
}

void fuzz_debug_restore(void)
{
    while (fuzz_try(stub_debug_off, 0, 0) >= 0) {
        /* DR7.GD makes the first access a fault, and is off after it. */
    }
}
