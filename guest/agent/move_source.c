/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM leaves. Until the portal has answered 'handover' any failure leaves it running here: the
 * channel is closed, and the VMM lets it go on. From then on nobody here runs it any more.
 */
#define _GNU_SOURCE /* renameat2() */
#include "guest/agent/agent_task.h"
#include "guest/agent/move.h"
#include "guest/agent/qmp.h"
#include "guest/agent/vfu_client.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES_MEASURED 256U /* fewer say nothing about how fast it goes */
#define PART           ".part"

/*
 * Attempts that ended before the handover: a target that is ready by one of them may forget it. If
 * the agent is killed they are forgotten, and the operator has to tell the target.
 */
static uint8_t voids[STREAM_VOIDS_MAX][STREAM_ID];
static uint32_t voids_made;

static void part_path(const struct move *m, char *path)
{
    (void)snprintf(path, MOVE_WHERE + sizeof(PART), "%s" PART, m->where + strlen("file:"));
}

/* ---- The file ---- */

/* One that has come there meanwhile keeps the name, where the file system can see to that. */
static bool rename_file(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ||
           (errno == EINVAL && rename(from, to) == 0);
}

/*
 * Make the file that all is written to. Whether it can have its name in the end is found out while
 * nothing is in it, and nothing has been done with the VM: it has it for a moment.
 */
static bool make_file(struct move *m)
{
    char path[MOVE_WHERE + sizeof(PART)];
    const char *to = m->where + strlen("file:");
    struct stat there;

    if (lstat(to, &there) == 0) {                 /* not stat(): a link has the name, too */
        return move_fail(m, "it exists: %s", to); /* a long name may be cut, not the reason */
    }
    if (errno != ENOENT) {
        return move_fail(m, "%s: %s", strerror(errno), to);
    }
    part_path(m, path);
    if (!wire_open_file(&m->wire, path, true)) {
        return move_fail(m, "%s", m->wire.why);
    }
    if (!rename_file(path, to)) {
        return move_fail(m, "%s: %s", strerror(errno), to);
    }
    if (!rename_file(to, path)) {
        (void)move_fail(m, "%s: %s", strerror(errno), path);
        (void)unlink(to);
        wire_close(&m->wire, false); /* what is at PATH now is somebody else's */
        return false;
    }
    return true;
}

/* ---- The steps ---- */

static bool connect_host(struct move *m)
{
    char host[MOVE_WHERE];
    const char *port;

    if (!agent_split_host(m->where + strlen("tcp:"), host, sizeof(host), &port) ||
        host[0] == '\0') {
        return move_fail(m, "%s: no host", m->where);
    }
    return wire_connect(&m->wire, host, port != NULL ? port : MOVE_PORT) ||
           move_fail(m, "%s", task_is_cancelled() ? "cancelled" : m->wire.why);
}

static bool connect_target(struct move *m)
{
    if (!(strncmp(m->where, "file:", 5) == 0 ? make_file(m) : connect_host(m))) {
        return false;
    }
    m->wire.limit = agent_options.max_bandwidth;
    m->wire.deadline = agent_now() + MOVE_GREETING;
    if (!move_send_preamble(m) || (!m->wire.is_file && !move_receive_preamble(m))) {
        return false;
    }
    m->wire.deadline = agent_now() + MOVE_PATIENCE; /* its VM has to be made */
    return true;
}

/* The target's VM, and what it is like: keys and values of the texts say more than other RAM. */
static bool check_target(struct move *m)
{
    struct stream_vm theirs;

    if (!move_receive_description(m, &theirs)) {
        return false;
    }
    if (theirs.vfs != m->vm.vfs) {
        return move_fail(m, "the target's VM has %u VFs instead of %u", theirs.vfs, m->vm.vfs);
    }
    return move_compare(m) && move_compare_ram(m, &theirs);
}

/* The table of VMs may be older than what was done last. One that is paused stays so, wherever it
 * is then: that is in its state. */
static bool check_state(struct move *m)
{
    const struct vm_entry *vm = vm_table_find(m->vm.name);
    char state[16] = "?";

    if (vm == NULL || !move_ask(m, "vm %u", vm->index)) {
        return move_fail(m, "the VM is gone");
    }
    return (agent_find_value(m->answer, "state", state, sizeof(state)) &&
            (strcmp(state, "running") == 0 || strcmp(state, "paused") == 0)) ||
           move_fail(m, "the VM is %s: only one that runs or is paused can be moved", state);
}

