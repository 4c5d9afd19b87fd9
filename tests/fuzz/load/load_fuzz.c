/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever the files hold, a plan that is accepted writes only to RAM, to each byte once, and reads
 * only the files; and it is never the VMM's own check that has to notice. The invariants are
 * computed anew here, not with the loader's functions.
 */
#include "tests/unit/fakes/log.h"
#include "vmm/load/load.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define MIB          (1ULL << 20)
#define BZIMAGE_SIZE 0x1000U
#define MULTIBOOT_AT 0x100U
#define IMAGE_SIZE   0x400U
#define SPOILED      0x290U /* bytes from the start of the image that the input changes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bytes of an input; what follows is laid over a good image by exclusive or. */
struct choice {
    uint8_t format;
    uint8_t below; /* 2 MiB more each */
    uint8_t above;
    uint8_t modules;
    uint16_t file_size; /* the image is this much shorter */
    uint16_t module_size;
    uint32_t initrd_size;
};

enum { FORMAT_BZIMAGE, FORMAT_ELF32, FORMAT_ELF64, FORMAT_FLAT, FORMATS };

static uint8_t image_good[FORMATS][BZIMAGE_SIZE];
static uint8_t blob[4 << 20];
static struct load_plan plan;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void put(uint8_t *image, size_t offset, uint64_t value, size_t width)
{
    memcpy(image + offset, &value, width);
}

static void bzimage_make(uint8_t *image)
{
    put(image, 0x1f1, 3, 1);
    put(image, 0x1f4, (BZIMAGE_SIZE - 4 * 512) / 16, 4);
    put(image, 0x1fe, 0xaa55, 2);
    put(image, 0x200, 0x6aeb, 2);
    put(image, 0x202, 0x53726448, 4);
    put(image, 0x206, 0x20f, 2);
    put(image, 0x211, 1, 1);
    put(image, 0x214, MIB, 4);
    put(image, 0x22c, 0x7fffffff, 4);
    put(image, 0x230, 0x100000, 4);
    put(image, 0x234, 1, 1);
    put(image, 0x236, 1, 2);
    put(image, 0x238, 2047, 4);
    put(image, 0x258, MIB, 8);
    put(image, 0x260, 0x8000, 4);
}

/* The Multiboot header at MULTIBOOT_AT, for all three. */
static void header_make(uint8_t *image, uint32_t flags)
{
    const uint32_t header[] = {0x1badb002,         flags,      0U - 0x1badb002U - flags,
                               MIB + MULTIBOOT_AT, MIB,        MIB + 0x200,
                               MIB + 0x3000,       MIB + 0x120};

    memcpy(image + MULTIBOOT_AT, header, sizeof(header));
}

static void elf32_make(uint8_t *image)
{
    const Elf32_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB},
        .e_type = ET_EXEC,
        .e_machine = EM_386,
        .e_entry = MIB + 0x120,
        .e_phoff = sizeof(header),
        .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = 3
    };

    memcpy(image, &header, sizeof(header));
    for (unsigned i = 0; i < 3; i++) {
        const Elf32_Phdr program = {.p_type = PT_LOAD,
                                    .p_vaddr = MIB + 0x2000 * i,
                                    .p_paddr = MIB + 0x2000 * i,
                                    .p_filesz = 0x200,
                                    .p_memsz = 0x1800};
        memcpy(image + sizeof(header) + sizeof(program) * i, &program, sizeof(program));
    }
    header_make(image, 3);
}

static void elf64_make(uint8_t *image)
{
    const Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_entry = MIB + 0x120,
        .e_phoff = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2
    };

    memcpy(image, &header, sizeof(header));
    for (unsigned i = 0; i < 2; i++) {
        const Elf64_Phdr program = {.p_type = PT_LOAD,
                                    .p_vaddr = MIB + 0x2000 * i,
                                    .p_paddr = MIB + 0x2000 * i,
                                    .p_filesz = 0x200,
                                    .p_memsz = 0x1800};
        memcpy(image + sizeof(header) + sizeof(program) * i, &program, sizeof(program));
    }
    header_make(image, 3);
}

static void images_make(void)
{
    bzimage_make(image_good[FORMAT_BZIMAGE]);
    elf32_make(image_good[FORMAT_ELF32]);
    elf64_make(image_good[FORMAT_ELF64]);
    header_make(image_good[FORMAT_FLAT], 0x10003);
}

