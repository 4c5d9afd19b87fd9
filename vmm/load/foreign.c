/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that people try and that cannot be loaded: what they are, and what would take them. */
#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/load/linux_header.h"
#include "vmm/load/plan.h"

#include <string.h>

#define NAME_MAX 33U

#define VERSION_LINUX 0x206U /* from here on other programs are loaded as well as Linux */

/* Multiboot 2, 3.1: the header is aligned to 8 bytes, in the first 32 KiB. */
#define MULTIBOOT2_MAGIC  0xe85250d6U
#define MULTIBOOT2_SEARCH 0x8000U

#define NEEDS_BIOS "put it behind a block VF, and give 'firmware' (docs/legacy-guests.md)"

/* The first row that fits is what the file is: the closer description comes first. */
static const struct foreign {
    uint32_t offset;
    uint32_t length;
    const char *bytes;
    uint32_t kinds; /* bits: as what it is refused */
    const char *what;
    const char *remedy;
} foreigners[] = {
    {0,      3, "\x1f\x8b\x08",     3, "compressed with gzip",
     "unpack it (gunzip); './portolan image' does, and so does GRUB without --nounzip"                           },
    {0,      6, "\xfd\x37zXZ",      3, "compressed with xz",                             "unpack it (unxz)"      },
    {0,      4, "\x28\xb5\x2f\xfd", 3, "compressed with zstd",                           "unpack it (unzstd)"    },
    {0x202,  4, "HdrS",             1, "a Linux kernel whose first sectors are damaged", "copy it again"         },
    {0x202,  4, "HdrS",             2, "a Linux bzImage",                                "give it as 'kernel'"   },
    {0,      4, "\x7f\x45LF",       1, "an ELF file",
     "give 'kernel' a vmlinuz or bzImage, not a vmlinux; for a Multiboot image use 'multiboot'"                  },
    {0,      2, "MZ",               3, "an EFI or DOS program",                          "give the kernel itself"},
    {0x8001, 5, "CD001",            3, "a CD image",                                     NEEDS_BIOS              },
    {510,    2, "\x55\xaa",         3, "a boot sector or disk image",                    NEEDS_BIOS              },
};

static bool fits(const struct load_file *image, const struct foreign *row)
{
    return range_fits(row->offset, row->length, image->size) &&
           memcmp(image->data + row->offset, row->bytes, row->length) == 0;
}

static bool is_multiboot2(const struct load_file *image)
{
    uint64_t end = image->size < MULTIBOOT2_SEARCH ? image->size : MULTIBOOT2_SEARCH;

    for (uint64_t at = 0; range_fits(at, 4, end); at += 8) {
        if (bytes_get32(image->data + at) == MULTIBOOT2_MAGIC) {
            return true;
        }
    }
    return false;
}

bool foreign_explain(const struct load_file *image, enum load_kind kind)
{
    for (unsigned i = 0; i < ARRAY_SIZE(foreigners); i++) {
        const struct foreign *row = &foreigners[i];
        if ((row->kinds >> kind & 1U) != 0 && fits(image, row)) {
            log_warn("load: %s: %s, which cannot be loaded: %s", image->name, row->what,
                     row->remedy);
            return true;
        }
    }
    if (is_multiboot2(image)) {
        log_warn("load: %s: a Multiboot 2 image, of which only version 1 can be loaded: build it "
                 "with a Multiboot 1 header too",
                 image->name);
        return true;
    }
    return false;
}

/* What the program calls itself, as far as it can be printed; "" if it does not say. */
static void name_read(const struct load_file *image, char name[NAME_MAX])
{
    uint64_t offset = bytes_get16(image->data + HEADER_NAME);
    uint64_t at = 0x200 + offset;
    unsigned length = 0;

    while (offset != 0 && length + 1 < NAME_MAX && at + length < image->size &&
           image->data[at + length] >= ' ' && image->data[at + length] <= '~') {
        name[length] = (char)image->data[at + length];
        length++;
    }
    name[length] = '\0';
}

bool foreign_explain_bios(const struct load_file *image)
{
    char name[NAME_MAX];

    name_read(image, name);
    /* Linux has a 32-bit entry, and its name is its version. */
    bool old = bytes_get16(image->data + HEADER_VERSION) < VERSION_LINUX;
    if (bytes_get32(image->data + HEADER_CODE32_START) != 0 &&
        (!old || (name[0] >= '0' && name[0] <= '9'))) {
        return false;
    }
    log_warn("load: %s: no Linux, but a 16-bit program in its format ('%s'), as memdisk and "
             "iPXE's .lkrn are; it needs a BIOS: give 'firmware' and 'kernel_rom' as well",
             image->name, name);
    return true;
}
