/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM comes. Until it is loaded any failure lets the VMM discard what came. Once it is ready
 * only the source's word counts: COMMIT, and it runs; CANCEL, and it is discarded; without a word
 * it stays ready, for the source may have handed it over.
 */
#include "guest/agent/agent_task.h"
#include "guest/agent/move.h"
#include "guest/agent/vfu_client.h"
#include "guest/agent/vm_table.h"
#include "vmm/base/little_endian.h"

#include <stdio.h>
#include <string.h>

#define STATE_LIMIT (60000 * AGENT_MS) /* for a VM to be made, or to stop; */
#define BEGIN_LIMIT (20000 * AGENT_MS) /* to see that it is begun */

/* The attempt by which a VM became ready that nobody has said anything about since. */
static struct {
    char name[VM_NAME_MAX];
    uint8_t id[STREAM_ID];
} left_ready;

/* ---- The VM is made ---- */

/* Until the VM's state is WANTED. A state that is neither that nor FROM or BETWEEN is wrong. */
static bool wait_state(struct move *m, enum vm_state from, enum vm_state between,
                       enum vm_state wanted)
{
    uint64_t deadline = agent_now() + BEGIN_LIMIT;
    const struct vm_entry *vm;

    for (;;) {
        vm = vm_table_find(m->vm.name);
        if (vm != NULL && vm->state == wanted) {
            return true;
        }
        if (vm != NULL && vm->state == between && from != between) {
            from = between; /* back to FROM is wrong, too */
            deadline = agent_now() + STATE_LIMIT;
        }
        if (vm == NULL || (vm->state != from && vm->state != between) || agent_now() >= deadline ||
            portal.ended) {
            return move_fail(m, "the VM %s is %s, and does not become %s", m->vm.name,
                             vm == NULL ? "gone" : vm_state_name(vm->state), vm_state_name(wanted));
        }
        if (!task_wait(-1, 0, deadline)) {
            return move_fail(m, "cancelled");
        }
    }
}

/* A ready VM whose source says that it did not hand over is discarded. */
static bool discard_void(struct move *m)
{
    bool same = strcmp(left_ready.name, m->vm.name) == 0, told = false;

    for (uint32_t i = 0; i < m->vm.voids; i++) {
        told |= memcmp(m->vm.void_id[i], left_ready.id, STREAM_ID) == 0;
    }
    if (!same || !told) {
        return move_fail(m,
                         "%s is ready to run here since a move that nobody ended: 'vm migrate "
                         "%s resolve here' or 'there'",
                         m->vm.name, m->vm.name);
    }
    agent_say("%s: its source did not hand it over then: discarded", m->vm.name);
    return move_ask(m, "stop %s", m->vm.name) && wait_state(m, VM_READY, VM_STOPPING, VM_OFF);
}

/* A session that has just begun does not know all VMs yet. */
static bool wait_table(struct move *m)
{
    uint64_t deadline = agent_now() + BEGIN_LIMIT;

    while (!vm_table.known && agent_now() < deadline) {
        if (!task_wait(-1, 0, deadline)) {
            return move_fail(m, "cancelled");
        }
    }
    return true;
}

static bool prepare(struct move *m)
{
    const struct vm_entry *vm;

    if (!wait_table(m)) {
        return false;
    }
    vm = vm_table_find(m->vm.name);
    if (vm == NULL) {
        return move_fail(m, "there is no VM %s here", m->vm.name);
    }
    if (!vm->incoming) {
        return move_fail(m, "the VM %s has no 'incoming = yes' here", m->vm.name);
    }
    if (vm->vfs != m->vm.vfs) {
        return move_fail(m, "the VM %s has %u VFs here, and %u there", m->vm.name, vm->vfs,
                         m->vm.vfs);
    }
    if (vm->state == VM_READY && !discard_void(m)) {
        return false;
    }
    if (vm->state == VM_OFF) {
        return move_ask(m, "incoming %s", m->vm.name) &&
               wait_state(m, VM_OFF, VM_STARTING, VM_INCOMING);
    }
    return vm->state == VM_INCOMING ||
           move_fail(m, "the VM %s is %s here", m->vm.name, vm_state_name(vm->state));
}

/* ---- The steps ---- */

static bool take_connection(struct move *m)
{
    if (strncmp(m->where, "file:", 5) == 0 && !wire_open_file(&m->wire, m->where + 5, false)) {
        return move_fail(m, "%s", m->wire.why);
    }
    m->wire.deadline = agent_now() + MOVE_GREETING;
    return move_receive_preamble(m) && (m->wire.is_file || move_send_preamble(m));
}

