/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a BIOS has for a boot loader, told on COM1; and resets of all kinds before that, of which
 * each leads here again: a sector of the disk counts them.
 */
#include "guest/bios/bios.h"

#include <stdarg.h>

#define COM1       0x3f8U
#define LINE_READY 0x20U
#define DEBUG_EXIT 0xf4U

#define COUNT_SECTOR 63U
#define COUNT_MAGIC  0x5aU

void bios_main(void);

static void put(char c)
{
    while ((inb(COM1 + 5) & LINE_READY) == 0) {
    }
    outb(COM1, (uint8_t)c);
}

static void put_number(uint32_t value, unsigned base)
{
    char digits[12];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        put(digits[--count]);
    }
}

static void put_text(const char *text)
{
    while (*text != '\0') {
        put(*text++);
    }
}

/* A line is whole: SeaBIOS writes to the same line, from the timer's interrupt too. */
void say(const char *text, ...)
{
    va_list arguments;

    __asm__ volatile("cli");
    va_start(arguments, text);
    for (; *text != '\0'; text++) {
        if (*text != '%') {
            put(*text);
        } else if (*++text == 's') {
            put_text(va_arg(arguments, const char *));
        } else {
            put_number(va_arg(arguments, uint32_t), *text == 'u' ? 10 : 16);
        }
    }
    va_end(arguments);
    put_text("\r\n");
    __asm__ volatile("sti");
}

void end(uint8_t status)
{
    outb(DEBUG_EXIT, status);
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

void check(bool holds, const char *what)
{
    if (!holds) {
        say("FAIL: %s", what);
        end(1);
    }
}

uint32_t low_get(uint32_t address, unsigned count)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value |= (uint32_t)far_get((uint16_t)((address + i) >> 4), (address + i) & 15) << 8 * i;
    }
    return value;
}

/* ---- Resets ---- */

static void reset_by_port(void)
{
    outb(0xcf9, 2);
    outb(0xcf9, 6);
}

static void reset_by_keyboard(void)
{
    outb(0x64, 0xfe);
}

/* The BIOS copies its ROM again, and resets. */
static void reset_by_jump(void)
{
    __asm__ volatile("ljmp $0xf000, $0xfff0");
}

static void reset_by_fault(void)
{
    static const struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0\n\tint3" ::"m"(none));
}

static const struct {
    void (*reset)(void);
    const char *how;
} resets[] = {
    {reset_by_port,     "port CF9h"              },
    {reset_by_keyboard, "the keyboard controller"},
    {reset_by_jump,     "a jump to F000:FFF0"    },
    {reset_by_fault,    "a triple fault"         },
};

#define RESETS (sizeof(resets) / sizeof(resets[0]))

static void go_through_resets(void)
{
    disk_move(false, COUNT_SECTOR, 1);
    unsigned count = far_get(BUFFER_SEGMENT, 0);

    check(far_get(BUFFER_SEGMENT, 1) == COUNT_MAGIC && count <= RESETS, "the count of resets");
    if (count == RESETS) {
        return;
    }
    say("life %u: reset by %s", count, resets[count].how);
    far_put(BUFFER_SEGMENT, 0, (uint8_t)(count + 1));
    disk_move(true, COUNT_SECTOR, 1);
    resets[count].reset();
    for (;;) {
        __asm__ volatile("hlt");
    }
}

void bios_main(void)
{
    check(boot_drive == 0x80, "booted from the first disk");
    disk_drive = boot_drive;
    go_through_resets();
    memory_check();
    tables_check();
    gate_check();
    disk_check();
    clock_check();
    say("PASS: BIOS");
    end(0);
}