static bool compare(struct move *m)
{
    struct stream_record record;

    if (!check_state(m)) {
        return false;
    }
    if (m->vm.vfs > VM_VFS_MAX) {
        return move_fail(m, "the VM has %u VFs", m->vm.vfs);
    }
    if (getrandom(m->vm.id, sizeof(m->vm.id), 0) != (ssize_t)sizeof(m->vm.id)) {
        return move_fail(m, "getrandom: %s", strerror(errno));
    }
    m->vm.voids = voids_made < STREAM_VOIDS_MAX ? voids_made : STREAM_VOIDS_MAX;
    memcpy(m->vm.void_id, voids, sizeof(voids));
    if (!move_open_vm(m)) {
        return false;
    }
    for (uint32_t i = 0; i < m->vm.vfs; i++) {
        if (!move_open_vf(m, i, NULL)) {
            return false;
        }
    }
    return move_send_description(m) &&
           (m->wire.is_file || (check_target(m) && move_expect(m, STREAM_ACCEPT, &record)));
}

static bool track(struct move *m)
{
    return move_check(m, 0, "the log of pages", vfu_log_start(MOVE_CHANNEL)) &&
           move_check(m, 0, "PRE_COPY", vfu_set_state(MOVE_CHANNEL, VFU_PRE_COPY)) &&
           move_mark_all(m);
}

static bool send_round(struct move *m)
{
    uint8_t *payload = move_payload(m);

    bytes_put(payload, 8, m->figures.rounds);
    bytes_put(payload + 8, 8, m->figures.remaining);
    return move_send(m, STREAM_ROUND, 16) && move_send_pages(m);
}

/* What there was before a round. */
struct round {
    uint64_t begun, looked, look_ns, sent;
};

static struct round begin_round(const struct move *m)
{
    return (struct round){agent_now(), m->looked, m->look_ns, m->looked - m->unchanged};
}

/*
 * After a round: how long would it take to send what was written meanwhile? Of the pages that are
 * reported as many will have to be sent as of those of this round. Returns the time for that, in
 * ns; looking at them comes to the pause, and no round makes that less.
 */
static uint64_t estimate(struct move *m, const struct round *r)
{
    struct move_figures *f = &m->figures;
    uint64_t ns = agent_now() - r->begun, looked = m->looked - r->looked;
    uint64_t look_ns = m->look_ns - r->look_ns, sent = m->looked - m->unchanged - r->sent;
    static uint64_t page_ns;

    if (sent >= PAGES_MEASURED || f->rounds == 1) {
        page_ns = sent == 0 || ns < look_ns ? 0 : (ns - look_ns) / sent;
    }
    uint64_t to_send = looked == 0 ? 0 : f->remaining * sent / looked;
    uint64_t send_ns = to_send * page_ns;

    f->expected_ns = send_ns + (looked == 0 ? 0 : f->remaining * (look_ns / looked));
    f->dirty_rate = ns < 1000 ? 0 : to_send * 1000000 / (ns / 1000);
    return send_ns;
}

static bool run_rounds(struct move *m)
{
    struct move_figures *f = &m->figures;
    uint64_t send_ns;

    move_set_status(m, MOVE_ACTIVE);
    f->running = agent_now();
    do {
        struct round round = begin_round(m);

        m->wire.limit = agent_options.max_bandwidth; /* it may have been changed */
        f->rounds++;
        if (!send_round(m) || !move_report(m)) {
            return false;
        }
        send_ns = estimate(m, &round);
        (void)portal_ask(
            PORTAL_ASKER_NOBODY, 0, "progress %s round %lu: %lu pages reported, %lu ms, %lu Mbit/s",
            m->vm.name, (unsigned long)f->rounds, (unsigned long)f->remaining,
            (unsigned long)(f->expected_ns / AGENT_MS), (unsigned long)(f->bits_rate / 1000000));
    } while (send_ns / AGENT_MS > agent_options.downtime_limit &&
             f->rounds < agent_options.max_rounds);
    return true;
}

