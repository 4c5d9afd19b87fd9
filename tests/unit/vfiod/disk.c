/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vfiod/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct header {
    uint32_t type, priority;
    uint64_t sector;
};

static char path[64];

void disk_start(const char *more)
{
    char options[256];

    client_start();
    strcpy(path, client_disk(DISK_SIZE));
    (void)snprintf(options, sizeof(options), "block,file=%s%s", path, more);
    assert_true(vdev_open(options, false));
}

int disk_set_up(void **state)
{
    disk_start("");
    return 0;
}

int disk_tear_down(void **state)
{
    vdev_close();
    client_end();
    return 0;
}

void disk_set_request(uint32_t type, uint64_t sector)
{
    *(struct header *)client_memory(DISK_HEADER) = (struct header){.type = type, .sector = sector};
    *(uint8_t *)client_memory(DISK_STATUS) = 0xee;
}

void disk_set_chain(unsigned index, uint32_t length, bool to_memory)
{
    uint16_t next = (uint16_t)(index + 1);

    client_set_desc(0, index, (struct client_desc){DISK_HEADER, 16, DESC_NEXT, next++});
    if (length > 0) {
        client_set_desc(0, index + 1,
                        (struct client_desc){DISK_DATA, length,
                                             (uint16_t)(DESC_NEXT | (to_memory ? DESC_WRITE : 0)),
                                             (uint16_t)(index + 2)});
        next = (uint16_t)(index + 2);
    }
    client_set_desc(0, length > 0 ? index + 2 : index + 1,
                    (struct client_desc){DISK_STATUS, 1, DESC_WRITE, 0});
}

uint8_t disk_request(uint32_t type, uint64_t sector, uint32_t bytes, uint32_t *length)
{
    uint32_t head;

    disk_set_request(type, sector);
    disk_set_chain(7, bytes, type == 0 || type == 8);
    client_offer(0, 7);
    client_notify(0);
    assert_true(client_used(0, &head, length));
    assert_int_equal(head, 7);
    return *(uint8_t *)client_memory(DISK_STATUS);
}

void disk_file_read(uint64_t at, void *to, size_t size)
{
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, to, size, (off_t)at), (ssize_t)size);
    close(fd);
}
