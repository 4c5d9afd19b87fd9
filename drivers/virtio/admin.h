/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The administration virtqueue of a PF: group administration commands. Virtio 1.3, sections 2.12.1
 * and 2.13.
 *
 * Several commands at once, from several CPUs; who waits for an answer, or for room, holds no lock.
 * A command that is not answered in time is left to the device: until its answer comes, commands
 * for the same member fail at once, and all others go on. A device that owes as many answers as the
 * queue has room for, or whose answer is nonsense, ends the queue: everything after it fails at
 * once, until the PF has been reset and started again.
 *
 * Devices of 2021 have another framing and other commands for the same queue:
 * docs/migration-abi.md, section 3. Which one a command has is told by its number.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_ADMIN_H
#define PORTOLAN_DRIVERS_VIRTIO_ADMIN_H

#include "drivers/virtio/queue.h"
#include "drivers/virtio/transport.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/spinlock.h"

enum virtio_admin_group { VIRTIO_GROUP_SELF = 0, VIRTIO_GROUP_SRIOV = 1 };

enum virtio_admin_opcode {
    VIRTIO_ADMIN_LIST_QUERY = 0,
    VIRTIO_ADMIN_LIST_USE = 1,
    VIRTIO_ADMIN_LEGACY_COMMON_WRITE = 2,
    VIRTIO_ADMIN_LEGACY_COMMON_READ = 3,
    VIRTIO_ADMIN_LEGACY_DEVICE_WRITE = 4,
    VIRTIO_ADMIN_LEGACY_DEVICE_READ = 5,
    VIRTIO_ADMIN_LEGACY_NOTIFY_INFO = 6,
    VIRTIO_ADMIN_CAP_LIST_QUERY = 7,
    VIRTIO_ADMIN_CAP_GET = 8,
    VIRTIO_ADMIN_CAP_SET = 9,
    VIRTIO_ADMIN_OBJECT_CREATE = 0x0a,
    VIRTIO_ADMIN_OBJECT_MODIFY = 0x0b,
    VIRTIO_ADMIN_OBJECT_QUERY = 0x0c,
    VIRTIO_ADMIN_OBJECT_DESTROY = 0x0d,
    VIRTIO_ADMIN_PARTS_METADATA = 0x0e,
    VIRTIO_ADMIN_PARTS_GET = 0x0f,
    VIRTIO_ADMIN_PARTS_SET = 0x10,
    VIRTIO_ADMIN_MODE_SET = 0x11,
    /* The protocol of 2021: class * 256 + command. */
    VIRTIO_2021_IDENTITY = 0x4000,
    VIRTIO_2021_GET_STATUS,
    VIRTIO_2021_MODIFY_STATUS,
    VIRTIO_2021_PENDING_BYTES,
    VIRTIO_2021_SAVE,
    VIRTIO_2021_RESTORE,
    VIRTIO_2021_DIRTY_IDENTITY = 0x4100,
    VIRTIO_2021_START_TRACK,
    VIRTIO_2021_STOP_TRACK,
    VIRTIO_2021_MAP_PENDING,
    VIRTIO_2021_REPORT_MAP
};

#define VIRTIO_2021_OPCODES VIRTIO_2021_IDENTITY /* and all above */

/*
 * The legacy registers of a VF (virtio 1.3, 2.12.1.1; docs/mmr-device.md, 9): what a VF without
 * registers of its own needs, for virtio_admin_use(). NOTIFY_INFO is optional. The data begin with
 * the offset, a byte, and zeroes up to VIRTIO_LEGACY_HEADER_SIZE; a value follows where one is
 * written.
 */
#define VIRTIO_LEGACY_HEADER_SIZE 8U
#define VIRTIO_LEGACY_COMMANDS                                                            \
    (1ULL << VIRTIO_ADMIN_LEGACY_COMMON_WRITE | 1ULL << VIRTIO_ADMIN_LEGACY_COMMON_READ | \
     1ULL << VIRTIO_ADMIN_LEGACY_DEVICE_WRITE | 1ULL << VIRTIO_ADMIN_LEGACY_DEVICE_READ)
#define VIRTIO_LEGACY_NOTIFY (1ULL << VIRTIO_ADMIN_LEGACY_NOTIFY_INFO)

enum virtio_admin_status {
    VIRTIO_ADMIN_OK = 0,
    VIRTIO_ADMIN_ENXIO = 6,
    VIRTIO_ADMIN_EAGAIN = 11,
    VIRTIO_ADMIN_ENOMEM = 12,
    VIRTIO_ADMIN_EBUSY = 16,
    VIRTIO_ADMIN_EEXIST = 17,
    VIRTIO_ADMIN_EINVAL = 22,
    VIRTIO_ADMIN_ENOSPC = 28
};

