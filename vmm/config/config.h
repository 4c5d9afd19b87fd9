/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * portolan.cfg: what the operator wants. docs/configuration.md is its manual.
 *
 * One parser and one validator, in the VMM, in the EFI loader and in './portolan check'. The text
 * comes from a disk and is not trusted: everything is bounded, copied and checked here, so that the
 * rest of the VMM can use struct config as it is.
 */
#ifndef PORTOLAN_VMM_CONFIG_CONFIG_H
#define PORTOLAN_VMM_CONFIG_CONFIG_H

#include "vmm/base/types.h"
#include "vmm/config/config_problems.h"

#define CONFIG_SIZE_MAX    65536U /* bytes of the whole file */
#define CONFIG_LINE_MAX    2048U  /* bytes of one line */
#define CONFIG_VMS_MAX     16U
#define CONFIG_PFS_MAX     16U
#define CONFIG_VM_CPUS_MAX 64U
#define CONFIG_VM_VFS_MAX  16U
#define CONFIG_MODULES_MAX 8U
#define CONFIG_FILES_MAX   (CONFIG_VMS_MAX * (3 + CONFIG_MODULES_MAX))
#define CONFIG_NAME_MAX    16U   /* of a VM, with the NUL */
#define CONFIG_PATH_MAX    128U  /* of a file, with the NUL */
#define CONFIG_TEXT_MAX    1024U /* of a command line, with the NUL */
#define CONFIG_KEYS_MAX    29U   /* in one kind of section */
#define CONFIG_SLOT_AUTO   0U
#define CONFIG_SLOT_VGA    2U  /* in a VM with a screen */
#define CONFIG_SLOT_PORTAL 31U /* in the service VM */
#define CONFIG_VGA_MEMORY  (16ULL << 20)

enum config_idle { CONFIG_IDLE_HALT, CONFIG_IDLE_RESET, CONFIG_IDLE_POWEROFF };
enum config_panic { CONFIG_PANIC_HALT, CONFIG_PANIC_RESET };
/* Which VFs firmware tries first. */
enum config_boot { CONFIG_BOOT_DISK, CONFIG_BOOT_NET };
enum config_transport { CONFIG_TRANSPORT_AUTO, CONFIG_TRANSPORT_MMR, CONFIG_TRANSPORT_ADMIN };

/* What a VM sees of the CPU: all, or a level that unlike machines have, or what a mask leaves. */
enum config_cpu_level { CONFIG_CPU_HOST, CONFIG_CPU_BASE, CONFIG_CPU_V2, CONFIG_CPU_MASK };

/* Words of features, by the names that a VM's text has: leaves 1, 7, 80000001h, ..7h, ..8h. */
enum config_cpu_word {
    CPU_C1C,
    CPU_C1D,
    CPU_C7B,
    CPU_C7C,
    CPU_C7D,
    CPU_X1C,
    CPU_X1D,
    CPU_X7D,
    CPU_X8B,
    CPU_WORDS
};

#define CONFIG_CPU_WORD_NAMES "c1c c1d c7b c7c c7d x1c x1d x7d x8b"

struct config_cpu {
    uint32_t level;           /* enum config_cpu_level */
    uint32_t mask[CPU_WORDS]; /* MASK: bits that stay */
};

/* Where a section and each of its keys stand, for messages; 0: not given. Indexed as in
 * config_keys.c. */
struct config_lines {
    uint32_t section;
    uint32_t key[CONFIG_KEYS_MAX];
};

struct config_path {
    char text[CONFIG_PATH_MAX]; /* relative to the configuration's folder, '/' between; "": not
                                   given */
};

struct config_serial {
    uint32_t port; /* 0: none */
    uint32_t baud;
};

struct config_vmm {
    struct config_lines lines;
    struct config_serial serial;
    uint32_t framebuffer; /* 0 or 1, as all yes/no values */
    uint32_t log;         /* enum log_level */
    uint32_t when_idle;   /* enum config_idle */
    uint32_t on_panic;    /* enum config_panic */
    uint32_t cpus_max;    /* 0: all */
    uint32_t unsafe_dma;
    uint32_t share_cores;    /* no warnings about threads of one core */
    uint32_t selftest_fault; /* enum selftest_fault of vmm/host/selftest.h */
};

