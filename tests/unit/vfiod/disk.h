/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's driver of a disk: requests from fixed places of its memory. */
#ifndef PORTOLAN_TESTS_UNIT_VFIOD_DISK_H
#define PORTOLAN_TESTS_UNIT_VFIOD_DISK_H

#include "tests/unit/vfiod/client.h"

#define DISK_SIZE      (1U << 20)
#define DISK_HEADER    0x40000U
#define DISK_STATUS    0x48000U
#define DISK_DATA      0x50000U
#define DISK_TABLE     0x60000U
#define DISK_EVENT_IDX (1U << 29)

/* A function with a disk, and MORE options. */
void disk_start(const char *more);

/* cmocka's; without more options. */
int disk_set_up(void **state);
int disk_tear_down(void **state);

void disk_set_request(uint32_t type, uint64_t sector);

/* Three descriptors, from INDEX on: header, LENGTH bytes of data, status. */
void disk_set_chain(unsigned index, uint32_t length, bool to_memory);

/* Carry out a request; its status, and *LENGTH of the used entry. */
uint8_t disk_request(uint32_t type, uint64_t sector, uint32_t bytes, uint32_t *length);

/* From the file behind the disk. */
void disk_file_read(uint64_t at, void *to, size_t size);

#endif