/* What operators of QMP are told; one that was paused before the stop is so afterwards. */
static void say_run(struct move *m, bool runs)
{
    struct vm_entry *vm = vm_table_find(m->vm.name);

    if (!runs) {
        m->paused = vm != NULL && !vm->runs;
    }
    if (vm != NULL && !m->paused) {
        qmp_event_run(vm, runs);
    }
}

static bool stop(struct move *m)
{
    move_set_status(m, MOVE_DEVICE);
    m->figures.precopy_bytes = m->wire.sent;
    m->figures.stopped = agent_now();
    m->wire.limit = 0; /* every moment counts */
    if (!move_check(m, 0, "the stop", vfu_set_state(MOVE_CHANNEL, VFU_STOP_COPY))) {
        return false;
    }
    m->stopped = true;
    say_run(m, false);
    return true;
}

static bool last_pages(struct move *m)
{
    m->figures.rounds++;
    return move_report(m) && send_round(m) && move_hide(m);
}

/* What the channel of DEVICE, in STOP_COPY, gives. */
static bool send_device(struct move *m, uint32_t device)
{
    uint8_t *payload = move_payload(m);
    uint32_t size = m->data[device];

    while (size == m->data[device]) {
        if (!move_check(m, device, "the state",
                        vfu_save(MOVE_CHANNEL + device, payload + STREAM_DEVICE_FIXED, &size))) {
            return false;
        }
        bytes_put(payload, 4, device);
        bytes_put(payload + 4, 4, size < m->data[device]);
        m->figures.vf_bytes += device == 0 ? 0 : size;
        if (!move_send(m, STREAM_DEVICE, STREAM_DEVICE_FIXED + size)) {
            return false;
        }
    }
    return true;
}

static bool send_states(struct move *m)
{
    for (uint32_t i = 1; i <= m->vm.vfs; i++) {
        if (!move_check(m, i, "the stop", vfu_set_state(MOVE_CHANNEL + i, VFU_STOP_COPY)) ||
            !send_device(m, i) ||
            !move_check(m, i, "the stop", vfu_set_state(MOVE_CHANNEL + i, VFU_STOP))) {
            return false;
        }
    }
    return send_device(m, 0);
}

