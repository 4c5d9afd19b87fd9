/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvmrun GUEST.elf CPUS [CMDLINE GROUP BDF]: run a Multiboot test guest under Linux KVM with as
 * little user space as can be, so that what is measured is KVM. Interrupt controllers and timer are
 * the kernel's. The guest gets the command line, and a device of the host (device.h).
 * Answered here: the UART, the number of CPUs (fw_cfg) and the end of the guest (port F4h); every
 * other port reads as all ones.
 *
 * vCPU i runs on CPU i + 1, as far as there are so many CPUs. Any error ends the program with a
 * message.
 */
#define _GNU_SOURCE
#include "device.h"

#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define MEMORY        (128UL << 20)
#define CPUS_MAX      8
#define CPUID_ENTRIES 256
#define BOOT_INFO     0x500
#define BOOT_CMDLINE  0x600
#define INFO_CMDLINE  (1U << 2)
#define INFO_WORD     4          /* of the address */
#define BOOT_MAGIC    0x2badb002 /* Multiboot 0.6.96, 3.2 */
#define PORT_EXIT     0xf4
#define PORT_UART     0x3f8
#define PORT_UART_LSR 0x3fd
#define UART_IDLE     0x60
#define PORT_SELECT   0x510
#define PORT_DATA     0x511
#define ITEM_CPUS     5
#define L1_X2APIC     (1U << 21)
#define L1_DEADLINE   (1U << 24)
#define CODE_TYPE     11
#define DATA_TYPE     3

struct cpu {
    int fd;
    struct kvm_run *run;
};

static struct cpu cpus[CPUS_MAX];
static unsigned cpu_count;
static uint8_t *memory;
static unsigned item, item_at; /* fw_cfg; only vCPU 0 asks */

static int control(int fd, unsigned long request, void *argument, const char *name)
{
    int result = ioctl(fd, request, argument);

    if (result < 0) {
        err(1, "%s", name);
    }
    return result;
}
#define CONTROL(fd, request, argument) control(fd, request, (void *)(argument), #request)

static uint32_t load(const char *path)
{
    FILE *file = fopen(path, "rb");
    static uint8_t image[16 << 20];

    if (!file) {
        err(1, "%s", path);
    }
    size_t size = fread(image, 1, sizeof(image), file);
    const Elf32_Ehdr *header = (const Elf32_Ehdr *)image;

    fclose(file);
    if (size < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS32) {
        errx(1, "%s: no ELF32 file", path);
    }
    for (unsigned i = 0; i < header->e_phnum; i++) {
        size_t at = header->e_phoff + i * sizeof(Elf32_Phdr);
        Elf32_Phdr segment;

        if (at + sizeof(segment) > size) {
            errx(1, "%s: cut off", path);
        }
        memcpy(&segment, image + at, sizeof(segment));
        if (segment.p_type != PT_LOAD) {
            continue;
        }
        if ((uint64_t)segment.p_offset + segment.p_filesz > size ||
            segment.p_filesz > segment.p_memsz ||
            (uint64_t)segment.p_paddr + segment.p_memsz > MEMORY) {
            errx(1, "%s: a segment does not fit", path);
        }
        memcpy(memory + segment.p_paddr, image + segment.p_offset, segment.p_filesz);
    }
    return header->e_entry;
}

static void set_cpuid(int kvm, unsigned index)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

    if (!cpuid) {
        err(1, "calloc");
    }
    cpuid->nent = CPUID_ENTRIES;
    CONTROL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    for (unsigned i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

        if (entry->function == 1) {
            entry->ebx = (entry->ebx & 0xffff) | cpu_count << 16 | index << 24;
            entry->ecx |= L1_X2APIC | L1_DEADLINE;
        }
    }
    CONTROL(cpus[index].fd, KVM_SET_CPUID2, cpuid);
    free(cpuid);
}

/* 32-bit protected mode, flat, as a Multiboot boot loader leaves it. */
static void set_entry(int fd, uint32_t entry)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = entry, .rax = BOOT_MAGIC, .rbx = BOOT_INFO, .rflags = 2};
    struct kvm_segment flat = {.selector = 0x10,
                               .limit = 0xffffffff,
                               .type = DATA_TYPE,
                               .present = 1,
                               .db = 1,
                               .s = 1,
                               .g = 1};

    CONTROL(fd, KVM_GET_SREGS, &sregs);
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
    flat.selector = 8;
    flat.type = CODE_TYPE;
    sregs.cs = flat;
    sregs.cr0 |= 1;
    CONTROL(fd, KVM_SET_SREGS, &sregs);
    CONTROL(fd, KVM_SET_REGS, &regs);
}

static uint8_t item_read(void)
{
    static const char signature[] = "QEMU";
    unsigned at = item_at++;

    if (item == 0) {
        return at < 4 ? (uint8_t)signature[at] : 0;
    }
    return item == ITEM_CPUS && at < 2 ? (uint8_t)(cpu_count >> 8 * at) : 0;
}

