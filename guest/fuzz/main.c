/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest that does everything wrong. Command line:
 *   seed=N    which of the endless many runs
 *   count=N   operations
 *   resets=N  one operation in so many of the deadly kind is let through (0: none); each is likely
 *             to end in a triple fault, after which the run goes on with the next batch
 *   first=N   begin with this batch, to see it again
 *   every=N   say so after each N batches
 *   tcg=1     QEMU without KVM is below: leave out the instructions that end QEMU itself
 *   walks=1   page tables in device memory as well
 *   vf=SLOT   there is a block VF in SLOT of the PCI bus: half of the batches are for it
 *
 * What happens depends on the seed and on the number of the batch. The progress is in CMOS RAM, so
 * that a reset does not end the run. Whoever runs it sees from outside whether the VMM and the
 * other VMs have taken harm; this program only sees that its own image has not.
 */
#include "guest/fuzz/fuzz.h"
#include "guest/lib/apic.h"

#include <stdio.h>
#include <string.h>

#define CMOS_MAGIC    0x70 /* two bytes; below them in this order: */
#define CMOS_BATCH    0x72 /* four */
#define CMOS_RESETS   0x76 /* two */
#define LIFE_VECTOR   0x40
#define MAGIC         0xf5
#define REPORTS       100
#define WEIGHTS       2048
#define DEADLY        8192
#define MEMORY_NEEDED 0x2300000UL

extern const uint8_t guest_start[], guest_gdt[];

static const char *const kind_names[FUZZ_KINDS] = {
    [FUZZ_KERNEL_CODE] = "instructions at CPL 0",
    [FUZZ_OTHER_CODE] = "instructions in other segments and at CPL 3",
    [FUZZ_PORTS] = "port accesses",
    [FUZZ_MSRS] = "MSR accesses",
    [FUZZ_CONTROLS] = "control and debug register accesses",
    [FUZZ_MMIO] = "device memory accesses",
    [FUZZ_PAGE_TABLES] = "accesses through random page tables",
    [FUZZ_DEVICES] = "device sequences",
    [FUZZ_BURSTS] = "instructions in bursts",
    [FUZZ_VF] = "accesses of the VF and its rings",
};

/* An operation that exits costs a thousand times as much as an instruction of a burst. */
static const uint16_t weights[FUZZ_KINDS] = {9, 9, 4, 3, 3, 2, 1, 1, WEIGHTS - 32, 0};

static uint32_t batch, batches, resets;
static uint64_t seed;

static uint64_t mix(uint64_t number)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15 + number;

    z = (z ^ z >> 32) * 0xd6e8feb86659fd93;
    z = (z ^ z >> 32) * 0xd6e8feb86659fd93;
    return z ^ z >> 32;
}

static enum fuzz_kind kind_of(uint32_t number)
{
    unsigned ticket = (unsigned)(mix(number) % WEIGHTS), kind = 0;

    if (fuzz_state->vf_pfn != 0 && (mix(number) / WEIGHTS & 1)) {
        return FUZZ_VF;
    }

    while (ticket >= weights[kind]) {
        ticket -= weights[kind++];
    }
    return (enum fuzz_kind)kind;
}

/* ---- progress ---- */

static uint32_t cmos_number(uint8_t index, unsigned length)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < length; i++) {
        value |= (uint32_t)fuzz_cmos_read((uint8_t)(index + i)) << 8 * i;
    }
    return value;
}

static void cmos_keep(uint8_t index, unsigned length, uint32_t value)
{
    for (unsigned i = 0; i < length; i++) {
        fuzz_cmos_write((uint8_t)(index + i), (uint8_t)(value >> 8 * i));
    }
}

static uint32_t magic(void)
{
    return MAGIC | (uint32_t)(seed & 0xff) << 8;
}

static void progress_find(void)
{
    if (cmos_number(CMOS_MAGIC, 2) == magic()) {
        batch = cmos_number(CMOS_BATCH, 4) + 1;
        resets = cmos_number(CMOS_RESETS, 2) + 1;
        printf("fuzz: reset %u, in batch %u: %s\n", resets, batch - 1,
               kind_names[kind_of(batch - 1)]);
    }
    cmos_keep(CMOS_BATCH, 4, batch);
    cmos_keep(CMOS_RESETS, 2, resets);
    cmos_keep(CMOS_MAGIC, 2, magic());
}

static void progress_keep(void)
{
    unsigned length = 1;

    for (uint32_t rest = batch; (rest & 0xff) == 0 && length < 4; rest >>= 8) {
        length++;
    }
    cmos_keep(CMOS_BATCH, length, batch);
}

/* ---- what was done ---- */

