/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/mmio.h"

/*
 * Not a plain pointer, since PCI's configuration space is accessed by these: AMD's manuals, from
 * family 10h to today's ('MMIO Configuration Coding Requirements'), define ECAM accesses only for
 * MOV between memory and AL, AX or EAX.
 */
uint32_t mmio_read(const volatile void *address, unsigned width)
{
    uint32_t value = 0;

    switch (width) {
    case 1:
        __asm__ volatile("movb (%1), %%al" : "+a"(value) : "r"(address) : "memory");
        break;
    case 2:
        __asm__ volatile("movw (%1), %%ax" : "+a"(value) : "r"(address) : "memory");
        break;
    default:
        __asm__ volatile("movl (%1), %%eax" : "+a"(value) : "r"(address) : "memory");
        break;
    }
    return value;
}

void mmio_write(volatile void *address, unsigned width, uint32_t value)
{
    switch (width) {
    case 1:
        __asm__ volatile("movb %%al, (%1)" ::"a"(value), "r"(address) : "memory");
        break;
    case 2:
        __asm__ volatile("movw %%ax, (%1)" ::"a"(value), "r"(address) : "memory");
        break;
    default:
        __asm__ volatile("movl %%eax, (%1)" ::"a"(value), "r"(address) : "memory");
        break;
    }
}
