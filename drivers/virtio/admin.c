/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/admin_internal.h"

#include "drivers/virtio/virtio_wait.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"

#include <stddef.h>
#include <string.h>

#define REFUSAL_MEMBER 48
#define TIMEOUT_MS     2000U
#define ALIVE_CHECK_US 1000U /* from then on a waiting command looks at the device's status */
#define RETRIES_MAX    14U
#define RETRY_FIRST_US 100U /* doubles each time: 1.6 s in all */
#define PAUSE_MAX_US   1000U
#define QUEUE_INDICES  0x10000U
#define PARTS_MIN      2U  /* of a short command, each a page */
#define FOREGROUND     2U  /* slots that commands in the background leave free */
#define PATIENCE       32U /* times its limit that such a command waits for its turn */
#define LISTS          (1ULL << VIRTIO_ADMIN_LIST_QUERY | 1ULL << VIRTIO_ADMIN_LIST_USE)

void virtio_admin_clear(struct virtio_admin *admin)
{
    const size_t kept = offsetof(struct virtio_admin, transport);

    spinlock_acquire(&admin->lock);
    memset((uint8_t *)admin + kept, 0, sizeof(*admin) - kept);
    spinlock_release(&admin->lock);
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

/* From here to advance() the lock is held. */

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
            admin_pages_free(admin, slot);
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

/* A slot that is free for COMMAND, or NULL; *OTHERS: there are commands whose callers wait. */
static struct virtio_admin_slot *find_slot(struct virtio_admin *admin,
                                           const struct virtio_admin_command *command, bool *others)
{
    struct virtio_admin_slot *found = NULL;
    unsigned count = 0;

    *others = false;
    for (unsigned i = 0; i < VIRTIO_ADMIN_SLOTS; i++) {
        struct virtio_admin_slot *slot = &admin->slot[i];

        *others |= slot->command != NULL;
        if (!slot->held && !slot->answered) {
            found = found ? found : slot;
            count++;
        }
    }
    return command->background && *others && count <= FOREGROUND ? NULL : found;
}

/* False: there are not enough pages or descriptors now, and nothing has happened. */
static bool submit(struct virtio_admin *admin, struct virtio_admin_slot *slot,
                   struct virtio_admin_command *command)
{
    struct virtqueue_part parts[ADMIN_PARTS_MAX];
    unsigned count = admin_pages_take(admin, slot, command, parts);

    if (count == 0 || !virtqueue_has_room(&admin->queue, count)) {
        admin_pages_free(admin, slot);
        return false;
    }
    slot->command = command;
    slot->member = command->member;
    slot->group = command->group;
    slot->held = true;
    admin_request_write(admin, slot, command);
    slot->head = virtqueue_submit(&admin->queue, parts, count);
    admin->counters.sent++;
    command->slot = slot;
    command->passed_us = 0;
    command->status = VIRTIO_ADMIN_OK; /* the refusal of an earlier try says nothing of this one */
    return true;
}

/* NO_MEMORY, not noted: others have all the room. TIMEOUT: not before one before it is answered. */
static enum status try_send(struct virtio_admin *admin, struct virtio_admin_command *command,
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
    *slot = find_slot(admin, command, &others);
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

/* Is COMMAND, which was sent, answered? STATE, not noted: not yet. */
static enum status look(struct virtio_admin *admin, const struct virtio_admin_command *command,
                        const struct virtio_admin_slot *slot)
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
    if (command->passed_us > ALIVE_CHECK_US && !virtio_transport_alive(admin->transport)) {
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

static enum status take_answer(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    if (!admin_answer_read(admin, command->slot, command)) {
        return give_up(admin, command, "was answered without a status", STATUS_DEVICE);
    }
    admin_pages_free(admin, command->slot);
    return STATUS_OK;
}

/* Has COMMAND waited as long as it may, for room or for its answer? */
static bool is_late(const struct virtio_admin *admin, const struct virtio_admin_command *command)
{
    uint64_t ms = command->timeout_ms != 0 ? command->timeout_ms
                  : admin->timeout_ms != 0 ? admin->timeout_ms
                                           : TIMEOUT_MS;

    return command->passed_us >= ms * 1000 * (command->background && !command->slot ? PATIENCE : 1);
}

/* One try goes on. Is it over? OK: there is an answer, good or bad. */
static bool advance(struct virtio_admin *admin, struct virtio_admin_command *command,
                    enum status *status)
{
    struct virtio_admin_slot *slot = command->slot;

    if (!slot) {
        *status = try_send(admin, command, &slot);
        if (*status == STATUS_NO_MEMORY) {
            bool late = is_late(admin, command);

            *status = late ? STATUS_NOTE(STATUS_TIMEOUT) : STATUS_OK;
            return late;
        }
        if (*status != STATUS_OK || !slot) {
            return true;
        }
    }
    *status = look(admin, command, slot);
    if (*status == STATUS_STATE) {
        if (!is_late(admin, command)) {
            return false;
        }
        *status = leave(admin, slot, command);
    } else if (*status == STATUS_OK) {
        *status = take_answer(admin, command);
    }
    return true;
}

/* By commands nobody is told how long a device's configuration is: this is how one finds out. */
static bool is_behind_the_end(const struct virtio_admin_command *command)
{
    return command->opcode == VIRTIO_ADMIN_LEGACY_DEVICE_READ &&
           command->status == VIRTIO_ADMIN_EINVAL &&
           command->qualifier == VIRTIO_ADMIN_Q_INVALID_FIELD;
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
    if (!is_behind_the_end(command) &&
        __atomic_exchange_n(&admin->refusal, now, __ATOMIC_RELAXED) != now) {
        log_warn("virtio " BDF_FORMAT ": admin command %s (%u) for member %lu of group %u failed: "
                 "%s (%u), %s (%u)",
                 BDF_ARGS(admin->transport->bdf), virtio_admin_opcode_name(command->opcode),
                 command->opcode, command->member, command->group,
                 virtio_admin_status_name(command), command->status,
                 virtio_admin_qualifier_name(command), command->qualifier);
    }
    return STATUS_NOTE(virtio_admin_outcome(command));
}

/* COMMAND was answered: is it over, or is there to be another try? */
static bool conclude(struct virtio_admin *admin, struct virtio_admin_command *command,
                     enum status *status)
{
    command->slot = NULL;
    if (command->status == VIRTIO_ADMIN_OK) {
        if (__atomic_load_n(&admin->refusal, __ATOMIC_RELAXED) >> REFUSAL_MEMBER ==
            command->member) {
            __atomic_store_n(&admin->refusal, 0, __ATOMIC_RELAXED);
        }
        if (command->whole && command->result_length != command->result_size) {
            *status = STATUS_NOTE(STATUS_DEVICE);
        }
        return true;
    }
    if (command->retries == RETRIES_MAX || !virtio_admin_is_transient(command)) {
        *status = refused(admin, command);
        return true;
    }
    command->passed_us = 0;
    command->pause_us = RETRY_FIRST_US << command->retries++;
    return false;
}

void virtio_admin_begin(struct virtio_admin_command *command)
{
    command->slot = NULL;
    command->passed_us = command->pause_us = 0;
    command->retries = 0;
    command->status = VIRTIO_ADMIN_OK;
    command->result_length = 0;
}

bool virtio_admin_poll(struct virtio_admin *admin, struct virtio_admin_command *command,
                       uint32_t passed_us, enum status *status)
{
    if ((uint64_t)command->data_size + command->more_size > VIRTIO_ADMIN_DATA_MAX ||
        command->result_size > VIRTIO_ADMIN_RESULT_MAX ||
        command->result_room > VIRTIO_ADMIN_RESULT_MAX) {
        *status = STATUS_NOTE(STATUS_INVALID);
        return true;
    }
    if (command->pause_us > passed_us) {
        command->pause_us -= passed_us;
        return false;
    }
    if (command->pause_us > 0) {
        passed_us -= command->pause_us;
        command->pause_us = 0;
        __atomic_fetch_add(&admin->counters.retried, 1, __ATOMIC_RELAXED);
    }
    command->passed_us +=
        passed_us < UINT32_MAX - command->passed_us ? passed_us : UINT32_MAX - command->passed_us;
    spinlock_acquire(&admin->lock);
    bool over = advance(admin, command, status);
    spinlock_release(&admin->lock);
    return over && (*status != STATUS_OK || conclude(admin, command, status));
}

uint32_t virtio_admin_pause(const struct virtio_admin_command *command)
{
    uint32_t us = command->pause_us != 0 ? command->pause_us : virtio_wait_step(command->passed_us);

    us = us < PAUSE_MAX_US ? us : PAUSE_MAX_US;
    time_delay_us(us);
    return us;
}

void virtio_admin_abandon(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    spinlock_acquire(&admin->lock);
    if (command->slot && command->slot->command == command) {
        if (command->slot->answered) {
            admin_pages_free(admin, command->slot);
        }
        command->slot->command = NULL;
    }
    command->slot = NULL;
    spinlock_release(&admin->lock);
}

enum status virtio_admin_execute(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    enum status status;
    uint32_t us = 0;

    virtio_admin_begin(command);
    while (!virtio_admin_poll(admin, command, us, &status)) { /* until it is done or late */
        us = virtio_admin_pause(command);
    }
    return status;
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
    if ((list & LISTS) != LISTS) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    list &= wanted | LISTS;
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
