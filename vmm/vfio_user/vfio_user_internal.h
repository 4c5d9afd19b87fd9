/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of vmm/vfio_user share: the message, and one function for each command. */
#ifndef PORTOLAN_VMM_VFIO_USER_VFIO_USER_INTERNAL_H
#define PORTOLAN_VMM_VFIO_USER_VFIO_USER_INTERNAL_H

#include "vmm/base/little_endian.h"
#include "vmm/vfio_user/vfio_user_edge.h"

#define HEADER 16U /* id u16, command u16, size u32 (of all), flags u32, error u32 */

#define FLAG_TYPE     0xfU /* 0: a command; 1: an answer */
#define FLAG_ANSWER   0x1U
#define FLAG_NO_REPLY 0x10U
#define FLAG_ERROR    0x20U

enum command {
    COMMAND_VERSION = 1,
    COMMAND_DMA_MAP,
    COMMAND_DMA_UNMAP,
    COMMAND_GET_INFO,
    COMMAND_GET_REGION_INFO,
    COMMAND_GET_REGION_IO_FDS,
    COMMAND_GET_IRQ_INFO,
    COMMAND_SET_IRQS,
    COMMAND_REGION_READ,
    COMMAND_REGION_WRITE,
    COMMAND_DMA_READ,
    COMMAND_DMA_WRITE,
    COMMAND_RESET,
    COMMAND_WRITE_MULTI = 15,
    COMMAND_FEATURE = 16,
    COMMAND_MIG_DATA_READ = 17,
    COMMAND_MIG_DATA_WRITE = 18,
    COMMAND_PRECOPY_INFO = 19,
    COMMANDS,
    /* Those of 2021 that are others today. */
    COMMAND_2021_VM_INTERRUPT = 13,
    COMMAND_2021_RESET = 14,
    COMMAND_2021_DIRTY_PAGES = 15
};

/* A command that is being carried out. */
struct message {
    uint16_t id, command;
    const uint8_t *in; /* without the header; SIZE bytes */
    uint32_t size;
    uint8_t *out; /* likewise; ROOM bytes, of which ANSWER are the answer */
    uint32_t room;
    uint32_t answer;
    uint32_t handles; /* that go with it */
    int handle[VFIO_USER_HANDLES_MAX];
};

static inline uint32_t get32(const uint8_t *at)
{
    return (uint32_t)bytes_get(at, 4);
}

static inline uint64_t get64(const uint8_t *at)
{
    return bytes_get(at, 8);
}

static inline void put32(uint8_t *at, uint32_t value)
{
    bytes_put(at, 4, value);
}

static inline void put64(uint8_t *at, uint64_t value)
{
    bytes_put(at, 8, value);
}

static inline uint32_t least(uint64_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

/* Bytes of a bitmap of SIZE bytes of memory in pages of PAGE, a power of two: whole u64. */
static inline uint64_t bitmap_bytes(uint64_t size, uint64_t page)
{
    uint64_t pages = size / page + (size % page != 0);

    return (pages / 64 + (pages % 64 != 0)) * 8;
}

static inline bool page_size_is_valid(uint64_t page)
{
    return page >= PAGE_SIZE && (page & (page - 1)) == 0;
}

/* The message's handle I is the caller's now. */
int vfio_user_take(struct vfio_user *server, uint32_t i);

/* Send a command of our own, without handles: the SIZE bytes at MESSAGE, of which the first HEADER
 * are filled in here. Returns its id. */
uint16_t vfio_user_send_command(struct vfio_user *server, enum command command, uint8_t *message,
                                uint32_t size);

/* An answer to a command of ours; with OK false it says so itself, or was too long. */
void vfio_user_dma_answer(struct vfio_user *server, const struct message *m, bool ok);

/*
 * The commands. The message has at least the bytes that the table in vfio_user.c asks for. With a
 * status other than OK the answer is that error, and nothing has been done.
 */
enum status vfio_user_version(struct vfio_user *server, struct message *m);
enum status vfio_user_dma_map(struct vfio_user *server, struct message *m);
enum status vfio_user_dma_unmap(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_map(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_unmap(struct vfio_user *server, struct message *m);
enum status vfio_user_2021_dirty(struct vfio_user *server, struct message *m);
enum status vfio_user_info(struct vfio_user *server, struct message *m);
enum status vfio_user_region_info(struct vfio_user *server, struct message *m);
enum status vfio_user_io_fds(struct vfio_user *server, struct message *m);
enum status vfio_user_irq_info(struct vfio_user *server, struct message *m);
enum status vfio_user_set_irqs(struct vfio_user *server, struct message *m);
enum status vfio_user_region_read(struct vfio_user *server, struct message *m);
enum status vfio_user_region_write(struct vfio_user *server, struct message *m);
enum status vfio_user_write_multi(struct vfio_user *server, struct message *m);
enum status vfio_user_feature(struct vfio_user *server, struct message *m);
enum status vfio_user_mig_read(struct vfio_user *server, struct message *m);
enum status vfio_user_mig_write(struct vfio_user *server, struct message *m);
enum status vfio_user_precopy_info(struct vfio_user *server, struct message *m);

/* The migration region of 2021. */
uint64_t vfio_user_migration_size(const struct vfio_user *server);
enum status vfio_user_migration_read(struct vfio_user *server, uint64_t offset, uint8_t *data,
                                     uint32_t count);
enum status vfio_user_migration_write(struct vfio_user *server, uint64_t offset,
                                      const uint8_t *data, uint32_t count);

/* How many regions the client may see, and how large one is; 0: there is none. */
uint32_t vfio_user_regions(const struct vfio_user *server);
uint64_t vfio_user_region_size(const struct vfio_user *server, uint32_t index);

/* The interrupts of a client that comes, or goes. */
void vfio_user_irqs_begin(struct vfio_user *server);
void vfio_user_irqs_end(struct vfio_user *server);

#endif
