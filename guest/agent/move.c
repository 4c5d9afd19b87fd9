/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/move.h"

#include "guest/agent/agent_task.h"
#include "guest/agent/qmp.h"
#include "guest/agent/vm_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE (500 * AGENT_MS)

struct move move;

static const char *const status_names[] = {
    "none", "setup", "active", "device", "completed", "failed", "cancelling", "cancelled",
};

const char *move_status_name(enum move_status status)
{
    return status_names[status];
}

bool move_fail(struct move *m, const char *text, ...)
{
    va_list args;

    if (m->why[0] == '\0') {
        va_start(args, text);
        (void)vsnprintf(m->why, sizeof(m->why), text, args);
        va_end(args);
        agent_clean_text(m->why);
    }
    return false;
}

/* At the end the rates are those of the whole. */
static void end_figures(struct move *m)
{
    struct move_figures *f = &m->figures;

    f->ended = agent_now();
    if (f->running != 0 && f->ended - f->running > 1000) {
        uint64_t us = (f->ended - f->running) / 1000;

        f->bits_rate = (m->source ? m->wire.sent : m->wire.received) * 8 * 1000000 / us;
        f->pages_rate = move_pages(m) * 1000000 / us;
    }
}

void move_set_status(struct move *m, enum move_status status)
{
    m->status = status;
    if (status >= MOVE_COMPLETED && status != MOVE_CANCELLING) {
        end_figures(m);
    }
    qmp_event_migration(m->vm.name, status_names[status]);
}

void move_sample(struct move *m)
{
    struct move_figures *f = &m->figures;
    uint64_t now = agent_now(), ns = now - f->sampled;
    uint64_t bytes = m->source ? m->wire.sent : m->wire.received;
    uint64_t pages = m->chunk.data + m->chunk.zero + m->chunk.pattern;

    if (f->sampled != 0 && ns < SAMPLE) {
        return;
    }
    if (f->sampled != 0) {
        f->bits_rate = (bytes - f->sampled_bytes) * 8 * 1000000 / (ns / 1000);
        f->pages_rate = (pages - f->sampled_pages) * 1000000 / (ns / 1000);
    }
    f->sampled = now;
    f->sampled_bytes = bytes;
    f->sampled_pages = pages;
}

bool move_yield(struct move *m)
{
    return task_wait(-1, 0, agent_now()) || move_fail(m, "cancelled");
}

/* A new move, of which only WHERE is known. */
static void reset(bool source, const char *where)
{
    uint32_t asked = move.asked;

    free(move.dirty);
    memset(&move, 0, offsetof(struct move, output));
    move.asked = asked; /* answers to older requests stay old */
    move.source = source;
    move.judge.how = agent_options.compress;
    (void)snprintf(move.where, sizeof(move.where), "%s", where);
    wire_init(&move.wire);
    move.figures.begun = agent_now();
}

const char *move_begin_source(const char *name, const char *where)
{
    const struct vm_entry *vm = vm_table_find(name);
    bool to_host = strncmp(where, "tcp:", 4) == 0;

    if (task_is_active()) {
        return "There's a migration process in progress";
    }
    if (vm == NULL || strlen(where) >= MOVE_WHERE) {
        return vm == NULL ? "there is no such VM" : "the uri is too long";
    }
    if (!to_host && (strncmp(where, "file:", 5) != 0 || where[5] == '\0')) {
        return "the uri has to be tcp:HOST:PORT or file:PATH";
    }
    if (to_host && !tls_is_decided()) {
        return "the agent was started without keys for TLS, and without --insecure";
    }
    if (vm->state != VM_RUNNING && vm->state != VM_PAUSED) {
        return "the VM is in no state in which it could be moved";
    }
    reset(true, where);
    (void)snprintf(move.vm.name, sizeof(move.vm.name), "%s", name);
    move.vm.vfs = vm->vfs;
    move.figures.total = vm->memory;
    return task_start(move_source_run, &move) ? NULL : "out of memory";
}

void move_begin_target(struct wire *wire)
{
    if (task_is_active()) {
        agent_say("a connection was closed: a move is under way");
        wire_close(wire, false);
        return;
    }
    reset(false, "tcp:");
    move.wire = *wire;
    if (!task_start(move_target_run, &move)) {
        agent_say("out of memory");
        wire_close(&move.wire, false);
    }
}

const char *move_begin_file(const char *path)
{
    if (task_is_active()) {
        return "There's a migration process in progress";
    }
    if (strlen(path) + sizeof("file:") > MOVE_WHERE) {
        return "the path is too long";
    }
    reset(false, "file:");
    (void)snprintf(move.where, sizeof(move.where), "file:%s", path);
    return task_start(move_target_run, &move) ? NULL : "out of memory";
}

bool move_cancel(void)
{
    if (!task_is_active() || move.handed_over || move.commanded) {
        return false;
    }
    if (!task_is_cancelled()) {
        move_set_status(&move, MOVE_CANCELLING);
        task_cancel();
    }
    return true;
}

void move_session_ended(void)
{
    if (task_is_active() && !move.handed_over && !move.commanded) {
        move.lost = true;
        (void)move_fail(&move, "the portal's session has ended");
        task_cancel();
    }
}

bool move_is_under_way(void)
{
    return task_is_active();
}

void move_answered(uint32_t tag, const char *answer)
{
    if (tag == move.asked) {
        (void)snprintf(move.answer, sizeof(move.answer), "%s", answer);
        move.answered = true;
    }
}