enum virtio_admin_qualifier {
    VIRTIO_ADMIN_Q_OK = 0,
    VIRTIO_ADMIN_Q_INVALID_COMMAND = 1,
    VIRTIO_ADMIN_Q_INVALID_OPCODE = 2,
    VIRTIO_ADMIN_Q_INVALID_FIELD = 3,
    VIRTIO_ADMIN_Q_INVALID_GROUP = 4,
    VIRTIO_ADMIN_Q_INVALID_MEMBER = 5,
    VIRTIO_ADMIN_Q_NO_RESOURCE = 6,
    VIRTIO_ADMIN_Q_TRY_AGAIN = 7
};

enum virtio_2021_status {
    VIRTIO_2021_ERR = 1,
    VIRTIO_2021_INVALID_CLASS = 2,
    VIRTIO_2021_INVALID_COMMAND = 3,
    VIRTIO_2021_TRANSFER_ERR = 4,
    VIRTIO_2021_INTERNAL_ERR = 5,
    VIRTIO_2021_UNKNOWN = 0x7f, /* also: there was none */
    VIRTIO_2021_DNR = 0x80      /* a qualifier: do not retry */
};

/*
 * The DMA memory that a queue needs: the rings, and pages for requests and answers. A command takes
 * as many as it needs, wherever they are.
 */
#define VIRTIO_ADMIN_PAGES      31U
#define VIRTIO_ADMIN_MEMORY     ((1 + VIRTIO_ADMIN_PAGES) * PAGE_SIZE)
#define VIRTIO_ADMIN_SLOTS      14U /* commands at once; a short one takes two pages */
#define VIRTIO_ADMIN_HEADER     24U /* of a request */
#define VIRTIO_ADMIN_TAIL       8U  /* of an answer, before the result */
#define VIRTIO_ADMIN_PART_MAX   (15U * (uint32_t)PAGE_SIZE)
#define VIRTIO_ADMIN_DATA_MAX   (VIRTIO_ADMIN_PART_MAX - VIRTIO_ADMIN_HEADER)
#define VIRTIO_ADMIN_RESULT_MAX (VIRTIO_ADMIN_PART_MAX - VIRTIO_ADMIN_TAIL)

struct virtio_admin_counters {
    uint64_t sent;      /* commands, each try of them */
    uint64_t failed;    /* answered with an error, after the last try */
    uint64_t retried;   /* tries beyond the first */
    uint64_t timed_out; /* not answered in time */
};

struct virtio_admin_command;

/* A command that the device has. All zero: none. */
struct virtio_admin_slot {
    const struct virtio_admin_command *command; /* whose caller waits; NULL: left to the device */
    uint64_t member;
    uint16_t group;
    bool held;     /* by the device */
    bool answered; /* and the caller has not read it yet */
    unsigned head; /* in the queue */
    uint32_t written;
    uint32_t readable, writable; /* pages, bit n: page n behind the rings */
};

struct virtio_admin {
    struct spinlock lock;
    const struct virtio_transport *transport;
    struct virtqueue queue;
    struct virtio_dma memory;
    bool usable;         /* false: not set up, or given up */
    uint32_t timeout_ms; /* of commands that have none of their own; 0: 2 s. Its owner sets it. */
    uint32_t free_pages;
    struct virtio_admin_slot slot[VIRTIO_ADMIN_SLOTS];
    uint64_t refusal; /* the last one that was logged; 0: none since; atomic */
    struct virtio_admin_counters counters;
};

/*
 * A command. The caller fills in the first part; data and result are copied, and stay the caller's.
 * Sizes are sent as they are: the caller pads where the command has no length of its own (section
 * 2.13 asks for multiples of 8).
 */
struct virtio_admin_command {
    uint16_t opcode; /* enum virtio_admin_opcode */
    uint16_t group;  /* enum virtio_admin_group */
    uint64_t member; /* SR-IOV: number of the VF, from 1; 0 where no member is meant */
    const void *data;
    uint32_t data_size;
    const void *more;   /* goes behind 'data' */
    uint32_t more_size; /* of both at most VIRTIO_ADMIN_DATA_MAX */
    void *result;
    uint32_t result_size; /* room for the result, at most VIRTIO_ADMIN_RESULT_MAX */
    uint32_t result_room; /* if greater: of so many bytes, 'result' is the part from 'result_at' */
    uint32_t result_at;
    bool whole;          /* a shorter result is a failure: zeroes would be taken for a value */
    bool background;     /* leaves room for others, and waits longer for its own */
    uint32_t timeout_ms; /* for one try; 0: the queue's */

