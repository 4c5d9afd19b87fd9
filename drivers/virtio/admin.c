/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/admin.h"

#include "drivers/virtio/registers.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"

#include <string.h>

#define TIMEOUT_MS       2000U
#define ALIVE_CHECK_US   1000U /* from then on a waiting command looks at the device's status */
#define RETRIES_MAX      14U
#define RETRY_FIRST_US   100U /* doubles each time: 1.6 s in all */
#define FAILURES_LOGGED  16U
#define QUEUE_INDICES    0x10000U
#define STATUS_FIELD     0U
#define QUALIFIER_FIELD  2U
#define UNWRITTEN        0xff
#define STATUS_SIZE      4U /* bytes that an answer must have at least */
#define OPCODES_PER_WORD 64U

/* The header of a request. Virtio 1.3, section 2.12.1. */
struct request {
    uint16_t opcode;
    uint16_t group;
    uint8_t reserved[12];
    uint64_t member;
};

_Static_assert(sizeof(struct request) == VIRTIO_ADMIN_HEADER, "virtio 1.3, section 2.12.1");
_Static_assert(VIRTIO_ADMIN_LEGACY_NOTIFY_INFO < OPCODES_PER_WORD, "one word has all opcodes");

/* Where the pages of SLOT are in the memory. */
static uint64_t request_at(unsigned slot)
{
    return (1 + 2 * (uint64_t)slot) * PAGE_SIZE;
}

static uint64_t answer_at(unsigned slot)
{
    return request_at(slot) + PAGE_SIZE;
}

static uint8_t *request_page(const struct virtio_admin *admin, unsigned slot)
{
    return (uint8_t *)admin->memory.va + request_at(slot);
}

