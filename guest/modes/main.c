/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every mode change that a boot loader or an old kernel makes: 64-bit, compatibility, protected,
 * real, two-level paging with a task switch, PAE paging, and back; many times over, with state
 * kept across.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define MODES_CODE     0x9000UL
#define MODES_MARKS    0xa000UL
#define MODES_GDT_COPY 0xc000UL
#define MODES_STACK    0xb000UL
#define MARKS          12
#define ROUNDS         50
#define GDT_ENTRIES    8
#define GDT_COPIED     6 /* of the guest's own; then two tasks */
#define TSS_PRESENT    0x0000890000000000UL
#define FLAG_NT        0x4000U

extern const char modes_code[], modes_code_end[], modes_task[];
extern const uint64_t guest_gdt[];
extern uint64_t guest_pd[];

void modes_descend(void);

uint32_t modes_page_directory[1024] __attribute__((aligned(4096)));
uint32_t modes_no_task;
uint64_t modes_pae_pointers[4] __attribute__((aligned(32)));

struct gdt_pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

/* A 32-bit task's state; selectors are in the lower halves. */
struct task {
    uint32_t link, stacks[6], cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt, map;
};

static struct {
    struct gdt_pointer pointer;
    uint64_t entries[GDT_ENTRIES] __attribute__((aligned(8)));
} *const gdt = (void *)MODES_GDT_COPY;
static struct task tasks[2] __attribute__((aligned(128)));

static void prepare(void)
{
    memcpy((void *)MODES_CODE, modes_code, (size_t)(modes_code_end - modes_code));
    for (unsigned i = 0; i < 1024; i++) {
        modes_page_directory[i] = i << 22 | 0x83;
    }
    for (unsigned i = 0; i < 4; i++) {
        modes_pae_pointers[i] = ((uint64_t)guest_pd + (uint64_t)i * 4096) | 1;
    }
}

/* The tables of the 32-bit part, as new: a task switch changes descriptors and tasks. */
static void prepare_tasks(void)
{
    gdt->pointer = (struct gdt_pointer){sizeof(gdt->entries) - 1, (uint32_t)(uint64_t)gdt->entries};
    memcpy(gdt->entries, guest_gdt, GDT_COPIED * sizeof(gdt->entries[0]));
    for (unsigned i = 0; i < 2; i++) {
        uint64_t base = (uint64_t)&tasks[i];

        gdt->entries[GDT_COPIED + i] = TSS_PRESENT | (base & 0xffffff) << 16 |
                                       (base >> 24 & 0xff) << 56 | (sizeof(tasks[i]) - 1);
        tasks[i] =
            (struct task){.cr3 = (uint32_t)(uint64_t)modes_page_directory,
                          .eip = (uint32_t)(MODES_CODE + (uint64_t)(modes_task - modes_code)),
                          .eflags = 2,
                          .esp = MODES_STACK - 0x200,
                          .esi = 0x5a,
                          .es = 0x10,
                          .cs = 0x18,
                          .ss = 0x10,
                          .ds = 0x10,
                          .map = sizeof(tasks[i]) << 16};
    }
}

int main(void)
{
    static uint32_t wanted[MARKS] = {0xc0, 0x32, 0x16, 0x1234, 0,           0x40,
                                     0x33, 0x22, 0x9a, 0xa5,   FLAG_NT | 2, 0x5a};
    volatile uint32_t *marks = (volatile uint32_t *)MODES_MARKS;

    if (strstr(guest_command_line(), "no-task")) {
        printf("skipped: a task switch by hardware: it stops the VM\n");
        modes_no_task = 1;
        wanted[10] = wanted[11] = 0;
    }
    prepare();
    test_group("long, compatibility, protected, real, 4 MiB pages, a task, PAE, long");
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset((void *)MODES_MARKS, 0, MARKS * sizeof(*marks));
        prepare_tasks();
        uint64_t cr0 = read_cr0(), efer = rdmsr(0xc0000080);

        modes_descend();
        CHECK_EQUAL(read_cr0(), cr0);
        CHECK_EQUAL(rdmsr(0xc0000080), efer);
        for (unsigned i = 0; i < MARKS; i++) {
            if (i == 4) {
                CHECK_EQUAL(marks[i], *(const volatile uint32_t *)0x100000);
            } else {
                CHECK_EQUAL(marks[i], wanted[i]);
            }
        }
    }
    test_end();
}
