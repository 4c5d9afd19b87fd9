/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/guest.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#define CPUS_MAX      16
#define TRAP_ENTRY    16 /* bytes of one entry in traps.S */
#define SELECTOR_CODE 0x08
#define SELECTOR_TSS  0x30
#define GDT_ENTRIES   8
#define IST_STACK     4096
#define VECTOR_PF     14

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
} __attribute__((packed));

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

struct descriptor_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

extern const uint8_t guest_trap_entries[];
extern const uint64_t guest_gdt[GDT_ENTRIES];

void guest_trap(struct guest_frame *frame);

volatile uint64_t fault_error, fault_address;

static guest_handler handlers[256];
static struct gate idt[256] __attribute__((aligned(16)));
static uint64_t gdts[CPUS_MAX][GDT_ENTRIES];
static struct tss tasks[CPUS_MAX];
static uint8_t ist_stacks[CPUS_MAX][IST_STACK] __attribute__((aligned(16)));
static jmp_buf *fault_return;

void interrupt_set_handler(unsigned vector, guest_handler handler)
{
    handlers[vector] = handler;
}

static void trap_unexpected(const struct guest_frame *frame)
{
    uint64_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    printf("unexpected vector %lu error %lx at %lx:%lx, flags %lx, stack %lx, CR2 %lx\n",
           frame->vector, frame->error, frame->cs, frame->rip, frame->rflags, frame->rsp, cr2);
    check_equal_at("traps", (int)frame->vector, "unexpected vector", frame->vector, 0x100);
    test_end();
}

void guest_trap(struct guest_frame *frame)
{
    if (handlers[frame->vector]) {
        handlers[frame->vector](frame);
        return;
    }
    if (frame->vector < 32 && fault_return) {
        jmp_buf *target = fault_return;

        fault_return = NULL;
        fault_error = frame->error;
        if (frame->vector == VECTOR_PF) {
            uint64_t cr2;

            __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
            fault_address = cr2;
        }
        longjmp(*target, (int)frame->vector + 1);
    }
    trap_unexpected(frame);
}

int fault_catch(void (*function)(void *argument), void *argument)
{
    jmp_buf buffer;
    int vector = setjmp(buffer) - 1;

    if (vector < 0) {
        fault_return = &buffer;
        function(argument);
        fault_return = NULL;
    }
    return vector;
}

static void gate_set(unsigned vector)
{
    uint64_t target = (uint64_t)guest_trap_entries + (uint64_t)vector * TRAP_ENTRY;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)target,
        .selector = SELECTOR_CODE,
        .ist = vector == 8 ? 1 : 0, /* a double fault must not depend on the stack */
        .type = 0x8e,
        .offset_mid = (uint16_t)(target >> 16),
        .offset_high = (uint32_t)(target >> 32),
    };
}

void guest_setup_cpu(unsigned index)
{
    struct tss *tss = &tasks[index];
    uint64_t *gdt = gdts[index], base = (uint64_t)tss;

    for (unsigned vector = 0; vector < 256; vector++) {
        gate_set(vector);
    }
    memcpy(gdt, guest_gdt, sizeof(gdts[index]));
    tss->ist[0] = (uint64_t)ist_stacks[index] + IST_STACK;
    tss->io_map = sizeof(*tss);
    gdt[SELECTOR_TSS / 8] =
        (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    gdt[SELECTOR_TSS / 8 + 1] = base >> 32;

    struct descriptor_pointer gdtr = {sizeof(gdts[index]) - 1, (uint64_t)gdt};
    struct descriptor_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gdtr), "m"(idtr), "r"(SELECTOR_TSS)
                     : "memory");
}
