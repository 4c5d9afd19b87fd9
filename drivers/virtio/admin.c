/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/admin.h"

#include "drivers/virtio/registers.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"

#include <string.h>

#define REFUSAL_MEMBER  48
#define TIMEOUT_MS      2000U
#define ALIVE_CHECK_US  1000U /* from then on a waiting command looks at the device's status */
#define RETRIES_MAX     14U
#define RETRY_FIRST_US  100U /* doubles each time: 1.6 s in all */
#define QUEUE_INDICES   0x10000U
#define STATUS_FIELD    0U /* of 16 bits each */
#define QUALIFIER_FIELD 1U
#define UNWRITTEN       0xff
#define STATUS_SIZE     4U /* bytes that an answer must have at least */
#define PARTS_MIN       2U /* of a short command, each a page */

/* The header of a request. Virtio 1.3, section 2.12.1. */
struct request {
    uint16_t opcode;
    uint16_t group;
    uint8_t reserved[12];
    uint64_t member;
};

_Static_assert(sizeof(struct request) == VIRTIO_ADMIN_HEADER, "virtio 1.3, section 2.12.1");
_Static_assert(VIRTIO_ADMIN_LEGACY_NOTIFY_INFO < 64, "one word has all opcodes");

/* ---- Pages of requests and answers; the lock is held, or the pages are the caller's ---- */

static unsigned pages_of(uint32_t size)
{
    return (size + (uint32_t)PAGE_SIZE - 1) / (uint32_t)PAGE_SIZE;
}

/* Take enough of them for SIZE bytes, the lowest; there are so many. */
static uint32_t take_pages(struct virtio_admin *admin, uint32_t size)
{
    uint32_t pages = 0;

    for (uint32_t at = 0; at < size; at += PAGE_SIZE) {
        pages |= admin->free_pages & -admin->free_pages;
        admin->free_pages &= admin->free_pages - 1;
    }
    return pages;
}

/* Parts for SIZE bytes in PAGES, one for neighbours; returns how many. */
static unsigned make_parts(const struct virtio_admin *admin, uint32_t pages, uint32_t size,
                           bool writable, struct virtqueue_part *parts)
{
    unsigned count = 0;

    for (; pages != 0; pages &= pages - 1) {
        uint64_t iova = admin->memory.iova + (1 + (uint64_t)__builtin_ctz(pages)) * PAGE_SIZE;
        uint32_t length = size < PAGE_SIZE ? size : (uint32_t)PAGE_SIZE;

        if (count > 0 && parts[count - 1].iova + parts[count - 1].length == iova) {
            parts[count - 1].length += length;
        } else {
            parts[count++] = (struct virtqueue_part){iova, length, writable};
        }
        size -= length;
    }
    return count;
}

/* The bytes of PAGES from AT on, at most up to their page's end: *LENGTH of SIZE. */
static uint8_t *piece_at(const struct virtio_admin *admin, uint32_t pages, uint32_t at,
                         uint32_t size, uint32_t *length)
{
    uint32_t offset = at % (uint32_t)PAGE_SIZE, left = (uint32_t)PAGE_SIZE - offset;

    for (uint32_t skip = at / (uint32_t)PAGE_SIZE; skip > 0; skip--) {
        pages &= pages - 1;
    }
    *length = size < left ? size : left;
    return (uint8_t *)admin->memory.va + (1 + (uint64_t)__builtin_ctz(pages)) * PAGE_SIZE + offset;
}

/* FROM NULL: zeroes. */
static void write_pages(const struct virtio_admin *admin, uint32_t pages, uint32_t at,
                        const void *from, uint32_t size)
{
    const uint8_t *bytes = from;
    uint32_t length;

    for (uint32_t done = 0; done < size; done += length) {
        uint8_t *to = piece_at(admin, pages, at + done, size - done, &length);

        if (bytes) {
            memcpy(to, bytes + done, length);
        } else {
            memset(to, 0, length);
        }
    }
}