struct config_cpus {
    uint32_t count;
    uint16_t
        cpu[CONFIG_VM_CPUS_MAX]; /* the VMM's indices, in the order given; vCPU n runs on cpu[n] */
};

/* VF INDEX (0-based, below the PF's num_vfs) of the function PF. */
struct config_vf {
    bdf_t pf;
    uint32_t index;
    uint32_t slot; /* the guest's PCI device number, 2..31, or CONFIG_SLOT_AUTO */
    uint32_t line;
};

struct config_vfs {
    uint32_t count;
    struct config_vf vf[CONFIG_VM_VFS_MAX];
};

struct config_module {
    struct config_path path;
    char arguments[CONFIG_PATH_MAX];
    uint32_t line;
};

struct config_modules {
    uint32_t count;
    struct config_module module[CONFIG_MODULES_MAX];
};

struct config_vm {
    struct config_lines lines;
    char name[CONFIG_NAME_MAX];
    struct config_cpus cpus;
    struct config_cpu cpu;
    uint64_t memory; /* bytes, a multiple of 2 MiB */
    struct config_path kernel;
    struct config_path initrd;
    struct config_path multiboot;
    struct config_path firmware;
    struct config_path nvram;
    struct config_path vga_rom;
    struct config_path net_rom;
    struct config_path kernel_rom;
    uint32_t vga;
    char cmdline[CONFIG_TEXT_MAX];
    struct config_modules modules;
    struct config_vfs vfs;
    struct config_vf standby; /* line 0: none; only beside one VF */
    uint32_t modern;
    uint32_t autostart;
    uint32_t incoming;   /* it comes from another host */
    uint32_t debug_exit; /* port, 0: none */
    uint32_t checkpoints;
    uint32_t tsc_khz;   /* 0: the host's */
    uint32_t debugcon;  /* port 402h writes to the console */
    uint32_t boot;      /* enum config_boot */
    uint32_t boot_menu; /* seconds; 0: none */
    uint32_t service;   /* it has the portal */
    uint32_t migrate;   /* the service VM may move it */
};

#define CONFIG_VFS_FIT 0U /* as many as there is room for */

struct config_pf {
    struct config_lines lines;
    bdf_t bdf;
    uint32_t num_vfs;   /* or CONFIG_VFS_FIT */
    uint32_t transport; /* enum config_transport */
    uint32_t mmr_bar;   /* these three override what the VFs' capability says, if mmr_length > 0 */
    uint64_t mmr_offset;
    uint64_t mmr_length;
    uint32_t mmr_type;      /* virtio device id, 0: as the VF says */
    uint32_t admin_timeout; /* of admin commands, in seconds; 0: what is usual for each */
};

struct config {
    const char *name; /* of the file, for messages */
    struct config_vmm vmm;
    uint32_t vm_count;
    uint32_t pf_count;
    struct config_vm vms[CONFIG_VMS_MAX];
    struct config_pf pfs[CONFIG_PFS_MAX];
};

/*
 * Read TEXT, SIZE bytes, into *CONFIG (overwritten) and check all that can be checked without the
 * machine. NAME is the file's, for messages; both stay the caller's, NAME must outlive CONFIG.
 * INVALID when *REPORT (overwritten) has an error: then CONFIG is not to be used to start a VM, but
 * its [vmm] part is sound. Pure.
 */
enum status config_parse(struct config *config, const char *name, const char *text, size_t size,
                         struct config_report *report);

/* The files that the configuration names, each once, in the order in which they first stand. */
uint32_t config_file_count(const struct config *config);
const char *config_file_name(const struct config *config, uint32_t index);

/* Say that file INDEX is missing (SIZE 0: that it is empty), and which key names it. */
void config_complain_file(const struct config *config, uint32_t index, const char *why,
                          struct config_report *report);

#endif
