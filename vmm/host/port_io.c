/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/port_io.h"

uint32_t port_read(uint16_t port, unsigned width)
{
    uint32_t value = 0;

    switch (width) {
    case 1:
        __asm__ volatile("inb %1, %b0" : "+a"(value) : "Nd"(port) : "memory");
        break;
    case 2:
        __asm__ volatile("inw %1, %w0" : "+a"(value) : "Nd"(port) : "memory");
        break;
    default:
        __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
        break;
    }
    return value;
}

void port_write(uint16_t port, unsigned width, uint32_t value)
{
    switch (width) {
    case 1:
        __asm__ volatile("outb %b0, %1" ::"a"(value), "Nd"(port) : "memory");
        break;
    case 2:
        __asm__ volatile("outw %w0, %1" ::"a"(value), "Nd"(port) : "memory");
        break;
    default:
        __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
        break;
    }
}