/* What the source's driver took of a VF, as its text has it. */
static bool open_vf(struct move *m, uint32_t vf)
{
    const char *at = strstr(m->theirs[vf + 1], ";driver=");
    char driver[16];
    size_t length = at == NULL ? 0 : strcspn(at + 8, ";");

    if (length == 0 || length >= sizeof(driver) || strspn(at + 8, "0123456789abcdef") < length) {
        return move_fail(m, "the text of the source's VF %u makes no sense", vf);
    }
    memcpy(driver, at + 8, length);
    driver[length] = '\0';
    return move_open_vf(m, vf, driver);
}

static bool compare(struct move *m)
{
    struct stream_vm theirs;

    if (!move_receive_description(m, &m->vm)) {
        return false;
    }
    m->wire.deadline = 0;
    if (!prepare(m)) {
        return false;
    }
    theirs = m->vm;
    if (!move_open_vm(m)) {
        return false;
    }
    for (uint32_t i = 0; i < m->vm.vfs; i++) {
        if (!open_vf(m, i)) {
            return false;
        }
    }
    return (m->wire.is_file || move_send_description(m)) && move_compare(m) &&
           move_compare_ram(m, &theirs) && (m->wire.is_file || move_send(m, STREAM_ACCEPT, 0));
}

static bool begin(struct move *m)
{
    move_set_status(m, MOVE_ACTIVE);
    m->figures.running = agent_now();
    m->figures.remaining = m->figures.total / PAGE_SIZE;
    return move_check(m, 0, "RESUMING", vfu_set_state(MOVE_CHANNEL, VFU_RESUMING));
}

/* ---- States ---- */

/* A bit for each; the VM's own, which comes last, is bit 0. */
static uint32_t all_devices(const struct move *m)
{
    return (1U << (m->vm.vfs + 1)) - 1;
}

static bool take_device(struct move *m, const struct stream_record *record)
{
    uint32_t device = (uint32_t)bytes_get(record->payload, 4);
    bool last = bytes_get(record->payload + 4, 4) != 0;
    uint32_t left = record->length - STREAM_DEVICE_FIXED;
    const uint8_t *data = record->payload + STREAM_DEVICE_FIXED;

    if (device > m->vm.vfs || (m->loaded >> device & 1U) != 0 ||
        (device == 0 && m->loaded != all_devices(m) - 1) ||
        (m->open_device != 0 && m->open_device != device + 1)) {
        return move_fail(m, "states of devices come out of turn");
    }
    if (left == 0 && !last) {
        return move_fail(m, "a piece of a device's state has nothing in it");
    }
    if (m->open_device == 0 && device != 0 &&
        !move_check(m, device, "RESUMING", vfu_set_state(MOVE_CHANNEL + device, VFU_RESUMING))) {
        return false;
    }
    m->open_device = last ? 0 : device + 1;
    for (uint32_t now; left != 0; left -= now, data += now) {
        now = left < m->data[device] ? left : m->data[device];
        if (!move_check(m, device, "the state", vfu_load(MOVE_CHANNEL + device, data, now))) {
            return false;
        }
    }
    if (!last) {
        return true;
    }
    m->loaded |= 1U << device;
    /* The VM's own is loaded when all is there. */
    return device == 0 || move_check(m, device, "the state, as a whole",
                                     vfu_set_state(MOVE_CHANNEL + device, VFU_STOP));
}

static bool take_round(struct move *m, const struct stream_record *record)
{
    uint64_t left = bytes_get(record->payload + 8, 8), all = m->figures.total / PAGE_SIZE;
    uint64_t number = bytes_get(record->payload, 8), before = m->figures.rounds;

    if (number <= before || number > MOVE_ROUNDS_MAX + 1) {
        return move_fail(m, "round %lu came after round %lu", (unsigned long)number,
                         (unsigned long)before);
    }
    m->figures.rounds = number;
    m->figures.remaining = left < all ? left : all;
    return true;
}

static bool take_end(struct move *m, const struct stream_record *record)
{
    return (bytes_get(record->payload, 8) == move_pages(m) && m->loaded == all_devices(m)) ||
           move_fail(m, "the stream ends, and not all of the VM has come");
}

static bool take(struct move *m, const struct stream_record *record)
{
    switch (record->type) {
    case STREAM_ROUND:
        return take_round(m, record);
    case STREAM_PAGES:
        return move_take_pages(m, record);
    case STREAM_DEVICE:
        return take_device(m, record);
    case STREAM_END:
        return take_end(m, record);
    default:
        return move_fail(m, "a record %s came out of turn", stream_type_name(record->type));
    }
}

/*
 * A source is given up that is silent, and one whose bytes trickle: each moves its deadline on, up
 * to PATIENCE from now. What this side takes for a record is not the source's fault.
 */
