/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux's setup header (boot.rst): at the same offsets in the file and in struct boot_params. */
#ifndef PORTOLAN_VMM_LOAD_LINUX_HEADER_H
#define PORTOLAN_VMM_LOAD_LINUX_HEADER_H

enum {
    HEADER_START = 0x1f1,
    HEADER_SETUP_SECTS = 0x1f1,
    HEADER_SYSSIZE = 0x1f4, /* of the protected-mode part, in 16 bytes */
    HEADER_VID_MODE = 0x1fa,
    HEADER_BOOT_FLAG = 0x1fe,
    HEADER_JUMP_LENGTH = 0x201,
    HEADER_JUMP_END = 0x202,
    HEADER_MAGIC = 0x202,
    HEADER_VERSION = 0x206,
    HEADER_NAME = 0x20e, /* offset from 200h; 0: none */
    HEADER_LOADER_TYPE = 0x210,
    HEADER_LOADFLAGS = 0x211,
    HEADER_CODE32_START = 0x214,
    HEADER_INITRD = 0x218,
    HEADER_INITRD_SIZE = 0x21c,
    HEADER_HEAP_END = 0x224,
    HEADER_LOADER_VERSION = 0x226,
    HEADER_CMDLINE = 0x228,
    HEADER_INITRD_MAX = 0x22c,
    HEADER_ALIGNMENT = 0x230,
    HEADER_RELOCATABLE = 0x234,
    HEADER_XLOADFLAGS = 0x236,
    HEADER_CMDLINE_SIZE = 0x238,
    HEADER_END_206 = 0x23c,
    HEADER_SETUP_DATA = 0x250,
    HEADER_PREF_ADDRESS = 0x258,
    HEADER_INIT_SIZE = 0x260,
    HEADER_END_210 = 0x264,
    HEADER_END_MAX = 0x290 /* of its room in boot_params */
};

#define SECTOR          512U
#define SETUP_SECTS_OLD 4U /* what setup_sects 0 means */
#define BOOT_FLAG       0xaa55U
#define MAGIC_HDRS      0x53726448U
#define LOADED_HIGH     (1U << 0)
#define CAN_USE_HEAP    (1U << 7)

#endif