/* What is at PATH has its name on the disk, too. */
static bool sync_folder(struct move *m, const char *path)
{
    char folder[MOVE_WHERE + sizeof(PART)];
    const char *slash = strrchr(path, '/');

    (void)snprintf(folder, sizeof(folder), "%.*s.", slash == NULL ? 0 : (int)(slash + 1 - path),
                   path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL); /* not all file systems can */

    done = done || move_fail(m, "%s: %s", folder, strerror(errno));
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

/* All is on the disk before anybody lets go of the VM. */
static bool end_file(struct move *m)
{
    char path[MOVE_WHERE + sizeof(PART)];

    part_path(m, path);
    memcpy(move_payload(m), m->vm.id, STREAM_ID);
    return move_send(m, STREAM_COMMIT, STREAM_ID) &&
           (wire_flush_file(&m->wire) || move_fail(m, "%s", m->wire.why)) && sync_folder(m, path);
}

static bool wait_ready(struct move *m)
{
    struct stream_record record;

    bytes_put(move_payload(m), 8, m->chunk.data + m->chunk.pattern + m->chunk.zero);
    if (!move_send(m, STREAM_END, 8)) {
        return false;
    }
    if (m->wire.is_file) {
        return end_file(m);
    }
    m->wire.deadline = agent_now() + MOVE_PATIENCE;
    return move_expect(m, STREAM_READY, &record);
}

static bool hand_over(struct move *m)
{
    if (task_is_cancelled()) {
        return move_fail(m, "cancelled");
    }
    m->handed_over = true; /* it cannot be cancelled from here on */
    m->handed_over = move_ask(m, "handover %s", m->vm.name);
    m->unknown = !m->handed_over && strcmp(m->answer, PORTAL_SESSION_ENDED) == 0;
    return m->handed_over;
}

/* The file gets its name, and keeps it if the machine fails. */
static bool name_file(struct move *m)
{
    char path[MOVE_WHERE + sizeof(PART)];
    const char *to = m->where + strlen("file:");

    part_path(m, path);
    if (!rename_file(path, to)) {
        return move_fail(m, "%s; all is in %s", strerror(errno), path);
    }
    return sync_folder(m, path);
}

static bool commit(struct move *m)
{
    struct stream_record record;

    if (m->wire.is_file) {
        return name_file(m);
    }
    m->wire.deadline = agent_now() + MOVE_PATIENCE;
    memcpy(move_payload(m), m->vm.id, STREAM_ID);
    return move_send(m, STREAM_COMMIT, STREAM_ID) && move_expect(m, STREAM_RUNNING, &record);
}

/* The target has said that it runs: a new session of the portal may be told as well. */
static bool confirm(struct move *m)
{
    char why[AGENT_TEXT_MAX] = "";

    m->figures.resumed = agent_now();
    for (unsigned i = 0; i < 2; i++) {
        if (move_ask(m, "confirm %s", m->vm.name)) {
            return true;
        }
        memcpy(why, m->why, sizeof(why));
        m->why[0] = '\0';
    }
    return move_fail(m, "%s", why);
}

static const struct {
    const char *name;
    bool (*run)(struct move *m);
} steps[] = {
    {"connect",    connect_target},
    {"compare",    compare       },
    {"track",      track         },
    {"rounds",     run_rounds    },
    {"stop",       stop          },
    {"last pages", last_pages    },
    {"states",     send_states   },
    {"ready",      wait_ready    },
    {"handover",   hand_over     },
    {"commit",     commit        },
    {"confirm",    confirm       },
};

/* ---- The end ---- */

static void undo(struct move *m)
{
    char path[MOVE_WHERE + sizeof(PART)];
    bool opened = m->wire.fd >= 0;

    move_close(m);
    if (m->handed_over) {
        agent_say("%s: %s: %s; it is handed over, not confirmed: 'vm migrate %s resolve %s'",
                  m->vm.name, m->step, m->why, m->vm.name,
                  m->figures.resumed != 0 ? "there', for there it is" : "here' or 'there'");
        return;
    }
    if (m->unknown) {
        agent_say("%s: the portal's session ended at the handover; the target does not run it: if "
                  "it is 'handed-over', 'vm migrate %s resolve here'",
                  m->vm.name, m->vm.name);
    } else {
        agent_say("%s: %s: %s; it stays here", m->vm.name, m->step, m->why);
    }
    if (m->stopped) {
        say_run(m, true);
    }
    if (m->figures.running != 0) { /* before that no target can be ready */
        memcpy(voids[voids_made % STREAM_VOIDS_MAX], m->vm.id, STREAM_ID);
        voids_made++;
    }
    if (m->wire.is_file && opened) { /* one that somebody else has made is his */
        part_path(m, path);
        (void)unlink(path);
    } else if (opened && !m->wire.broken) {
        task_uncancel();
        m->wire.limit = 0;
        (void)move_send_text(m, STREAM_CANCEL, m->why);
    }
}

static void say_done(const struct move *m)
{
    const struct move_figures *f = &m->figures;

    agent_say("%s is at %s: %lu rounds, %lu pages, %lu filled ones, %lu bytes, %lu ms without it",
              m->vm.name, m->where, (unsigned long)f->rounds, (unsigned long)m->chunk.data,
              (unsigned long)(m->chunk.zero + m->chunk.pattern), (unsigned long)m->wire.sent,
              (unsigned long)((f->resumed - f->stopped) / AGENT_MS));
}

void move_source_run(void *argument)
{
    struct move *m = argument;
    bool done = true;

    move_set_status(m, MOVE_SETUP);
    for (unsigned i = 0; i < ARRAY_SIZE(steps) && done; i++) {
        m->step = steps[i].name;
        done = steps[i].run(m) && !portal.bus.gone;
    }
    if (m->figures.stopped != 0) {
        m->figures.downtime_bytes = m->wire.sent - m->figures.precopy_bytes;
    }
    bool cancelled = !done && task_is_cancelled() && !m->handed_over && !m->lost;

    if (done) {
        say_done(m);
        move_close(m);
    } else {
        undo(m);
    }
    wire_close(&m->wire, !done);
    page_sums_end(&m->sums);
    free(m->dirty);
    m->dirty = NULL;
    move_set_status(m, done ? MOVE_COMPLETED : cancelled ? MOVE_CANCELLED : MOVE_FAILED);
}