static bool receive_all(struct move *m)
{
    struct stream_record record = {.type = 0};
    uint64_t deadline = agent_now() + MOVE_PATIENCE;

    while (record.type != STREAM_END) {
        uint64_t before = m->wire.received, come, now;

        m->wire.deadline = deadline;
        if (!move_receive(m, &record)) {
            return false;
        }
        come = agent_now();
        if (!take(m, &record)) {
            return false;
        }
        now = agent_now();
        deadline += now - come + (m->wire.received - before) * MOVE_PACE;
        deadline = deadline < now + MOVE_PATIENCE ? deadline : now + MOVE_PATIENCE;
    }
    return true;
}

/* ---- From the whole stream to a VM that runs ---- */

static bool load(struct move *m)
{
    move_set_status(m, MOVE_DEVICE);
    /* Before it is so: if the session ends meanwhile the VM may become ready all the same. */
    memcpy(left_ready.id, m->vm.id, STREAM_ID);
    (void)snprintf(left_ready.name, sizeof(left_ready.name), "%s", m->vm.name);
    if (!move_hide(m) ||
        !move_check(m, 0, "the state, as a whole", vfu_set_state(MOVE_CHANNEL, VFU_STOP))) {
        return false;
    }
    m->ready = true;
    if (task_is_cancelled()) {
        return move_fail(m, "cancelled");
    }
    m->offered = !m->wire.is_file;
    m->wire.deadline = agent_now() + MOVE_PATIENCE;
    return m->wire.is_file || move_send(m, STREAM_READY, 0);
}

static bool await_commit(struct move *m)
{
    struct stream_record record;

    if (!move_expect(m, STREAM_COMMIT, &record)) {
        return false;
    }
    m->commanded = memcmp(record.payload, m->vm.id, STREAM_ID) == 0;
    return m->commanded || move_fail(m, "the source commits another move than this");
}

static bool run(struct move *m)
{
    if (!move_check(m, 0, "the start", vfu_set_state(MOVE_CHANNEL, VFU_RUNNING))) {
        return false;
    }
    m->figures.resumed = agent_now();
    left_ready.name[0] = '\0';
    if (!m->wire.is_file) {
        /* If this does not reach the source it waits for its operator; the VM runs here. */
        (void)move_send(m, STREAM_RUNNING, 0);
        m->why[0] = '\0';
    }
    return true;
}

static const struct {
    const char *name;
    bool (*run)(struct move *m);
} steps[] = {
    {"connect", take_connection},
    {"compare", compare        },
    {"begin",   begin          },
    {"receive", receive_all    },
    {"load",    load           },
    {"commit",  await_commit   },
    {"run",     run            },
};

/* ---- The end ---- */

/* It is ready, and its source has not handed it over. */
static void discard(struct move *m)
{
    char why[AGENT_TEXT_MAX];

    memcpy(why, m->why, sizeof(why));
    m->why[0] = '\0';
    if (move_ask(m, "stop %s", m->vm.name)) {
        m->ready = false;
        left_ready.name[0] = '\0';
    } else {
        agent_say("%s is ready to run here, and is not to: %s: 'vm migrate %s resolve there'",
                  m->vm.name, m->why, m->vm.name);
    }
    memcpy(m->why, why, sizeof(why));
}

static void undo(struct move *m)
{
    bool told = m->wire.fd >= 0 && !m->wire.broken && !m->offered && !m->refused;
    const char *name = m->vm.name[0] != '\0' ? m->vm.name : "a VM";

    agent_say("%s does not come: %s: %s", name, m->step, m->why);
    move_close(m);
    if (m->ready && !m->commanded && (m->refused || !m->offered)) {
        discard(m);
    } else if (m->ready) {
        agent_say("%s is ready to run here, and its source may have handed it over: 'vm migrate "
                  "%s resolve here' or 'there'",
                  name, m->vm.name);
    }
    if (told && !m->wire.is_file) {
        task_uncancel();
        (void)move_send_text(m, STREAM_REFUSE, m->why);
    }
}

void move_target_run(void *argument)
{
    struct move *m = argument;
    bool done = true;

    move_set_status(m, MOVE_SETUP);
    for (unsigned i = 0; i < ARRAY_SIZE(steps) && done; i++) {
        m->step = steps[i].name;
        done = steps[i].run(m);
    }
    bool cancelled = !done && task_is_cancelled() && !m->lost;

    if (done) {
        agent_say("%s is here: %lu pages, %lu bytes", m->vm.name, (unsigned long)move_pages(m),
                  (unsigned long)m->wire.received);
        move_close(m);
    } else {
        undo(m);
    }
    wire_close(&m->wire, true);
    move_set_status(m, done ? MOVE_COMPLETED : cancelled ? MOVE_CANCELLED : MOVE_FAILED);
}
