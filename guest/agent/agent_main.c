/* SPDX-License-Identifier: BSD-2-Clause */
/* portolan-agent: one loop over the portal, QMP, connections that come, and the move under way. */
#include "guest/agent/agent_task.h"
#include "guest/agent/incoming.h"
#include "guest/agent/move.h"
#include "guest/agent/qmp.h"
#include "guest/agent/vm_table.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct agent_options agent_options;

#define LOOK (500 * AGENT_MS)

static int signals = -1;
static bool ending;
static uint64_t looked; /* at the portal */

/* ---- What the portal says ---- */

/* The operator's order on the console: 'migrate vm=NAME to=HOST[:PORT]'. */
static void order_migrate(const char *line)
{
    char name[VM_NAME_MAX] = "", to[MOVE_WHERE], where[MOVE_WHERE + 8];
    const char *why = "the order makes no sense";

    if (agent_find_value(line, "vm", name, sizeof(name)) &&
        agent_find_value(line, "to", to, sizeof(to) - 8)) {
        (void)snprintf(where, sizeof(where), "%s%s",
                       strncmp(to, "file:", 5) == 0 ? "" : "tcp:", to);
        why = move_begin_source(name, where);
    }
    if (why != NULL) {
        agent_say("'%s': %s", line, why);
        (void)portal_ask(PORTAL_ASKER_NOBODY, 0, "progress %s not moved: %s", name, why);
    }
}

static void order_cancel(const char *line)
{
    char name[VM_NAME_MAX];

    if (agent_find_value(line, "vm", name, sizeof(name)) && strcmp(name, move.vm.name) == 0 &&
        !move_cancel()) {
        agent_say("%s: there is nothing to cancel, or it is too late", name);
    }
}

void portal_event(const char *line)
{
    char word[16], name[VM_NAME_MAX];
    size_t length = strcspn(line, " ");
    enum vm_state before = VM_STATES;
    struct vm_entry *vm;

    (void)snprintf(word, sizeof(word), "%.*s", (int)length, line);
    if (strcmp(word, "state") == 0) {
        vm = vm_table_event(line, &before);
        if (vm != NULL && before != vm->state) {
            qmp_event_state(vm, before);
            vm->stopping &= vm->state != VM_OFF;
        }
    } else if (strcmp(word, "migrate") == 0) {
        order_migrate(line);
    } else if (strcmp(word, "cancel") == 0) {
        order_cancel(line);
    } else if (strcmp(word, "reset") == 0 || strcmp(word, "powerdown") == 0) {
        vm = agent_find_value(line, "vm", name, sizeof(name)) ? vm_table_find(name) : NULL;
        if (vm != NULL) {
            qmp_event_button(vm, word[0] == 'r');
        }
    } /* 'incoming', and what a newer portal may say: nothing is to be done */
}

void portal_answered(enum portal_asker asker, uint32_t tag, const char *answer)
{
    switch (asker) {
    case PORTAL_ASKER_TABLE:
        vm_table_answered(answer);
        break;
    case PORTAL_ASKER_MOVE:
        move_answered(tag, answer);
        break;
    case PORTAL_ASKER_QMP:
        qmp_answered(tag, answer);
        break;
    case PORTAL_ASKER_NOBODY:
        break;
    }
}

/* ---- The loop ---- */

struct polled {
    struct pollfd fd[3 + INCOMING_FDS + QMP_CLIENTS + QMP_LISTENERS];
    unsigned qmp; /* how many of them are QMP's, the last ones */
};

enum { SIGNALS, PORTAL, TASK, INCOMING, QMP = INCOMING + INCOMING_FDS };

