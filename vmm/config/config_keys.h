/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of the configuration, as a table: what docs/configuration.md describes, parse.c reads
 * by. */
#ifndef PORTOLAN_VMM_CONFIG_CONFIG_KEYS_H
#define PORTOLAN_VMM_CONFIG_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>

enum config_section { SECTION_VMM, SECTION_VM, SECTION_PF, SECTION_COUNT };

enum config_type {
    TYPE_YES_NO,  /* uint32_t */
    TYPE_NUMBER,  /* uint32_t, min..max; 0 for the word in words, if there is one */
    TYPE_SIZE,    /* uint64_t, min..max, a multiple of step */
    TYPE_WORD,    /* uint32_t: the index in words */
    TYPE_PATH,    /* struct config_path */
    TYPE_TEXT,    /* char[CONFIG_TEXT_MAX] */
    TYPE_SERIAL,  /* struct config_serial */
    TYPE_CPUS,    /* struct config_cpus */
    TYPE_VF,      /* struct config_vfs, one more; may repeat */
    TYPE_STANDBY, /* struct config_vf */
    TYPE_CPU,     /* struct config_cpu */
    TYPE_MODULES, /* struct config_modules, one more; may repeat */
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset; /* in the section's structure */
    uint64_t min, max, step;
    const char *words;
};

/* Indices of keys that the checks ask for by name; the order in config_keys.c. */
enum config_vm_key {
    VM_CPUS,
    VM_MEMORY,
    VM_KERNEL,
    VM_INITRD,
    VM_CMDLINE,
    VM_MULTIBOOT,
    VM_MODULE,
    VM_FIRMWARE,
    VM_VF,
    VM_STANDBY,
    VM_MODERN,
    VM_AUTOSTART,
    VM_DEBUG_EXIT,
    VM_CHECKPOINTS,
    VM_TSC_KHZ,
    VM_DEBUGCON,
    VM_BOOT,
    VM_BOOT_MENU,
    VM_VGA,
    VM_VGA_ROM,
    VM_NET_ROM,
    VM_KERNEL_ROM,
    VM_SERVICE,
    VM_MIGRATE,
    VM_INCOMING,
    VM_CPU,
    VM_NVRAM,
};
enum config_pf_key {
    PF_NUM_VFS,
    PF_TRANSPORT,
    PF_MMR_BAR,
    PF_MMR_OFFSET,
    PF_MMR_LENGTH,
    PF_MMR_TYPE,
    PF_ADMIN_TIMEOUT
};

/* The keys of each section. */
extern const struct config_section_keys {
    const char *name;
    const struct config_key *keys;
    uint32_t count;
} config_sections[SECTION_COUNT];

#endif
