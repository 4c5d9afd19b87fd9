/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's RAM: runs of 2 MiB-aligned frames, kept as long as the VM exists. */
#ifndef PORTOLAN_VMM_HOST_GUEST_RAM_H
#define PORTOLAN_VMM_HOST_GUEST_RAM_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define RAM_RUNS_MAX 64U

struct ram_run {
    gpa_t at;
    hpa_t frames;
    uint64_t size;
};

/* In the order of their guest addresses, which have no gap but the PCI hole. */
struct ram {
    uint64_t below_4g;
    uint64_t above_4g;
    bool tracked;    /* what is written is to be marked: vmm/vm/dirty.h; atomic */
    bool logged;     /* ... and CPUs log what their guests write to pages of 4 KiB */
    uint64_t *marks; /* a bit for each page, at ram_bit() */
    unsigned run_count;
    struct ram_run run[RAM_RUNS_MAX];
};

/*
 * Take SIZE bytes (a multiple of 2 MiB) and map them in the VMM's direct view. NO_MEMORY: then
 * nothing is taken. Boot CPU.
 */
enum status ram_allocate(struct ram *ram, uint64_t size);

/* Give the frames back; nobody uses them any more. */
void ram_free(struct ram *ram);

/* Is all of it RAM? */
bool ram_holds(const struct ram *ram, uint64_t at, uint64_t size);

/* Where its last byte ends. */
uint64_t ram_end(const struct ram *ram);

/* Pages in one word of the marks, and their bytes. */
#define RAM_MARKS_WORD  64U
#define RAM_MARKS_BYTES (RAM_MARKS_WORD * PAGE_SIZE)

/* Where the mark of the page that holds AT is, which is RAM: the hole below 4 GiB has none. */
uint64_t ram_bit(const struct ram *ram, uint64_t at);

/*
 * [AT, AT + SIZE) was written, by other means than the guest's CPUs. After the write, not before.
 * Any CPU; atomic. What is no RAM is left out.
 */
void ram_mark(const struct ram *ram, gpa_t at, uint64_t size);

/*
 * So were the pages of BITS, of the 64 from page FIRST on, a multiple of 64; likewise. Returns how
 * many they are, if they are RAM: runs begin and end at such pages.
 */
unsigned ram_mark_word(const struct ram *ram, uint64_t first, uint64_t bits);

/*
 * The VMM has written there itself; after the write, and before the exit that it was for ends.
 * Elsewhere a full barrier is to be between: then either the start of the tracking comes after the
 * write, or the mark is made.
 */
static inline void ram_written(const struct ram *ram, gpa_t at, uint64_t size)
{
    if (__builtin_expect(__atomic_load_n(&ram->tracked, __ATOMIC_RELAXED), false)) {
        ram_mark(ram, at, size);
    }
}

/*
 * The VMM's pointer to SIZE bytes of guest memory; NULL if they are not all RAM, or cross from one
 * run to the next: what lies within a 2 MiB page never does. Who writes says ram_written().
 */
void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size);

/* Copy to guest memory, over the ends of runs. RANGE: not all RAM; then nothing was copied. */
enum status ram_write(const struct ram *ram, gpa_t at, const void *from, uint64_t size);

/* Set guest memory to zero; as ram_write(). */
enum status ram_zero(const struct ram *ram, gpa_t at, uint64_t size);

#endif