static void report(void)
{
    uint64_t counts[FUZZ_KINDS] = {0};

    for (uint32_t number = 0; number < batch; number++) {
        counts[kind_of(number)] += FUZZ_BATCH;
    }
    for (unsigned kind = 0; kind < FUZZ_KINDS; kind++) {
        printf("fuzz: %10lu %s\n", counts[kind], kind_names[kind]);
    }
    printf("fuzz: since the last reset: %lu instructions, %lu restarts of code, %lu refused, "
           "%lu ran away, %lu interrupts, %lu NMIs, faults:",
           fuzz_state->steps, fuzz_state->reseats, fuzz_state->refused, fuzz_state->hung,
           fuzz_state->interrupts, fuzz_state->nmi_total);
    for (unsigned vector = 0; vector < 32; vector++) {
        if (fuzz_state->faults[vector]) {
            printf(" %u:%lu", vector, fuzz_state->faults[vector]);
        }
    }
    printf("\nfuzz: %lu operations, %u resets\n", (uint64_t)batch * FUZZ_BATCH, resets);
}

static uint64_t image_sum(void)
{
    uint64_t sum = 0;

    for (const uint8_t *at = (const uint8_t *)0x100000; at < guest_gdt; at++) {
        sum = (sum << 5 ^ sum >> 59) ^ *at;
    }
    return sum;
}

void fuzz_fatal(void)
{
    fuzz_console_on();
    printf("fuzz: vector %lu in the fuzzer itself, at %lx, in batch %u\n", fuzz_state->vector,
           fuzz_state->rip, batch);
    CHECK_EQUAL(fuzz_state->vector, 0x100);
    test_end();
}

static void run(enum fuzz_kind kind)
{
    switch (kind) {
    case FUZZ_KERNEL_CODE:
    case FUZZ_OTHER_CODE:
        fuzz_run_code(kind == FUZZ_KERNEL_CODE);
        break;
    case FUZZ_PORTS:
        fuzz_run_ports();
        break;
    case FUZZ_MSRS:
        fuzz_run_msrs();
        break;
    case FUZZ_CONTROLS:
        fuzz_run_controls();
        break;
    case FUZZ_MMIO:
        fuzz_run_mmio();
        break;
    case FUZZ_PAGE_TABLES:
        fuzz_run_page_tables();
        break;
    case FUZZ_DEVICES:
        fuzz_run_devices();
        break;
    case FUZZ_VF:
        fuzz_run_vf();
        break;
    case FUZZ_BURSTS:
    case FUZZ_KINDS:
        fuzz_run_bursts();
        break;
    }
}

static void options_read(void)
{
    uint64_t count = guest_option("count", 10000000);

    batch = (uint32_t)guest_option("first", 0);
    seed = guest_option("seed", 1);
    batches = (uint32_t)((count + FUZZ_BATCH - 1) / FUZZ_BATCH);
    fuzz_state->suicide = (uint32_t)guest_option("resets", DEADLY);
    fuzz_state->walks = guest_option("walks", 0) != 0;
    fuzz_state->lenient = strstr(guest_command_line(), "lenient") != NULL;
    fuzz_state->tcg = fuzz_state->lenient || guest_option("tcg", 0);
    printf("fuzz: seed=%lu count=%lu\n", seed, count);
}

static void handle_life(struct guest_frame *frame)
{
    apic_write(APIC_EOI, 0);
}

/*
 * Whoever dies again and again before the first interrupt is not started any more: take one. The
 * local APIC is on, as firmware leaves it.
 */
static void show_life(void)
{
    uint8_t master = inb(0x21), slave = inb(0xa1);

    pic_mask_all();
    interrupt_set_handler(LIFE_VECTOR, handle_life);
    apic_send(0, ICR_SELF | ICR_ASSERT | LIFE_VECTOR);
    irq_poll();
    interrupt_set_handler(LIFE_VECTOR, NULL);
    outb(0x21, master);
    outb(0xa1, slave);
}

int main(void)
{
    show_life();
    CHECK(guest_memory_upper() + 0x100000 >= MEMORY_NEEDED);
    /* NMIs with made-up destinations would throw other CPUs out of firmware's sleep. */
    apic_send(0, ICR_ALL_OTHER | ICR_INIT | ICR_ASSERT);
    fuzz_cage_build();
    options_read();
    (void)fuzz_vf_find((unsigned)guest_option("vf", 0));
    progress_find();
    uint64_t sum = image_sum();
    uint32_t stretch = (uint32_t)guest_option("every", batches / REPORTS + 1);

    fuzz_console_off();
    for (; batch < batches; batch++) {
        progress_keep();
        fuzz_state->random = mix(batch);
        run(kind_of(batch));
        fuzz_state->armed = kind_of(batch) == FUZZ_BURSTS; /* the others touch the devices */
        if (batch % stretch == stretch - 1) {
            fuzz_console_on();
            printf("fuzz: %lu operations, %u resets, last %s\n", (uint64_t)batch * FUZZ_BATCH,
                   resets, kind_names[kind_of(batch)]);
            fuzz_console_off();
        }
    }
    fuzz_console_on();
    cmos_keep(CMOS_MAGIC, 2, 0);
    report();
    CHECK_EQUAL(image_sum(), sum);
    test_end();
}
