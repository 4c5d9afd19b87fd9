/* SPDX-License-Identifier: BSD-2-Clause */
/* Target 0, LUN 0 of a SCSI host: virtio 0.9.5, appendix I; SPC-3 and SBC-3 for the commands. */
#include "guest/drivers/drivers.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define INQUIRY         0x12
#define READ_CAPACITY   0x25
#define READ_10         0x28
#define WRITE_10        0x2a
#define GOOD            0
#define CHECK_CONDITION 2
#define UNIT_ATTENTION  6 /* sense key: the disk is new, or was reset */
#define INQUIRY_BYTES   36
#define REQUESTS        8U
#define TRIES           4U

static struct {
    uint8_t lun[8];
    uint64_t id;
    uint8_t attribute, priority, reference, command[32];
} __attribute__((packed)) request;

static volatile struct {
    uint32_t sense_length, residual;
    uint16_t qualifier;
    uint8_t status, response, sense[96];
} __attribute__((packed)) answer;

static uint8_t data[DISK_BYTES] __attribute__((aligned(512)));

/* The request that was set up, with LENGTH bytes of data to or from the disk. */
static uint8_t issue(struct driver *driver, bool write, size_t length)
{
    unsigned number = queues_main(driver);
    struct virtio_queue *queue = &driver->queue[number];
    uint16_t at = 0;
    uint32_t used;

    answer.status = answer.response = 0xff;
    virtio_describe(queue->descriptor, at++, &request, sizeof(request), VIRTIO_NEXT);
    if (write) {
        virtio_describe(queue->descriptor, at++, data, length, VIRTIO_NEXT);
    }
    virtio_describe(queue->descriptor, at++, &answer, sizeof(answer),
                    write ? VIRTIO_WRITE : VIRTIO_WRITE | VIRTIO_NEXT);
    if (!write) {
        virtio_describe(queue->descriptor, at++, data, length, VIRTIO_WRITE);
    }
    virtio_put(queue, 0);
    wait_kick(driver, number);
    CHECK_EQUAL(wait_for(driver, number, &used), 0);
    CHECK_EQUAL(answer.response, 0);
    return answer.status;
}

/* A command of BYTES; once more if the disk had something to say first. */
static bool command(struct driver *driver, const uint8_t *bytes, unsigned count, bool write,
                    size_t length)
{
    static uint64_t id;
    uint8_t status = 0xff;

    for (unsigned i = 0; i < TRIES && status != GOOD; i++) {
        memset(&request, 0, sizeof(request));
        request.lun[0] = 1;    /* target 0: */
        request.lun[2] = 0x40; /* LUN 0, flat */
        request.id = ++id;
        memcpy(request.command, bytes, count);
        status = issue(driver, write, length);
        if (status == CHECK_CONDITION && (answer.sense[2] & 0xf) != UNIT_ATTENTION) {
            break;
        }
    }
    return CHECK_EQUAL(status, GOOD);
}

static void inquire(struct driver *driver)
{
    static const uint8_t bytes[] = {INQUIRY, 0, 0, 0, INQUIRY_BYTES, 0};

    memset(data, 0xee, sizeof(data));
    if (command(driver, bytes, sizeof(bytes), false, INQUIRY_BYTES)) {
        CHECK_EQUAL(data[0], 0); /* a disk */
        for (unsigned i = 8; i < INQUIRY_BYTES; i++) {
            CHECK(isprint(data[i]));
        }
        printf("  %.28s\n", (const char *)data + 8);
    }
}

static void read_capacity(struct driver *driver)
{
    static const uint8_t bytes[10] = {READ_CAPACITY};

    if (command(driver, bytes, sizeof(bytes), false, 8)) {
        uint32_t last =
            (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];

        CHECK(last >= disk_place(driver, true, 0) + DISK_SECTORS - 1);
        CHECK_EQUAL(data[6] << 8 | data[7], DISK_SECTOR);
    }
}

static bool transfer(struct driver *driver, bool write, uint64_t sector)
{
    uint8_t bytes[10] = {
        write ? WRITE_10 : READ_10,
        0,
        0,
        (uint8_t)(sector >> 16),
        (uint8_t)(sector >> 8),
        (uint8_t)sector,
        0,
        0,
        (uint8_t)DISK_SECTORS,
        0,
    };

    return command(driver, bytes, sizeof(bytes), write, DISK_BYTES);
}

static void read_and_check(struct driver *driver, bool own, unsigned number)
{
    uint64_t sector = disk_place(driver, own, number);

    memset(data, 0, sizeof(data));
    if (transfer(driver, false, sector)) {
        (void)disk_check(driver, own, sector, data);
    }
}

void scsi_exercise(struct driver *driver)
{
    inquire(driver);
    read_capacity(driver);
    for (unsigned i = 0; i < REQUESTS; i++) {
        read_and_check(driver, false, i);
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        disk_fill(driver, disk_place(driver, true, i), data);
        (void)transfer(driver, true, disk_place(driver, true, i));
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        read_and_check(driver, true, i);
    }
    disk_report(driver);
}