static void read_pages(const struct virtio_admin *admin, uint32_t pages, uint32_t at, void *to,
                       uint32_t size)
{
    uint8_t *bytes = to;
    uint32_t length;

    for (uint32_t done = 0; done < size; done += length) {
        const uint8_t *from = piece_at(admin, pages, at + done, size - done, &length);

        memcpy(bytes + done, from, length);
    }
}

enum status virtio_admin_set_up(struct virtio_admin *admin,
                                const struct virtio_transport *transport,
                                const struct virtio_dma *memory)
{
    uint32_t queues, index, num;
    enum status status;

    admin->transport = transport;
    admin->memory = *memory;
    admin->usable = false;
    admin->free_pages = UINT32_MAX >> (32 - VIRTIO_ADMIN_PAGES);
    memset(admin->slot, 0, sizeof(admin->slot));
    if (memory->size < VIRTIO_ADMIN_MEMORY) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (transport->common_length < VIRTIO_COMMON_SIZE_ADMIN) {
        log_warn("virtio " BDF_FORMAT ": ADMIN_VQ, but a common structure of only %u bytes",
                 BDF_ARGS(transport->bdf), transport->common_length);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    queues = virtio_common_read(transport, VIRTIO_COMMON_NUM_QUEUES, 2);
    index = virtio_common_read(transport, VIRTIO_COMMON_ADMIN_INDEX, 2);
    num = virtio_common_read(transport, VIRTIO_COMMON_ADMIN_NUM, 2);
    if (num == 0 || index < queues || num > QUEUE_INDICES - index) {
        log_warn("virtio " BDF_FORMAT ": %u admin queues from %u on, behind %u others, make no "
                 "sense",
                 BDF_ARGS(transport->bdf), num, index, queues);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    status = virtqueue_set_up(&admin->queue, transport, (uint16_t)index, memory);
    admin->usable = status == STATUS_OK;
    return status;
}

void virtio_admin_release(struct virtio_admin *admin)
{
    spinlock_acquire(&admin->lock);
    admin->usable = false;
    virtqueue_release(&admin->queue);
    spinlock_release(&admin->lock);
}

/* The end of the queue: what is in flight may still be written to. */
static enum status give_up(struct virtio_admin *admin, const struct virtio_admin_command *command,
                           const char *why, enum status status)
{
    log_warn("virtio " BDF_FORMAT ": admin command %s (%u) for member %lu %s; the PF takes no more "
             "commands until it is reset",
             BDF_ARGS(admin->transport->bdf), virtio_admin_opcode_name(command->opcode),
             command->opcode, command->member, why);
    admin->usable = false;
    return STATUS_NOTE(status);
}

/* From here to read_answer() the lock is held. */

static void free_slot(struct virtio_admin *admin, struct virtio_admin_slot *slot)
{
    admin->free_pages |= slot->readable | slot->writable;
    *slot = (struct virtio_admin_slot){0};
}

/* Take what the device has answered. DEVICE: the used ring makes no sense. */
static enum status collect(struct virtio_admin *admin)
{
    uint32_t written;
    unsigned head;
    enum status status = virtqueue_take(&admin->queue, &head, &written);

    for (; status == STATUS_OK; status = virtqueue_take(&admin->queue, &head, &written)) {
        struct virtio_admin_slot *slot = admin->slot;

        while (!slot->held || slot->head != head) { /* the queue knows only heads of ours */
            slot++;
        }
        slot->held = false;
        slot->answered = true;
        slot->written = written;
        if (!slot->command) { /* too late: its caller has gone */
            free_slot(admin, slot);
        }
    }
    return status == STATUS_STATE ? STATUS_OK : status;
}

/* Has the device a command for this member that it has not answered in time? */
static bool owes(const struct virtio_admin *admin, uint16_t group, uint64_t member)
{
    for (unsigned i = 0; i < VIRTIO_ADMIN_SLOTS; i++) {
        const struct virtio_admin_slot *slot = &admin->slot[i];

        if (slot->held && !slot->command && slot->group == group && slot->member == member) {
            return true;
        }
    }
    return false;
}

/* A slot that is free, or NULL; *OTHERS: there are commands whose callers wait. */
static struct virtio_admin_slot *find_slot(struct virtio_admin *admin, bool *others)
{
    struct virtio_admin_slot *found = NULL;

    *others = false;
    for (unsigned i = 0; i < VIRTIO_ADMIN_SLOTS; i++) {
        struct virtio_admin_slot *slot = &admin->slot[i];

        *others |= slot->command != NULL;
        if (!found && !slot->held && !slot->answered) {
            found = slot;
        }
    }
    return found;
}

static void write_request(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                          const struct virtio_admin_command *command)
{
    uint8_t tail[VIRTIO_ADMIN_TAIL];
    struct request header = {
        .opcode = command->opcode, .group = command->group, .member = command->member};

    write_pages(admin, slot->readable, 0, &header, sizeof(header));
    write_pages(admin, slot->readable, sizeof(header), command->data, command->data_size);
    /* A status that the device does not write is an error, and a result none of another command's.
     */
    memset(tail, UNWRITTEN, sizeof(tail));
    write_pages(admin, slot->writable, 0, tail, sizeof(tail));
    write_pages(admin, slot->writable, sizeof(tail), NULL, command->result_size);
}

/* False: there are not enough pages or descriptors now, and nothing has happened. */
static bool submit(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                   const struct virtio_admin_command *command)
{
    uint32_t readable = VIRTIO_ADMIN_HEADER + command->data_size;
    uint32_t writable = VIRTIO_ADMIN_TAIL + command->result_size;
    struct virtqueue_part parts[VIRTIO_ADMIN_PAGES];

    if (pages_of(readable) + pages_of(writable) > bit_count(admin->free_pages)) {
        return false;
    }
    slot->readable = take_pages(admin, readable);
    slot->writable = take_pages(admin, writable);
    unsigned count = make_parts(admin, slot->readable, readable, false, parts);

    count += make_parts(admin, slot->writable, writable, true, parts + count);
    if (!virtqueue_has_room(&admin->queue, count)) {
        free_slot(admin, slot);
        return false;
    }
    slot->command = command;
    slot->member = command->member;
    slot->group = command->group;
    slot->held = true;
    write_request(admin, slot, command);
    slot->head = virtqueue_submit(&admin->queue, parts, count);
    admin->counters.sent++;
    return true;
}

/* NO_MEMORY, not noted: others have all the room. TIMEOUT: not before one before it is answered. */
static enum status try_send(struct virtio_admin *admin, const struct virtio_admin_command *command,
                            struct virtio_admin_slot **slot)
{
    bool others;

    if (!admin->usable) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (collect(admin) != STATUS_OK) {
        return give_up(admin, command, "was not sent: the used ring makes no sense", STATUS_DEVICE);
    }
    if (owes(admin, command->group, command->member)) {
        return STATUS_NOTE(STATUS_TIMEOUT);
    }
    *slot = find_slot(admin, &others);
    if (*slot && submit(admin, *slot, command)) {
        return STATUS_OK;
    }
    if (others) {
        return STATUS_NO_MEMORY;
    }
    if (*slot && bit_count(admin->free_pages) >= PARTS_MIN &&
        virtqueue_has_room(&admin->queue, PARTS_MIN)) {
        return STATUS_NOTE(STATUS_TIMEOUT); /* there is room for shorter ones */
    }
    return give_up(admin, command, "was not sent: too many before it were not answered",
                   STATUS_TIMEOUT);
}

/* Is the command in SLOT answered? STATE, not noted: not yet. */
static enum status look(struct virtio_admin *admin, const struct virtio_admin_command *command,
                        const struct virtio_admin_slot *slot, bool check_alive)
{
    if (!admin->usable || slot->command != command) {
        return STATUS_NOTE(STATUS_TIMEOUT); /* another one's fault has ended the queue */
    }
    if (collect(admin) != STATUS_OK) {
        return give_up(admin, command, "was answered in a used ring that makes no sense",
                       STATUS_DEVICE);
    }
    if (slot->answered) {
        return STATUS_OK;
    }
    if (check_alive && !virtio_transport_alive(admin->transport)) {
        return give_up(admin, command, "met a device that is gone or asks for a reset",
                       STATUS_DEVICE);
    }
    return STATUS_STATE;
}

/* The command is left to the device, with its slot. */
static enum status leave(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                         const struct virtio_admin_command *command)
{
    admin->counters.timed_out++;
    slot->command = NULL;
    log_warn("virtio " BDF_FORMAT
             ": admin command %s (%u) for member %lu was not answered in time; "
             "until it is, none is sent for that member",
             BDF_ARGS(admin->transport->bdf), virtio_admin_opcode_name(command->opcode),
             command->opcode, command->member);
    return STATUS_NOTE(STATUS_TIMEOUT);
}

/* Copy the answer, once: the device can still write to it. */
static enum status read_answer(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                               struct virtio_admin_command *command)
{
    uint16_t head[VIRTIO_ADMIN_TAIL / 2];

    if (slot->written < STATUS_SIZE) {
        return give_up(admin, command, "was answered without a status", STATUS_DEVICE);
    }
    read_pages(admin, slot->writable, 0, head, sizeof(head));
    command->status = head[STATUS_FIELD];
    command->qualifier = head[QUALIFIER_FIELD];
    command->result_length =
        slot->written > VIRTIO_ADMIN_TAIL ? slot->written - VIRTIO_ADMIN_TAIL : 0;
    if (command->status != VIRTIO_ADMIN_OK) {
        command->result_length = 0;
    }
    if (command->result_size != 0) {
        uint8_t *result = command->result;

        read_pages(admin, slot->writable, VIRTIO_ADMIN_TAIL, result, command->result_length);
        memset(result + command->result_length, 0, command->result_size - command->result_length);
    }
    free_slot(admin, slot);
    return STATUS_OK;
}

static enum status send(struct virtio_admin *admin, const struct virtio_admin_command *command,
                        struct virtio_wait *wait, struct virtio_admin_slot **slot)
{
    for (;;) { /* until it is sent or the time is up */
        spinlock_acquire(&admin->lock);
        enum status status = try_send(admin, command, slot);
        spinlock_release(&admin->lock);
        if (status != STATUS_NO_MEMORY) {
            return status;
        }
        if (!virtio_wait_more(wait)) {
            return STATUS_NOTE(STATUS_TIMEOUT);
        }
    }
}

static enum status await(struct virtio_admin *admin, struct virtio_admin_command *command,
                         struct virtio_wait *wait, struct virtio_admin_slot *slot)
{
    bool more = true;

    for (;;) { /* until it is answered or the time is up */
        spinlock_acquire(&admin->lock);
        enum status status = look(admin, command, slot, wait->passed_us > ALIVE_CHECK_US);

        if (status == STATUS_OK) {
            status = read_answer(admin, slot, command);
        } else if (status == STATUS_STATE && !more) {
            status = leave(admin, slot, command);
        }
        spinlock_release(&admin->lock);
        if (status != STATUS_STATE) {
            return status;
        }
        more = virtio_wait_more(wait);
    }
}

/* One try. OK: there is an answer, good or bad. */
static enum status execute_once(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    uint32_t ms = command->timeout_ms != 0 ? command->timeout_ms : TIMEOUT_MS;
    struct virtio_wait wait = {.limit_us = ms < UINT32_MAX / 1000 ? ms * 1000 : UINT32_MAX};
    struct virtio_admin_slot *slot = NULL;
    enum status status = send(admin, command, &wait, &slot);

    return status == STATUS_OK && slot ? await(admin, command, &wait, slot) : status;
}

/*
 * Count that the device refused COMMAND, and log it, unless the same was refused for the same
 * reason just before: a VF whose every register is refused must not use up what may be said of its
 * VM. What it means to us.
 */
static enum status refused(struct virtio_admin *admin, const struct virtio_admin_command *command)
{
    uint64_t now = command->member << REFUSAL_MEMBER | (uint64_t)command->opcode << 32 |
                   (uint64_t)command->status << 16 | command->qualifier;

    __atomic_fetch_add(&admin->counters.failed, 1, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&admin->refusal, now, __ATOMIC_RELAXED) != now) {
        log_warn("virtio " BDF_FORMAT ": admin command %s (%u) for member %lu of group %u failed: "
                 "%s (%u), %s (%u)",
                 BDF_ARGS(admin->transport->bdf), virtio_admin_opcode_name(command->opcode),
                 command->opcode, command->member, command->group,
                 virtio_admin_status_name(command->status), command->status,
                 virtio_admin_qualifier_name(command->qualifier), command->qualifier);
    }
    return STATUS_NOTE(virtio_admin_outcome(command->status, command->qualifier));
}

enum status virtio_admin_execute(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    if (command->data_size > VIRTIO_ADMIN_DATA_MAX ||
        command->result_size > VIRTIO_ADMIN_RESULT_MAX) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    for (unsigned retry = 0; retry <= RETRIES_MAX; retry++) {
        if (retry > 0) {
            time_delay_us((uint64_t)RETRY_FIRST_US << (retry - 1));
        }
        __atomic_fetch_add(&admin->counters.retried, retry > 0, __ATOMIC_RELAXED);
        enum status status = execute_once(admin, command);

        if (status != STATUS_OK) {
            return status;
        }
        if (command->status == VIRTIO_ADMIN_OK) {
            bool cut = command->whole && command->result_length != command->result_size;

            if (__atomic_load_n(&admin->refusal, __ATOMIC_RELAXED) >> REFUSAL_MEMBER ==
                command->member) {
                __atomic_store_n(&admin->refusal, 0, __ATOMIC_RELAXED);
            }
            return cut ? STATUS_NOTE(STATUS_DEVICE) : STATUS_OK;
        }
        if (!virtio_admin_is_transient(command->status, command->qualifier)) {
            break;
        }
    }
    return refused(admin, command);
}

enum status virtio_admin_use(struct virtio_admin *admin, enum virtio_admin_group group,
                             uint64_t wanted, uint64_t *used)
{
    uint64_t list = 0;
    struct virtio_admin_command query = {.opcode = VIRTIO_ADMIN_LIST_QUERY,
                                         .group = (uint16_t)group,
                                         .result = &list,
                                         .result_size = sizeof(list)};
    struct virtio_admin_command use = {.opcode = VIRTIO_ADMIN_LIST_USE,
                                       .group = (uint16_t)group,
                                       .data = &list,
                                       .data_size = sizeof(list)};
    enum status status = virtio_admin_execute(admin, &query);

    *used = 0;
    if (status != STATUS_OK) {
        return status;
    }
    list &= wanted | 1U << VIRTIO_ADMIN_LIST_QUERY | 1U << VIRTIO_ADMIN_LIST_USE;
    status = virtio_admin_execute(admin, &use);
    if (status == STATUS_OK) {
        *used = list;
    }
    return status;
}

bool virtio_admin_takes(struct virtio_admin *admin, enum virtio_admin_group group, uint64_t member)
{
    spinlock_acquire(&admin->lock);
    bool takes =
        admin->usable && collect(admin) == STATUS_OK && !owes(admin, (uint16_t)group, member);
    spinlock_release(&admin->lock);
    return takes;
}

struct virtio_admin_counters virtio_admin_count(struct virtio_admin *admin)
{
    spinlock_acquire(&admin->lock);
    struct virtio_admin_counters counters = admin->counters;
    spinlock_release(&admin->lock);
    return counters;
}
