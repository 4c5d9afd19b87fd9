/* SPDX-License-Identifier: BSD-2-Clause */
/* What newlib needs below it, the checks, and the Multiboot information. */
#include "guest/lib/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UART           0x3f8
#define UART_LSR       5
#define UART_LSR_EMPTY 0x20
#define HEAP_SIZE      (1 << 20)

#define MULTIBOOT_INFO_MEMORY  (1U << 0)
#define MULTIBOOT_INFO_CMDLINE (1U << 2)

struct multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
};

extern uint32_t guest_boot_info;

void guest_setup(void);

static unsigned checks, failures;
static const char *group = "";

void guest_setup(void)
{
    guest_setup_cpu(0);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

bool check_equal_at(const char *file, int line, const char *what, uint64_t got, uint64_t wanted)
{
    checks++;
    if (got == wanted) {
        return true;
    }
    failures++;
    printf("FAIL %s: %s:%d: %s is 0x%lx, not 0x%lx\n", group, file, line, what, got, wanted);
    return false;
}

unsigned test_failures(void)
{
    return failures;
}

void test_group(const char *name)
{
    group = name;
    printf("group %s\n", name);
}

void test_end(void)
{
    printf("%s: %u checks, %u failed\n", failures ? "FAIL" : "PASS", checks, failures);
    exit(failures ? 1 : 0);
}

static const struct multiboot_info *boot_info(void)
{
    return (const struct multiboot_info *)(uint64_t)guest_boot_info;
}

const char *guest_command_line(void)
{
    const struct multiboot_info *info = boot_info();

    return info->flags & MULTIBOOT_INFO_CMDLINE ? (const char *)(uint64_t)info->cmdline : "";
}

uint64_t guest_option(const char *key, uint64_t fallback)
{
    size_t length = strlen(key);

    for (const char *at = guest_command_line(); (at = strstr(at, key)) != NULL; at += length) {
        if (at[length] == '=') {
            return strtoull(at + length + 1, NULL, 0);
        }
    }
    return fallback;
}

uint64_t guest_memory_upper(void)
{
    const struct multiboot_info *info = boot_info();

    return info->flags & MULTIBOOT_INFO_MEMORY ? (uint64_t)info->mem_upper << 10 : 0;
}

/* ---- newlib's system calls ---- */

int write(int file, const char *data, int length);
int read(int file, char *data, int length);
int close(int file);
int lseek(int file, int offset, int whence);
int isatty(int file);
int kill(int pid, int signal);
int getpid(void);
void *sbrk(ptrdiff_t increment);
void _exit(int status) __attribute__((noreturn));

static void uart_put(char c)
{
    while (!(inb(UART + UART_LSR) & UART_LSR_EMPTY)) {
        cpu_relax();
    }
    outb(UART, (uint8_t)c);
}

int write(int file, const char *data, int length)
{
    for (int i = 0; i < length; i++) {
        if (data[i] == '\n') {
            uart_put('\r');
        }
        uart_put(data[i]);
    }
    return length;
}

int read(int file, char *data, int length)
{
    return 0;
}

int close(int file)
{
    return 0;
}

int lseek(int file, int offset, int whence)
{
    return 0;
}

int isatty(int file)
{
    return 1;
}

int fstat(int file, struct stat *status)
{
    status->st_mode = S_IFCHR;
    return 0;
}

int kill(int pid, int signal)
{
    errno = EINVAL;
    return -1;
}

int getpid(void)
{
    return 1;
}

void *sbrk(ptrdiff_t increment)
{
    static char heap[HEAP_SIZE] __attribute__((aligned(16)));
    static ptrdiff_t used;

    if (increment > HEAP_SIZE - used || used + increment < 0) {
        errno = ENOMEM;
        return (void *)-1;
    }
    used += increment;
    return heap + used - increment;
}

void _exit(int status)
{
    outb(GUEST_EXIT_PORT, (uint8_t)status);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
