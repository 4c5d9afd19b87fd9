/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbour of a VM that misbehaves: it watches that nothing of its own changes. Its memory,
 * its registers (general, SSE, x87, debug, control, MSRs), its clocks and its devices are compared
 * with what they must be, again and again, for seconds=N of its own time (PM timer).
 *
 *   seconds=N   how long (10)
 *   megabytes=N how much memory it fills and sums (16)
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define PM_TIMER_PORT   0x608
#define PM_TIMER_HZ     3579545
#define PM_TIMER_MASK   0xffffff
#define MEMORY_START    0x1000000UL
#define MEGABYTE        0x100000UL
#define SLICES          64 /* a round looks at one word in so many */
#define VECTOR_TIMER    0x61
#define TIMER_COUNT     2000000
#define CMOS_BYTE       0x7f
#define CMOS_VALUE      0xa7
#define MSR_LSTAR       0xc0000082
#define MSR_FS_BASE     0xc0000100
#define MSR_KERNEL_GS   0xc0000102
#define MSR_PAT         0x277
#define REPORT_SECONDS  2
#define REGISTER_ROUNDS 2000
#define TICK_PATIENCE   200000000

static volatile unsigned ticks;
static uint64_t words;
static volatile uint64_t *const memory = (volatile uint64_t *)MEMORY_START;

/* ---- time ---- */

static uint64_t pm_elapsed, pm_last;

static uint32_t pm_now(void)
{
    return inl(PM_TIMER_PORT) & PM_TIMER_MASK;
}

/* Ticks since the start; the counter wraps each 4.7 s, so call it more often than that. */
static uint64_t pm_advance(void)
{
    uint32_t now = pm_now();

    pm_elapsed += (now - pm_last) & PM_TIMER_MASK;
    pm_last = now;
    return pm_elapsed;
}

static void handle_timer(struct guest_frame *frame)
{
    ticks++;
    apic_write(APIC_EOI, 0);
}

static void check_clocks(void)
{
    uint64_t tsc = rdtsc(), pm = pm_advance();
    unsigned tick = ticks;

    irq_enable();
    for (uint64_t i = 0; i < TICK_PATIENCE && ticks == tick; i++) {
        cpu_relax();
    }
    irq_disable();
    CHECK(ticks != tick);
    CHECK(rdtsc() > tsc);
    CHECK(pm_advance() > pm);
}

/* ---- memory ---- */

static uint64_t word_at(uint64_t index)
{
    uint64_t value = index * 0x9e3779b97f4a7c15;

    return value ^ value >> 29;
}

static void memory_fill(void)
{
    for (uint64_t i = 0; i < words; i++) {
        memory[i] = word_at(i);
    }
}

/* One slice of it: every SLICES-th word, from START on. */
static void check_memory(uint64_t start)
{
    uint64_t wrong = 0, where = 0;

    for (uint64_t i = start; i < words; i += SLICES) {
        if (memory[i] != word_at(i)) {
            wrong++;
            where = MEMORY_START + 8 * i;
        }
    }
    if (wrong) {
        printf("witness: %lu words changed, the last at %lx\n", wrong, where);
    }
    CHECK_EQUAL(wrong, 0);
}

/* ---- registers ---- */

struct registers {
    uint64_t general[14]; /* all but RSP and the pointer */
    uint64_t vector[32];
};

/*
 * Fill the registers from WANTED, wait with interrupts on, store them to GOT. RAX counts, RSP and
 * RDI are the compiler's and ours.
 */
