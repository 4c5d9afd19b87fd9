/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a VM's first program is laid out in guest memory: a Linux bzImage by its boot protocol, or a
 * Multiboot 1 image (docs/loading.md).
 *
 * Pure logic: it reads the files' images, which are not trusted, and makes a plan of what is to be
 * copied where and in which state vCPU 0 begins. It sees no guest memory; the VM carries the plan
 * out. Nothing here is shared, so any CPU may call it without a lock.
 */
#ifndef PORTOLAN_VMM_LOAD_LOAD_H
#define PORTOLAN_VMM_LOAD_LOAD_H

#include "vmm/base/guest_map.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define LOAD_PIECES_MAX  64U
#define LOAD_MODULES_MAX 8U

/* The longest command line and the longest text of a module, in bytes with the NUL. */
#define LOAD_CMDLINE_MAX     4096U
#define LOAD_MODULE_TEXT_MAX 1024U

/* Bounds of a VM's RAM, in bytes; above the second the guest's PCI devices have their BARs. */
#define LOAD_MEMORY_MIN     (2ULL << 20)
#define LOAD_BELOW_4G_MAX   ((uint64_t)PCI_HOLE_BASE)
#define LOAD_MEMORY_END_MAX (1ULL << 48)

/* Room for the generated data: Linux needs most, 6 page tables, boot_params and command line. */
#define LOAD_LOW_SIZE 0x9000U

enum load_kind { LOAD_LINUX, LOAD_MULTIBOOT };

struct load_file {
    const uint8_t *data;
    uint64_t size;
    const char *name;      /* for messages */
    const char *arguments; /* a module's text; NULL: none */
};

struct load_input {
    enum load_kind kind;
    struct load_file image;
    struct load_file initrd;         /* size 0: none; LOAD_LINUX only */
    const char *cmdline;             /* NULL: empty */
    const struct load_file *modules; /* LOAD_MULTIBOOT only */
    unsigned module_count;
    uint64_t memory_below_4g; /* bytes of RAM from 0, a multiple of 4 KiB; 2 MiB to E0000000h */
    uint64_t memory_above_4g; /* bytes of RAM from 4 GiB, a multiple of 4 KiB */
    gpa_t acpi_rsdp;          /* for Linux; 0: none */
};

/* Copy SIZE bytes, then write ZERO zero bytes behind them. */
struct load_piece {
    gpa_t to;
    const uint8_t *from; /* in one of the input's files or in the plan's 'low' */
    uint64_t size;
    uint64_t zero;
    const char *file; /* for messages: the file's name, */
    const char *what; /* and what of it this is */
};

enum load_mode {
    LOAD_ENTRY_PROTECTED32, /* CR0.PE set, no paging, flat segments, A20 on */
    LOAD_ENTRY_LONG64       /* long mode with the page tables at cr3 */
};

/*
 * The state of vCPU 0. General registers that are not named here are 0, RFLAGS is 2 (interrupts
 * off). CS is code and DS, ES and SS are data, as the GDT that is loaded says: flat, present, ring
 * 0, accessed. rsp is 0 where the program must bring its own stack.
 */
struct load_entry {
    enum load_mode mode;
    uint64_t rip;
    uint64_t rsp;
    uint64_t rax;
    uint64_t rbx;
    uint64_t rsi;
    gpa_t cr3; /* LOAD_ENTRY_LONG64 only: maps the first 4 GiB one to one */
    gpa_t gdt;
    uint16_t gdt_limit;
    uint16_t cs;
    uint16_t ds;
};

/* A plan points into itself (from 'piece' to 'low'): it must not be copied or moved. */
struct load_plan {
    unsigned piece_count;
    struct load_piece piece[LOAD_PIECES_MAX];
    struct load_entry entry;
    uint32_t low_used; /* bytes of 'low' that are given out */
    _Alignas(8) uint8_t low[LOAD_LOW_SIZE];
};

/*
 * Plan how INPUT gets into memory. *PLAN is overwritten; the files and names of INPUT stay the
 * caller's and must outlive PLAN. The pieces of a good plan lie in RAM, below 4 GiB, and do not
 * overlap; every other failure is logged with the file's name and what to do about it.
 *   STATUS_INVALID      the file breaks the rules of its format
 *   STATUS_UNSUPPORTED  a format, or a wish of the image, that is not carried out
 *   STATUS_RANGE        it does not fit: the RAM, the file, or a text's limit
 *   STATUS_CONFLICT     parts of the image overlap each other or what the loader needs
 *   STATUS_NO_MEMORY    more pieces than LOAD_PIECES_MAX
 */
enum status load_plan_build(const struct load_input *input, struct load_plan *plan);

/* What the option ROM of QEMU's -kernel brings to memory, once a BIOS has started. */
enum load_part { LOAD_SETUP, LOAD_KERNEL, LOAD_INITRD, LOAD_CMDLINE, LOAD_PARTS };

/* The most that a kernel's setup can be: 64 sectors behind its first. */
#define LOAD_SETUP_MAX (65U * 512U)

/*
 * Plan the same for a kernel with a 16-bit entry: Linux of any boot protocol, iPXE's .lkrn,
 * memdisk. PART and the setup's copy at SETUP are overwritten; a part of size 0 is none. Ownership,
 * messages and failures as above. INPUT's cmdline must be given.
 */
enum status load_real_mode(const struct load_input *input, uint8_t setup[LOAD_SETUP_MAX],
                           struct load_piece part[LOAD_PARTS]);

/*
 * Can FILE be the ROM at a VM's reset vector? INVALID: not by its end; RANGE: not by its size: a
 * multiple of 4 KiB, 64 KiB to LOAD_FIRMWARE_MAX. Logged likewise.
 */
#define LOAD_FIRMWARE_MAX (8ULL << 20) /* and of the variables below it, both together */
enum status load_firmware_check(const struct load_file *file);

/*
 * Can FILE be the flash below FIRMWARE, which was checked? INVALID: it is empty; RANGE: not by its
 * size. Logged likewise; that the two do not seem to belong together is only logged.
 */
#define LOAD_NVRAM_BLOCK 4096U
enum status load_nvram_check(const struct load_file *file, const struct load_file *firmware);

#endif
