/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A user of Linux's virtio-vfio-pci, for the tests of the device that Linux drives: what a VMM
 * would do with a VF, as far as it takes. Everything here ends the program with a message where
 * something is not as it has to be.
 */
#ifndef PORTOLAN_PEER_H
#define PORTOLAN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* Failure: prints "FAILED: " and what FORMAT says, and exits with 1. */
noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What has been checked and is so. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fails unless FOUND is WANTED; NAME says what it is. */
void expect_value(const char *name, uint64_t found, uint64_t wanted);

/* Memory that devices reach: MEMORY_SIZE bytes, at the address MEMORY_IOVA for them. */
#define MEMORY_IOVA 0x1000000U
#define MEMORY_SIZE 0x100000U
extern uint8_t *memory;

/* Opens the container and maps the memory, once. */
void container_open(void);

#define VECTORS 3

struct vf {
    const char *bdf;
    int device;
    uint64_t config; /* offsets of the regions in DEVICE */
    uint64_t bars[6];
    uint64_t bar_sizes[6];
    int events[VECTORS]; /* of MSI-X, once vf_enable_msix() was called; else -1 */
};

/* Opens the VF of which Linux has the driver virtio-vfio-pci. */
void vf_open(struct vf *vf, const char *bdf);

/* SIZE bytes, 8 at most, at OFFSET of DEVICE, as one access; vf_try_read() gives 0 or an errno. */
int vf_try_read(const struct vf *vf, uint64_t offset, unsigned size, uint64_t *value);
int vf_try_write(const struct vf *vf, uint64_t offset, unsigned size, uint64_t value);
uint64_t vf_read(const struct vf *vf, uint64_t offset, unsigned size);
void vf_write(const struct vf *vf, uint64_t offset, unsigned size, uint64_t value);

/* Memory space, I/O space and bus master, in the VF's Command. */
#define COMMAND_IO     1U
#define COMMAND_MEMORY 2U
#define COMMAND_MASTER 4U
void vf_set_command(const struct vf *vf, unsigned command);

/* Turns MSI-X on, with up to VECTORS vectors, each with an event of its own. */
void vf_enable_msix(struct vf *vf);

/* Waits for an interrupt of VECTOR. */
void vf_wait_interrupt(const struct vf *vf, unsigned vector);

/* VFIO's reset: FLR. Turns MSI-X off as well. */
void vf_reset(struct vf *vf);

/* The state of migration, VFIO_DEVICE_STATE_*; setting one gives the file of its data, or -1. */
unsigned vf_state(const struct vf *vf);
int vf_set_state(const struct vf *vf, unsigned state);

/* A split queue in the layout of legacy devices, in memory. */
struct queue {
    uint16_t index, size;
    uint16_t posted; /* index in the available ring behind what was posted */
    uint16_t seen;   /* index in the used ring behind what was taken */
    uint8_t *base;
};

struct part {
    void *at; /* in memory */
    uint32_t size;
    bool device_writes;
};

#define PARTS_MAX 3

/* Queue INDEX with SIZE descriptors in its place in memory, empty. */
void queue_init(struct queue *queue, uint16_t index, uint16_t size);
uint32_t iova_of(const void *at);
uint32_t queue_descriptors(const struct queue *queue);
uint32_t queue_available(const struct queue *queue);
uint32_t queue_used(const struct queue *queue);

/* Makes PARTS available. Returns the head; the device is not told. */
uint16_t queue_post(struct queue *queue, const struct part *parts, unsigned count);

/* The index that the device has written. */
uint16_t queue_used_index(const struct queue *queue);

/* Waits for the next used buffer: its head, and in LENGTH what the device wrote. */
uint16_t queue_wait(struct queue *queue, uint32_t *length);

/* A driver: the queues of a VF that legacy or modern registers reach. */
#define QUEUES_MAX 3

struct driver {
    struct vf *vf;
    bool is_legacy, is_net;
    uint64_t common, device; /* modern: offsets in VF's DEVICE */
    uint64_t notify;
    uint32_t notify_multiplier;
    uint16_t notify_offsets[QUEUES_MAX];
    struct queue queues[QUEUES_MAX];
};

/* From reset to DRIVER_OK, with MSI-X vector i for queue i if the VF has MSI-X on. */
void modern_start(struct driver *driver, struct vf *vf, bool is_net);
void legacy_start(struct driver *driver, struct vf *vf);

/* Finds the registers of VF and writes none: its state comes from elsewhere. */
void modern_find(struct driver *driver, struct vf *vf);
uint64_t modern_config(const struct driver *driver, unsigned offset, unsigned size);
uint8_t modern_status(const struct driver *driver);
uint64_t legacy_config(const struct driver *driver, unsigned offset, unsigned size);
uint8_t legacy_status(const struct driver *driver);
void driver_notify(const struct driver *driver, unsigned queue);

/* Block: COUNT sectors from FIRST, written with SEED in them or read and compared. post: not told,
 * not waited for. */
void block_post_write(struct driver *driver, uint32_t first, unsigned seed);
void block_finish(struct driver *driver);
void block_write(struct driver *driver, uint32_t first, unsigned seed);
void block_check(struct driver *driver, uint32_t first, unsigned seed);
void block_check_config(const struct driver *driver);

/* Net: buffers for frames, and a question to the gateway, which answers it. */
void net_post_buffers(struct driver *driver);
void net_post_question(struct driver *driver, const uint8_t *mac);
void net_finish(struct driver *driver, const uint8_t *mac);
void net_ask(struct driver *driver, const uint8_t *mac);

/* The registers of the legacy I/O BAR. */
void legacy_check(struct vf *vf, const uint8_t *mac);

/* Where the value of the first part, DEV_FEATURES, begins in a state. */
#define PARTS_FEATURES_AT 32U

/* The SIZE bytes of STATE are so many RECORDS, and each says of DRIVER and MAC what is so. */
void parts_check(const struct driver *driver, const uint8_t *state, size_t size, unsigned records,
                 const uint8_t *mac);

/* What is moved. */
enum use { USE_NET, USE_BLOCK, USE_LEGACY_NET };

/* A VF in use is moved to another, and back. */
void migrate_check(struct vf *vfs, enum use use);

/* Ends in the middle of it, with one VF in STOP_COPY and the other in RESUMING: as if killed. */
void migrate_leave(struct vf *vfs, enum use use);

#endif