static void registers_hold(const struct registers *wanted, struct registers *got, uint64_t rounds)
{
    __asm__ volatile(
        "pushq %%rbp; pushq %%rsi\n\t"
        "movups 0x70(%%rdi), %%xmm0; movups 0x80(%%rdi), %%xmm1; movups 0x90(%%rdi), %%xmm2\n\t"
        "movups 0xa0(%%rdi), %%xmm3; movups 0xb0(%%rdi), %%xmm4; movups 0xc0(%%rdi), %%xmm5\n\t"
        "movups 0xd0(%%rdi), %%xmm6; movups 0xe0(%%rdi), %%xmm7; movups 0xf0(%%rdi), %%xmm8\n\t"
        "movups 0x100(%%rdi), %%xmm9; movups 0x110(%%rdi), %%xmm10\n\t"
        "movups 0x120(%%rdi), %%xmm11; movups 0x130(%%rdi), %%xmm12\n\t"
        "movups 0x140(%%rdi), %%xmm13; movups 0x150(%%rdi), %%xmm14\n\t"
        "movups 0x160(%%rdi), %%xmm15\n\t"
        "movq (%%rdi), %%rbx; movq 8(%%rdi), %%rcx; movq 16(%%rdi), %%rdx\n\t"
        "movq 24(%%rdi), %%rbp; movq 40(%%rdi), %%r8; movq 48(%%rdi), %%r9\n\t"
        "movq 56(%%rdi), %%r10; movq 64(%%rdi), %%r11; movq 72(%%rdi), %%r12\n\t"
        "movq 80(%%rdi), %%r13; movq 88(%%rdi), %%r14; movq 96(%%rdi), %%r15\n\t"
        "movq 32(%%rdi), %%rsi; movq 104(%%rdi), %%rdi\n\t"
        "sti\n"
        "1: pause; decq %%rax; jnz 1b\n\t"
        "cli\n\t"
        "xchgq (%%rsp), %%rsi\n\t" /* the store's address; what RSI held is on the stack */
        "movq %%rdi, 104(%%rsi)\n\t"
        "movq %%rbx, (%%rsi); movq %%rcx, 8(%%rsi); movq %%rdx, 16(%%rsi)\n\t"
        "movq %%rbp, 24(%%rsi); movq %%r8, 40(%%rsi); movq %%r9, 48(%%rsi)\n\t"
        "movq %%r10, 56(%%rsi); movq %%r11, 64(%%rsi); movq %%r12, 72(%%rsi)\n\t"
        "movq %%r13, 80(%%rsi); movq %%r14, 88(%%rsi); movq %%r15, 96(%%rsi)\n\t"
        "popq %%rdi; movq %%rdi, 32(%%rsi)\n\t"
        "movups %%xmm0, 0x70(%%rsi); movups %%xmm1, 0x80(%%rsi); movups %%xmm2, 0x90(%%rsi)\n\t"
        "movups %%xmm3, 0xa0(%%rsi); movups %%xmm4, 0xb0(%%rsi); movups %%xmm5, 0xc0(%%rsi)\n\t"
        "movups %%xmm6, 0xd0(%%rsi); movups %%xmm7, 0xe0(%%rsi); movups %%xmm8, 0xf0(%%rsi)\n\t"
        "movups %%xmm9, 0x100(%%rsi); movups %%xmm10, 0x110(%%rsi)\n\t"
        "movups %%xmm11, 0x120(%%rsi); movups %%xmm12, 0x130(%%rsi)\n\t"
        "movups %%xmm13, 0x140(%%rsi); movups %%xmm14, 0x150(%%rsi)\n\t"
        "movups %%xmm15, 0x160(%%rsi)\n\t"
        "popq %%rbp"
        : "+D"(wanted), "+S"(got), "+a"(rounds)
        :
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",
          "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
          "xmm13", "xmm14", "xmm15", "memory", "cc");
}

static void check_registers(uint64_t round)
{
    static struct registers wanted, got;
    uint64_t *fill = (uint64_t *)&wanted;

    for (unsigned i = 0; i < sizeof(wanted) / sizeof(*fill); i++) {
        fill[i] = word_at(round * 64 + i) | 1;
    }
    memset(&got, 0, sizeof(got));
    registers_hold(&wanted, &got, REGISTER_ROUNDS);
    CHECK(memcmp(&wanted, &got, sizeof(got)) == 0);
}

static uint64_t debug_read(unsigned number)
{
    uint64_t value;

    switch (number) {
    case 0:
        __asm__ volatile("mov %%dr0, %0" : "=r"(value));
        break;
    case 1:
        __asm__ volatile("mov %%dr1, %0" : "=r"(value));
        break;
    case 2:
        __asm__ volatile("mov %%dr2, %0" : "=r"(value));
        break;
    case 3:
        __asm__ volatile("mov %%dr3, %0" : "=r"(value));
        break;
    default:
        __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    }
    return value;
}

/* What is set once, and must be so for ever. */
static struct standing {
    uint64_t cr0, cr2, cr3, cr4, cr8, debug[5], lstar, fs_base, kernel_gs, pat;
    uint64_t x87_control, mxcsr, x87[3];
} standing;