/* What to wait for, and for how many ms at most. */
static int collect(struct polled *p)
{
    uint64_t deadline = 0, now = agent_now();
    short events = 0;
    int task = task_is_active() ? task_fd(&events, &deadline) : -1;

    p->fd[SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
    p->fd[PORTAL] = (struct pollfd){.fd = portal.bus.fd, .events = POLLIN};
    p->fd[TASK] = (struct pollfd){.fd = task, .events = events};
    incoming_poll_fds(p->fd + INCOMING, &deadline);
    p->qmp = qmp_poll_fds(p->fd + QMP);
    if (portal_is_ready()) {
        return 0;
    }
    /* While something is waited for, the portal is looked at without an interrupt, too: a function
     * that was reset sends none. */
    if (task_is_active() || portal.requests != 0) {
        deadline = deadline == 0 || deadline > now + LOOK ? now + LOOK : deadline;
    }
    if (deadline == 0) {
        return -1;
    }
    return deadline <= now ? 0 : (int)((deadline - now + AGENT_MS - 1) / AGENT_MS);
}

static void take_signal(void)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info) && !ending) {
        ending = true;
        if (move_is_under_way()) {
            agent_say(move_cancel()
                          ? "the move is cancelled, and the agent ends"
                          : "a VM has been handed over: the agent ends when that is done");
        }
    }
}

/* What was under way fails without the portal, too: its peer is told, and its file goes. */
static void end_task(void)
{
    uint64_t end = agent_now() + 2 * WIRE_LAST_WORD, deadline;

    while (task_is_active() && agent_now() < end) {
        struct pollfd state = {.fd = -1};

        state.fd = task_fd(&state.events, &deadline);
        (void)poll(&state, 1, 10);
        task_resume();
    }
}

/* The session has ended: what was under way fails, and a new one begins. */
static bool renew_session(void)
{
    agent_say(portal.bus.gone ? "the portal does not answer any more"
                              : "the portal's session has ended: a new one begins");
    move_session_ended();
    if (task_is_active()) {
        task_resume(); /* while it can see that */
    }
    portal_begin_session();
    if (portal.bus.gone) {
        end_task();
        return false;
    }
    vm_table_ask();
    return !portal.ended;
}

/* Once around. False: it was the last time. */
static bool turn(void)
{
    struct polled p;
    int timeout = collect(&p);
    bool portal_spoke, task_due, look;
    uint64_t deadline = 0;
    short events;

    if (poll(p.fd, QMP + p.qmp, timeout) < 0 && errno != EINTR) {
        agent_say("poll: %s", strerror(errno));
        return false;
    }
    if (p.fd[SIGNALS].revents != 0) {
        take_signal();
    }
    if (ending && !task_is_active()) { /* before somebody begins a move */
        return false;
    }
    look = agent_now() >= looked + LOOK && (task_is_active() || portal.requests != 0);
    portal_spoke = p.fd[PORTAL].revents != 0 || portal_is_ready() || look;
    if (portal_spoke) {
        looked = agent_now();
        portal_poll();
    }
    if (portal.ended && !renew_session()) {
        return false;
    }
    qmp_poll(p.fd + QMP, p.qmp);
    incoming_poll(p.fd + INCOMING);
    if (task_is_active()) {
        (void)task_fd(&events, &deadline);
        task_due = portal_spoke || p.fd[TASK].revents != 0 || task_is_cancelled() ||
                   (deadline != 0 && agent_now() >= deadline);
        if (task_due) {
            task_resume();
        }
    }
    return !ending || task_is_active();
}

static bool catch_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals >= 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0 &&
           signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

static bool open_all(void)
{
    const struct agent_options *o = &agent_options;

    return tls_init(o) && portal_open(o->portal) && (o->qmp == NULL || qmp_listen_unix(o->qmp)) &&
           (o->qmp_listen == NULL || qmp_listen_tcp(o->qmp_listen)) &&
           (o->listen == NULL || incoming_listen(o->listen));
}

int main(int argc, char **argv)
{
    int code = EXIT_FAILURE;

    if (!agent_options_read(argc, argv, &agent_options, &code)) {
        return code;
    }
    if (!catch_signals()) {
        agent_say("signals: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    if (open_all()) {
        vm_table_ask();
        while (turn()) {
        }
        code = ending ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    incoming_close();
    qmp_close();
    portal_close();
    tls_end();
    return code;
}
