/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator of the simulated machine, who also orders faults: README.md has the lines. */
#include "tests/portal/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct words {
    unsigned count;
    char *word[6];
};

static struct vm *find_vm(const char *name)
{
    for (unsigned i = 0; i < sim.vms; i++) {
        if (strcmp(sim.vm[i].name, name) == 0) {
            return &sim.vm[i];
        }
    }
    return NULL;
}

static struct ordered *find_order(struct vm *vm, const char *name)
{
    for (unsigned i = VM_MOVE_NONE + 1; i < VM_MOVE_ORDERS; i++) {
        if (strcmp(order_names[i], name) == 0) {
            return &vm->ordered[i];
        }
    }
    return NULL;
}

static enum status find_status(const char *name)
{
    unsigned i = 0;

    while (i < STATUS_COUNT && strcmp(status_name((enum status)i), name) != 0) {
        i++;
    }
    return (enum status)i;
}

/* fault VM ORDER STATUS [TIMES] | delay VM ORDER MS; some are no orders, but fail likewise. */
static bool order_fault(struct vm *vm, const struct words *w)
{
    struct ordered *order = w->count < 4                          ? NULL
                            : strcmp(w->word[2], "incoming") == 0 ? &vm->await
                            : strcmp(w->word[2], "confirm") == 0  ? &vm->confirm
                                                                  : find_order(vm, w->word[2]);

    if (order == NULL) {
        return false;
    }
    if (strcmp(w->word[0], "delay") == 0) {
        order->delay_ms = (unsigned)strtoul(w->word[3], NULL, 0);
        return true;
    }
    for (char *at = w->word[3]; *at != '\0'; at++) {
        *at = *at == '-' ? ' ' : *at;
    }
    order->fails = find_status(w->word[3]);
    order->times = w->count > 4 ? (unsigned)strtoul(w->word[4], NULL, 0) : 1;
    return order->fails < STATUS_COUNT;
}

/* migrate VM TO | cancel VM | incoming VM; the last as the console's command does it. */
static enum status wish(struct vm *vm, const struct words *w)
{
    unsigned index = (unsigned)(vm - sim.vm);

    if (strcmp(w->word[0], "migrate") == 0 && w->count >= 3) {
        return portal_post(sim.portal, PORTAL_MIGRATE, index, w->word[2]);
    }
    if (strcmp(w->word[0], "cancel") == 0) {
        return portal_post(sim.portal, PORTAL_CANCEL, index, "");
    }
    enum status status = portal_edge_command(index, PORTAL_AWAIT);

    return status == STATUS_OK ? portal_post(sim.portal, PORTAL_INCOMING, index, "") : status;
}

/* resolve VM here|there */
static enum status resolve(struct vm *vm, bool here)
{
    if (vm->move != MOVE_HANDED_OVER && vm->move != MOVE_READY) {
        return STATUS_STATE;
    }
    if (here) {
        vm->move = MOVE_IDLE;
        vm->tracked = false; /* the next move tracks it anew */
        machine_hold(vm, false);
    } else if (vm->move == MOVE_HANDED_OVER) {
        machine_stop(vm);
    } else {
        vm->move = MOVE_INCOMING;
        vm->loaded = vm->size = 0;
    }
    return STATUS_OK;
}

static enum status of_vm(struct vm *vm, const struct words *w)
{
    static const char *const commands[] = {"pause",     "resume", "reset",
                                           "powerdown", "start",  "stop"};
    const char *name = w->word[0];

    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(name, commands[i]) == 0) {
            return portal_edge_command((unsigned)(vm - sim.vm), (enum portal_command)i);
        }
    }
    if (strcmp(name, "fault") == 0 || strcmp(name, "delay") == 0) {
        return order_fault(vm, w) ? STATUS_OK : STATUS_INVALID;
    }
    if (strcmp(name, "migrate") == 0 || strcmp(name, "cancel") == 0 ||
        strcmp(name, "incoming") == 0) {
        return wish(vm, w);
    }
    if (strcmp(name, "resolve") == 0 && w->count >= 3) {
        return resolve(vm, strcmp(w->word[2], "here") == 0);
    }
    if (strcmp(name, "end-at-handover") == 0) {
        vm->ends_session = true;
        return STATUS_OK;
    }
    if (strcmp(name, "rate") == 0 && w->count >= 3) {
        vm->rate = (unsigned)strtoul(w->word[2], NULL, 0);
        return STATUS_OK;
    }
    return STATUS_UNSUPPORTED;
}

/* Of the machine as a whole. */
static bool of_machine(const char *word)
{
    if (strcmp(word, "quit") == 0) {
        sim.quits = true;
    } else if (strcmp(word, "reset-service") == 0) {
        portal_function_reset(&sim.function);
    } else if (strcmp(word, "end-session") == 0) {
        sim.portal->ended = true; /* as after a frame that makes no sense */
        (void)portal_run(sim.portal);
    } else if (strcmp(word, "hold") == 0 || strcmp(word, "release") == 0) {
        sim.held = strcmp(word, "hold") == 0;
    } else {
        return false;
    }
    return true;
}

static void show_vm(struct vm *vm, char *answer, size_t size)
{
    pthread_mutex_lock(&vm->lock);
    (void)snprintf(answer, size, "state=%s ticks=%" PRIu64 " sum=%016" PRIx64 " tracked=%d\n",
                   machine_state(vm), vm->ticks, machine_sum(vm), vm->tracked);
    pthread_mutex_unlock(&vm->lock);
}

void control_line(char *line, char *answer, size_t size)
{
    struct words w = {0};
    struct vm *vm;

    for (char *word = strtok(line, " \n"); word != NULL && w.count < ARRAY_SIZE(w.word);
         word = strtok(NULL, " \n")) {
        w.word[w.count++] = word;
    }
    if (w.count == 1 && of_machine(w.word[0])) {
        (void)snprintf(answer, size, "ok\n");
        return;
    }
    vm = w.count >= 2 ? find_vm(w.word[1]) : NULL;
    if (vm == NULL) {
        (void)snprintf(answer, size, "error what?\n");
    } else if (strcmp(w.word[0], "vm") == 0) {
        show_vm(vm, answer, size);
    } else {
        enum status status = of_vm(vm, &w);

        (void)snprintf(answer, size, status == STATUS_OK ? "ok\n" : "error %s\n",
                       status_name(status));
    }
}