    uint32_t result_length; /* bytes that the device wrote; what is not of them in 'result' is 0 */
    uint16_t status;        /* enum virtio_admin_status, or a number the standard does not know */
    uint16_t qualifier;     /* enum virtio_admin_qualifier, or the like */

    /* Kept while it is under way. */
    struct virtio_admin_slot *slot; /* NULL: not sent */
    uint32_t passed_us;             /* of the time limit */
    uint32_t pause_us;              /* until the next try */
    unsigned retries;
};

/* Forget all but the lock, which it takes: ADMIN refuses all commands, and none was counted. */
void virtio_admin_clear(struct virtio_admin *admin);

/*
 * Set up the first administration queue of TRANSPORT, which has negotiated ADMIN_VQ and is before
 * DRIVER_OK. MEMORY is VIRTIO_ADMIN_MEMORY bytes, the queue's until the device is reset. Errors as
 * virtqueue_set_up().
 */
enum status virtio_admin_set_up(struct virtio_admin *admin,
                                const struct virtio_transport *transport,
                                const struct virtio_dma *memory);

/* No more commands: whoever waits finds the queue given up. Unmaps the doorbell. */
void virtio_admin_release(struct virtio_admin *admin);

/*
 * Begin COMMAND, which must stay where it is until virtio_admin_poll() says that it is over. Any
 * number may be under way.
 */
void virtio_admin_begin(struct virtio_admin_command *command);

/*
 * Is COMMAND over? Then *STATUS is as from virtio_admin_execute(). PASSED_US is how long the caller
 * waited since the last call: its time limits and pauses are sums of these. The first call sends
 * it, if there is room. Any CPU, as virtio_admin_execute().
 */
bool virtio_admin_poll(struct virtio_admin *admin, struct virtio_admin_command *command,
                       uint32_t passed_us, enum status *status);

/* Wait for a while, 1 ms at most, before the next look at COMMAND. Returns microseconds. */
uint32_t virtio_admin_pause(const struct virtio_admin_command *command);

/*
 * Nobody waits any more for COMMAND, which is not over. If the device has it, none is sent for its
 * member until the answer comes, as after a TIMEOUT. Any CPU.
 */
void virtio_admin_abandon(struct virtio_admin *admin, struct virtio_admin_command *command);

/*
 * Execute COMMAND and wait for its end. The device's "try again" is obeyed up to 14 times, for 1.6
 * s in all. Any CPU, not in an interrupt, with no lock held that others must not wait for.
 *
 * OK: done. STATE: the queue is not usable, or the group does not exist (SR-IOV: VF Enable is
 * clear). TIMEOUT: not answered in time, or one before it for the same member is still not, or the
 * queue had no room for as long, or was given up meanwhile.
 * INVALID: sizes, or a field that the device refuses. UNSUPPORTED: opcode. NOT_FOUND: no such
 * member, capability or object. NO_MEMORY: the device's resources are used up. CONFLICT: the object
 * exists or is in use. DEVICE: any other failure, a result that is not whole, and nonsense: then
 * the queue is given up.
 */
enum status virtio_admin_execute(struct virtio_admin *admin, struct virtio_admin_command *command);

/*
 * Ask the device for the commands that it has for GROUP, and tell it that those of WANTED (bit n:
 * opcode n, below 64) that it has will be used; *USED is that set. After each reset, and for the
 * SR-IOV group after each time VFs were switched on. Errors as virtio_admin_execute(), and
 * UNSUPPORTED: what it answers is no list, as one of 2021 may; *USED is then 0.
 */
enum status virtio_admin_use(struct virtio_admin *admin, enum virtio_admin_group group,
                             uint64_t wanted, uint64_t *used);

/* Can commands for MEMBER of GROUP be sent: is the queue usable, and no answer for it due? */
bool virtio_admin_takes(struct virtio_admin *admin, enum virtio_admin_group group, uint64_t member);

struct virtio_admin_counters virtio_admin_count(struct virtio_admin *admin);

/* In words, never NULL. */
const char *virtio_admin_opcode_name(uint16_t opcode);
const char *virtio_admin_status_name(const struct virtio_admin_command *command);
const char *virtio_admin_qualifier_name(const struct virtio_admin_command *command);

/* What COMMAND's status means to the VMM; OK if it did not fail. Pure. */
enum status virtio_admin_outcome(const struct virtio_admin_command *command);

/* Did the device say no to COMMAND, in words that are known: it has had no effect then? Pure. */
bool virtio_admin_was_refused(const struct virtio_admin_command *command);

/* Does the device ask, or allow, to send the command once more? Pure. */
bool virtio_admin_is_transient(const struct virtio_admin_command *command);

#endif
