/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/config/config_keys.h"

#include "vmm/config/config.h"

#define M(bytes) ((uint64_t)(bytes) << 20)
#define T(bytes) ((uint64_t)(bytes) << 40)

#define VMM(field) offsetof(struct config_vmm, field)
#define VM(field)  offsetof(struct config_vm, field)
#define PF(field)  offsetof(struct config_pf, field)

/* clang-format off */
static const struct config_key vmm_keys[] = {
    /* name             type         where                 min  max   step  words */
    {"serial",          TYPE_SERIAL, VMM(serial),          0,   0,    0, NULL},
    {"framebuffer",     TYPE_YES_NO, VMM(framebuffer),     0,   0,    0, NULL},
    {"log",             TYPE_WORD,   VMM(log),             0,   0,    0, "error warn info debug"},
    {"when_idle",       TYPE_WORD,   VMM(when_idle),       0,   0,    0, "halt reset poweroff"},
    {"on_panic",        TYPE_WORD,   VMM(on_panic),        0,   0,    0, "halt reset"},
    {"cpus_max",        TYPE_NUMBER, VMM(cpus_max),        1,   256,  0, NULL},
    {"unsafe_dma",      TYPE_YES_NO, VMM(unsafe_dma),      0,   0,    0, NULL},
    {"share_cores",     TYPE_YES_NO, VMM(share_cores),     0,   0,    0, NULL},
    {"selftest_fault",  TYPE_WORD,   VMM(selftest_fault),  0,   0,    0,
     "none null-read write-text exec-data stack-overflow stack-smash divide panic panic-in-panic"},
};

static const struct config_key vm_keys[] = {
    [VM_CPUS]        = {"cpus",        TYPE_CPUS,    VM(cpus),        0,    0,      0,    NULL},
    [VM_MEMORY]      = {"memory",      TYPE_SIZE,    VM(memory),      M(2), T(4),   M(2), NULL},
    [VM_KERNEL]      = {"kernel",      TYPE_PATH,    VM(kernel),      0,    0,      0,    NULL},
    [VM_INITRD]      = {"initrd",      TYPE_PATH,    VM(initrd),      0,    0,      0,    NULL},
    [VM_CMDLINE]     = {"cmdline",     TYPE_TEXT,    VM(cmdline),     0,    0,      0,    NULL},
    [VM_MULTIBOOT]   = {"multiboot",   TYPE_PATH,    VM(multiboot),   0,    0,      0,    NULL},
    [VM_MODULE]      = {"module",      TYPE_MODULES, VM(modules),     0,    0,      0,    NULL},
    [VM_FIRMWARE]    = {"firmware",    TYPE_PATH,    VM(firmware),    0,    0,      0,    NULL},
    [VM_VF]          = {"vf",          TYPE_VF,      VM(vfs),         0,    0,      0,    NULL},
    [VM_STANDBY]     = {"standby",     TYPE_STANDBY, VM(standby),     0,    0,      0,    NULL},
    [VM_MODERN]      = {"modern",      TYPE_YES_NO,  VM(modern),      0,    0,      0,    NULL},
    [VM_AUTOSTART]   = {"autostart",   TYPE_YES_NO,  VM(autostart),   0,    0,      0,    NULL},
    [VM_DEBUG_EXIT]  = {"debug_exit",  TYPE_NUMBER,  VM(debug_exit),  1,    0xffff, 0,    NULL},
    [VM_CHECKPOINTS] = {"checkpoints", TYPE_NUMBER,  VM(checkpoints), 1,    9999,   0,    NULL},
    [VM_TSC_KHZ]     = {"tsc_khz",     TYPE_NUMBER,  VM(tsc_khz),     100000, 10000000, 0, NULL},
    [VM_DEBUGCON]    = {"debugcon",    TYPE_YES_NO,  VM(debugcon),    0,    0,      0,    NULL},
    [VM_BOOT]        = {"boot",        TYPE_WORD,    VM(boot),        0,    0,      0,    "disk,net net,disk"},
    [VM_BOOT_MENU]   = {"boot_menu",   TYPE_NUMBER,  VM(boot_menu),   1,    60,     0,    NULL},
    [VM_VGA]         = {"vga",         TYPE_YES_NO,  VM(vga),         0,    0,      0,    NULL},
    [VM_VGA_ROM]     = {"vga_rom",     TYPE_PATH,    VM(vga_rom),     0,    0,      0,    NULL},
    [VM_NET_ROM]     = {"net_rom",     TYPE_PATH,    VM(net_rom),     0,    0,      0,    NULL},
    [VM_KERNEL_ROM]  = {"kernel_rom",  TYPE_PATH,    VM(kernel_rom),  0,    0,      0,    NULL},
    [VM_SERVICE]     = {"service",     TYPE_YES_NO,  VM(service),     0,    0,      0,    NULL},
    [VM_MIGRATE]     = {"migrate",     TYPE_YES_NO,  VM(migrate),     0,    0,      0,    NULL},
    [VM_INCOMING]    = {"incoming",    TYPE_YES_NO,  VM(incoming),    0,    0,      0,    NULL},
    [VM_CPU]         = {"cpu",         TYPE_CPU,     VM(cpu),         0,    0,      0,    "host base v2"},
    [VM_NVRAM]       = {"nvram",       TYPE_PATH,    VM(nvram),       0,    0,      0,    NULL},
};

static const struct config_key pf_keys[] = {
    [PF_NUM_VFS]       = {"num_vfs",       TYPE_NUMBER, PF(num_vfs),       1,  65535, 0, "fit"},
    [PF_TRANSPORT]     = {"transport",     TYPE_WORD,   PF(transport),     0,  0,     0, "auto mmr admin"},
    [PF_MMR_BAR]       = {"mmr_bar",       TYPE_NUMBER, PF(mmr_bar),       0,  5,     0, NULL},
    [PF_MMR_OFFSET]    = {"mmr_offset",    TYPE_SIZE,   PF(mmr_offset),    0,  M(64), 4, NULL},
    [PF_MMR_LENGTH]    = {"mmr_length",    TYPE_SIZE,   PF(mmr_length),    24, M(1),  4, NULL},
    [PF_MMR_TYPE]      = {"mmr_type",      TYPE_NUMBER, PF(mmr_type),      1,  9,     0, NULL},
    [PF_ADMIN_TIMEOUT] = {"admin_timeout", TYPE_NUMBER, PF(admin_timeout), 1,  600,   0, NULL},
};
/* clang-format on */

const struct config_section_keys config_sections[SECTION_COUNT] = {
    [SECTION_VMM] = {"vmm", vmm_keys, ARRAY_SIZE(vmm_keys)},
    [SECTION_VM] = {"vm",  vm_keys,  ARRAY_SIZE(vm_keys) },
    [SECTION_PF] = {"pf",  pf_keys,  ARRAY_SIZE(pf_keys) },
};

_Static_assert(ARRAY_SIZE(vmm_keys) <= CONFIG_KEYS_MAX, "room for the lines");
_Static_assert(ARRAY_SIZE(vm_keys) <= CONFIG_KEYS_MAX, "room for the lines");
_Static_assert(ARRAY_SIZE(pf_keys) <= CONFIG_KEYS_MAX, "room for the lines");
