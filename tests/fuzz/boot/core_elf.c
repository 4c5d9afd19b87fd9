/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever file the check accepts can be loaded without a byte read or written out of bounds. */
#include "boot/core_elf.h"
#include "boot/handoff.h"
#include "vmm/base/types.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Larger cores are checked and not loaded: clearing them would take all the time. */
#define LOAD_MAX (256UL << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is laid over a good file by exclusive or, so that it need not find ELF by chance. */
static const struct {
    Elf64_Ehdr header;
    Elf64_Phdr code;
    Elf64_Phdr data;
    uint8_t bytes[64];
} good = {
    .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
               .e_type = ET_EXEC,
               .e_machine = EM_X86_64,
               .e_entry = HANDOFF_CORE_VA,
               .e_phoff = sizeof(Elf64_Ehdr),
               .e_phentsize = sizeof(Elf64_Phdr),
               .e_phnum = 2},
    .code = {.p_type = PT_LOAD,
               .p_flags = PF_R | PF_X,
               .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
               .p_vaddr = HANDOFF_CORE_VA,
               .p_filesz = 32,
               .p_memsz = 32                   },
    .data = {.p_type = PT_LOAD,
               .p_flags = PF_R | PF_W,
               .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 32,
               .p_vaddr = HANDOFF_CORE_VA + 0x1000,
               .p_filesz = 32,
               .p_memsz = 128                   },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct core_image image;

    /* A heap block of the exact size, so that the sanitizer sees each byte beyond it. */
    uint8_t *file = malloc(sizeof(good));
    if (file == NULL) {
        return 0;
    }
    memcpy(file, &good, sizeof(good));
    for (size_t i = 0; i < size && i < sizeof(good); i++) {
        file[i] ^= data[i];
    }
    if (core_elf_check(file, sizeof(good), &image) == STATUS_OK && image.size <= LOAD_MAX) {
        uint8_t *memory = malloc(image.size);
        if (memory != NULL) {
            core_elf_load(file, &image, memory);
        }
        free(memory);
    }
    free(file);
    return 0;
}
