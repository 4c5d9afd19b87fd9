/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's memory as portolan-vfiod has it: maps of three files come and go at two ends of the
 * address space, are looked up and written, are logged, and the files are cut off below them. A
 * model says what must come of it; each page of a file has its number in it.
 */
#define _GNU_SOURCE /* memfd_create() */
#include "tools/vfiod/backing.h"
#include "tools/vfiod/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define FILES 3U
#define PAGES 24U /* at each end */
#define MAPS  48U
#define LOW   0x100000ULL
#define HIGH  (0 - PAGES * PAGE_SIZE)

#define must(truth)                                                           \
    do {                                                                      \
        if (!(truth)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth); \
            abort();                                                          \
        }                                                                     \
    } while (0)

struct model {
    uint64_t address, pages;
    uint32_t file, first; /* FILES: it has none */
    bool readable, writable;
    bool dirty[PAGES];
};

static const uint32_t file_pages[FILES] = {5, 12, 24};
static int file[FILES] = {-1, -1, -1};
static struct model map[MAPS];
static uint32_t maps;
static bool logging, cut;

struct input {
    const uint8_t *data;
    size_t left;
};

static uint32_t take(struct input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

static void make_files(void)
{
    for (uint32_t i = 0; i < FILES; i++) {
        if (file[i] < 0) {
            file[i] = memfd_create("guest", 0);
        }
        must(file[i] >= 0 && ftruncate(file[i], 0) == 0 &&
             ftruncate(file[i], (off_t)(file_pages[i] * PAGE_SIZE)) == 0);
        for (uint32_t page = 0; page < file_pages[i]; page++) {
            uint32_t tag = i << 16 | (page + 1);

            must(pwrite(file[i], &tag, sizeof(tag), (off_t)(page * PAGE_SIZE)) == sizeof(tag));
        }
    }
}

static uint64_t take_address(struct input *in)
{
    uint32_t page = take(in);

    return (page & 0x80 ? HIGH : LOW) + page % PAGES * PAGE_SIZE;
}

/* Pages from ADDRESS on, at most as many as there are before the address space, or its part, ends.
 */
static uint64_t take_pages(struct input *in, uint64_t address)
{
    uint64_t most = address >= HIGH ? (0 - address) / PAGE_SIZE : PAGES;

    return 1 + take(in) % most;
}

static struct model *model_at(uint64_t address, uint64_t pages)
{
    for (uint32_t i = 0; i < maps; i++) {
        if (map[i].address <= address + (pages * PAGE_SIZE - 1) &&
            address <= map[i].address + (map[i].pages * PAGE_SIZE - 1)) {
            return &map[i];
        }
    }
    return NULL;
}

static void do_map(struct input *in)
{
    uint64_t address = take_address(in);
    struct model m = {.address = address, .pages = take_pages(in, address)};
    uint32_t how = take(in);

    m.file = how % (FILES + 1);
    m.first = take(in) % 26;
    m.readable = (how & 0x10) != 0;
    m.writable = (how & 0x20) != 0;
    const struct vfio_user_map wanted = {.address = m.address,
                                         .size = m.pages * PAGE_SIZE,
                                         .offset = m.first * PAGE_SIZE,
                                         .readable = m.readable,
                                         .writable = m.writable,
                                         .handle = m.file < FILES ? dup(file[m.file]) : NO_HANDLE};
    enum status expected = STATUS_OK;

    if (model_at(m.address, m.pages) != NULL) {
        expected = STATUS_CONFLICT;
    } else if (m.file < FILES && m.first + m.pages > file_pages[m.file]) {
        expected = STATUS_INVALID;
    } else if (maps == MAPS || (!m.readable && !m.writable)) { /* the protocol sees to these */
        if (wanted.handle >= 0) {
            (void)close(wanted.handle);
        }
        return;
    }
    must(memory_map(&wanted) == expected);
    must(wanted.handle < 0 || fcntl(wanted.handle, F_GETFD) < 0); /* it was taken */
    if (expected == STATUS_OK) {
        map[maps++] = m;
    }
}

/* Pages from FIRST on of MAP are a map of their own. */
static struct model part_of(const struct model *whole, uint64_t first, uint64_t pages)
{
    struct model part = *whole;

    part.address += first * PAGE_SIZE;
    part.first += (uint32_t)first;
    part.pages = pages;
    memset(part.dirty, 0, sizeof(part.dirty));
    memcpy(part.dirty, whole->dirty + first, pages * sizeof(bool));
    return part;
}

static void do_unmap(struct input *in)
{
    uint64_t address = take_address(in), pages = take_pages(in, address);
    uint32_t most = take(in) % 3, left = most, rest = 3;
    struct model m;

    if ((pages & 1) != 0 && maps != 0) { /* one that is there */
        m = map[take(in) % maps];
        address = m.address;
        pages = m.pages;
    }
    struct model *at = model_at(address, pages);
    uint64_t before = 0, behind = 0;

    if (at != NULL && at->address <= address &&
        address - at->address + pages * PAGE_SIZE <= at->pages * PAGE_SIZE) {
        before = (address - at->address) / PAGE_SIZE;
        behind = at->pages - before - pages;
        rest = (before != 0) + (behind != 0);
    }
    if (rest == 2 && maps == MAPS) {
        return; /* the protocol counts them */
    }
    enum status expected = rest <= most             ? STATUS_OK
                           : rest == 3 || most == 0 ? STATUS_NOT_FOUND
                                                    : STATUS_NO_ROOM;

    must(memory_unmap(address, pages * PAGE_SIZE, &left) == expected);
    must(left == (expected == STATUS_OK ? rest : most));
    if (expected != STATUS_OK) {
        return;
    }
    m = *at;
    *at = map[--maps];
    if (before != 0) {
        map[maps++] = part_of(&m, 0, before);
    }
    if (behind != 0) {
        map[maps++] = part_of(&m, before + pages, behind);
    }
}

static void do_access(struct input *in)
{
    uint64_t iova = take_address(in) + (take(in) << 4) % PAGE_SIZE;
    uint64_t length = take(in) * 67ULL, rest = 0;
    bool write = (take(in) & 1) != 0;
    struct model *m = NULL;
    uint8_t *at;

    for (uint32_t i = 0; i < maps; i++) {
        if (iova - map[i].address < map[i].pages * PAGE_SIZE) {
            m = &map[i];
            rest = m->pages * PAGE_SIZE - (iova - m->address);
        }
    }
    bool can = m != NULL && m->file < FILES && (write ? m->writable : m->readable);

    must(memory_run(iova, length, write) == (!can ? 0 : length < rest ? length : rest));
    at = memory_at(iova, length, write);
    must((at != NULL) == (can && length != 0 && length <= rest));
    if (at == NULL) {
        return;
    }
    uint64_t first = (iova - m->address) / PAGE_SIZE;
    uint64_t last = (iova - m->address + length - 1) / PAGE_SIZE;
    uint32_t tag;

    memcpy(&tag, at - iova % PAGE_SIZE, sizeof(tag));
    must(cut || tag == (m->file << 16 | (m->first + first + 1)));
    if (write) {
        at[length - 1] = (iova + length - 1) % PAGE_SIZE >= sizeof(tag) ? 1 : at[length - 1];
        for (uint64_t page = first; page <= last; page++) {
            m->dirty[page] |= logging;
        }
    }
}

static void do_log(struct input *in)
{
    struct vfio_user_area range = {take_address(in), 0};
    uint64_t page_size = PAGE_SIZE << take(in) % 3, pages = take_pages(in, range.offset);
    uint8_t bitmap[16] = {0}, expected[16] = {0};

    switch (take(in) % 4) {
    case 0:
        must(memory_log_start(&page_size, NULL, 0) == (logging ? STATUS_STATE : STATUS_OK));
        logging = true;
        return;
    case 1:
        must(memory_log_stop() == (logging ? STATUS_OK : STATUS_STATE));
        logging = false;
        for (uint32_t i = 0; i < maps; i++) {
            memset(map[i].dirty, 0, sizeof(map[i].dirty));
        }
        return;
    default:
        break;
    }
    range.offset &= ~(page_size - 1);
    range.size = pages * PAGE_SIZE;
    if (range.size - 1 > UINT64_MAX - range.offset) {
        return;
    }
    for (uint32_t i = 0; i < maps; i++) {
        for (uint64_t page = 0; page < map[i].pages; page++) {
            uint64_t at = map[i].address + page * PAGE_SIZE - range.offset;

            if (map[i].dirty[page] && at < range.size && logging) {
                expected[at / page_size / 8] |= (uint8_t)(1U << at / page_size % 8);
                map[i].dirty[page] = false;
            }
        }
    }
    must(memory_log_report(&range, page_size, bitmap) == (logging ? STATUS_OK : STATUS_STATE));
    must(memcmp(bitmap, expected, sizeof(bitmap)) == 0);
}

/* The client takes a part of a file away. What is read there is nothing, and it is known. */
static void do_cut(struct input *in)
{
    uint32_t which = take(in) % FILES, left = take(in) % file_pages[which];
    bool touched = false;

    must(ftruncate(file[which], (off_t)(left * PAGE_SIZE)) == 0);
    cut = true;
    for (uint32_t i = 0; i < maps; i++) {
        for (uint64_t page = 0; page < map[i].pages && map[i].file == which; page++) {
            const volatile uint8_t *at = memory_at(map[i].address + page * PAGE_SIZE, 1, false);

            if (at != NULL && map[i].first + page >= left) {
                touched = true;
                must(at[PAGE_SIZE - 1] == 0);
            }
        }
    }
    must(backing_was_lost() == touched);
}

static void end(void)
{
    memory_unmap_all();
    if (logging) {
        must(memory_log_stop() == STATUS_OK);
    }
    maps = 0;
    logging = cut = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static bool caught;
    struct input in = {input, size};

    caught = caught || backing_init();
    must(caught);
    make_files();
    while (in.left != 0 && !cut) {
        switch (take(&in) % 8) {
        case 0:
        case 1:
        case 2:
            do_map(&in);
            break;
        case 3:
            do_unmap(&in);
            break;
        case 4:
            do_log(&in);
            break;
        case 5:
            if (take(&in) % 8 == 0) {
                do_cut(&in);
            }
            break;
        default:
            do_access(&in);
            break;
        }
    }
    end();
    return 0;
}
