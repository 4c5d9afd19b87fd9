/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the test guests share: checks, output, exceptions and interrupts, and the CPU's
 * instructions.
 *
 * A guest prints on the first UART, ends by a write to GUEST_EXIT_PORT (0: every check held,
 * 1: one did not) and so runs alike as a VM and under plain QEMU with '-device isa-debug-exit'.
 */
#ifndef PORTOLAN_GUEST_LIB_GUEST_H
#define PORTOLAN_GUEST_LIB_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_EXIT_PORT 0xf4

/* ---- checks ---- */

/* Print and count a failure, with what was got and wanted; go on. True if they are equal. */
bool check_equal_at(const char *file, int line, const char *what, uint64_t got, uint64_t wanted);
#define CHECK_EQUAL(got, wanted) \
    check_equal_at(__FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(wanted))
#define CHECK(condition) check_equal_at(__FILE__, __LINE__, #condition, (condition) ? 1 : 0, 1)

/* How many checks have failed so far. */
unsigned test_failures(void);

/* Announce the next group of checks. */
void test_group(const char *name);

/* Print the verdict and end the guest; never returns. */
void test_end(void) __attribute__((noreturn));

/* ---- exceptions and interrupts ---- */

struct guest_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* HANDLER is called with interrupts off; NULL restores the default: print the frame and fail. */
typedef void (*guest_handler)(struct guest_frame *frame);
void interrupt_set_handler(unsigned vector, guest_handler handler);

/*
 * Run FUNCTION(ARGUMENT) and return the vector of the exception that it raised, or -1. The error
 * code and CR2 are in fault_error and fault_address. Faults only: the function does not go on.
 */
int fault_catch(void (*function)(void *argument), void *argument);
extern volatile uint64_t fault_error, fault_address;

/* Give this CPU a GDT, an IDT and a TSS; the boot CPU has them when main() is called. */
void guest_setup_cpu(unsigned index);

/*
 * From now on IRQ 0 comes 100 times a second (the 8254's channel 0), so that a CPU that sleeps
 * looks at its clock from time to time. VECTOR is the IRQ's at the first 8259, which the caller has
 * set up.
 */
void tick_start(unsigned vector);

/* ---- the boot information ---- */

/* The Multiboot command line, or "". */
const char *guest_command_line(void);
/* The number after KEY= on the command line, or FALLBACK. */
uint64_t guest_option(const char *key, uint64_t fallback);
/* Bytes of RAM from 1 MiB upwards to the first hole, by the Multiboot information. */
uint64_t guest_memory_upper(void);

/* ---- instructions ---- */

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint16_t inw(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}
static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}
static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}
static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(subleaf));
}
static inline uint64_t read_cr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value)::"memory");
    return value;
}
static inline uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value)::"memory");
    return value;
}
static inline uint64_t read_cr4(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value)::"memory");
    return value;
}
static inline void write_cr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}
static inline void invlpg(const volatile void *address)
{
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}
static inline void irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}
static inline void irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}
/* Sleep until an interrupt was handled; interrupts are off again afterwards. */
static inline void irq_wait(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}
/* Take what interrupts are pending. The one instruction behind STI is still without them. */
static inline void irq_poll(void)
{
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
}
static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}
static inline uint32_t mmio_read(uint64_t address)
{
    return *(volatile uint32_t *)address;
}
static inline void mmio_write(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

#endif
