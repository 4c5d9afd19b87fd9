/* SPDX-License-Identifier: BSD-2-Clause */
/* A program in real mode that asks a BIOS for what it has; segments begin at 0. */
#ifndef PORTOLAN_GUEST_BIOS_BIOS_H
#define PORTOLAN_GUEST_BIOS_BIOS_H

#include <stdbool.h>
#include <stdint.h>

#define SECTOR_SIZE 512U

/* Where sectors are read to, a segment of its own, and the first byte that is looked at. */
#define BUFFER_SEGMENT 0x2000U

struct registers {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp;
    uint16_t ds, es;
    uint32_t flags;
};

#define FLAG_CARRY 1U
#define FLAG_ZERO  0x40U

void bios_call(unsigned number, struct registers *registers);

extern uint8_t boot_drive;

/* Say what is found, to COM1. %: u decimal, x hexadecimal, s a string. */
void say(const char *text, ...);

/* Say it and end, if it does not HOLD. */
void check(bool holds, const char *what);

/* End with STATUS: 0 is good. */
void end(uint8_t status);

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* A byte at SEGMENT:OFFSET. */
static inline uint8_t far_get(uint16_t segment, uint16_t offset)
{
    uint8_t value;

    __asm__ volatile("movw %1, %%fs\n\tmovb %%fs:(%2), %0"
                     : "=q"(value)
                     : "r"(segment), "r"((uint32_t)offset)
                     : "memory");
    return value;
}

static inline void far_put(uint16_t segment, uint16_t offset, uint8_t value)
{
    __asm__ volatile("movw %1, %%fs\n\tmovb %0, %%fs:(%2)" ::"q"(value), "r"(segment),
                     "r"((uint32_t)offset)
                     : "memory");
}

/* COUNT little-endian bytes, at most 4, at ADDRESS below 1 MiB. */
uint32_t low_get(uint32_t address, unsigned count);

/* ---- the parts ---- */

void memory_check(void); /* INT 12h and 15h */
void tables_check(void); /* MP, ACPI, SMBIOS; the ROM that is none any more */
void gate_check(void);   /* the A20 gate */
void disk_check(void);   /* INT 13h */
void clock_check(void);  /* INT 1Ah and 16h */

/* The drive that the next are about, of INT 13h. */
extern uint8_t disk_drive;

struct geometry {
    uint32_t cylinders, heads, sectors;
};

/* Its geometry; returns how many sectors it has. */
uint32_t disk_geometry(struct geometry *g);

/* COUNT sectors from NUMBER on to and from the buffer, by LBA and by CHS. */
void disk_move(bool write, uint32_t number, unsigned count);
void disk_move_chs(bool write, uint32_t number, unsigned count, const struct geometry *g);

/* What these sectors hold, of a SHIFT: into the buffer, or is it there? */
void disk_fill_buffer(uint32_t first, unsigned count, unsigned shift);
void disk_check_buffer(uint32_t first, unsigned count, unsigned shift);
void disk_clear_buffer(unsigned count);

/* The second disk, if there is one. */
void borders_check(void);

#endif
