/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk_client SOCKET intx|msix COPY: an old driver's disk, served at SOCKET by vfio-user, is read
 * whole into the file COPY, and its first half written over its second. Then its memory is taken
 * away under a request, and comes back without a handle; or, with msix, only for reading. It is
 * reset, and its first sectors are read again.
 *
 * disk_client SOCKET limited: the server may keep less in RAM than this client's memory.
 */
#include "guest_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#define HEADER   FREE /* places in memory */
#define DATA     0x100000U
#define PIECE    (64U << 10)
#define SECTOR   512U
#define MESSAGES 0xfee00000ULL /* of interrupts, on x86 */
#define POLL_US  1000U

#define KERNEL_LOG 3 /* of klogctl(): read all */

static struct ring ring;

static void start(void)
{
    client_start(0);
    ring_open(&ring, 0);
    client_go();
}

/* The request, its data, a byte for the device's answer. */
static void offer(uint32_t type, uint64_t sector)
{
    const struct piece pieces[] = {
        {HEADER,      16,    false    },
        {DATA,        PIECE, type == 0},
        {HEADER + 16, 1,     true     }
    };

    memcpy(memory + HEADER, &(uint64_t[2]){type, sector}, 16);
    memory[HEADER + 16] = 0xff;
    ring_offer(&ring, pieces, 3);
}

static void finish(void)
{
    (void)ring_finish(&ring);
    if (memory[HEADER + 16] != 0) {
        fail("a request ended with status %u", memory[HEADER + 16]);
    }
}

static uint64_t read_whole(FILE *copy)
{
    uint64_t sectors = client_config(0, 4) | (uint64_t)client_config(4, 4) << 32;

    for (uint64_t at = 0; at < sectors; at += PIECE / SECTOR) {
        offer(0, at);
        finish();
        if (fwrite(memory + DATA, 1, PIECE, copy) != PIECE) {
            fail("the copy cannot be written");
        }
    }
    return sectors;
}

static void write_half(FILE *copy, uint64_t sectors)
{
    rewind(copy);
    for (uint64_t at = sectors / 2; at < sectors; at += PIECE / SECTOR) {
        if (fread(memory + DATA, 1, PIECE, copy) != PIECE) {
            fail("the copy cannot be read");
        }
        offer(1, at);
        finish();
    }
}

static void read_again(FILE *copy)
{
    static uint8_t first[PIECE];

    client_reset();
    start();
    memset(memory + DATA, 0, PIECE);
    offer(0, 0);
    finish();
    rewind(copy);
    if (fread(first, 1, PIECE, copy) != PIECE || memcmp(memory + DATA, first, PIECE) != 0) {
        fail("after a reset the disk is another");
    }
}

/* The device is asked to use memory that is not there any more, or is not shared: that is its
 * driver's fault, which a reset ends. */
static void lose_memory(FILE *copy)
{
    client_unmap(IOVA, MEMORY_SIZE);
    offer(0, 0);
    client_reset();
    if (client_map(IOVA, 0, MEMORY_SIZE, READABLE | WRITABLE, false) != 0) {
        fail("a map without a handle is refused");
    }
    start();
    offer(0, 0);
    client_reset();
    client_unmap(IOVA, MEMORY_SIZE);
    client_map_all();
    read_again(copy);
}

/* How often the kernel has told of one at IOVA. */
static unsigned count_faults(uint64_t iova)
{
    static char log[1 << 18];
    char wanted[64];
    int length = klogctl(KERNEL_LOG, log, sizeof(log) - 1);
    unsigned count = 0;

    if (length < 0) {
        fail("the kernel's log cannot be read: %s", strerror(errno));
    }
    log[length] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "fault addr %#llx", (unsigned long long)iova);
    for (const char *at = log; (at = strstr(at, wanted)) != NULL; at++) {
        count++;
    }
    return count;
}

/* What it may only read it does not write: the request does not end, but the IOMMU tells. */
static void protect_memory(FILE *copy)
{
    unsigned before = count_faults(IOVA + DATA);

    client_unmap(IOVA, MEMORY_SIZE);
    if (client_map(IOVA, 0, DATA, READABLE | WRITABLE, true) != 0 ||
        client_map(IOVA + DATA, DATA, MEMORY_SIZE - DATA, READABLE, true) != 0) {
        fail("two maps are refused");
    }
    memset(memory + DATA, 0xaa, PIECE);
    offer(0, 0);
    while (count_faults(IOVA + DATA) == before) {
        (void)usleep(POLL_US); /* for ever: who runs the test ends it */
    }
    for (uint32_t i = 0; i < PIECE; i++) {
        if (memory[DATA + i] != 0xaa) {
            fail("byte %u was written", i);
        }
    }
    client_reset();
    client_unmap(IOVA, DATA);
    client_unmap(IOVA + DATA, MEMORY_SIZE - DATA);
    client_map_all();
    read_again(copy);
}

/* Where messages of interrupts go no memory can be. */
static void expect_no_map(uint64_t iova, uint64_t size, uint32_t error)
{
    uint32_t found = client_map(iova, 0, size, READABLE | WRITABLE, true);

    if (found != error) {
        fail("a map of %#llx bytes at %#llx ends with %u", (unsigned long long)size,
             (unsigned long long)iova, found);
    }
}

static void check_limit(const char *path)
{
    client_connect(path);
    expect_no_map(IOVA, MEMORY_SIZE, ENOMEM);
    expect_no_map(IOVA, DATA / 4, 0);
    (void)printf("client: what may not stay in RAM is refused\n");
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[2], "limited") == 0) {
        check_limit(arguments[1]);
        return 0;
    }
    if (count != 4) {
        fail("usage: disk_client SOCKET intx|msix COPY, or SOCKET limited");
    }
    FILE *copy = fopen(arguments[3], "w+");

    if (copy == NULL) {
        fail("%s cannot be written", arguments[3]);
    }
    client_open(arguments[1], strcmp(arguments[2], "msix") == 0, 1);
    (void)printf("client: device %#x\n", client_get(CLIENT_CONFIG, 2, 2));
    start();
    uint64_t sectors = read_whole(copy);

    write_half(copy, sectors);
    expect_no_map(MESSAGES, MEMORY_SIZE / 2, EINVAL);
    /* One of them: Linux tells of so many faults only. */
    if (client_msix) {
        protect_memory(copy);
    } else {
        lose_memory(copy);
    }
    (void)printf("client: %llu sectors by %s\n", (unsigned long long)sectors, arguments[2]);
    return 0;
}