static uint32_t port_in(uint16_t port)
{
    switch (port) {
    case PORT_UART_LSR:
        return UART_IDLE;
    case PORT_DATA:
        return item_read();
    default:
        return UINT32_MAX;
    }
}

static void port_out(uint16_t port, uint32_t value)
{
    switch (port) {
    case PORT_UART:
        putchar((int)(value & 0xff));
        break;
    case PORT_SELECT:
        item = value & 0xffff;
        item_at = 0;
        break;
    case DEVICE_PORT_MODE:
        device_set_mode(value & 0xff);
        break;
    case PORT_EXIT:
        printf("kvmrun: the guest ended with status %u\n", value & 0xff);
        fflush(stdout);
        exit((int)(value & 0xff));
    default:
        break;
    }
}

static void see_to_port(struct kvm_run *run)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    for (unsigned i = 0; i < run->io.count; i++, data += run->io.size) {
        uint32_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_IN) {
            value = port_in(run->io.port);
            memcpy(data, &value, run->io.size);
        } else {
            memcpy(&value, data, run->io.size);
            port_out(run->io.port, value);
        }
    }
}

static void *run_cpu(void *argument)
{
    struct cpu *cpu = argument;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(((size_t)(cpu - cpus) + 1) % (size_t)get_nprocs(), &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set)) {
        errx(1, "CPU %d is not there", (int)(cpu - cpus) + 1);
    }
    for (;;) {
        if (ioctl(cpu->fd, KVM_RUN, 0) < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                continue; /* it waits for its start, and has had news */
            }
            err(1, "KVM_RUN");
        }
        switch (cpu->run->exit_reason) {
        case KVM_EXIT_IO:
            see_to_port(cpu->run);
            break;
        case KVM_EXIT_MMIO:
            memset(cpu->run->mmio.data, 0xff, sizeof(cpu->run->mmio.data));
            break;
        default:
            errx(1, "vCPU %d: exit %u", (int)(cpu - cpus), cpu->run->exit_reason);
        }
    }
}

/* The TSCs of the vCPUs must agree, or an IPI's way cannot be timed. */
static void level_tsc(void)
{
    uint64_t offset, first = 0;
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uint64_t)&offset};

    for (unsigned i = 0; i < cpu_count; i++) {
        CONTROL(cpus[i].fd, KVM_GET_DEVICE_ATTR, &attribute);
        printf("kvmrun: TSC offset of vCPU %u: %lx\n", i, offset);
        if (i == 0) {
            first = offset;
            continue;
        }
        offset = first;
        CONTROL(cpus[i].fd, KVM_SET_DEVICE_ATTR, &attribute);
    }
}

/* The Multiboot information: nothing but a command line. */
static void give_command_line(const char *text)
{
    uint32_t info[INFO_WORD + 1] = {[0] = INFO_CMDLINE, [INFO_WORD] = BOOT_CMDLINE};

    memcpy(memory + BOOT_INFO, info, sizeof(info));
    strcpy((char *)memory + BOOT_CMDLINE, text);
}

int main(int count, char **arguments)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    cpu_count = count == 3 || count == 6 ? (unsigned)atoi(arguments[2]) : 0;
    if (cpu_count < 1 || cpu_count > CPUS_MAX) {
        errx(2, "usage: kvmrun GUEST.elf CPUS [CMDLINE GROUP BDF]");
    }
    if (kvm < 0) {
        err(1, "/dev/kvm");
    }
    int vm = CONTROL(kvm, KVM_CREATE_VM, 0);

    memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        err(1, "mmap");
    }
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY,
                                                 .userspace_addr = (uint64_t)memory};

    CONTROL(vm, KVM_SET_USER_MEMORY_REGION, &region);
    CONTROL(vm, KVM_CREATE_IRQCHIP, 0);
    CONTROL(vm, KVM_CREATE_PIT2, &pit);
    int run_size = CONTROL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    for (unsigned i = 0; i < cpu_count; i++) {
        cpus[i].fd = CONTROL(vm, KVM_CREATE_VCPU, (unsigned long)i);
        cpus[i].run =
            mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpus[i].fd, 0);
        if (cpus[i].run == MAP_FAILED) {
            err(1, "mmap");
        }
        set_cpuid(kvm, i);
    }
    set_entry(cpus[0].fd, load(arguments[1]));
    if (count == 6) {
        give_command_line(arguments[3]);
        device_open(vm, arguments[4], arguments[5]);
    }
    level_tsc();
    for (unsigned i = 1; i < cpu_count; i++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, run_cpu, &cpus[i])) {
            errx(1, "pthread_create");
        }
    }
    run_cpu(&cpus[0]);
    return 1;
}