static uint8_t *answer_page(const struct virtio_admin *admin, unsigned slot)
{
    return (uint8_t *)admin->memory.va + answer_at(slot);
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

/* The command in flight is left to the device, with its slot. */
static enum status leave(struct virtio_admin *admin, const struct virtio_admin_command *command)
{
    admin->counters.timed_out++;
    log_warn("virtio " BDF_FORMAT
             ": admin command %s (%u) for member %lu was not answered in time; "
             "until it is, none is sent for that member",
             BDF_ARGS(admin->transport->bdf), virtio_admin_opcode_name(command->opcode),
             command->opcode, command->member);
    return STATUS_NOTE(STATUS_TIMEOUT);
}

/* Wait until the device has answered the command in flight with *WRITTEN bytes. */
static enum status wait_answer(struct virtio_admin *admin,
                               const struct virtio_admin_command *command, uint32_t *written)
{
    uint32_t ms = command->timeout_ms != 0 ? command->timeout_ms : TIMEOUT_MS;
    struct virtio_wait wait = {.limit_us = ms < UINT32_MAX / 1000 ? ms * 1000 : UINT32_MAX};
    enum status status = virtqueue_poll(&admin->queue, written);

    while (status == STATUS_STATE) {
        if (wait.passed_us > ALIVE_CHECK_US && !virtio_transport_alive(admin->transport)) {
            return give_up(admin, command, "met a device that is gone or asks for a reset",
                           STATUS_DEVICE);
        }
        if (!virtio_wait_more(&wait)) {
            return leave(admin, command);
        }
        status = virtqueue_poll(&admin->queue, written);
    }
    if (status != STATUS_OK) {
        return give_up(admin, command, "was answered in a used ring that makes no sense", status);
    }
    return STATUS_OK;
}

static void write_request(struct virtio_admin *admin, unsigned slot,
                          const struct virtio_admin_command *command)
{
    uint8_t *request = request_page(admin, slot), *answer = answer_page(admin, slot);
    struct request header = {
        .opcode = command->opcode, .group = command->group, .member = command->member};

    admin->target[slot] = (struct virtio_admin_target){command->member, command->group};
    memcpy(request, &header, sizeof(header));
    if (command->data_size != 0) {
        memcpy(request + sizeof(header), command->data, command->data_size);
    }
    /* A status that the device does not write is an error, and a result none of another command's.
     */
    memset(answer, UNWRITTEN, VIRTIO_ADMIN_TAIL);
    memset(answer + VIRTIO_ADMIN_TAIL, 0, command->result_size);
}

/* Copy the answer of WRITTEN bytes, once: the device can still write to it. */
static enum status read_answer(struct virtio_admin *admin, struct virtio_admin_command *command,
                               uint32_t written)
{
    const uint8_t *answer = answer_page(admin, admin->queue.slot);

    if (written < STATUS_SIZE) {
        return give_up(admin, command, "was answered without a status", STATUS_DEVICE);
    }
    memcpy(&command->status, answer + STATUS_FIELD, sizeof(command->status));
    memcpy(&command->qualifier, answer + QUALIFIER_FIELD, sizeof(command->qualifier));
    command->result_length = written > VIRTIO_ADMIN_TAIL ? written - VIRTIO_ADMIN_TAIL : 0;
    if (command->status != VIRTIO_ADMIN_OK) {
        command->result_length = 0;
    }
    if (command->result_size != 0) {
        uint8_t *result = command->result;

        memcpy(result, answer + VIRTIO_ADMIN_TAIL, command->result_length);
        memset(result + command->result_length, 0, command->result_size - command->result_length);
    }
    return STATUS_OK;
}

/* Has the device a command for this member that it has not answered? */
static bool owes(const struct virtio_admin *admin, uint16_t group, uint64_t member)
{
    for (unsigned slot = 0; slot < VIRTQUEUE_SLOTS_MAX; slot++) {
        if ((admin->queue.held & 1U << slot) && admin->target[slot].group == group &&
            admin->target[slot].member == member) {
            return true;
        }
    }
    return false;
}

/* Where COMMAND goes. TIMEOUT: nowhere, until one before it is answered. */
static enum status choose_slot(struct virtio_admin *admin,
                               const struct virtio_admin_command *command, unsigned *slot)
{
    if (!admin->usable) {
        return STATUS_NOTE(STATUS_STATE);
    }
    enum status status = virtqueue_choose(&admin->queue, slot);

    if (status == STATUS_DEVICE) {
        return give_up(admin, command, "was not sent: the used ring makes no sense", status);
    }
    if (owes(admin, command->group, command->member)) {
        return STATUS_NOTE(STATUS_TIMEOUT);
    }
    if (status != STATUS_OK) {
        return give_up(admin, command, "was not sent: too many before it were not answered",
                       STATUS_TIMEOUT);
    }
    return STATUS_OK;
}

/* One try, under the lock. OK: there is an answer, good or bad. */
static enum status execute_once(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    uint32_t written = 0;
    unsigned slot = 0;
    enum status status = choose_slot(admin, command, &slot);

    if (status != STATUS_OK) {
        return status;
    }
    write_request(admin, slot, command);
    virtqueue_submit(&admin->queue, slot,
                     (struct virtqueue_part){admin->memory.iova + request_at(slot),
                                             VIRTIO_ADMIN_HEADER + command->data_size},
                     (struct virtqueue_part){admin->memory.iova + answer_at(slot),
                                             VIRTIO_ADMIN_TAIL + command->result_size});
    admin->counters.sent++;
    status = wait_answer(admin, command, &written);
    return status == STATUS_OK ? read_answer(admin, command, written) : status;
}

/* Count and log, the first few times, that the device refused COMMAND; what it means to us. */
static enum status refused(struct virtio_admin *admin, const struct virtio_admin_command *command)
{
    uint64_t failed = __atomic_add_fetch(&admin->counters.failed, 1, __ATOMIC_RELAXED);

    if (failed <= FAILURES_LOGGED) {
        log_warn("virtio " BDF_FORMAT ": admin command %s (%u) for member %lu of group %u failed: "
                 "%s (%u), %s (%u)%s",
                 BDF_ARGS(admin->transport->bdf), virtio_admin_opcode_name(command->opcode),
                 command->opcode, command->member, command->group,
                 virtio_admin_status_name(command->status), command->status,
                 virtio_admin_qualifier_name(command->qualifier), command->qualifier,
                 failed == FAILURES_LOGGED ? "; more are only counted" : "");
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
        enum status status;

        if (retry > 0) {
            time_delay_us((uint64_t)RETRY_FIRST_US << (retry - 1));
        }
        spinlock_acquire(&admin->lock);
        admin->counters.retried += retry > 0;
        status = execute_once(admin, command);
        spinlock_release(&admin->lock);
        if (status != STATUS_OK || command->status == VIRTIO_ADMIN_OK) {
            return status;
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
    unsigned slot = 0;

    spinlock_acquire(&admin->lock);
    bool takes = admin->usable && virtqueue_choose(&admin->queue, &slot) != STATUS_DEVICE &&
                 !owes(admin, (uint16_t)group, member);
    spinlock_release(&admin->lock);
    return takes;
}

struct virtio_admin_counters virtio_admin_count(struct virtio_admin *admin)
{
    struct virtio_admin_counters counters;

    spinlock_acquire(&admin->lock);
    counters = admin->counters;
    spinlock_release(&admin->lock);
    return counters;
}