static bool in_ram(const struct load_input *input, uint64_t first, uint64_t last)
{
    return last >= first && (last < 0x9fc00 || (first >= MIB && last < input->memory_below_4g));
}

static bool inside(const struct load_piece *piece, const uint8_t *start, uint64_t size)
{
    return piece->from >= start && piece->from + piece->size <= start + size;
}

static bool from_input(const struct load_input *input, const struct load_piece *piece)
{
    bool found = inside(piece, plan.low, sizeof(plan.low)) ||
                 inside(piece, input->image.data, input->image.size) ||
                 inside(piece, input->initrd.data, input->initrd.size);

    for (unsigned i = 0; i < input->module_count; i++) {
        found = found || inside(piece, input->modules[i].data, input->modules[i].size);
    }
    return found;
}

static void check_plan(const struct load_input *input)
{
    bool entry_found = false;

    require(plan.piece_count >= 3 && plan.piece_count <= LOAD_PIECES_MAX);
    for (unsigned i = 0; i < plan.piece_count; i++) {
        const struct load_piece *piece = &plan.piece[i];
        uint64_t first = piece->to.raw;
        uint64_t last = first + (piece->size + piece->zero - 1);
        require(piece->size + piece->zero >= piece->size && piece->size + piece->zero > 0);
        require(in_ram(input, first, last));
        require(piece->size == 0 || from_input(input, piece));
        entry_found =
            entry_found || (plan.entry.rip >= first && plan.entry.rip - first < piece->size);
        for (unsigned j = 0; j < i; j++) {
            const struct load_piece *other = &plan.piece[j];
            require(last < other->to.raw ||
                    first > other->to.raw + (other->size + other->zero - 1));
        }
    }
    require(entry_found);
}

static struct choice choice_read(const uint8_t **data, size_t *size)
{
    struct choice choice = {0};
    size_t length = *size < sizeof(choice) ? *size : sizeof(choice);

    memcpy(&choice, *data, length);
    *data += length;
    *size -= length;
    return choice;
}

/* Not anywhere in a line: a refusal quotes what an image calls itself, which the fuzzer writes. */
static bool line_begins_with(const char *wanted)
{
    const char *line = fake_log_text();

    while (line != NULL && strncmp(line, wanted, strlen(wanted)) != 0) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return line != NULL;
}

static void run(const struct choice *choice, const uint8_t *image, uint32_t size)
{
    struct load_file modules[LOAD_MODULES_MAX];
    const bool bzimage = choice->format % FORMATS == FORMAT_BZIMAGE;

    for (unsigned i = 0; i < LOAD_MODULES_MAX; i++) {
        modules[i] = (struct load_file){blob + i, choice->module_size * (1U + i), "module", "text"};
    }
    const struct load_input input = {
        .kind = bzimage ? LOAD_LINUX : LOAD_MULTIBOOT,
        .image = {image, size,                                             "image",  NULL},
        .initrd = {blob,  bzimage ? choice->initrd_size % sizeof(blob) : 0, "initrd", NULL},
        .cmdline = "command line",
        .modules = modules,
        .module_count = bzimage ? 0 : choice->modules % (LOAD_MODULES_MAX + 1),
        .memory_below_4g = 2 * MIB * (1U + choice->below),
        .memory_above_4g = 2 * MIB * choice->above,
    };
    fake_log_clear();
    if (load_plan_build(&input, &plan) == STATUS_OK) {
        check_plan(&input);
    } else {
        require(!line_begins_with("load: piece"));
        require(!line_begins_with("load: RIP"));
    }
    /* No refusal without a word, except for the debug line that says where it was born. */
    require(line_begins_with("load: "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;

    if (!made) {
        images_make();
        made = true;
    }
    struct choice choice = choice_read(&data, &size);
    uint32_t full = choice.format % FORMATS == FORMAT_BZIMAGE ? BZIMAGE_SIZE : IMAGE_SIZE;
    uint32_t length = full - choice.file_size % full;
    /* A heap block of the exact size, so that the sanitizer sees each byte beyond it. */
    uint8_t *image = malloc(length);
    if (image == NULL) {
        return 0;
    }
    memcpy(image, image_good[choice.format % FORMATS], length);
    /* Only the header's part of a bzImage: the rest of it is code. */
    size_t start = choice.format % FORMATS == FORMAT_BZIMAGE ? 0x1f0 : 0;
    for (size_t i = 0; i < size && start + i < length && i < SPOILED; i++) {
        image[start + i] ^= data[i];
    }
    run(&choice, image, length);
    free(image);
    return 0;
}
