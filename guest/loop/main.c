/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that never ends and never gives the CPU back of its own: for whoever wants to stop one
 * from outside. With 'interrupts' on the command line it loops with interrupts on and without any
 * source of them; else with interrupts off.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    pic_mask_all();
    apic_enable();
    if (strstr(guest_command_line(), "interrupts")) {
        printf("loop: looping with interrupts on\n");
        __asm__ volatile("sti; 1: jmp 1b");
    }
    printf("loop: looping with interrupts off\n");
    __asm__ volatile("cli; 1: jmp 1b");
    return 0;
}
