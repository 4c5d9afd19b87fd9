/* SPDX-License-Identifier: BSD-2-Clause */
/* Device memory, and none: each width, each kind of instruction, aligned or across a border. */
#include "guest/fuzz/fuzz.h"
#include "guest/lib/apic.h"

#define MODE_MASK 0x700U
#define HPET      0xfed00000UL

/* The address is in RDI, the value in RAX. */
#define FORM(name, text)                                                                \
    static uint64_t form_##name(uint64_t address, uint64_t value)                       \
    {                                                                                   \
        __asm__ volatile("" text                                                        \
                         : "+D"(address), "+a"(value)                                   \
                         :                                                              \
                         : "rbx", "rcx", "rdx", "rsi", "xmm0", "xmm1", "memory", "cc"); \
        return value;                                                                   \
    }

FORM(store1, "movb %%al, (%%rdi)")
FORM(store2, "movw %%ax, (%%rdi)")
FORM(store4, "movl %%eax, (%%rdi)")
FORM(store8, "movq %%rax, (%%rdi)")
FORM(store_immediate, "movl $0x5a, (%%rdi)")
FORM(stos, "movl $3, %%ecx; rep stosl")
FORM(movnti, "movnti %%eax, (%%rdi)")
FORM(movups, "movq %%rax, %%xmm0; movups %%xmm0, (%%rdi)")
FORM(add, "addl %%eax, (%%rdi)")
FORM(or, "orb %%al, (%%rdi)")
FORM(and, "lock andw %%ax, (%%rdi)")
FORM(xor, "xorq %%rax, (%%rdi)")
FORM(not, "notl (%%rdi)")
FORM(neg, "negb (%%rdi)")
FORM(inc, "lock incl (%%rdi)")
FORM(shl, "shll $3, (%%rdi)")
FORM(xchg, "xchgl %%eax, (%%rdi)")
FORM(xadd, "lock xaddl %%eax, (%%rdi)")
FORM(cmpxchg, "movl %%eax, %%ecx; lock cmpxchgl %%ecx, (%%rdi)")
FORM(cmpxchg8b, "lock cmpxchg8b (%%rdi)")
FORM(bts, "lock btsl $5, (%%rdi)")
FORM(setc, "stc; setc (%%rdi)")
FORM(pop, "pushq %%rax; popq (%%rdi)")
FORM(load1, "movb (%%rdi), %%al")
FORM(load2, "movw (%%rdi), %%ax")
FORM(load4, "movl (%%rdi), %%eax")
FORM(load8, "movq (%%rdi), %%rax")
FORM(movzx, "movzbl (%%rdi), %%eax")
FORM(movsx, "movswq (%%rdi), %%rax")
FORM(movsxd, "movslq (%%rdi), %%rax")
FORM(lods, "movq %%rdi, %%rsi; lodsl")
FORM(movs, "movq %%rdi, %%rsi; leaq -256(%%rsp), %%rdi; movl $3, %%ecx; rep movsl")
FORM(scas, "movl $3, %%ecx; repne scasl")
FORM(cmps, "leaq -256(%%rsp), %%rsi; movl $2, %%ecx; repe cmpsl")
FORM(test, "testl %%eax, (%%rdi)")
FORM(cmp, "cmpb $7, (%%rdi)")
FORM(bt, "btl $3, (%%rdi)")
FORM(push, "pushq (%%rdi); popq %%rax")
FORM(imul, "imull (%%rdi), %%eax")
FORM(cmov, "cmpl %%eax, %%eax; cmovel (%%rdi), %%eax")
FORM(loadups, "movups (%%rdi), %%xmm1")