static void standing_read(struct standing *now)
{
    uint16_t x87_control;
    uint32_t mxcsr;

    memset(now, 0, sizeof(*now));
    now->cr0 = read_cr0();
    now->cr3 = read_cr3();
    now->cr4 = read_cr4();
    __asm__ volatile("mov %%cr2, %0; mov %%cr8, %1" : "=r"(now->cr2), "=r"(now->cr8));
    for (unsigned i = 0; i < 5; i++) {
        now->debug[i] = debug_read(i);
    }
    now->lstar = rdmsr(MSR_LSTAR);
    now->fs_base = rdmsr(MSR_FS_BASE);
    now->kernel_gs = rdmsr(MSR_KERNEL_GS);
    now->pat = rdmsr(MSR_PAT);
    __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(x87_control), "=m"(mxcsr));
    now->x87_control = x87_control;
    now->mxcsr = mxcsr;
    /* Take the three numbers off the x87 stack and put them back. */
    __asm__ volatile(
        "fstpl 16(%0); fstpl 8(%0); fstpl (%0); fldl (%0); fldl 8(%0); fldl 16(%0)" ::"r"(now->x87)
        : "memory");
}

static void standing_set(void)
{
    uint64_t address = (uint64_t)&standing;

    wrmsr(MSR_LSTAR, 0xffff800012345678);
    wrmsr(MSR_FS_BASE, 0x0000123456789000);
    wrmsr(MSR_KERNEL_GS, 0xffffc00087654321);
    wrmsr(MSR_PAT, 0x0007010600070106);
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3" ::"r"(address),
                     "r"(0x1111111111UL), "r"(0x2222222222UL), "r"(0x3333333333UL));
    __asm__ volatile("mov %0, %%cr2" ::"r"(0xabcdef0123456789));
    __asm__ volatile("fninit; fldpi; fldl2e; fld1");
    standing_read(&standing);
}

static void check_standing(void)
{
    static struct standing now;

    standing_read(&now);
    if (!CHECK(memcmp(&now, &standing, sizeof(now)) == 0)) {
        const uint64_t *a = (const uint64_t *)&now, *b = (const uint64_t *)&standing;

        for (unsigned i = 0; i < sizeof(now) / 8; i++) {
            if (a[i] != b[i]) {
                printf("witness: register word %u is %lx, was %lx\n", i, a[i], b[i]);
            }
        }
    }
}

/* ---- devices ---- */

static void devices_set(void)
{
    outb(0x70, CMOS_BYTE);
    outb(0x71, CMOS_VALUE);
    outb(0x3ff, 0x5c);
    outb(0x43, 0xb4); /* channel 2, mode 2 */
    outb(0x42, 0x34);
    outb(0x42, 0x12);
    ioapic_route(20, APIC_LVT_MASKED | 0x5a, 3);
}

static void check_devices(void)
{
    outb(0x70, CMOS_BYTE);
    CHECK_EQUAL(inb(0x71), CMOS_VALUE);
    CHECK_EQUAL(inb(0x3ff), 0x5c);
    CHECK_EQUAL(inb(0x21), 0xff);
    CHECK_EQUAL(inb(0xa1), 0xff);
    outb(0x43, 0xe8); /* channel 2's status */
    CHECK_EQUAL(inb(0x42) & 0x3f, 0x34);
    CHECK_EQUAL(ioapic_read(0x10 + 2 * 20), APIC_LVT_MASKED | 0x5a);
    CHECK_EQUAL(ioapic_read(0x11 + 2 * 20), 3U << 24);
    outl(0xcf8, 0x80000000);
    CHECK_EQUAL(inl(0xcfc), 0x12378086);
    CHECK_EQUAL(inb(0x2345), 0xff);
    CHECK_EQUAL(apic_id(), 0);
    CHECK_EQUAL(apic_read(APIC_LVT_TIMER), APIC_LVT_TIMER_PERIODIC | VECTOR_TIMER);
}

static void prepare(void)
{
    uint64_t megabytes = guest_option("megabytes", 16), top = 0x100000 + guest_memory_upper();

    if (MEMORY_START + megabytes * MEGABYTE > top) {
        megabytes = (top - MEMORY_START) / MEGABYTE;
    }
    words = megabytes * MEGABYTE / 8;
    memory_fill();
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_TIMER, handle_timer);
    apic_write(APIC_TIMER_DIVIDE, 0x0b);
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, TIMER_COUNT);
    devices_set();
    standing_set();
    printf("witness: watching %lu MiB\n", megabytes);
}

int main(void)
{
    uint64_t seconds = guest_option("seconds", 10), next = REPORT_SECONDS, round = 0, now = 0;

    prepare();
    pm_last = pm_now();
    while (now < seconds) {
        check_memory(round % SLICES);
        check_registers(round);
        check_standing();
        check_clocks();
        check_devices();
        round++;
        now = pm_advance() / PM_TIMER_HZ;
        if (now >= next) {
            printf("witness: round %lu %s, %lu s, %u ticks\n", round,
                   test_failures() ? "FAILED" : "ok", now, ticks);
            next = now + REPORT_SECONDS;
        }
    }
    test_end();
}
