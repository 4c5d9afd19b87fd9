/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of vmm/vfio_user share, also with those of struct vfio_user_more: the message, and
 * one function for each command. */
#ifndef PORTOLAN_VMM_VFIO_USER_VFIO_USER_INTERNAL_H
#define PORTOLAN_VMM_VFIO_USER_VFIO_USER_INTERNAL_H

#include "vmm/base/little_endian.h"
#include "vmm/vfio_user/vfio_user_edge.h"

#define HEADER 16U /* id u16, command u16, size u32 (of all), flags u32, error u32 */

#define REGION_INFO 32U /* bytes: argsz u32, flags, index, cap_offset; size u64, offset */
#define CAP_HEADER  8U  /* of its capabilities: id u16, version u16, next u32 */
#define ACCESS      16U /* offset u64, region u32, count u32 */

/* Among the capabilities, as JSON. */
#define MIGRATION_TEXT ",\"migration\":{\"pgsize\":4096}"

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

/* A command: payload at least, whether handles may come with it, and what carries it out. */
struct row {
    uint16_t bytes;
    bool handles;
    enum status (*run)(struct vfio_user *server, struct message *m);
};

/* What a server can besides. */
struct vfio_user_more {
    /* COMMANDS rows of each form, in the place of those here; those before VERSION are today's. */
    const struct row *today, *in_2021;

    /* An answer to a command of ours; with OK false it says so itself, or was too long. */
    void (*answered)(struct vfio_user *server, const struct message *m, bool ok);

    /* The client has gone; 'form' is still its. */
    void (*ended)(struct vfio_user *server);
};

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

/* The HEADER bytes of a message of SIZE bytes, without an error. */
void vfio_user_put_header(uint8_t *at, uint16_t id, uint16_t command, uint32_t size,
                          uint32_t flags);

/*
 * The commands. The message has at least the bytes that their row asks for. With a status other
 * than OK the answer is that error, and nothing has been done.
 */
enum status vfio_user_version(struct vfio_user *server, struct message *m);
enum status vfio_user_info(struct vfio_user *server, struct message *m);
enum status vfio_user_region_info(struct vfio_user *server, struct message *m);
enum status vfio_user_region_read(struct vfio_user *server, struct message *m);
enum status vfio_user_region_write(struct vfio_user *server, struct message *m);
enum status vfio_user_feature(struct vfio_user *server, struct message *m);
enum status vfio_user_mig_read(struct vfio_user *server, struct message *m);
enum status vfio_user_mig_write(struct vfio_user *server, struct message *m);
enum status vfio_user_precopy_info(struct vfio_user *server, struct message *m);

/* Parts of VERSION: read it, and of what the client can FOUND gets what is there; choose the form
 * of today, and answer. */
enum status vfio_user_read_version(struct vfio_user *server, const struct message *m,
                                   struct vfio_user_capabilities *found);
void vfio_user_begin(struct vfio_user *server, struct message *m,
                     const struct vfio_user_capabilities *client);

/* Of GET_REGION_INFO: a capability of SIZE bytes at OFFSET of the answer OUT; MORE come after it.
 * Returns where it ends. And all before the capabilities, which END there. */
uint32_t vfio_user_put_cap(uint8_t *out, uint32_t offset, uint32_t id, uint32_t size, bool more);
void vfio_user_put_region(struct message *m, uint64_t size, uint32_t end);

/* Of accesses: does this one fit a region of SIZE bytes? The answer is put out, but for data. */
bool vfio_user_begin_read(const struct vfio_user *server, struct message *m, uint64_t size);
bool vfio_user_begin_write(struct message *m, uint64_t size);

/* Bytes of one of PCI's regions, 0: there is none; and a write that fits there. */
uint64_t vfio_user_region_size(const struct vfio_user *server, uint32_t index);
enum status vfio_user_write_region(struct vfio_user *server, const uint8_t *access);

/* The four bits of vfio_user_edge_state(): what they are, and are to be. NDMA means nothing to what
 * does not run. */
uint32_t vfio_user_bits(struct vfio_user *server);
enum status vfio_user_set_bits(struct vfio_user *server, uint32_t bits);

#endif