static const struct form {
    fuzz_stub stub;
    uint8_t bytes; /* written at most */
} forms[] = {
    {form_store4,          4 },
    {form_store4,          4 },
    {form_xchg,            4 },
    {form_movnti,          4 },
    {form_store1,          1 },
    {form_store2,          2 },
    {form_store8,          8 },
    {form_store_immediate, 4 },
    {form_stos,            12},
    {form_movups,          16},
    {form_add,             4 },
    {form_or,              1 },
    {form_and,             2 },
    {form_xor,             8 },
    {form_not,             4 },
    {form_neg,             1 },
    {form_inc,             4 },
    {form_shl,             4 },
    {form_xadd,            4 },
    {form_cmpxchg,         4 },
    {form_cmpxchg8b,       8 },
    {form_bts,             4 },
    {form_setc,            1 },
    {form_pop,             8 },
    {form_load1,           0 },
    {form_load2,           0 },
    {form_load4,           0 },
    {form_load8,           0 },
    {form_movzx,           0 },
    {form_movsx,           0 },
    {form_movsxd,          0 },
    {form_lods,            0 },
    {form_movs,            0 },
    {form_scas,            0 },
    {form_cmps,            0 },
    {form_test,            0 },
    {form_cmp,             0 },
    {form_bt,              0 },
    {form_push,            0 },
    {form_imul,            0 },
    {form_cmov,            0 },
    {form_loadups,         0 },
};
#define FORMS       (sizeof(forms) / sizeof(forms[0]))
#define FORMS_EXACT 4 /* the first ones write the value itself, 4 bytes of it */

/*
 * Registers that send interrupts: no INIT, no start-up and no SMI may come out of them. Each has 16
 * bytes, and what an access behind the first four does is left to the machine.
 */
static const uint64_t senders[] = {
    APIC_BASE,         APIC_BASE + 0x300, APIC_BASE + 0x320, APIC_BASE + 0x330,  APIC_BASE + 0x340,
    APIC_BASE + 0x350, APIC_BASE + 0x360, APIC_BASE + 0x370, IOAPIC_BASE + 0x10,
};

static uint64_t address_choose(void)
{
    static const uint64_t holes[] = {0xfec00ff0, 0xfec10000, 0xfed40000, 0xdff00000,
                                     0xfee00ff0, 0xfeefffe0, 0xfff80000, 0xfeb00000};

    switch (fuzz_below(8)) {
    case 0:
    case 1:
    case 2:
        return APIC_BASE + 16UL * fuzz_below(64) + (fuzz_one_in(4) ? fuzz_below(16) : 0);
    case 3:
        return IOAPIC_BASE + 16UL * fuzz_below(5) + (fuzz_one_in(4) ? fuzz_below(16) : 0);
    case 4:
        return fuzz_one_in(4) ? HPET + fuzz_below(4096) : APIC_BASE + fuzz_below(4096);
    case 5: /* where RAM ends */
        return 0x100000 + guest_memory_upper() - fuzz_below(16);
    default:
        return holes[fuzz_below(sizeof(holes) / sizeof(holes[0]))] + fuzz_below(64);
    }
}

static bool touches_sender(uint64_t address, unsigned bytes)
{
    for (unsigned i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
        if (address < senders[i] + 16 && senders[i] < address + bytes) {
            return true;
        }
    }
    return false;
}

uint64_t fuzz_message(uint64_t value)
{
    static const uint64_t deliveries[] = {0x000, 0x100, 0x400, 0x700};

    return (value & ~(uint64_t)MODE_MASK) | deliveries[fuzz_below(4)];
}

static void fuzz_access(void)
{
    uint64_t address = address_choose(), value = fuzz_value();
    const struct form *form = &forms[fuzz_below(FORMS)];

    if (touches_sender(address, form->bytes)) {
        form = &forms[fuzz_below(FORMS_EXACT)];
        address &= ~0xfUL;
        value = fuzz_message(value);
        if (fuzz_state->lenient && address == APIC_BASE + APIC_LVT_TIMER) {
            value &= ~(uint64_t)APIC_LVT_TIMER_PERIODIC; /* a period of a nanosecond hangs QEMU */
        }
    } else if (form->bytes && fuzz_state->lenient && address >> 12 == HPET >> 12) {
        form = &forms[FORMS - 1]; /* QEMU's HPET takes the watchdog's interrupt away */
    }
    (void)fuzz_try(form->stub, address, value);
}

void fuzz_access_at(uint64_t address, uint64_t value)
{
    (void)fuzz_try(forms[fuzz_below(FORMS)].stub, address, value);
}

void fuzz_run_mmio(void)
{
    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        fuzz_access();
    }
}
