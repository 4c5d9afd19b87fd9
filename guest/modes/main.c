/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every mode change that a boot loader or an old kernel makes: 64-bit, compatibility, protected,
 * real, two-level paging, PAE paging, and back; many times over, with state kept across.
 */
#include "guest/lib/guest.h"

#include <string.h>

#define MODES_CODE     0x9000UL
#define MODES_MARKS    0xa000UL
#define MODES_GDT_COPY 0xc000UL
#define MARKS          9
#define ROUNDS         50

extern const char modes_code[], modes_code_end[];
extern const uint64_t guest_gdt[];
extern uint64_t guest_pd[];

void modes_descend(void);

uint32_t modes_page_directory[1024] __attribute__((aligned(4096)));
uint64_t modes_pae_pointers[4] __attribute__((aligned(32)));

struct gdt_pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static void prepare(void)
{
    struct gdt_pointer pointer = {6 * 8 - 1, (uint32_t)(uint64_t)guest_gdt};

    memcpy((void *)MODES_CODE, modes_code, (size_t)(modes_code_end - modes_code));
    memcpy((void *)MODES_GDT_COPY, &pointer, sizeof(pointer));
    for (unsigned i = 0; i < 1024; i++) {
        modes_page_directory[i] = i << 22 | 0x83;
    }
    for (unsigned i = 0; i < 4; i++) {
        modes_pae_pointers[i] = ((uint64_t)guest_pd + (uint64_t)i * 4096) | 1;
    }
}

int main(void)
{
    static const uint32_t wanted[MARKS] = {0xc0, 0x32, 0x16, 0x1234, 0, 0x40, 0x33, 0x22, 0x9a};
    volatile uint32_t *marks = (volatile uint32_t *)MODES_MARKS;

    prepare();
    test_group("long, compatibility, protected, real, 4 MiB pages, PAE, long");
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset((void *)MODES_MARKS, 0, MARKS * sizeof(*marks));
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
